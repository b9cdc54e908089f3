"""Dates, day numbers, calendar periods and working days.

Inside the engine a date is a day number (days since 1970-01-01); at every door it is a `datetime.date`.
Nothing here reads a clock.
"""

from __future__ import annotations

import calendar
import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

from credit_tier.errors import UsageError

_EPOCH = date(1970, 1, 1).toordinal()

FOREVER = 2_000_000
"""Day number later than any date; stands for "not yet"."""


def day_number(value: date) -> int:
    """Return days since 1970-01-01.

    >>> day_number(date(2026, 4, 1))
    20544
    """
    return value.toordinal() - _EPOCH


def date_of(day: int) -> date:
    """Return the date of a day number.

    >>> date_of(20544)
    datetime.date(2026, 4, 1)
    """
    return date.fromordinal(day + _EPOCH)


def parse_date(text: str, *, where: str = "") -> date:
    """Read an ISO date ``YYYY-MM-DD``.

    Raises
    ------
    UsageError (CT-TIME-001) if the text is not a real date.

    >>> parse_date("2026-02-28")
    datetime.date(2026, 2, 28)
    """
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise UsageError.of(
        "CT-TIME-001", where=where, what="this is not a date.", advice="Write it as YYYY-MM-DD, for example 2026-04-01."
    )


def add_months(start: date, months: int) -> date:
    """Return the same day of the month, some months on; the last day of the month where that day does not exist.

    >>> add_months(date(2024, 1, 31), 1), add_months(date(2024, 2, 29), 12)
    (datetime.date(2024, 2, 29), datetime.date(2025, 2, 28))
    """
    index = start.year * 12 + start.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(start.day, calendar.monthrange(year, month + 1)[1]))


@dataclass(frozen=True, order=True)
class AsOf:
    """The moment of a question: only what was known before 00:00 (Asia/Shanghai) of this day exists.

    >>> AsOf.parse("2026-01-01").day
    20454
    """

    on: date

    @classmethod
    def parse(cls, text: str) -> AsOf:
        """Read an ISO date."""
        return cls(parse_date(text, where="as_of"))

    @property
    def day(self) -> int:
        """Return the day number."""
        return day_number(self.on)

    def __str__(self) -> str:
        return self.on.isoformat()


@dataclass(frozen=True)
class WorkingCalendar:
    """Working days of the State Council's holiday table.

    Parameters
    ----------
    holidays : days off that would otherwise be worked.
    makeup_days : Saturdays and Sundays that are worked.

    Without a table Monday to Friday are worked; the table is data, not code.
    """

    holidays: frozenset[date] = frozenset()
    makeup_days: frozenset[date] = frozenset()
    _sorted: tuple[date, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def of(cls, *, holidays: Iterable[date] = (), makeup_days: Iterable[date] = ()) -> WorkingCalendar:
        """Build a calendar from two lists of dates."""
        off = frozenset(holidays)
        return cls(off, frozenset(makeup_days), tuple(sorted(off)))

    def is_working(self, day: date) -> bool:
        """Return whether a day is worked.

        >>> WorkingCalendar().is_working(date(2026, 11, 22))
        False
        """
        if day in self.makeup_days:
            return True
        return day.weekday() < 5 and day not in self.holidays

    def covers(self, year: int) -> bool:
        """Return whether the table holds a holiday of the year, so that a clock in that year can be trusted."""
        at = bisect_left(self._sorted, date(year, 1, 1))
        return at < len(self._sorted) and self._sorted[at].year == year

    def add(self, start: date, working_days: int) -> date:
        """Return the day on which a clock of so many working days, started the day after `start`, ends.

        >>> WorkingCalendar().add(date(2026, 11, 20), 3)
        datetime.date(2026, 11, 25)
        """
        day = start
        left = working_days
        while left > 0:
            day += timedelta(days=1)
            left -= self.is_working(day)
        return day

    def between(self, start: date, end: date) -> int:
        """Return the working days after `start` up to and including `end`; negative if `end` lies before.

        >>> WorkingCalendar().between(date(2026, 11, 20), date(2026, 11, 25))
        3
        """
        if end < start:
            return -self.between(end, start)
        return sum(self.is_working(start + timedelta(days=step)) for step in range(1, (end - start).days + 1))
