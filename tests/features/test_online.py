"""One enterprise from plain records gives what the batch gives, and refuses what an ingestion would refuse."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from credit_tier.content import Content
from credit_tier.data.cells import cell_text
from credit_tier.data.city import generate
from credit_tier.data.ingest import ingest, load_specs
from credit_tier.data.lake import Lake
from credit_tier.data.plain import PlainRecords
from credit_tier.errors import DataError, FeatureError
from credit_tier.features import build as builder
from credit_tier.features import spine as spines
from credit_tier.features.context import GroupFigures
from credit_tier.features.online import Online
from credit_tier.specs.feature import CatalogueSpec, FeatureSpec
from credit_tier.temporal import AsOf

AS_OF = date(2025, 9, 1)
ENTERPRISES = 300


OF_THE_SUBJECT = FeatureSpec.model_validate(
    {
        "id": "own_inspections_by_section",
        "title_zh": "本企业本行业门类检查次数",
        "dimension": "supervision",
        "source": "inspections",
        "aggregate": "count",
        "group_by": ["uscc", "industry_section"],
        "missing": {"policy": "zero"},
        "unit": "次",
        "direction": "0",
        "legal_basis": "x",
    }
)
"""A group formed by the subject itself, whose number differs from lake to lake."""


class City:
    """A city's lake, its catalogue, and its records by enterprise as its departments delivered them."""

    def __init__(self, root: Path) -> None:
        generate(root / "city", enterprises=ENTERPRISES, seed=11)
        content = Content.resolve()
        ingest(root / "lake", root / "city" / "records", content)
        self.lake = Lake.open(root / "lake")
        self.specs = load_specs(content)
        catalogue = content.load("pipelines", "features.yaml", CatalogueSpec).features
        self.features = (*(f for f in catalogue if f.source != "spine"), OF_THE_SUBJECT)
        self.records: dict[str, dict[str, list[dict[str, object]]]] = {}
        for path in sorted((root / "city" / "records").glob("*.parquet")):
            key = self.specs[path.stem].key
            for row in pl.read_parquet(path).iter_rows(named=True) if key else ():
                self.records.setdefault(str(row[key]), {}).setdefault(path.stem, []).append(row)

    def online(self) -> Online:
        spine = spines.grid(self.lake, (), [AS_OF])
        grouped = [f for f in self.features if f.group_by is not None or f.shrink is not None]
        return Online(self.specs, self.features, GroupFigures.of(self.lake, grouped, spine))

    def of(self, code: str) -> dict[str, list[dict[str, object]]]:
        """Records of an enterprise and of those to which its edges lead."""
        edges = {f.via.table: f.via.column for f in self.features if f.via is not None}
        mine = self.records[code]
        others = {str(row[column]) for table, column in edges.items() for row in mine.get(table, [])} - {code}
        result = {table: [*rows] for table, rows in mine.items()}
        for other in sorted(others):
            for table, rows in self.records.get(other, {}).items():
                result.setdefault(table, []).extend(rows)
        return result


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> City:
    return City(tmp_path_factory.mktemp("online"))


def test_one_enterprise_online_equals_its_row_of_the_batch(city: City) -> None:
    """Every feature of every enterprise, to the last bit: there is no difference between training and serving."""
    spine = spines.grid(city.lake, (), [AS_OF])
    batch = builder.build(city.lake, city.features, spine)
    codes = city.lake.codes()["code"].to_list()
    online = city.online()
    for row, number in enumerate(batch.enterprise_no):
        one = online.for_one(codes[number], city.of(codes[number]), AsOf.parse(str(AS_OF)))
        for feature, ours, theirs in zip(city.features, one.values[:, 0], batch.values[:, row], strict=True):
            np.testing.assert_array_equal(ours, theirs, f"{feature.id} of row {row}")


def test_values_of_their_type_and_the_same_as_text_are_the_same(city: City) -> None:
    """A date, a number or a yes may come as such or as a person would type it: the versions are equal, ids and order included."""
    columns = {table: spec.columns for table, spec in city.specs.items()}
    for code in sorted(city.records)[::10]:
        records = city.of(code)
        text = {
            t: [{k: repr(v) if isinstance(v, float) else cell_text(v) for k, v in row.items()} for row in rows]
            for t, rows in records.items()
        }
        assert PlainRecords.read(city.specs, records, columns) == PlainRecords.read(city.specs, text, columns)


def test_plain_records_become_the_rows_of_the_lake(city: City) -> None:
    """Ids, days, versions and values are those that an ingestion gives, in the same order."""
    columns = {table: spec.columns for table, spec in city.specs.items()}
    everything: dict[str, list[dict[str, object]]] = {}
    for tables in city.records.values():
        for table, rows in tables.items():
            everything.setdefault(table, []).extend(rows)
    plain = PlainRecords.read(city.specs, everything, columns)
    for table, ours in plain.tables.items():
        theirs = city.lake.frame(table).collect().to_native()
        assert pl.DataFrame(ours, schema={name: theirs.schema[name] for name in ours}).equals(
            theirs.select(list(ours))
        ), table


def test_what_an_ingestion_refuses_is_refused_by_place_and_rule(city: City) -> None:
    """Faults name table, column, place and rule; no value of a record stands in the message."""
    code, records = next((c, r) for c, r in sorted(city.records.items()) if "inspections" in r and "penalties" in r)
    wrong = {table: [dict(row) for row in rows] for table, rows in records.items()}
    wrong["inspections"][0]["inspected_on"] = "2025-02-30 secret"
    wrong["penalties"][0]["colour"] = "secret"
    wrong["secrets"] = [{}]
    with pytest.raises(DataError) as caught:
        city.online().for_one(code, wrong, AsOf.parse(str(AS_OF)))
    words = str(caught.value)
    assert "CT-DATA-201 secrets" in words
    assert "CT-DATA-202 penalties.colour" in words
    assert "CT-DATA-203 inspections.inspected_on, record 1" in words
    assert "secret " not in words
    assert code not in words


def test_questions_that_cannot_be_answered_say_why(city: City) -> None:
    """Figures of groups of another day, none at all, and an enterprise without records."""
    code = next(iter(city.records))
    with pytest.raises(FeatureError, match="CT-FEAT-012"):
        city.online().for_one(code, city.of(code), AsOf.parse("2025-10-01"))
    with pytest.raises(FeatureError, match="CT-FEAT-013"):
        Online(city.specs, city.features)
    with pytest.raises(FeatureError, match="CT-FEAT-014"):
        city.online().for_one("91000000MAJ6KCDD8F", {}, AsOf.parse(str(AS_OF)))
