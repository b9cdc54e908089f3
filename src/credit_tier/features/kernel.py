"""One pass over records sorted by subject: every feature of a table, for every as_of, in one go.

Compiled by numba from plain loops over arrays; which records count and what is made of them arrives as tables of numbers, so one
compiled function serves every catalogue. All sums are of 64-bit integers: a result does not depend on the order of its terms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from credit_tier.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

NONE: Final = np.iinfo(np.int64).min
"""Stands for an empty value."""

GREATEST: Final = np.iinfo(np.int64).max

WORD: Final = 63
"""Tests whose bits fit into one word of flags."""

BLOCK: Final = 1024
"""Rows worked on together: their figures stay in the processor's cache."""

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
"""What a feature makes of its records; a feature names its kind by the place in this list."""

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
    """Which records count: test t has bit ``t % WORD`` of word ``t // WORD``.

    `bound` is a test's row of the bounds or -1, `days` its window. `within` (ages × words) has the bits of the tests whose window
    holds an age in days, its last row those of every greater age; `unbound` (bounds × words) those of the tests that do without a bound.
    """

    bound: NDArray[np.int64]
    days: NDArray[np.int32]
    within: NDArray[np.int64]
    unbound: NDArray[np.int64]


class Features(NamedTuple):
    """What is made of the records that count, sorted by kind; those of kind k stand in ``begin[k] : begin[k + 1]``.

    `test` which records count, `narrower` the test of a share's numerator, a trend's later half or a streak, `value` row of
    the values, `scale` worth of a whole number, `fill` what stands for an unknown value, `place` column of the result,
    `weight` and `wider` (row of `wide`) of a shrunken figure, `stamp` where the marks of different values begin.
    """

    begin: NDArray[np.int64]
    test: NDArray[np.int64]
    narrower: NDArray[np.int64]
    value: NDArray[np.int64]
    scale: NDArray[np.float64]
    fill: NDArray[np.float64]
    place: NDArray[np.int64]
    weight: NDArray[np.float64]
    wider: NDArray[np.int64]
    stamp: NDArray[np.int64]


@compiled
def _first_rows(subject):  # type: ignore[no-untyped-def]
    """Return for each number from the first subject to the one after the last where its rows begin."""
    base = subject[0]
    first = np.zeros(subject[-1] - base + 2, np.int64)
    for i in range(subject.shape[0]):
        first[subject[i] - base + 1] = i + 1
    for at in range(1, first.shape[0]):
        first[at] = max(first[at], first[at - 1])
    return first


@compiled
def _meet(rows, low, high, first_row, start, records, oldest, pairs):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Pair the rows low to high - 1 with the records from `start` on that are visible to them, in the order of the records.

    Returns the pairs and how many there are: row (counted from low), record, and age of the record. They are made longer if need be.
    """
    subject, as_of = rows.subject, rows.as_of
    record_subject, event, known, until = records.subject, records.event, records.known, records.until
    base, last = subject[0], subject[high - 1]
    room, end = 0, start
    while end < record_subject.shape[0] and record_subject[end] <= last:
        at = record_subject[end] - base
        room += max(min(first_row[at + 1], high) - max(first_row[at], low), 0)
        end += 1
    if room >= pairs.shape[1]:
        pairs = np.empty((3, 2 * room), np.int32)
    row, record, ages = pairs
    count = 0
    for r in range(start, end):
        at = record_subject[r] - base
        for i in range(max(first_row[at], low), min(first_row[at + 1], high)):
            age = as_of[i] - event[r]
            row[count], record[count], ages[count] = i - low, r, age
            count += (known[r] < as_of[i]) & (as_of[i] <= until[r]) & (age > 0) & (age <= oldest)
    return pairs, count


@compiled
def _bits(rows, row, record, age, records, tests):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Return the tests that pairs meet, words × pairs."""
    n_words, eldest = records.flags.shape[0], tests.within.shape[0] - 1
    bits = np.empty((n_words, row.shape[0]), np.int64)
    for w in range(n_words):
        flags, within, met = records.flags[w], tests.within[:, w], bits[w]
        for p in range(row.shape[0]):
            met[p] = flags[record[p]] & within[min(age[p], eldest)]
        for b in range(records.lower.shape[0]):
            lower, upper, otherwise = records.lower[b], records.upper[b], tests.unbound[b, w]
            for p in range(row.shape[0]):
                as_of, r = rows[row[p]], record[p]
                met[p] &= -1 if (lower[r] < as_of) & (as_of <= upper[r]) else otherwise
    return bits


