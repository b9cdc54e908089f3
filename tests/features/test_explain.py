"""What the feature commands tell: the records behind a value, coverage, and what is wrong with a catalogue."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("polars")

from credit_tier.cli.features import app
from credit_tier.content import Content
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake
from credit_tier.errors import FeatureError, UsageError
from credit_tier.features.coverage import coverage
from credit_tier.features.explain import records_behind
from credit_tier.features.lint import lint
from credit_tier.specs.feature import CatalogueSpec, FeatureSpec
from credit_tier.temporal import AsOf

DAY = dt.date(2024, 1, 1)
AS_OF = AsOf(dt.date(2024, 3, 1))
RANDOM = {"column": "kind", "equals": "random"}
BASE = {"title_zh": "x", "dimension": "d", "source": "checks", "missing": {"policy": "zero"}, "unit": "x"}
BASE |= {"direction": "0", "legal_basis": "x"}


def feature(id_: str = "f", **given: object) -> FeatureSpec:
    return FeatureSpec.model_validate({**BASE, "id": id_, **given})


@pytest.fixture
def lake(world):
    """Three firms: one with a check that counts, one too late, one of another kind; a link between the first two."""
    world.firms = [
        {"firm": f, "area": a, "founded_on": DAY, "seen_on": DAY} for f, a in (("a", "x"), ("b", "x"), ("c", "y"))
    ]
    for number, kind, happened, seen in (
        ("c1", "random", 10, 20),
        ("c2", "random", 50, 70),
        ("c3", "complaint", 10, 12),
        ("c4", "random", 30, 31),
    ):
        world.checks.append(
            {
                "check_no": number,
                "firm": "a",
                "happened_on": DAY + dt.timedelta(days=happened),
                "kind": kind,
                "grade": "low",
                "found": number == "c1",
                "fine": 12.5,
                "share": None,
                "cured_on": None,
                "seen_on": DAY + dt.timedelta(days=seen),
            }
        )
    world.links = [
        {"link_no": "l", "firm": "b", "other": "a", "kind": "owner", "began_on": DAY, "ended_on": None, "seen_on": DAY}
    ]
    return world.lake()


def test_the_records_behind_a_value_are_those_that_count(lake) -> None:
    """A record that became known too late or is of another kind is not shown; dates are dates."""
    share = feature(aggregate="share", filter=[RANDOM], numerator=[{"column": "found", "equals": "true"}])
    told = records_behind(lake, share, "a", AS_OF)
    assert told.value == 0.5
    assert told.records == [
        {
            "record_id": number,
            "event_on": DAY + dt.timedelta(days=happened),
            "known_on": DAY + dt.timedelta(days=seen),
            "kind": "random",
            "found": found,
            "meets_numerator": found,
        }
        for number, happened, seen, found in (("c1", 10, 20, True), ("c4", 30, 31, False))
    ]
    recent = feature(aggregate="count", window={"days": 40})
    assert [row["record_id"] for row in records_behind(lake, recent, "a", AS_OF).records] == ["c4"]


def test_money_is_told_in_yuan_and_related_records_are_reached(lake) -> None:
    """The lake counts fen, people do not; the related enterprise's records are those that count."""
    fine = feature(aggregate="max", column="fine", via={"table": "links", "column": "other"})
    told = records_behind(lake, fine, "b", AS_OF)
    assert told.value == 1250
    assert [row["fine"] for row in told.records] == [Decimal("12.5")] * 3
    assert records_behind(lake, fine, "a", AS_OF).records == []


FOUND = {"column": "found", "equals": "true"}


@pytest.fixture
def districts(world):
    """Area x: firm a with 3 checks, 1 found, b with 2, both found; area y: c with 4, none found, one of no fine; d has moved to y."""
    world.firms = [
        {"firm": f, "area": area, "founded_on": DAY, "seen_on": DAY + dt.timedelta(days=day)}
        for f, area, day in (("a", "x", 0), ("b", "x", 0), ("c", "y", 0), ("d", "x", 0), ("d", "y", 40))
    ]
    for number, (firm, found, fine) in enumerate(
        [("a", True, 5.0), ("a", False, 7.5), ("a", False, None), ("b", True, 1.0), ("b", True, 2.0)]
        + [("c", False, 4.0)] * 3
        + [("c", False, None)]
    ):
        world.checks.append(
            {
                "check_no": f"k{number}",
                "firm": firm,
                "happened_on": DAY + dt.timedelta(days=5 + number),
                "kind": "random",
                "grade": "low",
                "found": found,
                "fine": fine,
                "share": None,
                "cured_on": None,
                "seen_on": DAY + dt.timedelta(days=20),
            }
        )
    return world.lake()


