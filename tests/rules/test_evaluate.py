"""One question in full: trace, unverified entries, papers, working days, the choice between old and new, and wrong facts."""

from __future__ import annotations

from datetime import date

import pytest

from credit_tier.canonical import canonical_json
from credit_tier.errors import DataError, RuleError
from credit_tier.rules.evaluate import evaluate
from credit_tier.rules.facts import from_texts
from credit_tier.rules.holidays import read_holidays
from credit_tier.rules.judge import Verdict
from credit_tier.rules.resolve import resolve
from credit_tier.rules.wire import decision_json
from credit_tier.temporal import AsOf, WorkingCalendar

FINE = {
    "decided_on": date(2026, 5, 10),
    "kinds": {"fine"},
    "procedure": "ordinary",
    "fine": 5_000_000,
    "duty_fulfilled_on": date(2026, 5, 20),
    "commitment_on": date(2026, 5, 21),
}


def ask(content, facts, on, *, topic="repair", calendar=None):
    return evaluate(resolve(content, "cn-3205", topic, on), facts, AsOf(on), calendar=calendar)


def test_the_trace_holds_what_was_read_and_nothing_else(shipped):
    """A fact that decided nothing is not in the trace; one that was looked for and not given is, as None."""
    trace = dict(ask(shipped, {**FINE, "declared_class": "general"}, date(2026, 9, 1)).trace)
    assert trace["decided_on"] == date(2026, 5, 10)
    assert trace["commitment_on"] == date(2026, 5, 21)
    assert trace["declared_class"] == "general"
    assert trace["misconduct_on"] is None
    settled = dict(ask(shipped, {**FINE, "repaired_on": date(2026, 6, 1)}, date(2026, 9, 1)).trace)
    assert set(settled) == {"decided_on", "repaired_on"}


def test_an_answer_names_every_unverified_entry_it_rests_on(shipped):
    """Class, periods, clock start and an unknown threshold are named; entries that played no part are not."""
    found = ask(shipped, FINE, date(2026, 9, 1)).unverified
    assert {"classes.general", "values.min_general", "values.max_general", "values.huge_fine", "clock_start"} <= set(
        found
    )
    assert "values.min_serious" not in found
    assert "bars.misconduct" not in found
    assert len(set(found)) == len(found)
    minor = ask(shipped, {**FINE, "kinds": {"warning"}, "published_on": date(2026, 5, 11)}, date(2026, 6, 1)).unverified
    assert "values.huge_fine" not in minor  # a mere warning is minor whatever a huge fine is


def test_an_answer_on_verified_entries_only_names_none(shipped):
    """Order 45 was compared with its full text: a warning and a three-month period rest on nothing unverified."""
    facts = {"decided_on": date(2024, 1, 2), "published_on": date(2024, 1, 30), "domain": "market"}
    assert ask(shipped, {**facts, "kinds": "warning"}, date(2024, 3, 1), topic="market_repair").unverified == ()
    ended = ask(shipped, {**facts, "kinds": "circulated_criticism"}, date(2024, 5, 1), topic="market_repair")
    assert ended.verdict is Verdict.EXPIRED
    assert set(ended.unverified) == {"values.small_fine"}  # the class compares with a limit that provinces set


def test_every_reason_of_law_cites_its_instrument(shipped):
    """A reason from the pack carries instrument, source and grade; one from the question itself carries none."""
    found = ask(shipped, FINE, date(2026, 9, 1))
    assert all(reason.citation is not None and reason.citation.grade for reason in found.reasons)
    assert str(found.reasons[0].citation).startswith("信用修复管理办法(国家发展和改革委员会令第36号)")
    missing = ask(shipped, {"decided_on": date(2026, 5, 10)}, date(2026, 9, 1))
    assert [(r.code, r.citation) for r in missing.reasons] == [("question.missing.kinds", None)]


def test_the_answer_carries_pack_digest_and_is_canonical_json(shipped):
    """The answer names the bytes of the law it used and has one byte form."""
    found = ask(shipped, FINE, date(2026, 9, 1))
    assert found.digest == resolve(shipped, "cn-3205", "repair", date(2026, 9, 1)).digest
    assert canonical_json(decision_json(found)) == canonical_json(decision_json(ask(shipped, FINE, date(2026, 9, 1))))