@compiled
def _add(row, bits, shift, number):  # type: ignore[no-untyped-def]
    for p in range(row.shape[0]):
        number[row[p]] += (bits[p] >> shift) & 1


@compiled
def _add_values(row, record, bits, shift, values, total, terms):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    for p in range(row.shape[0]):
        value = values[record[p]]
        takes = (bits[p] >> shift) & (value != NONE)
        total[row[p]] += value if takes else 0
        terms[row[p]] += takes


@compiled
def _greatest(row, record, bits, shift, values, total):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    for p in range(row.shape[0]):
        value = np.int64(values[record[p]])
        total[row[p]] = max(total[row[p]], value if (bits[p] >> shift) & 1 else NONE)


@compiled
def _least(row, record, bits, shift, values, total):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    for p in range(row.shape[0]):
        value = values[record[p]]
        takes = (bits[p] >> shift) & (value != NONE)
        total[row[p]] = min(total[row[p]], value if takes else GREATEST)


@compiled
def _latest(row, record, bits, shift, values, total):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    for p in range(row.shape[0]):
        total[row[p]] = values[record[p]] if (bits[p] >> shift) & 1 else total[row[p]]


@compiled
def _different(row, record, bits, shift, values, total, stamps):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Count different values; `stamps` holds for each value the row that met it last, so the pairs are taken row by row."""
    place = np.zeros(total.shape[0] + 1, np.int64)
    for p in range(row.shape[0]):
        place[row[p] + 1] += 1
    place = np.cumsum(place)
    order = np.empty(row.shape[0], np.int64)
    for p in range(row.shape[0]):
        order[place[row[p]]] = p
        place[row[p]] += 1
    for p in order:
        value = values[record[p]]
        if (bits[p] >> shift) & (value != NONE):
            total[row[p]] += stamps[value] != row[p]
            stamps[value] = row[p]
    for p in order:
        value = values[record[p]]
        if value != NONE:
            stamps[value] = -1


@compiled
def _streak(row, bits, shift, narrower, narrower_shift, total):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    for p in range(row.shape[0]):
        longer = total[row[p]] + 1 if (narrower[p] >> narrower_shift) & 1 else 0
        total[row[p]] = longer if (bits[p] >> shift) & 1 else total[row[p]]


@compiled
def _figures(kind, k, rows, row, record, bits, number, features, values, event, wide, stamps, figure):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Compute feature k of one kind for `rows`, the places of the rows that any record counts for."""
    test, narrower, fill, scale = features.test[k], features.narrower[k], features.fill[k], features.scale[k]
    word, shift, some, part = bits[test // WORD], test % WORD, number[test], number[narrower]
    height = figure.shape[0]
    nothing = GREATEST if kind == _MIN else NONE
    total, terms = np.zeros(height, np.int64), np.zeros(height, np.int64)
    if kind == _COUNT:
        total = some
    elif kind == _EXISTS:
        total[:] = 1
    elif kind == _TREND:
        total = 2 * part - some
    elif kind in (_SHARE, _SHRUNKEN_SHARE):
        total, terms = part, some
    elif kind in (_SUM, _MEAN, _SHRUNKEN_MEAN):
        _add_values(row, record, word, shift, values, total, terms)
    elif kind == _UNIQUE:
        _different(row, record, word, shift, values, total, stamps)
    elif kind == _STREAK:
        _streak(row, word, shift, bits[narrower // WORD], narrower % WORD, total)
    else:
        total[:] = nothing
        if kind == _MAX:
            _greatest(row, record, word, shift, values, total)
        elif kind == _MIN:
            _least(row, record, word, shift, values, total)
        elif kind == _SINCE:
            _greatest(row, record, word, shift, event, total)
        else:
            _latest(row, record, word, shift, values, total)
    if kind in (_SHRUNKEN_SHARE, _SHRUNKEN_MEAN):
        weight = features.weight[k]
        for i in range(height):
            found = (float(total[i]) * scale + weight * wide[features.wider[k], rows.place[i]]) / (terms[i] + weight)
            figure[i] = fill if np.isnan(found) else found
    elif kind in (_SHARE, _MEAN):
        for i in range(height):
            figure[i] = float(total[i]) / float(terms[i]) * scale if terms[i] else fill
    elif kind in (_SINCE, _SINCE_VALUE):
        for i in range(height):
            figure[i] = rows.as_of[i] - total[i] if total[i] != nothing else fill
    elif kind in (_MAX, _MIN, _LAST):
        for i in range(height):
            figure[i] = float(total[i]) * scale if total[i] != nothing else fill
    else:
        for i in range(height):
            figure[i] = float(total[i]) * scale if some[i] else fill


@compiled
def _fold(rows, records, tests, features, wide, stamps, out):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    n_rows, n_tests, n_features, n_records = (
        len(rows.subject),
        len(tests.days),
        len(features.test),
        len(records.subject),
    )
    begin = features.begin
    leans = begin[_SHRUNKEN_SHARE + 1] + begin[_SHRUNKEN_MEAN + 1] - begin[_SHRUNKEN_MEAN] > 0
    oldest = tests.days.max()
    first_row = _first_rows(rows.subject)
    pairs = np.empty((3, 4 * BLOCK), np.int32)
    hit = np.empty(BLOCK, np.bool_)
    dense = np.empty(BLOCK, np.int64)
    number = np.empty((n_tests, BLOCK), np.int64)
    figures = np.empty(
        (n_features, BLOCK + 16), np.float32
    )  # a power of two would crowd them in few places of the cache
    start = 0
    for low in range(0, n_rows, BLOCK):
        high = min(low + BLOCK, n_rows)
        while start < n_records and records.subject[start] < rows.subject[low]:
            start += 1
        pairs, count = _meet(rows, low, high, first_row, start, records, oldest, pairs)
        row, record = pairs[0, :count], pairs[1, :count]
        bits = _bits(rows.as_of[low:high], row, record, pairs[2, :count], records, tests)
        hit[:] = leans
        for p in range(count):
            hit[row[p]] = True
        height = 0
        for i in range(high - low):
            dense[height] = low + i
            height += hit[i]
        if height == 0:
            continue
        if height < high - low:
            place = np.cumsum(hit) - 1
            for p in range(count):
                row[p] = place[row[p]]
        number[:, :height] = 0
        for t in range(n_tests):
            _add(row, bits[t // WORD], t % WORD, number[t])
        chosen = Rows(rows.subject, rows.as_of[dense[:height]], dense[:height])
        for kind in range(begin.shape[0] - 1):
            for k in range(begin[kind], begin[kind + 1]):
                values, figure = records.values[max(features.value[k], 0)], figures[k, :height]
                _figures(
                    kind, k, chosen, row, record, bits, number, features, values, records.event, wide,
                    stamps[features.stamp[k] :], figure,
                )  # fmt: skip
        for i in range(height):
            line = out[rows.place[dense[i]]]
            for k in range(n_features):
                line[features.place[k]] = figures[k, i]


@compiled
def mark(flags, holds, bits):  # type: ignore[no-untyped-def]
    """Set bits in the words of the records for which something holds."""
    for r in range(flags.shape[0]):
        if holds[r]:
            flags[r] |= bits


@compiled
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


@compiled
def _spread(group, records, tests, test, value_row, only_counts, place, base, n_days, keys, out):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    event, known, until, flags = records.event, records.known, records.until, records.flags
    lower, upper, values = records.lower, records.upper, records.values
    word, bit, bound, days = test // WORD, test % WORD, tests.bound[test], tests.days[test]
    for r in range(group.shape[0]):
        if group[r] < 0 or flags[word, r] >> bit & 1 == 0:
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
    """Write the features that rows have into `out` (rows of the result × columns), which holds already what stands for the others.

    Parameters
    ----------
    rows, records : both in ascending order of subject.
    wide : figures of the wider groups (shrunken features × rows) towards which shrunken features lean.
    marks : room for marking values met, as laid out by `features.stamp`.
    """
    _fold(rows, records, tests, features, wide, np.full(marks, -1, np.int32), out)