TOTALS = [
    ({"aggregate": "share", "numerator": [FOUND], "group_by": ["area"]}, "a", (3, 5), None),
    ({"aggregate": "share", "numerator": [FOUND], "group_by": ["area"], "shrink": {"weight": 3}}, "b", (3, 5), (3, 9)),
    ({"aggregate": "share", "numerator": [FOUND], "shrink": {"weight": 4, "towards": ["area"]}}, "a", (1, 3), (3, 5)),
    ({"aggregate": "mean", "column": "fine", "shrink": {"weight": 2, "towards": []}}, "a", (1250, 2), (2750, 7)),
    ({"aggregate": "mean", "column": "fine", "group_by": ["area"]}, "d", (1200, 3), None),
    ({"aggregate": "share", "numerator": [FOUND], "shrink": {"weight": 4, "towards": ["area"]}}, "d", (0, 0), (0, 4)),
    ({"aggregate": "count", "group_by": ["area", "firm"]}, "b", (2, 2), None),
    ({"aggregate": "sum", "column": "fine", "group_by": []}, "c", (2750, 9), None),
]


@pytest.mark.parametrize(("given", "firm", "own", "wider"), TOTALS)
def test_a_figure_of_a_group_can_be_done_again_by_hand(districts, given, firm: str, own, wider) -> None:
    """The totals are those counted on paper, and the written formula over them gives the value."""
    entry = feature(**given)
    told = records_behind(districts, entry, firm, AS_OF)
    assert told.group is not None
    assert (told.group.total, told.group.records) == own
    if wider is None:
        assert (told.wider, told.weight) == (None, None)
        by_hand = own[0] if entry.aggregate in {"count", "sum"} else own[0] / own[1]
    else:
        assert told.wider is not None
        assert (told.wider.total, told.wider.records, told.weight) == (*wider, entry.shrink.weight)
        by_hand = (own[0] + told.weight * told.wider.figure) / (own[1] + told.weight)
    assert told.value == np.float32(by_hand)


def test_the_group_of_an_enterprise_is_named(districts) -> None:
    """By its own values as known at as_of: who moved is in the new area; everybody has no column; an own record has no group."""
    share = feature(aggregate="share", numerator=[FOUND], group_by=["area"], shrink={"weight": 3})
    assert records_behind(districts, share, "d", AS_OF).group.of == {"area": "y"}
    assert records_behind(districts, share, "d", AsOf(DAY + dt.timedelta(days=40))).group.of == {"area": "x"}
    assert records_behind(districts, share, "d", AS_OF).wider.of == {}
    own = feature(aggregate="share", numerator=[FOUND], shrink={"weight": 4, "towards": ["area"]})
    told = records_behind(districts, own, "a", AS_OF)
    assert (told.is_of_group, told.group.of, told.wider.of) == (False, {"firm": "a"}, {"area": "x"})
    assert records_behind(districts, feature(aggregate="count"), "a", AS_OF).group is None


def test_a_group_of_the_planned_event_is_that_which_is_given(districts) -> None:
    """The rate of the kind of check that is planned; without the kind the question is half asked."""
    rate = feature(aggregate="share", numerator=[FOUND], group_by=["kind"], shrink={"weight": 3, "towards": ["area"]})
    told = records_behind(districts, rate, "c", AS_OF, planned={"kind": "random"})
    assert (told.group.of, told.group.total, told.group.records) == ({"kind": "random"}, 3, 9)
    assert (told.wider.of, told.wider.total, told.wider.records) == ({"area": "y"}, 0, 4)
    assert told.value == np.float32(3 / 12)
    assert records_behind(districts, rate, "c", AS_OF, planned={"kind": "campaign"}).group.records == 0
    with pytest.raises(UsageError, match=r"CT-FEAT-025 f: .* kind of the planned event.*--planned kind=VALUE"):
        records_behind(districts, rate, "c", AS_OF)