def test_time_limits_count_working_days_of_the_holiday_table(shipped, tmp_path):
    """Holidays are skipped and make-up days counted; without a table for the year the answer says so."""
    facts = {**FINE, "applied_on": date(2026, 9, 24), "received_by_authority_on": date(2026, 9, 30)}
    bare = {limit.reason.code: limit for limit in ask(shipped, facts, date(2026, 10, 20)).deadlines}
    assert bare["clocks.feedback"].due_on == date(2026, 10, 8)
    assert not bare["clocks.feedback"].is_covered
    path = tmp_path / "holidays.csv"
    days = [f"2026-10-0{n},holiday" for n in range(1, 8)] + ["2026-09-27,makeup"]
    path.write_text("day,kind\n" + "\n".join(days) + "\n", encoding="utf-8")
    told = {r.reason.code: r for r in ask(shipped, facts, date(2026, 10, 20), calendar=read_holidays(path)).deadlines}
    assert told["clocks.feedback"].due_on == date(2026, 10, 14)
    assert told["clocks.authority"].due_on == date(2026, 10, 12)
    assert told["clocks.feedback"].is_covered
    assert not told["clocks.feedback"].is_assumed


def test_a_clock_whose_start_is_unknown_has_no_end(shipped):
    """The application clock is shown from the first possible day and marked as assumed; the authority's has no date."""
    limits = {r.reason.code: r for r in ask(shipped, FINE, date(2026, 6, 1)).deadlines}
    assert limits["clocks.feedback"].start_on == date(2026, 8, 10)
    assert limits["clocks.feedback"].is_assumed
    assert limits["clocks.authority"].due_on is None
    assert limits["clocks.authority"].working_days == 3


def test_a_year_crossing_needs_the_tables_of_both_years(shipped):
    """A clock that runs into a year without a table is not called covered."""
    calendar = WorkingCalendar.of(holidays=[date(2026, 10, 1)])
    facts = {**FINE, "applied_on": date(2026, 12, 28)}
    limits = {r.reason.code: r for r in ask(shipped, facts, date(2026, 12, 29), calendar=calendar).deadlines}
    assert limits["clocks.feedback"].due_on == date(2027, 1, 11)
    assert not limits["clocks.feedback"].is_covered


@pytest.mark.parametrize(
    "lines", ["", "date,type\n2026-10-01,holiday", "day,kind\n2026-10-01,feast", "day,kind\n2026-13-01,holiday"]
)
def test_a_wrong_holiday_table_is_refused(tmp_path, lines):
    """A table that cannot be read in full is not used in part."""
    path = tmp_path / "h.csv"
    path.write_text(lines, encoding="utf-8")
    with pytest.raises(DataError, match=r"CT-RULE-03[01]"):
        read_holidays(path)


def crossing(small, written, *, old_least, old_most, new_least, new_most, period="more_favourable"):
    old = small.replace("months: 3", f"months: {old_least}").replace("years: 1", f"months: {old_most}")
    new = small.replace("months: 3", f"months: {new_least}").replace("years: 1", f"months: {new_most}")
    new = new.replace("cn/small/2020-01-01", "cn/small/2022-01-01").replace(
        "period: more_favourable", f"period: {period}"
    )
    new = new.replace(
        "effective_from: 2020-01-01\ninstruments",
        "effective_from: 2022-01-01\nrepeals: [cn/small/2020-01-01]\ninstruments",
    )
    content = written(**{"cn/small/2020-01-01": old, "cn/small/2022-01-01": new})
    facts = {"decided_on": date(2021, 12, 1), "fine": 0, "duty_fulfilled_on": date(2021, 12, 5)}
    on = date(2022, 2, 1)
    return evaluate(resolve(content, "cn", "small", on), facts, AsOf(on))


@pytest.mark.parametrize(
    ("old", "new", "pack", "first"),
    [
        ((3, 12), (6, 24), "cn/small/2020-01-01", date(2022, 3, 1)),
        ((6, 24), (3, 12), "cn/small/2022-01-01", date(2022, 3, 1)),
        ((3, 24), (3, 12), "cn/small/2022-01-01", date(2022, 3, 1)),
        ((1, 12), (3, 12), "cn/small/2020-01-01", date(2022, 1, 1)),
    ],
)
def test_the_more_favourable_period_is_taken_whole(small, written, old, new, pack, first):
    """The pack that is no worse at both ends gives both ends, and a person is asked to confirm."""
    found = crossing(small, written, old_least=old[0], old_most=old[1], new_least=new[0], new_most=new[1])
    assert (found.publicity.pack, found.first_possible_on, found.confirm) == (pack, first, True)
    assert found.pack == "cn/small/2022-01-01"


def test_periods_better_at_one_end_only_go_to_a_person(small, written):
    """The engine never mixes the minimum of one law with the maximum of another."""
    found = crossing(small, written, old_least=1, old_most=24, new_least=3, new_most=12)
    assert found.verdict is Verdict.NEEDS_HUMAN
    assert found.reasons[-1].code == "question.incomparable"
    assert found.publicity is None


def test_equal_periods_need_no_confirmation_and_a_pack_may_choose_itself(small, written):
    """Nothing is flagged where both laws agree, and `period: governing` never looks back."""
    assert not crossing(small, written, old_least=3, old_most=12, new_least=3, new_most=12).confirm
    found = crossing(small, written, old_least=1, old_most=6, new_least=3, new_most=12, period="governing")
    assert (found.publicity.pack, found.confirm) == ("cn/small/2022-01-01", False)


