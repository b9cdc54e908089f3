"""One pass over records sorted by subject: every feature of a table, for every as_of, in one go.

Compiled by numba from plain loops over arrays; which records count and what is made of them arrives as tables of numbers, so one
compiled function serves every catalogue. All sums are of 64-bit integers: a result does not depend on the order of its terms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

NONE: Final = np.iinfo(np.int64).min
"""Stands for an empty value."""

KINDS: Final = (
    "shrunken_share",
    "count",
    "exists",
    "share",
    "trend",
    "shrunken_mean",
    "sum",
    "mean",
    "max",
    "min",
    "last",
    "days_since",
    "n_unique",
    "streak",
    "days_since_value",
)
"""What a feature makes of its records; a feature names its kind by the place in this list. Those up to trend only count records."""

_SHRUNKEN_SHARE, _COUNT, _EXISTS, _SHARE, _TREND, _SHRUNKEN_MEAN, _SUM, _MEAN = range(8)
_MAX, _MIN, _LAST, _SINCE, _UNIQUE, _STREAK, _SINCE_VALUE = range(8, 15)


class Rows(NamedTuple):
    """Rows of the spine in ascending order of subject: its number, as_of day, and the place of the row in the result."""

    subject: NDArray[np.int32]
    as_of: NDArray[np.int32]
    place: NDArray[np.int64]


class Records(NamedTuple):
    """Versions of records in the order of the lake, n of them.

    A version counts if ``known < as_of <= until`` and ``event < as_of``, and if the test's bit of `flags` (words × n) is set.
    `lower` and `upper` (bounds × n) hold the as_of days between which conditions on the as_of are met: ``lower < as_of <= upper``.
    `values` (columns × n) are whole numbers, :data:`NONE` where empty.
    """

    subject: NDArray[np.int32]
    event: NDArray[np.int32]
    known: NDArray[np.int32]
    until: NDArray[np.int32]
    flags: NDArray[np.int64]
    lower: NDArray[np.int32]
    upper: NDArray[np.int32]
    values: NDArray[np.int64]


class Tests(NamedTuple):
    """Which records count, one entry per different test: word and bit of the flags, row of the bounds or -1, days of the window."""

    word: NDArray[np.int64]
    bit: NDArray[np.int64]
    bound: NDArray[np.int64]
    days: NDArray[np.int32]


class Features(NamedTuple):
    """What is made of the records that count, sorted by test; those of test t stand in ``first[t] : first[t + 1]``.

    `kind` of :data:`KINDS`, `narrower` the test of a share's numerator, a trend's later half or a streak, `value` row of the
    values, `scale` worth of a whole number, `place` column of the result, `weight` and
    `wider` (row of `wide`) of a shrunken figure, `stamp` where the marks of different values begin.
    """

    first: NDArray[np.int64]
    kind: NDArray[np.int64]
    narrower: NDArray[np.int64]
    value: NDArray[np.int64]
    scale: NDArray[np.float64]
    place: NDArray[np.int64]
    weight: NDArray[np.float64]
    wider: NDArray[np.int64]
    stamp: NDArray[np.int64]


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without the interpreter's lock; keep the machine code for the next process where a folder for it can be written."""
    try:
        compiled: Callable[..., Any] = njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no such folder
        compiled = njit(nogil=True)(function)
    return compiled


@_compiled
def _fold(rows, records, tests, features, wide, stamps, out):  # type: ignore[no-untyped-def]  # noqa: PLR0915, PLR0917
    # Arrays by names of their own: reached through their tuple, each access would count a reference.
    rows_subject, rows_as_of, rows_place = rows.subject, rows.as_of, rows.place
    record_subject, event, known, until = records.subject, records.event, records.known, records.until
    flags, lower, upper, values = records.flags, records.lower, records.upper, records.values
    word, bit, bound, days = tests.word, tests.bit, tests.bound, tests.days
    first, kinds, narrower, value_row = features.first, features.kind, features.narrower, features.value
    scale, column, weight, wider, stamp = (
        features.scale,
        features.place,
        features.weight,
        features.wider,
        features.stamp,
    )
    n_tests, n_features, n_records = days.shape[0], kinds.shape[0], record_subject.shape[0]
    counts = np.zeros(n_tests, np.bool_)
    oldest = days.max()
    leans = (weight > 0).any()
    number = np.zeros(n_tests, np.int64)
    total = np.zeros(n_features, np.int64)
    terms = np.zeros(n_features, np.int64)
    start = 0
    for i in range(rows_subject.shape[0]):
        subject, as_of, place = rows_subject[i], rows_as_of[i], rows_place[i]
        while start < n_records and record_subject[start] < subject:
            start += 1
        number[:] = 0
        total[:] = 0
        terms[:] = 0
        r = start
        met = leans
        while r < n_records and record_subject[r] == subject:
            if not (known[r] < as_of <= until[r] and event[r] < as_of):
                r += 1
                continue
            age = as_of - event[r]
            if age > oldest:
                r += 1
                continue
            met = True
            for t in range(n_tests):
                b = bound[t]
                counts[t] = (
                    age <= days[t] and flags[word[t], r] & bit[t] != 0 and (b < 0 or lower[b, r] < as_of <= upper[b, r])
                )
                number[t] += counts[t]
            for t in range(n_tests):
                if not counts[t]:
                    continue
                for k in range(first[t], first[t + 1]):
                    kind = kinds[k]
                    if kind <= _TREND:
                        continue
                    if kind == _SINCE:
                        if terms[k] == 0 or event[r] > total[k]:
                            total[k] = event[r]
                        terms[k] = 1
                        continue
                    if kind == _STREAK:
                        terms[k] = 1
                        total[k] = total[k] + 1 if counts[narrower[k]] else 0
                        continue
                    value = values[value_row[k], r]
                    if kind in (_LAST, _SINCE_VALUE):
                        total[k] = value
                        terms[k] = value != NONE
                    elif value == NONE:
                        continue
                    elif kind == _UNIQUE:
                        mark = stamp[k] + value
                        if stamps[mark] != i:
                            stamps[mark] = i
                            total[k] += 1
                        terms[k] = 1
                    elif kind == _MAX:
                        if terms[k] == 0 or value > total[k]:
                            total[k] = value
                        terms[k] = 1
                    elif kind == _MIN:
                        if terms[k] == 0 or value < total[k]:
                            total[k] = value
                        terms[k] = 1
                    else:
                        total[k] += value
                        terms[k] += 1
            r += 1
        if not met:
            continue
        for t in range(n_tests):
            for k in range(first[t], first[t + 1]):
                kind = kinds[k]
                value = np.nan
                if kind in (_SHRUNKEN_SHARE, _SHRUNKEN_MEAN):
                    top = float(number[narrower[k]]) if kind == _SHRUNKEN_SHARE else float(total[k])
                    bottom = float(number[t]) if kind == _SHRUNKEN_SHARE else float(terms[k])
                    value = (top * scale[k] + weight[k] * wide[wider[k], i]) / (bottom + weight[k])
                elif number[t] > 0:
                    if kind == _COUNT:
                        value = float(number[t])
                    elif kind == _EXISTS:
                        value = 1.0
                    elif kind == _SHARE:
                        value = float(number[narrower[k]]) / float(number[t])
                    elif kind == _TREND:
                        value = float(2 * number[narrower[k]] - number[t])
                    elif kind == _SUM:
                        value = float(total[k]) * scale[k]
                    elif terms[k] > 0:
                        if kind == _MEAN:
                            value = float(total[k]) / float(terms[k]) * scale[k]
                        elif kind in (_SINCE, _SINCE_VALUE):
                            value = float(as_of) - float(total[k])
                        else:
                            value = float(total[k]) * scale[k]
                    elif kind == _UNIQUE:
                        value = 0.0
                if not np.isnan(value):
                    out[column[k], place] = value


