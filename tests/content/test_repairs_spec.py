"""`pipelines/repairs.yaml`: what a repair sets must fit the tables; each misfit is named with its place."""

from __future__ import annotations

import pytest

from credit_tier.content import Content, parse
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.specs.repairs import RepairsSpec


@pytest.fixture(scope="module")
def tables() -> dict[str, DatasetSpec]:
    content = Content.shipped()
    specs = [content.load("data_schemas", item.name, DatasetSpec) for item in content.files("data_schemas")]
    return {spec.table: spec for spec in specs}


def repairs(text: str) -> RepairsSpec:
    return parse(f"title_zh: 修复\nrecords:\n  {text}\n", RepairsSpec, where="pipelines/repairs.yaml")


def test_the_shipped_declaration_fits_and_ends_what_features_ask_for(tables) -> None:
    """Each table that has a repair gets its values in the lake's form; the day is the one asked about."""
    shipped = Content.shipped().load("pipelines", "repairs.yaml", RepairsSpec)
    assert list(shipped.faults("pipelines/repairs.yaml", tables)) == []
    assert shipped.values(tables["penalties"], 20_000) == {"repaired_on": 20_000}
    assert shipped.values(tables["serious_listings"], 7) == {"removed_on": 7, "removal_reason": "repaired"}
    assert shipped.values(tables["inspections"], 7) == {}


@pytest.mark.parametrize(
    ("text", "code", "place", "words"),
    [
        ("fines: {repaired_on: day}", "CT-CONTENT-023", "records.fines", "there is no table 'fines'"),
        ("penalties: {mended_on: day}", "CT-CONTENT-023", "records.penalties.mended_on", "Columns are: penalty_no"),
        ("penalties: {received_on: day}", "CT-CONTENT-032", "records.penalties.received_on", "Name another column"),
        ("penalties: {penalty_no: day}", "CT-CONTENT-032", "records.penalties.penalty_no", "Name another column"),
        ("penalties: {procedure: day}", "CT-CONTENT-032", "records.penalties.procedure", "'day' is no value of a code"),
        ("penalties: {repaired_on: soon}", "CT-CONTENT-032", "records.penalties.repaired_on", "no value of a date"),
    ],
)
def test_what_does_not_fit_is_named(tables, text: str, code: str, place: str, words: str) -> None:
    """A table, column or value that is not there is a fault with place and advice."""
    (fault,) = repairs(text).faults("pipelines/repairs.yaml", tables)
    assert (fault.code, fault.where) == (code, f"pipelines/repairs.yaml {place}")
    assert words in f"{fault.what} {fault.advice}"


@pytest.mark.parametrize(
    ("old", "new", "code", "place", "words"),
    [
        ("table: repair_applications", "table: requests", "CT-CONTENT-023", "applications", "there is no table"),
        ("column: accepted_on", "column: agreed_on", "CT-CONTENT-023", "applications.agreed_on", "has no column"),
        ("column: accepted_on", "column: authority", "CT-CONTENT-032", "applications.authority", "not a date"),
        ("equals: granted", "equals: perhaps", "CT-CONTENT-032", "applications.repair_decision", "no value of a code"),
        ("{column: repair_decision", "{column: verdict", "CT-CONTENT-023", "applications.verdict", "has no column"),
    ],
)
def test_the_days_of_an_application_must_fit_their_table(tables, old, new, code, place, words) -> None:
    """A table, column or value that is not there, or no date, is named with its place."""
    text = Content.shipped().text("pipelines", "repairs.yaml")
    assert text.count(old) == 1
    spec = parse(text.replace(old, new), RepairsSpec, where="pipelines/repairs.yaml")
    faults = list(spec.faults("pipelines/repairs.yaml", tables))
    assert [(fault.code, fault.where) for fault in faults] == [(code, f"pipelines/repairs.yaml {place}")]
    assert words in faults[0].what
