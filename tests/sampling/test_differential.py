"""Engine and verifier, written apart, agree on random designs."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from credit_tier import draws
from credit_tier.errors import DrawError
from credit_tier.sampling.verify import verify
from credit_tier.specs.plan import PlanSpec

CLASSES = "ABCD"
share = st.sampled_from(["1/100", "1/50", "1/7", "3/10", "1/2", "99/100", "1"])


@st.composite
def departments(draw, name: str):
    rates = {item: draw(share) for item in CLASSES}
    certainty = [item for item in CLASSES if rates[item] == "1" and draw(st.booleans())]
    expected = draw(
        st.one_of(
            st.none(), st.fixed_dictionaries({item: st.sampled_from(["1/100", "1/3", "9/10"]) for item in CLASSES})
        )
    )
    total = draw(
        st.sampled_from(["budget", "inspector_days", None] if expected is None else ["budget", "inspector_days"])
    )
    caps = {item: draw(share) for item in CLASSES if item not in certainty and draw(st.booleans())}
    condition = draw(
        st.sampled_from(
            [
                {"column": "place", "equals": "x"},
                {"column": "place", "not_one_of": ["x", "y"]},
                {"column": "place", "is_null": True},
                {"column": "staff", "at_least": "30"},
                {"column": "staff", "one_of": ["3", "5"]},
                {"column": "since", "at_most": "2015-06-01"},
                {"column": "since", "is_null": False},
            ]
        )
    )
    strata = draw(st.sampled_from([["risk_class"], ["risk_class", "area"], ["area", "risk_class"]]))
    days = {"column": strata[-1], "values": {"B": "1/2", "西": "5/2", "1": "3"}}
    burden = {"column": "visits", "factor": draw(share), "floor": draw(share), "most": draw(st.integers(1, 3))}
    return {
        "department": name,
        "title_zh": "测试",
        "strata": strata,
        "rates": rates if expected is None else {},
        "allocation": None if expected is None else {"kind": "neyman", "expected": expected},
        "reference": "测试",
        "verified": False,
        "floor": draw(st.integers(1, 4)),
        "caps": {item: cap for item, cap in caps.items() if expected is not None or Fraction(cap) >= Fraction(rates[item])},
        "certainty": certainty,
        "budget": draw(st.integers(5, 60)) if total == "budget" else None,
        "inspector_days": str(Fraction(draw(st.integers(15, 180)), 3)) if total == "inspector_days" else None,
        "days": days if total == "inspector_days" and draw(st.booleans()) else None,
        "burden": draw(st.sampled_from([None, burden])),
        "size": draw(st.sampled_from([None, "weight"])),
        "reserves": draw(st.integers(0, 6)),
        "exclusions": [{"exclusion": "out", "title_zh": "剔除", "reference": "测试", "verified": False, "where": [condition]}] if draw(st.booleans()) else [],
    }  # fmt: skip


def feasible(units: list[dict[str, object]], spec: PlanSpec) -> draws.Plan | None:
    """Return the plan, with budgets moved to the middle of what the refusal says would do; None if nobody is left to draw."""
    for _ in range(3):
        try:
            return draws.plan(units, spec)
        except DrawError as error:
            fault = error.faults[0]
            event(f"refused {fault.code}")
            if fault.code == "CT-DRAW-006":
                return None
            limits = re.search(r"need (\d+), caps allow (\d+)", fault.what)
            if fault.code != "CT-DRAW-005" or limits is None:
                raise
            low, high = map(int, limits.groups())
            name, _, total = fault.where.partition(".")
            middle: object = (low + high) // 2 if total == "budget" else str(Fraction(low + high, 2))
            changed = [
                item.model_copy(
                    update={total: middle}
                    if low <= high
                    else {
                        total: None,
                        "allocation": None,
                        "days": None,
                        "rates": dict.fromkeys(CLASSES, "1/7"),
                        "certainty": (),
                        "caps": {},
                    }
                )
                if item.department == name
                else item
                for item in spec.departments
            ]
            spec = spec.model_copy(update={"departments": tuple(changed)})
    raise AssertionError("a budget that the refusal called possible was refused")


row = st.fixed_dictionaries(
    {
        "risk_class": st.sampled_from(CLASSES),
        "area": st.sampled_from(["east", "西", "1"]),
        "place": st.sampled_from(["x", "y", "z", None]),
        "staff": st.one_of(st.none(), st.integers(0, 60)),
        "since": st.sampled_from([None, "2010-01-01", "2015-06-01", "2020-12-31"]),
        "weight": st.sampled_from([1, 1, 2, 5, 40, 10**9]),
        "visits": st.integers(0, 4),
    }
)


@given(
    st.lists(row, min_size=1, max_size=80), departments("one"), departments("two"), st.text("0123456789", min_size=1)
)
@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
def test_whatever_the_design_the_verifier_agrees(tmp_path_factory: pytest.TempPathFactory, rows, one, two, beacon):
    """Random classes, rates, optimal sizes, floors, caps, budgets, inspector-days, sizes, burdens, exclusions, reserves: what was drawn verifies, and chances sum to sizes."""
    spec = PlanSpec.model_validate(
        {
            "plan": "random",
            "title_zh": "随机",
            "period": "p",
            "beacon": {"source": "信标", "rule": "一行"},
            "departments": [one, two],
        }
    )
    units = [{"code": f"U{i}", **item} for i, item in enumerate(rows)]
    plan = feasible(units, spec)
    if plan is None:
        return
    for layout in plan.planned.layouts:
        for stratum in layout.strata:
            assert sum(stratum.chances()) == stratum.size
            assert all(0 < chance <= 1 for chance in stratum.chances())
    folder: Path = tmp_path_factory.mktemp("random")
    draws.commit(plan, folder, secret="12" * 32)
    draws.run(folder, beacon=beacon)
    found = verify(folder)
    assert found["broken"] is None
    code = units[len(units) // 2]["code"]
    from credit_tier.sampling.record import to_bytes

    (folder / "proof").write_bytes(to_bytes(draws.proof(folder, code)))
    assert verify(folder / "proof", public=folder / "public.json")["broken"] is None