def test_a_period_that_ended_as_the_new_law_began_stays_ended(small, written):
    """Publicity that was over on the new pack's first day is not weighed against it, and nobody has to confirm that."""
    old = small.replace(
        "effective_from: 2020-01-01\ninstruments", "effective_from: 2020-01-01\neffective_to: 2022-01-01\ninstruments"
    )
    new = small.replace("2020-01-01\njurisdiction", "2022-01-01\njurisdiction").replace("years: 1", "years: 2")
    new = new.replace("effective_from: 2020-01-01\ninstruments", "effective_from: 2022-01-01\ninstruments")
    content = written(**{"cn/small/2020-01-01": old, "cn/small/2022-01-01": new})
    on = date(2022, 2, 1)
    pack = resolve(content, "cn", "small", on)
    for decided, confirm in ((date(2021, 1, 1), False), (date(2021, 1, 2), True)):
        found = evaluate(pack, {"decided_on": decided}, AsOf(on))
        assert (found.verdict, found.publicity.pack, found.confirm) == (Verdict.EXPIRED, "cn/small/2020-01-01", confirm)


def test_requirements_follow_the_class_of_the_law_in_force(small, written):
    """A record keeps the old law's shorter period, but what must be shown is what the present law asks of its class."""
    old = small.replace(
        "effective_from: 2020-01-01\ninstruments", "effective_from: 2020-01-01\neffective_to: 2022-01-01\ninstruments"
    )
    new = small.replace("2020-01-01\njurisdiction", "2022-01-01\njurisdiction").replace("months: 3", "months: 4")
    new = new.replace("effective_from: 2020-01-01\ninstruments", "effective_from: 2022-01-01\ninstruments")
    new = new.replace("- id: any", "- id: every").replace("    met_on:", "    classes: [every]\n    met_on:")
    content = written(**{"cn/small/2020-01-01": old, "cn/small/2022-01-01": new})
    on = date(2022, 5, 1)
    found = evaluate(resolve(content, "cn", "small", on), {"decided_on": date(2021, 12, 1)}, AsOf(on))
    assert found.publicity.pack == "cn/small/2020-01-01"
    assert [paper.title_zh for paper in found.missing_papers] == ["证明"]


def test_wrong_facts_are_refused_all_at_once_without_their_values(shipped):
    """A misspelt fact, a wrong type and an unknown code are three faults; no value is repeated."""
    wrong = {**FINE, "dutyfulfilled": date(2026, 1, 1), "fine": 3.5, "procedure": "91320500MA0000007J"}
    with pytest.raises(RuleError) as caught:
        ask(shipped, wrong, date(2026, 9, 1))
    assert {(f.code, f.where) for f in caught.value.faults} == {
        ("CT-RULE-020", "dutyfulfilled"),
        ("CT-RULE-021", "fine"),
        ("CT-RULE-022", "procedure"),
    }
    assert "91320500MA0000007J" not in str(caught.value)
    assert "3.5" not in str(caught.value)


@pytest.mark.parametrize(
    ("fact", "text"),
    [("decided_on", "2026-02-30"), ("fine", "5"), ("on_serious_list", "yes"), ("decided_on", "1.5.2026")],
)
def test_facts_written_as_text_are_read_by_their_type(shipped, fact, text):
    """Money needs its unit, a date must exist, a flag is true or false; everything else is refused."""
    declared = resolve(shipped, "cn", "repair", date(2026, 9, 1)).facts
    with pytest.raises(RuleError, match="CT-RULE-021"):
        from_texts(declared, {fact: text})
    good = {"decided_on": "2026-02-28", "fine": "0.5 万元", "on_serious_list": "false", "kinds": "fine; warning"}
    assert from_texts(declared, good) == {
        "decided_on": date(2026, 2, 28),
        "fine": 500_000,
        "on_serious_list": False,
        "kinds": frozenset({"fine", "warning"}),
    }


def test_a_missing_fact_fails_every_test_but_is_missing(small, written):
    """Unknown is never taken for a value: the class that needs a fine of 100,000 yuan is not met without a fine."""
    content = written(**{"cn/small/2020-01-01": small})
    pack = resolve(content, "cn", "small", date(2021, 1, 1))
    on = AsOf(date(2021, 1, 1))
    assert evaluate(pack, {"decided_on": date(2020, 12, 1)}, on).publicity.class_id == "any"
    assert evaluate(pack, {"decided_on": date(2020, 12, 1), "fine": 10_000_000}, on).publicity.class_id == "large"
    assert evaluate(pack, {"decided_on": date(2020, 12, 1), "fine": 9_999_999}, on).publicity.class_id == "any"
