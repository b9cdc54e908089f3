"""An application for repair on its way: which time limits run, which were kept, which are overdue (办理时限).

Dates of an application come as facts by name; the clocks that they start and end are those of the pack in force on the day of application.
Nothing here knows a table or a column.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import IntEnum
from typing import NamedTuple

from credit_tier.rules.compile import Reason
from credit_tier.rules.resolve import RulePack
from credit_tier.specs.rulepack import Clock
from credit_tier.temporal import WorkingCalendar


class Pace(IntEnum):
    """Where a clock stands, most urgent first."""

    OVERDUE = 1
    RUNNING = 2
    LATE = 3
    KEPT = 4

    @property
    def label_zh(self) -> str:
        """Return the Chinese label."""
        return ("已超期", "办理中", "逾期办结", "按期办结")[self - 1]


class Limit(NamedTuple):
    """One time limit of an application.

    Attributes
    ----------
    reason : what has to be done, with its reference.
    start_on, due_on : day on which the clock started; last day on which the limit is kept.
    ended_on : day on which it was done, None while it was not.
    days : working days left until the due day; below zero, by how many it was or is passed. Of a done one: between done and due.
    is_covered : whether the holiday table reaches all years of the clock.
    """

    reason: Reason
    working_days: int
    start_on: date
    due_on: date
    ended_on: date | None
    pace: Pace
    days: int
    is_covered: bool


def limits_of(
    pack: RulePack, dates: Mapping[str, date | None], on: date, calendar: WorkingCalendar
) -> tuple[Limit, ...]:
    """Return the limits whose clocks have started, in the order of the pack.

    Parameters
    ----------
    pack : in force on the day of application.
    dates : fact -> day, of what is known on `on`; others count as not yet happened.

    A clock without `until` is left out: nobody could tell whether it was kept.
    """
    found = (_limit(pack, clock, dates, on, calendar) for clock in pack.law.spec.clocks if clock.until)
    return tuple(item for item in found if item is not None)


def _limit(
    pack: RulePack, clock: Clock, dates: Mapping[str, date | None], on: date, calendar: WorkingCalendar
) -> Limit | None:
    start = dates.get(clock.start)
    if start is None or start > on:
        return None
    period = pack.law.spec.values[clock.length].period
    working_days = (period.working_days if period is not None else None) or 0
    due = calendar.add(start, working_days)
    ends = [day for name in clock.until if (day := dates.get(name)) is not None and start <= day <= on]
    ended = min(ends, default=None)
    days = calendar.between(ended or on, due)
    in_time, beyond = (Pace.RUNNING, Pace.OVERDUE) if ended is None else (Pace.KEPT, Pace.LATE)
    pace = in_time if (ended or on) <= due else beyond
    covered = all(map(calendar.covers, range(start.year, max(due, ended or on).year + 1)))
    return Limit(pack.law.reasons[f"clocks.{clock.id}"], working_days, start, due, ended, pace, days, covered)
