"""The SQL that explains a feature is the feature: DuckDB, given the statement, finds what the engine finds."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import narwhals as nw
import numpy as np
import pytest

from credit_tier.content import Content
from credit_tier.data.city import generate
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake
from credit_tier.errors import FeatureError
from credit_tier.features import build as builder
from credit_tier.features import plan
from credit_tier.features import spine as spines
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.specs.feature import CatalogueSpec, FeatureSpec
from credit_tier.temporal import AsOf

duckdb = pytest.importorskip("duckdb")

OTHERS = [
    {"aggregate": "last", "column": "grade"},
    {"aggregate": "n_unique", "column": "kind", "filter": [{"column": "kind", "not_one_of": ["campaign"]}]},
    {"aggregate": "count", "filter": [{"column": "ways", "one_of": ["look", "test"]}]},
    {"aggregate": "share", "numerator": [{"column": "ways", "not_one_of": ["ask", "look_twice"]}]},
    {"aggregate": "count", "filter": [{"column": "ways", "equals": "look"}]},
    {"aggregate": "min", "column": "share"},
    {"aggregate": "sum", "column": "fine", "group_by": ["area"]},
    {"aggregate": "count", "group_by": ["firm", "area"], "window": {"days": 60}},
    {"aggregate": "count", "group_by": [], "filter": [{"column": "cured_on", "at_least": "as_of"}]},
    {"aggregate": "mean", "column": "fine", "shrink": {"weight": 3, "towards": ["area"]}},
    {"aggregate": "days_since", "column": "cured_on"},
    {"aggregate": "trend", "window": {"days": 61}},
    {"aggregate": "streak", "numerator": [{"column": "cured_on", "at_most": "as_of"}]},
]


PLANNED = {"kind": "random", "grade": "it's low"}
OF_PLANNED = [
    {"aggregate": "count", "group_by": ["kind"]},
    {"aggregate": "share", "numerator": [{"column": "found", "equals": "true"}], "group_by": ["kind", "area"]},
    {"aggregate": "mean", "column": "fine", "group_by": ["firm", "kind"], "shrink": {"weight": 3, "towards": ["kind"]}},
    {"aggregate": "count", "group_by": ["grade"]},
]


def compared(
    lake: Lake, features: tuple[FeatureSpec, ...], as_of: AsOf, planned: dict[str, str] | None = None
) -> list[str]:
    """Return the ids of the features on which the statement and the engine do not agree."""
    attributes = [nw.lit(value).alias(name) for name, value in (planned or {}).items()]
    rows = spines.grid(lake, (), [as_of.on]).with_columns(*attributes)
    built = builder.build(lake, features, rows)
    database = duckdb.connect()
    for table in lake.tables:
        files = [str(lake.path / item.name) for item in lake.manifest.tables[table].files]
        database.read_parquet(files).create_view(table)
    database.read_parquet([str(lake.path / lake.manifest.codes.name)]).create_view("_codes")
    specs = {table: lake.spec(table) for table in lake.tables}
    different = []
    for feature, values in zip(features, built.values, strict=True):
        statement = plan.sql(feature, specs, lake.register, as_of, planned=planned)
        found = database.execute(statement).fetchall()
        assert [row[0] for row in found] == rows["enterprise_no"].to_list()
        told = np.array([np.nan if row[1] is None else float(row[1]) for row in found])
        if not np.allclose(told, values, rtol=1e-6, atol=1e-9, equal_nan=True):
            different.append(feature.id)
    return different


@pytest.mark.parametrize("as_of", ["2025-03-10"])
def test_the_statement_of_every_feature_of_the_catalogue_gives_its_values(tmp_path: Path, as_of: str) -> None:
    """An official may check any value of any feature with a database of his own."""
    content = Content.shipped()
    generate(tmp_path / "city", enterprises=1200, seed=5)
    ingest(tmp_path / "lake", tmp_path / "city" / "records", content)
    catalogue = content.load("pipelines", "features.yaml", CatalogueSpec)
    features = tuple(f for f in catalogue.features if f.source != "spine")
    assert compared(Lake.open(tmp_path / "lake"), features, AsOf.parse(as_of)) == []


def test_statements_agree_where_the_catalogue_has_no_example(world) -> None:
    """Versions, empty values, codes as numbers, groups and streaks over conditions on as_of."""
    day = dt.date(2024, 1, 1)
    world.firms = [
        {"firm": f"f{n}", "area": [None, "x", "y"][n % 3], "founded_on": day, "seen_on": day} for n in range(9)
    ]
    for n in range(120):
        row = {
            "check_no": f"c{n % 100:03}",
            "firm": f"f{n % 100 * 7 % 9}",
            "happened_on": day + dt.timedelta(days=n % 100 * 3 % 90),
            "kind": ["random", "complaint", "campaign"][n % 3],
            "grade": [None, "low", "middle", "high"][n * 5 % 4],
            "ways": [None, "look", "look_twice", "look;ask", "ask;test"][n * 3 % 5],
            "found": n % 4 == 0,
            "fine": None if n % 5 == 0 else n * 1.25,
            "share": None if n % 3 == 0 else n / 7,
            "cured_on": day + dt.timedelta(days=n) if n % 2 else None,
            "seen_on": day + dt.timedelta(days=n % 100 * 3 % 90 + 3 + n // 10),
        }
        world.checks.append(row)
    base = {"title_zh": "x", "dimension": "d", "source": "checks", "missing": {"policy": "unknown"}}
    base |= {"unit": "x", "direction": "0", "legal_basis": "x"}
    features = tuple(FeatureSpec.model_validate({"id": f"f{n}", **base, **other}) for n, other in enumerate(OTHERS))
    lake = world.lake()
    assert compared(lake, features, AsOf.parse("2024-03-10")) == []
    of_planned = tuple(
        FeatureSpec.model_validate({"id": f"p{n}", **base, **other}) for n, other in enumerate(OF_PLANNED)
    )
    assert compared(lake, of_planned, AsOf.parse("2024-03-10"), PLANNED) == []


def test_what_the_planned_event_brings_is_a_parameter_until_it_is_given(world) -> None:
    """A group by the kind of check has a statement before anybody plans one; a column that nobody has is named."""
    day = dt.date(2024, 1, 1)
    world.firms = [{"firm": "f", "area": None, "founded_on": day, "seen_on": day}]
    lake = world.lake()
    specs = {table: lake.spec(table) for table in lake.tables}
    base = {"id": "f", "title_zh": "x", "dimension": "d", "source": "checks", "missing": {"policy": "unknown"}}
    base |= {"unit": "x", "direction": "0", "legal_basis": "x", "aggregate": "count"}
    by_kind = FeatureSpec.model_validate({**base, "group_by": ["kind"]})
    assert "SELECT r.enterprise_no, :kind AS group_kind" in plan.sql(by_kind, specs, "firms", None)
    given = plan.sql(by_kind, specs, "firms", None, planned={"kind": "o'x"})
    assert "SELECT r.enterprise_no, 'o''x' AS group_kind" in given
    with pytest.raises(FeatureError, match=r"CT-FEAT-001 checks\.nothing"):
        plan.sql(FeatureSpec.model_validate({**base, "group_by": ["nothing"]}), specs, "firms", None)


def test_every_feature_of_the_example_has_a_statement() -> None:
    """Those too that compare by the field and the kind of check that is planned."""
    content = Content.resolve(Path(__file__).resolve().parents[2] / "examples/beijing")
    loaded = [content.load(item.room, item.name, DatasetSpec) for item in content.files("data_schemas")]
    specs = {spec.table: spec for spec in loaded}
    catalogue = content.load("pipelines", "features.yaml", CatalogueSpec)
    for feature in (f for f in catalogue.features if f.source != "spine"):
        assert feature.title_zh in plan.sql(feature, specs, "entities", None)


def test_what_no_table_holds_has_no_statement(world) -> None:
    """An attribute of the planned event is told to be one; a table that is not there is named with those that are."""
    base = {"id": "f", "title_zh": "x", "dimension": "d", "missing": {"policy": "unknown"}}
    base |= {"unit": "x", "direction": "0", "legal_basis": "x"}
    world.firms = [{"firm": "f", "area": None, "founded_on": dt.date(2024, 1, 1), "seen_on": dt.date(2024, 1, 1)}]
    lake = world.lake()
    specs = {table: lake.spec(table) for table in lake.tables}
    attribute = FeatureSpec.model_validate({**base, "source": "spine", "aggregate": "attribute", "column": "kind"})
    absent = FeatureSpec.model_validate({**base, "source": "nowhere", "aggregate": "count"})
    for feature, code in ((attribute, "CT-FEAT-021"), (absent, "CT-FEAT-006")):
        with pytest.raises(FeatureError) as caught:
            plan.sql(feature, specs, "firms", AsOf.parse("2024-03-10"))
        assert caught.value.code == code
