"""Labels mature or stay empty; spines hold whom and when they say, and nothing known later."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from credit_tier.errors import FeatureError
from credit_tier.features import labels
from credit_tier.features import spine as spines
from credit_tier.features.build import build
from credit_tier.specs.feature import FeatureSpec
from credit_tier.specs.model import Label, ModelSpec

START = dt.date(2024, 1, 1)


def at(number: int) -> dt.date:
    return START + dt.timedelta(days=number)


def firm(name: str, seen: int, area: str = "x") -> dict[str, object]:
    return {"firm": name, "area": area, "founded_on": at(-400), "seen_on": at(seen)}


def check(number: str, name: str, happened: int, seen: int, *, found: bool, kind: str = "random") -> dict[str, object]:
    return {
        "check_no": number,
        "firm": name,
        "happened_on": at(happened),
        "kind": kind,
        "grade": None,
        "found": found,
        "fine": None,
        "share": None,
        "cured_on": None,
        "seen_on": at(seen),
    }


def model(**changes: object) -> ModelSpec:
    base: dict[str, object] = {
        "model": "m",
        "title_zh": "m",
        "purpose": "test",
        "legal_basis": "test",
        "cohort": {
            "kind": "events",
            "source": "checks",
            "where": [{"column": "kind", "equals": "random"}],
            "attributes": {"planned": "kind"},
        },
        "label": label(10, 5).model_dump(),
        "split": {"calibrate_days": 10, "test_days": 10},
    }
    return ModelSpec.model_validate({**base, **changes})


def label(window: int, delay: int) -> Label:
    return Label.model_validate(
        {
            "title_zh": "l",
            "source": "checks",
            "where": [{"column": "kind", "equals": "random"}],
            "positive": [{"column": "found", "equals": "true"}],
            "window_days": window,
            "delay_days": delay,
        }
    )


def outcome_at(world, day: int, spec: Label) -> tuple[bool, bool, int | None]:
    lake = world.lake()
    spine = spines.grid(lake, (), [at(day)])
    row = labels.attach(lake, spec, spine).rows()[0]
    return row[1], row[2], row[3]


@pytest.mark.parametrize(
    ("happened", "seen", "observed"),
    [(99, 99, False), (100, 100, True), (109, 109, True), (110, 110, False), (105, 114, True), (105, 115, False)],
    ids=["before", "first day", "last day", "after", "known in time", "known too late"],
)
def test_the_window_is_half_open_and_closed_by_the_delay(world, happened: int, seen: int, observed: bool) -> None:
    """An outcome counts in [as_of, as_of + window) if it is known before as_of + window + delay."""
    world.firms = [firm("A", 0)]
    world.checks = [check("1", "A", happened, seen, found=True), check("9", "A", 500, 500, found=False)]
    mature, seen_, outcome = outcome_at(world, 100, label(10, 5))
    assert mature
    assert seen_ is observed
    assert outcome == (1 if observed else None)


@pytest.mark.parametrize(("last", "mature"), [(113, False), (114, True)])
def test_an_immature_row_has_no_label(world, last: int, mature: bool) -> None:
    """Before window and delay are over there is no label, not a 0; the clock is the label table's own cut-off."""
    world.firms = [firm("A", 0), firm("B", 400)]
    world.checks = [check("1", "A", 101, 101, found=False), check("2", "A", last, last, found=False)]
    assert outcome_at(world, 100, label(10, 5)) == (mature, True, 0 if mature else None)


def test_where_nobody_has_to_look_absence_is_a_zero(world) -> None:
    """`absent: zero` gives a row without a record the outcome 0, once it is mature; `unknown` gives it none."""
    world.firms = [firm("A", 0), firm("B", 0)]
    world.checks = [check("1", "B", 101, 101, found=True), check("9", "B", 500, 500, found=False)]
    zero = label(10, 5).model_copy(update={"absent": "zero"})
    lake = world.lake()
    spine = spines.grid(lake, (), [at(100), at(495)])

    def told(spec: Label) -> list[tuple[object, ...]]:
        return [row[1:] for row in labels.attach(lake, spec, spine).rows()]

    assert told(zero) == [(True, True, 0), (True, True, 1), (False, True, None), (False, True, None)]
    assert told(label(10, 5)) == [(True, False, None), (True, True, 1), (False, False, None), (False, True, None)]