@_compiled
def latest(subject, as_of, record_subject, known, until):  # type: ignore[no-untyped-def]
    """Return the place of the last version visible at each row, -1 where none is; both sides in ascending order of subject."""
    found = np.full(subject.shape[0], -1, np.int64)
    start = 0
    for i in range(subject.shape[0]):
        while start < record_subject.shape[0] and record_subject[start] < subject[i]:
            start += 1
        r = start
        while r < record_subject.shape[0] and record_subject[r] == subject[i]:
            if known[r] < as_of[i] <= until[r]:
                found[i] = r
            r += 1
    return found


@_compiled
def _spread(group, records, tests, test, value_row, only_counts, place, base, n_days, keys, out):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    event, known, until, flags = records.event, records.known, records.until, records.flags
    lower, upper, values = records.lower, records.upper, records.values
    word, bit, bound, days = tests.word[test], tests.bit[test], tests.bound[test], tests.days[test]
    for r in range(group.shape[0]):
        if group[r] < 0 or flags[word, r] & bit == 0:
            continue
        low = max(event[r], known[r]) + 1
        high = min(until[r], event[r] + days)
        if bound >= 0:
            low, high = max(low, lower[bound, r] + 1), min(high, upper[bound, r])
        if high < low:
            continue
        value = 1
        if value_row >= 0:
            value = values[value_row, r]
            if value == NONE:
                continue
            if only_counts:
                value = 1
        begin = place[min(max(low - base, 0), place.shape[0] - 1)]
        end = place[min(max(high + 1 - base, 0), place.shape[0] - 1)]
        if begin < end:
            first, last = group[r] * n_days + begin, group[r] * n_days + end
            if keys.shape[0] > 0:
                first, last = np.searchsorted(keys, first), np.searchsorted(keys, last)
            if first < last:
                out[first] += value
                out[last] -= value


def spread(
    group: NDArray[np.int64],
    records: Records,
    *,
    tests: Tests,
    test: int,
    value: int,
    only_counts: bool,
    days: NDArray[np.int32],
    keys: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    """Add to `out` what each record changes in its group's total at the days at which it begins and ends to count.

    A cell of `out` stands for a group and an as_of day, ``group * days + place of the day``; its running sum is the totals.

    Parameters
    ----------
    group : of each record, -1 to leave it out. test : which records count.
    value : row of the values to be summed, or -1 to count records; `only_counts` counts those that have a value.
    days : the as_of days, ascending.
    keys : numbers of the cells that `out` holds, ascending, where it does not hold all; empty if it does. It has one cell more.
    """
    base = int(days[0])
    span = np.arange(base, int(days[-1]) + 2, dtype=np.int64)
    place = np.searchsorted(days, span)  # the first as_of at or after each day
    _spread(group, records, tests, test, value, only_counts, place, base, len(days), keys, out)


def fold(
    rows: Rows,
    records: Records,
    *,
    tests: Tests,
    features: Features,
    wide: NDArray[np.float64],
    out: NDArray[np.float32],
    marks: int,
) -> None:
    """Write the features that rows have into `out` (columns × rows of the result), which holds already what stands for the others.

    Parameters
    ----------
    rows, records : both in ascending order of subject.
    wide : figures of the wider groups (shrunken features × rows) towards which shrunken features lean.
    marks : room for marking values met, as laid out by `features.stamp`.
    """
    _fold(rows, records, tests, features, wide, np.full(marks, -1, np.int32), out)
