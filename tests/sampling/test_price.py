"""The planner's report: chances, coinciding visits, and what each constraint costs."""

from __future__ import annotations

from fractions import Fraction
from math import sqrt

import numpy as np
import pytest

from credit_tier import draws
from credit_tier.sampling.allocate import round_sizes
from credit_tier.sampling.price import (
    chances_by_class,
    chances_of,
    expected_by,
    loads,
    prices,
    report,
    standard_error,
    visits_saved,
)
from credit_tier.sampling.roster import Inspector, Roster
from credit_tier.sampling.select import pareto_order
from credit_tier.specs.teams import TeamsSpec


@pytest.fixture(scope="module")
def planned(spec, units):
    fire = spec.departments[1]
    burden = {"column": "visits", "factor": "1/3", "floor": "1/4", "most": 3}
    loaded = type(fire).model_validate({**fire.model_dump(mode="json"), "burden": burden, "floor": 4})
    more = [{**unit, "visits": i % 5} for i, unit in enumerate(units)]
    return draws.plan(more, spec.model_copy(update={"departments": (spec.departments[0], loaded)})).planned


def test_chances_in_doubles_are_those_of_the_draw(planned):
    """The quick figures of the report agree with the exact ones of the draw, and none is zero."""
    for layout in planned.layouts:
        for stratum in layout.strata:
            found, units = chances_of(stratum)
            assert found == pytest.approx([float(stratum.chance_of[weight]) for weight in stratum.tally], rel=1e-12)
            assert units.sum() == len(stratum.members)
    every = [chance for layout in planned.layouts for stratum in layout.strata for chance in stratum.chances()]
    assert report(planned)["smallest_chance"] == pytest.approx(float(min(every)), rel=1e-12)
    assert min(every) > 0


def test_expected_visits_add_up_over_each_column(planned):
    """Per class and per district they sum to the department's total."""
    for layout in planned.layouts:
        sums = expected_by(planned.spec, planned.layouts)[layout.department.department]
        assert set(sums) == set(layout.department.strata)
        assert all(sum(by.values()) == layout.expected for by in sums.values())


def test_classes_span_their_chances(planned):
    """Least, median and most are those of the class's enterprises."""
    told = {(item.department, item.risk_class): item for item in chances_by_class(planned.spec, planned.layouts)}
    for layout in planned.layouts:
        at = layout.department.strata.index("risk_class")
        for name in "ABCD":
            own = sorted(float(c) for s in layout.strata if s.key[at] == name for c in s.chances())
            item = told[layout.department.department, name]
            assert (item.units, item.least, item.most) == (len(own), pytest.approx(own[0]), pytest.approx(own[-1]))
            assert item.median == pytest.approx(own[(len(own) - 1) // 2])


def test_coinciding_visits_are_those_of_many_draws(planned):
    """Over 300 seeds the number of visits that coincide has the predicted mean, within 5 standard errors and 2 per cent."""
    from hashlib import sha256

    saved = []
    for number in range(300):
        tickets = [sha256(f"{number} {i}".encode()).hexdigest() for i in range(len(planned.frame))]
        drawn = []
        for layout in planned.layouts:
            offset = int(sha256(f"{number} {layout.department.department}".encode()).hexdigest()[:13], 16)
            counts = round_sizes([item.size for item in layout.strata], offset)
            drawn.append(
                {
                    item.members[i]
                    for item, n in zip(layout.strata, counts, strict=True)
                    for i in pareto_order([tickets[k] for k in item.members], item.lambdas(n))[:n]
                }
            )
        saved.append(sum(map(len, drawn)) - len(set.union(*drawn)))
    predicted = visits_saved(planned)
    assert abs(np.mean(saved) - predicted) < 5 * np.std(saved) / sqrt(len(saved)) + 0.02 * predicted


def test_each_constraint_is_lifted_alone(planned):
    """Lifting names every constraint once; a lifted exclusion or budget changes visits, a lifted burden only the error."""
    found = {(item.department, item.constraint): item for item in prices(planned)}
    assert set(found) == {
        ("market", "certainty"),
        ("market", "exclusion deregistered"),
        *(("fire", name) for name in ("floor", "caps", "budget", "burden", "exclusion tiny")),
    }
    assert found["market", "exclusion deregistered"].visits_without > found["market", "exclusion deregistered"].visits
    burden = found["fire", "burden"]
    assert burden.visits_without == burden.visits == 41
    assert burden.error_without != burden.error
    assert found["fire", "floor"].visits_without == 41


def test_the_error_is_the_textbook_one_where_chances_are_equal(edited):
    """One class of 400, 20 drawn, a quarter expected to break a rule: sqrt(p (1 - p) / n (1 - n / N))."""
    spec = edited("budget: 41", "budget: 20")
    fire = spec.departments[1].model_copy(update={"size": None, "exclusions": (), "caps": {}})
    spec = spec.model_copy(update={"departments": (fire,)})
    (layout,) = draws.plan([{"code": f"U{i:03d}", "risk_class": "A"} for i in range(400)], spec).planned.layouts
    wanted = sqrt(0.25 * 0.75 / 20 * (1 - 20 / 400))
    assert standard_error(spec, layout, {"A": str(Fraction(1, 4))}) == pytest.approx(wanted)


def test_seats_are_shared_by_those_who_can_take_one(planned):
    """Three of market's five inspectors hold the qualification; fire's team takes anybody, two for each visit."""
    roster = Roster.of(
        [Inspector(f"m{i}", "market", leads=i == 0, qualified=("food",) if i < 3 else ()) for i in range(5)]
        + [Inspector("f", "fire")],
        items={"kitchens": "food"},
    )
    seat = {"role": "member", "count": 2}
    teams = TeamsSpec.model_validate(
        {
            "teams": "t",
            "title_zh": "组",
            "departments": [
                {
                    "department": "market",
                    "items": ["kitchens"],
                    "seats": [seat],
                    "reference": "测试",
                    "verified": False,
                },
                {
                    "department": "fire",
                    "seats": [{**seat, "department": "any"}],
                    "reference": "测试",
                    "verified": False,
                },
            ],
        }
    )
    market, fire = loads(planned, roster, teams)
    assert (market.eligible, fire.eligible) == (3, 6)
    assert fire.seats == 2 * 41
    assert fire.each == pytest.approx(82 / 6)
    assert market.each == pytest.approx(float(planned.layouts[0].expected) * 2 / 3)