def test_a_personal_value_that_forms_a_group_is_not_shown(world, districts) -> None:
    """The totals are told, whose they are is not."""
    contract = world.root / "content/data_schemas/firms.yaml"
    contract.write_text(
        contract.read_text("utf-8").replace("title_zh: 区,", "title_zh: 区, sensitivity: personal,"), "utf-8"
    )
    assert ingest(world.root / "personal", world.root / "delivery-lake", Content.resolve(world.root / "content")).clean
    entry = feature(aggregate="count", group_by=["area"])
    told = records_behind(Lake.open(world.root / "personal"), entry, "a", AS_OF)
    assert (told.group.of, told.group.total) == ({"area": None}, 5)
    assert records_behind(districts, entry, "a", AS_OF).group.of == {"area": "x"}


def test_whom_the_register_does_not_know_and_what_no_table_holds(lake) -> None:
    """Clear errors with their codes; a code is not repeated in the message."""
    for code, at in (("nobody", AS_OF), ("a", AsOf(DAY))):
        with pytest.raises((UsageError, FeatureError)) as caught:
            records_behind(lake, feature(aggregate="count"), code, at)
        assert "nobody" not in str(caught.value)
    with pytest.raises(FeatureError) as absent:
        records_behind(lake, feature(aggregate="count", source="nowhere"), "a", AS_OF)
    assert absent.value.code == "CT-FEAT-006"
    with pytest.raises(FeatureError) as planned:
        records_behind(lake, feature(aggregate="attribute", source="spine", column="kind"), "a", AS_OF)
    assert planned.value.code == "CT-FEAT-021"


def test_coverage_tells_known_from_filled_and_flags_constants(lake) -> None:
    """One of three firms has a check; per area the figures are those of the area."""
    count = feature(aggregate="count")
    open_ = feature("g", aggregate="exists", filter=[{"column": "kind", "equals": "campaign"}])
    age = feature("h", source="firms", aggregate="days_since", column="founded_on")
    whole, empty, constant = coverage(lake, (count, open_, age), AS_OF)
    assert (whole.rows, whole.known, whole.zeros, whole.distinct) == (3, 1, 2, 2)
    assert (whole.minimum, whole.median, whole.maximum, whole.flag) == (0, 0, 3, "")
    assert whole.filled == pytest.approx(2 / 3)
    assert (empty.flag, constant.flag) == ("almost_empty", "constant")
    by_area = coverage(lake, (count,), AS_OF, by="area")
    assert [(item.group, item.rows, item.known) for item in by_area] == [("x", 2, 1), ("y", 1, 0)]


def test_lint_names_doublets_idle_conditions_and_windows_without_history(lake) -> None:
    """Each of the three faults, and none for a sound entry."""
    features = [
        feature("sound", aggregate="count", window={"days": 30}),
        feature("twin", aggregate="count", window={"days": 30}, title_zh="y"),
        feature("idle", aggregate="count", filter=[{"column": "kind", "one_of": ["random", "complaint", "campaign"]}]),
        feature("never", aggregate="count", filter=[{"column": "happened_on", "is_null": "true"}]),
        feature(
            "none", aggregate="count", filter=[{"column": "ways", "not_one_of": ["look", "look_twice", "ask", "test"]}]
        ),
        feature("long", aggregate="count", window={"days": 3650}),
    ]
    catalogue = CatalogueSpec.model_validate(
        {
            "title_zh": "x",
            "dimensions": [{"id": "d", "title_zh": "d"}],
            "features": [f.model_dump(exclude_none=True) for f in features],
        }
    )
    specs = {table: lake.spec(table) for table in lake.tables}
    found = {(fault.code, fault.where.split()[-1]) for fault in lint(catalogue, specs, lake)}
    assert found == {
        ("CT-FEAT-030", "twin"),
        ("CT-FEAT-031", "idle"),
        ("CT-FEAT-031", "never"),
        ("CT-FEAT-031", "none"),
        ("CT-FEAT-032", "long"),
    }


def test_the_commands_tell_one_json_object() -> None:
    """The shipped catalogue is sound, and an entry is explained with its statement."""
    linted = CliRunner().invoke(app, ["lint", "--json"])
    assert (linted.exit_code, json.loads(linted.stdout)) == (0, {"faults": 0})
    told = json.loads(CliRunner().invoke(app, ["explain", "clean_streak", "--json"]).stdout)
    assert told["aggregate"] == "streak"
    assert "FROM inspections" in told["sql"]
