"""Time limits of an application: which run, which were kept, by the working days of the holiday table and what was known."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier.content import Content
from credit_tier.rules.applications import Limit, Pace, limits_of
from credit_tier.rules.resolve import RulePack, resolve
from credit_tier.temporal import WorkingCalendar

PLAIN = WorkingCalendar()
APPLIED = date(2026, 9, 21)
NATIONAL_DAY = WorkingCalendar.of(
    holidays=[date(2026, 10, day) for day in range(1, 8)] + [date(2026, 9, 25), date(2026, 9, 26), date(2026, 9, 27)],
    makeup_days=[date(2026, 9, 20), date(2026, 10, 10)],
)


@cache
def pack(topic: str, day: date) -> RulePack:
    return resolve(Content.shipped(), "cn", topic, day)


def limits(topic: str, on: date, calendar: WorkingCalendar = PLAIN, **days: date | None) -> dict[str, Limit]:
    found = limits_of(pack(topic, days["applied_on"] or on), days, on, calendar)
    return {item.reason.code.removeprefix("clocks."): item for item in found}


@pytest.mark.parametrize(
    ("on", "decided", "pace", "left"),
    [
        (date(2026, 9, 22), None, Pace.RUNNING, 9),
        (date(2026, 10, 5), None, Pace.RUNNING, 0),
        (date(2026, 10, 6), None, Pace.OVERDUE, -1),
        (date(2026, 10, 20), date(2026, 10, 5), Pace.KEPT, 0),
        (date(2026, 10, 20), date(2026, 10, 7), Pace.LATE, -2),
        (date(2026, 10, 6), date(2026, 10, 7), Pace.OVERDUE, -1),
    ],
    ids=["runs", "last day", "overdue", "kept on the last day", "late", "decided after this day"],
)
def test_ten_working_days_for_the_answer(on: date, decided: date | None, pace: Pace, left: int) -> None:
    """国办发〔2025〕22号: the answer within 10 working days of Monday 2026-09-21, that is by 2026-10-05 where no holiday is known."""
    item = limits("repair", on, applied_on=APPLIED, repair_decided_on=decided)["feedback"]
    assert (item.due_on, item.pace, item.days) == (date(2026, 10, 5), pace, left)
    assert not item.is_covered


def test_holidays_and_worked_weekends_move_the_day() -> None:
    """With the Mid-Autumn and National Day holidays of 2026, and Saturday 10-10 worked, the tenth working day is 2026-10-12."""
    item = limits("repair", date(2026, 10, 9), NATIONAL_DAY, applied_on=APPLIED)["feedback"]
    assert (item.due_on, item.pace, item.days) == (date(2026, 10, 12), Pace.RUNNING, 2)
    assert item.is_covered


def test_the_deciding_body_has_three_days_from_receipt() -> None:
    """The clock of the deciding body starts with what it received, and does not run before."""
    days = {"applied_on": APPLIED, "received_by_authority_on": date(2026, 9, 24)}
    assert set(limits("repair", date(2026, 9, 23), **days)) == {"feedback"}
    item = limits("repair", date(2026, 9, 30), **days)["authority"]
    assert (item.start_on, item.due_on, item.pace, item.days) == (
        date(2026, 9, 24),
        date(2026, 9, 29),
        Pace.OVERDUE,
        -1,
    )


def test_a_refusal_to_accept_ends_the_clock_of_acceptance() -> None:
    """The market-regulation track: two working days to accept or refuse; a decision without acceptance ends it as well."""
    applied = date(2024, 5, 6)
    refused = limits("market_repair", date(2024, 6, 1), applied_on=applied, repair_decided_on=date(2024, 5, 8))
    assert refused["acceptance"].pace is Pace.KEPT
    assert "decision" not in refused
    accepted = limits("market_repair", date(2024, 5, 20), applied_on=applied, accepted_on=date(2024, 5, 7))
    assert accepted["acceptance"].ended_on == date(2024, 5, 7)
    assert accepted["decision"].pace is Pace.RUNNING


def test_the_pack_of_the_day_of_application_sets_the_limits() -> None:
    """An application of March 2026 runs by the rules of 2023, one of April by those of 2026."""
    march = limits("repair", date(2026, 4, 20), applied_on=date(2026, 3, 31))
    april = limits("repair", date(2026, 4, 20), applied_on=date(2026, 4, 1))
    assert set(march) == {"decision"}
    assert set(april) == {"feedback"}


@settings(deadline=None)
@given(
    st.integers(0, 40),
    st.integers(0, 60),
    st.lists(st.integers(0, 80), max_size=8),
    st.lists(st.integers(0, 80), max_size=4),
)
def test_a_limit_is_kept_exactly_if_it_was_done_by_the_due_day(
    done: int, later: int, off: list[int], worked: list[int]
) -> None:
    """Due day by counting days one by one; pace and days left agree with it on every day, and never get better as time passes."""
    calendar = WorkingCalendar.of(
        holidays=[APPLIED + timedelta(days=day) for day in off],
        makeup_days=[APPLIED + timedelta(days=day) for day in worked],
    )
    day, count = APPLIED, 0
    while count < 10:
        day += timedelta(days=1)
        count += calendar.is_working(day)
    on, decided = APPLIED + timedelta(days=later), APPLIED + timedelta(days=done)
    item = limits("repair", on, calendar, applied_on=APPLIED, repair_decided_on=decided)["feedback"]
    assert item.due_on == day
    ended = decided if decided <= on else None
    assert item.ended_on == ended
    assert item.pace.name in (("KEPT", "LATE") if ended else ("RUNNING", "OVERDUE"))
    assert (item.pace in {Pace.KEPT, Pace.RUNNING}) == ((ended or on) <= day)
    assert (item.days >= 0) or (ended or on) > day
