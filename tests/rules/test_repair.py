"""Adverse records in bulk: the same judgement as one by one, in any order, sorted into a worklist."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier.content import Content
from credit_tier.errors import RuleError
from credit_tier.rules.evaluate import evaluate
from credit_tier.rules.facts import row_reader
from credit_tier.rules.judge import Verdict
from credit_tier.rules.repair import Assessor, Step, assess, assess_each, decide_each, worklist
from credit_tier.rules.resolve import Shelf, resolve
from credit_tier.temporal import AsOf, add_months

CONTENT = Content.resolve()
SHELF = Shelf(CONTENT, "cn-3205", "repair")
KINDS = (
    "warning",
    "circulated_criticism",
    "fine",
    "confiscate_goods",
    "suspend_permit",
    "revoke_permit",
    "order_suspension",
    "other",
)
DAYS = st.dates(date(2016, 1, 1), date(2027, 12, 31))
AS_OF = st.dates(date(2017, 7, 31), date(2029, 12, 31))

ROWS = st.fixed_dictionaries(
    {
        "uscc": st.sampled_from(["A", "B", "C"]),
        "decided_on": DAYS,
        "published_on": st.none() | DAYS,
        "kinds": st.lists(st.sampled_from(KINDS), min_size=1, max_size=3, unique=True).map(";".join),
        "procedure": st.sampled_from(["simple", "ordinary"]),
        "domain": st.sampled_from(["food", "market", "tax", "work_safety", "other"]),
        "fine": st.integers(0, 10**9),
        "duty_fulfilled_on": st.none() | DAYS,
        "commitment_on": st.none() | DAYS,
        "repaired_on": st.none() | DAYS,
    }
)


def one(row, on):
    """Return the assessment of one row on a day, with the law of that day."""
    return Assessor(SHELF.on(on), AsOf(on))(row)


@settings(max_examples=200, deadline=None)
@given(row=ROWS, on=AS_OF)
def test_bulk_and_single_answers_agree(row, on):
    """The cheap assessment of a row and the full evaluation of its facts say the same."""
    pack = SHELF.on(on)
    fast, full = one(row, on), evaluate(pack, row_reader(pack.facts)(row), AsOf(on))
    assert (fast.verdict, fast.reasons, fast.confirm) == (full.verdict, full.reasons, full.confirm)
    assert fast.first_possible_on == full.first_possible_on
    assert set(fast.unverified) <= set(full.unverified)
    assert fast.class_id == (full.publicity.class_id if full.publicity else None)


@settings(max_examples=200, deadline=None)
@given(row=ROWS, on=AS_OF)
def test_the_first_possible_day_keeps_its_promise(row, on):
    """Whoever waits until the day named, under the same pack, is then eligible; and was not the day before."""
    found = one(row, on)
    first = found.first_possible_on
    if found.verdict is not Verdict.NOT_YET or found.unmet or SHELF.on(first) is not SHELF.on(on):
        return
    if first >= found.max_end_on or (row["repaired_on"] is not None and row["repaired_on"] <= first):
        return
    assert one(row, first).verdict is Verdict.ELIGIBLE
    assert one(row, first - timedelta(1)).verdict is not Verdict.ELIGIBLE


@settings(max_examples=200, deadline=None)
@given(row=ROWS, on=AS_OF)
def test_publicity_lies_within_its_bounds(row, on):
    """Days saved are never negative, only what can be repaired saves any, and nothing is eligible after the maximum."""
    found = one(row, on)
    assert found.days_saved >= 0
    if found.verdict not in {Verdict.ELIGIBLE, Verdict.NOT_YET}:
        assert found.days_saved == 0
        assert found.first_possible_on is None
    if found.verdict is Verdict.ELIGIBLE:
        assert row["decided_on"] <= found.first_possible_on <= on < found.max_end_on
        assert row["duty_fulfilled_on"] <= on
        assert row["commitment_on"] <= on


@settings(max_examples=50, deadline=None)
@given(rows=st.lists(ROWS, min_size=2, max_size=12), on=AS_OF)
def test_an_assessor_forgets_one_record_before_the_next(rows, on):
    """What an assessor keeps for speed never changes an answer: each row is judged as if it were the only one."""
    assessor = Assessor(SHELF.on(on), AsOf(on))
    assert [assessor(row) for row in rows] == [one(row, on) for row in rows]


def test_old_and_new_records_of_one_class_keep_their_own_reasons():
    """Two records of one class and period differ in that the older one rests on the transition."""
    done = {
        "kinds": "fine",
        "procedure": "ordinary",
        "domain": "food",
        "duty_fulfilled_on": date(2026, 3, 3),
        "commitment_on": date(2026, 3, 3),
    }
    assessor = Assessor(SHELF.on(date(2026, 9, 1)), AsOf(date(2026, 9, 1)))
    new = assessor({**done, "decided_on": date(2026, 4, 10)})
    old = assessor({**done, "decided_on": date(2026, 3, 1)})
    assert (new.class_id, old.class_id) == ("general", "general")
    assert ["transition" in [r.code for r in item.reasons] for item in (new, old)] == [False, True]
    assert "transition" in old.unverified


def rows():
    base = {"decided_on": date(2026, 5, 10), "kinds": "fine", "procedure": "ordinary", "domain": "market", "fine": 100}
    done = {"duty_fulfilled_on": date(2026, 5, 20), "commitment_on": date(2026, 5, 21)}
    return [
        {"uscc": "W", "penalty_no": "waits-long", **base, **done, "decided_on": date(2026, 8, 20)},
        {"uscc": "H", "penalty_no": "person", **base, "kinds": "detention"},
        {"uscc": "P", "penalty_no": "papers", **base},
        {"uscc": "E", "penalty_no": "over", **base, **done, "decided_on": date(2020, 1, 1)},
        {"uscc": "A", "penalty_no": "now", **base, **done},
        {"uscc": "W", "penalty_no": "waits-short", **base, **done, "decided_on": date(2026, 7, 1)},
        {"uscc": "N", "penalty_no": "unpublished", **base, "kinds": "warning"},
        {
            "uscc": "A",
            "penalty_no": "serious",
            **base,
            **done,
            "kinds": "revoke_permit",
            "decided_on": date(2025, 9, 1),
        },
    ]


def test_the_worklist_runs_from_now_to_later_to_a_person():
    """First who can apply, then who lacks papers, then who waits (soonest first), then what a person decides; the rest is out."""
    found = worklist(assess(rows(), AsOf(date(2026, 9, 1)), CONTENT, "cn-3205"))
    assert [item.record_id for item in found] == ["serious", "now", "papers", "waits-short", "waits-long", "person"]
    assert [item.step for item in found] == [
        Step.APPLY,
        Step.APPLY,
        Step.BRING_PAPERS,
        Step.WAIT,
        Step.WAIT,
        Step.ASK_PERSON,
    ]
    now = found[1]
    assert now.days_saved == (add_months(date(2026, 5, 10), 12) - date(2026, 9, 1)).days
    assert found[2].unmet == ("duty_fulfilled", "commitment")


def test_rows_stream_one_by_one():
    """A row is assessed before the next is asked for, so that a table larger than memory passes through."""
    asked = []

    def source():
        for row in rows():
            asked.append(row["penalty_no"])
            yield row

    stream = assess_each(source(), AsOf(date(2026, 9, 1)), CONTENT, "cn-3205")
    assert next(stream).record_id == "waits-long"
    assert asked == ["waits-long"]


def test_the_pack_names_the_columns_that_are_needed():
    """A reader learns table and columns from the pack, those of earlier packs included."""
    assessor = Assessor(resolve(CONTENT, "cn", "repair", date(2026, 9, 1)), AsOf(date(2026, 9, 1)))
    assert assessor.table == "penalties"
    assert set(assessor.columns) == {
        "uscc", "penalty_no", "decided_on", "published_on", "kinds", "procedure", "domain", "fine",
        "duty_fulfilled_on", "commitment_on", "repaired_on",
    }  # fmt: skip


def test_a_column_of_another_type_is_named_without_its_value():
    """Text where a date belongs is a fault of the caller; the message holds the column and no value."""
    row = {**rows()[0], "decided_on": "2026-05-10"}
    with pytest.raises(RuleError, match=r"CT-RULE-021 decided_on: ") as caught:
        assess([row], AsOf(date(2026, 9, 1)), CONTENT, "cn")
    assert "2026-05-10" not in str(caught.value)


def test_full_answers_come_sorted_by_record():
    """The full answers for an enterprise do not depend on the order of its rows."""
    pack = resolve(CONTENT, "cn", "repair", date(2026, 9, 1))
    found = decide_each(rows(), AsOf(date(2026, 9, 1)), pack)
    assert [item.record_id for item in found] == sorted(row["penalty_no"] for row in rows())
    assert found == decide_each(rows()[::-1], AsOf(date(2026, 9, 1)), pack)