def test_the_version_known_when_the_window_closes_counts(world) -> None:
    """A correction that arrives later changes no label, so that labels do not move as the lake grows."""
    world.firms = [firm("A", 0)]
    world.checks = [
        check("1", "A", 101, 101, found=True),
        check("1", "A", 101, 115, found=False),
        check("9", "A", 500, 500, found=False),
    ]
    assert outcome_at(world, 100, label(10, 5)) == (True, True, 1)
    world.checks[1]["seen_on"] = at(114)
    world.root = world.root / "again"
    assert outcome_at(world, 100, label(10, 5)) == (True, True, 0)


def test_other_kinds_of_records_are_no_outcome(world) -> None:
    """Only records that meet `where` are outcomes."""
    world.firms = [firm("A", 0)]
    world.checks = [check("1", "A", 101, 101, found=True, kind="complaint"), check("9", "A", 500, 500, found=False)]
    assert outcome_at(world, 100, label(10, 5)) == (True, False, None)


def test_a_grid_holds_the_members_known_before_each_date(world) -> None:
    """A firm enters the grid on the day after it became known, and leaves when a newer version no longer qualifies."""
    world.firms = [firm("A", 0), firm("B", 50), firm("A", 80, area="y")]
    world.checks = [check("1", "A", 1, 1, found=False)]
    lake = world.lake()
    where = model(population={"where": [{"column": "area", "equals": "x"}]}).population.where
    spine = spines.grid(lake, where, [at(50), at(51), at(80), at(81)])
    codes = lake.codes()["code"].to_list()
    got = [
        (codes[no], day - spine["as_of_day"].to_list()[0])
        for no, day in zip(spine["enterprise_no"].to_list(), spine["as_of_day"].to_list(), strict=True)
    ]
    assert got == [("A", 0), ("A", 1), ("B", 1), ("A", 30), ("B", 30), ("B", 31)]


def test_an_event_spine_has_one_row_per_subject_and_day(world) -> None:
    """Several checks on one day are one row; a later correction of a check makes no row of its own."""
    world.firms = [firm("A", 0), firm("B", 0)]
    moved = {**check("3", "B", 30, 60, found=True), "happened_on": at(31)}
    world.checks = [
        check("1", "A", 20, 20, found=False),
        check("2", "A", 20, 25, found=True),
        check("3", "B", 30, 30, found=False),
        moved,
        check("4", "B", 40, 40, found=True, kind="complaint"),
    ]
    lake = world.lake()
    spine = spines.observations(lake, model())
    days = [day - spine["as_of_day"].to_list()[0] for day in spine["as_of_day"].to_list()]
    assert list(zip(spine["enterprise_no"].to_list(), days, spine["planned"].to_list(), strict=True)) == [
        (0, 0, "random"),
        (1, 10, "random"),
    ]


def test_a_row_knows_the_chance_with_which_it_was_drawn(world) -> None:
    """The largest chance of the day's records of the cohort, as first announced; others and later corrections say nothing."""

    def drawn(number: str, name: str, seen: int, share: float | None, kind: str = "random") -> dict[str, object]:
        return {**check(number, name, 100, seen, found=False, kind=kind), "share": share}

    world.firms = [firm("A", 0), firm("B", 0), firm("C", 0)]
    world.checks = [
        drawn("1", "A", 101, 0.25),
        drawn("2", "A", 101, 0.5),
        drawn("3", "A", 101, 0.9, kind="campaign"),
        drawn("4", "B", 101, 0.125),
        drawn("4", "B", 105, 1.0),
        drawn("5", "C", 101, None),
    ]
    lake, cohort = world.lake(), model().cohort
    rows = spines.events(lake, cohort)
    chance = spines.inclusion(lake, cohort, "share", rows)
    assert chance[:2].tolist() == [0.5, 0.125]
    assert np.isnan(chance[2])
    assert spines.inclusion(lake, cohort, "share", rows.tail(2)).tolist()[0] == 0.125
    with pytest.raises(FeatureError, match="CT-FEAT-001"):
        spines.inclusion(lake, cohort, "chance", rows)


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5])
def test_a_chance_that_is_none_is_refused(world, share: float) -> None:
    """Zero, below or above 1: refused with the column and the number of rows, not the value."""
    world.firms = [firm("A", 0)]
    world.checks = [{**check("1", "A", 100, 101, found=False), "share": share}]
    lake, cohort = world.lake(), model().cohort
    with pytest.raises(FeatureError, match=r"CT-FEAT-011.*checks\.share"):
        spines.inclusion(lake, cohort, "share", spines.events(lake, cohort))


def test_a_cohort_of_events_cannot_be_chosen_by_its_own_as_of(world) -> None:
    """The events set the as_of, so a condition that compares with it is refused, with words."""
    world.firms, world.checks = [firm("A", 0)], [check("1", "A", 20, 20, found=False)]
    cohort = {"kind": "events", "source": "checks", "where": [{"column": "cured_on", "at_most": "as_of"}]}
    with pytest.raises(FeatureError, match=r"CT-FEAT-003 checks\.cured_on"):
        spines.observations(world.lake(), model(cohort=cohort))


def test_scoring_takes_the_declared_population_and_the_latest_plan(world) -> None:
    """Without a population those are scored who have a visible record of the kind; with one, its members."""
    world.firms = [firm("A", 0), firm("B", 0), firm("C", 0, area="y")]
    world.checks = [check("1", "A", 20, 20, found=False), check("2", "B", 70, 90, found=False)]
    lake = world.lake()
    assert spines.scoring(lake, model(), at(80))["enterprise_no"].to_list() == [0]
    members = spines.scoring(lake, model(population={"where": [{"column": "area", "equals": "x"}]}), at(80))
    assert list(zip(members["enterprise_no"].to_list(), members["planned"].to_list(), strict=True)) == [
        (0, "random"),
        (1, ""),
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": "nothing"}, "CT-FEAT-006.*no table 'nothing'.*checks"),
        ({"aggregate": "sum", "column": "nothing"}, r"CT-FEAT-001 checks\.nothing"),
        ({"aggregate": "sum", "column": "check_no"}, r"CT-FEAT-004 checks\.check_no"),
        (
            {"filter": [{"column": "kind", "equals": "randum"}]},
            r"CT-FEAT-002 checks\.kind.*randum.*random, complaint, campaign",
        ),
        ({"filter": [{"column": "happened_on", "at_most": "2024-13-01"}]}, r"CT-FEAT-002 checks\.happened_on"),
        ({"group_by": ["colour"]}, r"CT-FEAT-001 firms\.colour.*area"),
        ({"source": "spine", "aggregate": "attribute", "column": "planned"}, "CT-FEAT-005 f.*no attribute 'planned'"),
    ],
)
def test_a_feature_that_cannot_be_computed_says_why(world, changes: dict[str, object], words: str) -> None:
    """Wrong names and values are found before anything is computed, with what there is instead."""
    world.firms = [firm("A", 0)]
    world.checks = [check("1", "A", 1, 1, found=False)]
    lake = world.lake()
    base = {
        "id": "f",
        "title_zh": "f",
        "dimension": "d",
        "source": "checks",
        "aggregate": "count",
        "missing": {"policy": "zero"},
        "unit": "x",
        "direction": "0",
        "legal_basis": "x",
    }
    feature = FeatureSpec.model_validate({**base, **changes})
    with pytest.raises(FeatureError, match=words):
        build(lake, (feature,), spines.grid(lake, (), [at(50)]))


@pytest.mark.parametrize("column", ["ownership", "registration_place", "size_class", "legal_representative_age"])
def test_what_the_law_forbids_is_no_feature(column: str) -> None:
    """Ownership, place of registration, size class and personal fields are refused by the spec, with the article."""
    with pytest.raises(ValueError, match="优化营商环境条例"):
        FeatureSpec.model_validate(
            {
                "id": "f",
                "title_zh": "f",
                "dimension": "d",
                "source": "checks",
                "aggregate": "n_unique",
                "column": column,
                "missing": {"policy": "zero"},
                "unit": "x",
                "direction": "0",
                "legal_basis": "x",
            }
        )


def test_two_builds_are_identical_to_the_last_bit(world) -> None:
    """Same lake, same catalogue, same spine: same bytes and same digest."""
    world.firms = [firm("A", 0), firm("B", 0)]
    world.checks = [check(str(i), "AB"[i % 2], i, i + 3, found=i % 3 == 0) for i in range(60)]
    lake = world.lake()
    base = {
        "title_zh": "f",
        "dimension": "d",
        "source": "checks",
        "missing": {"policy": "zero"},
        "unit": "x",
        "direction": "0",
        "legal_basis": "x",
    }
    features = tuple(
        FeatureSpec.model_validate({**base, **more})
        for more in ({"id": "a", "aggregate": "count"}, {"id": "b", "aggregate": "count", "group_by": ["area"]})
    )
    spine = spines.grid(lake, (), [at(30), at(60)])
    one, two = build(lake, features, spine), build(lake, features, spine)
    assert one.matrix().tobytes() == two.matrix().tobytes()
    assert one.digest == two.digest
    assert one.matrix().dtype == "float32"
