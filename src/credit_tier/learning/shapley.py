"""Exact Shapley values of a forest: tables filled once per model, then a few comparisons and additions per row.

A leaf asks k columns. Where a column is not known, one goes on with the share of the training rows that did; so if each is known with
chance t, the leaf is reached with the product of (1 - t) share + t inside over its columns, `inside` being 1 or 0. The Shapley value
of a column is the integral over t from 0 to 1 of the other columns' product, times inside - share, times the output of the leaf. It
is a polynomial, which a Gauss sum of half as many points as columns integrates exactly, and all of its terms are positive.

Source: Owen (1972), Multilinear extensions of games; Lundberg and others (2020), path-dependent TreeSHAP.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache
from typing import NamedTuple

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from credit_tier.compiling import compiled
from credit_tier.learning.forest import Forest
from credit_tier.learning.patterns import LANES, Leaf, Part, panels, plan

BLOCK = 2000
"""Rows worked on together, so that tables stay in the processor's cache while rows pass.

Not a power of two: columns that lie a power of two apart would fight for the same places of the cache.
"""


class Leaves(NamedTuple):
    """Leaves as arrays: leaf i asks the columns ``column[first[i] : first[i + 1]]``, whose intervals stand beside them."""

    value: NDArray[np.float64]
    first: NDArray[np.int64]
    column: NDArray[np.int64]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    nan: NDArray[np.bool_]
    share: NDArray[np.float64]

    @classmethod
    def of(cls, leaves: Sequence[Leaf]) -> Leaves:
        """Put leaves into arrays."""
        asked = [(column, *interval) for leaf in leaves for column, interval in leaf.intervals.items()]
        column, low, high, nan, share = zip(*asked, strict=True) if asked else ((),) * 5
        return cls(
            np.array([leaf.value for leaf in leaves], np.float64),
            np.cumsum([0, *(len(leaf.intervals) for leaf in leaves)], dtype=np.int64),
            np.array(column, np.int64),
            np.array(low, np.float32),
            np.array(high, np.float32),
            np.array(nan, np.bool_),
            np.array(share, np.float64),
        )


class Tables(NamedTuple):
    """Parts as arrays, in groups that add to the same columns.

    Group g has the parts ``part[g] : part[g + 1]`` and the columns ``column[lane[g] : lane[g + 1]]``. Part p has the steps
    ``step[p] : step[p + 1]`` and `lines[p]` lines; its numbers begin at `start[p]`: panel by panel, line by line, a line of a panel
    being :data:`~credit_tier.learning.patterns.LANES` numbers. A row's line is the sum of `rise` over the steps whose `cut` lies below
    its value in the column `of`; a step whose cut is NaN counts for NaN alone.
    """

    part: NDArray[np.int64]
    lane: NDArray[np.int64]
    column: NDArray[np.int64]
    step: NDArray[np.int64]
    lines: NDArray[np.int64]
    start: NDArray[np.int64]
    of: NDArray[np.int64]
    cut: NDArray[np.float32]
    rise: NDArray[np.int32]
    number: NDArray[np.float64]

    @classmethod
    def of_parts(cls, parts: Iterable[Part]) -> Tables:
        """Fill the tables of parts."""
        groups = _grouped(parts)
        ordered = [part for group, _ in groups for part in group]
        lanes = [columns for _, columns in groups]
        steps = [_steps(part) for part in ordered]
        number = [_filled(part, columns) for group, columns in groups for part in group]
        of, cut, rise = zip(*(step for some in steps for step in some), strict=True) if any(steps) else ((),) * 3
        return cls(
            np.cumsum([0, *(len(group) for group, _ in groups)], dtype=np.int64),
            np.cumsum([0, *map(len, lanes)], dtype=np.int64),
            np.array([column for columns in lanes for column in columns], np.int64),
            np.cumsum([0, *map(len, steps)], dtype=np.int64),
            np.array([part.lines for part in ordered], np.int64),
            np.cumsum([0, *map(len, number)], dtype=np.int64),
            np.array(of, np.int64),
            np.array(cut, np.float32),
            np.array(rise, np.int32),
            np.concatenate(number) if number else np.empty(0),
        )


@dataclass(frozen=True)
class Shapley:
    """A forest's Shapley values: how far each column moves a row's raw score from that of the average training row.

    Immutable; safe to share between threads.

    Attributes
    ----------
    source : shape (columns,); the feature of a row that each column of the forest reads. Trees that are told apart read the same
        feature by columns of their own.
    """

    source: NDArray[np.int64]
    tables: Tables
    loose: Leaves
    rule: tuple[NDArray[np.float64], NDArray[np.float64]]

    @classmethod
    def of(cls, forest: Forest, source: NDArray[np.int64] | None = None) -> Shapley:
        """Fill the tables of a forest; takes about a millisecond per tree.

        Parameters
        ----------
        source : see the class; None: column i reads feature i.
        """
        parts, loose = plan(forest)
        read = np.arange(len(forest.names)) if source is None else source
        return cls(read.astype(np.int64), Tables.of_parts(parts), Leaves.of(loose), gauss(_most(loose)))

    def each(
        self,
        x: NDArray[np.float32],
        fills: NDArray[np.float32],
        use: Callable[[int, NDArray[np.float64]], None],
        *,
        threads: int,
    ) -> bool:
        """Work through rows block by block; memory does not grow with their number.

        The values of a row depend on nothing but the row, to the last bit.

        Parameters
        ----------
        x : shape (n, features). fills : shape (features,); what stands for NaN, NaN where the trees know what to do with it.
        use : called with the first row of a block and its values, shape (rows, columns), which are overwritten afterwards; by
            several threads at once.
        threads : at least 1.

        Returns
        -------
        whether a value was infinite, which trees do not expect.
        """
        block = min(BLOCK, len(x))

        def work(first: int) -> bool:
            turned = np.empty((len(self.source), block), np.float32)
            values = np.empty((block, len(self.source)))
            infinite = False
            for start in range(first, len(x), threads * block):
                rows = np.ascontiguousarray(x[start : start + block])
                found = values[: len(rows)]
                infinite |= _turn(rows, fills, self.source, turned, found)
                _add(turned, self.tables, found)
                if len(self.loose.value):
                    _add_loose(turned, self.loose, *self.rule, found)
                use(start, found)
            return infinite

        starts = range(0, min(len(x), threads * block), max(block, 1))
        if len(starts) <= 1:
            return any(map(work, starts))
        with ThreadPoolExecutor(len(starts)) as pool:
            return any(list(pool.map(work, starts)))


@cache
def gauss(most: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return points and weights (in row n those of the sum of n terms) that integrate polynomials from 0 to 1 exactly.

    Worked out in decimals, so that every machine gets the same numbers.

    Parameters
    ----------
    most : the largest n wanted; the sum of n terms is exact up to degree 2n - 1.

    Source: Gauss-Legendre quadrature; roots of the Legendre polynomials by Newton's method.

    >>> points, weights = gauss(2)
    >>> points[2].round(6).tolist(), weights[2].round(6).tolist()
    ([0.211325, 0.788675], [0.5, 0.5])
    """
    points, weights = np.zeros((most + 1, most)), np.zeros((most + 1, most))
    with localcontext(prec=40):
        for n in range(1, most + 1):
            for i in range(n):
                x = Decimal(-math.cos(math.pi * (i + 0.75) / (n + 0.5)))
                for _ in range(6):
                    before, here = Decimal(1), x
                    for k in range(1, n):
                        before, here = here, ((2 * k + 1) * x * here - k * before) / (k + 1)
                    slope = n * (x * here - before) / (x * x - 1)
                    x -= here / slope
                points[n, i] = float((1 + x) / 2)
                weights[n, i] = float(1 / ((1 - x * x) * slope * slope))
    return points, weights


def _most(leaves: Iterable[Leaf]) -> int:
    return max(((len(leaf.intervals) + 1) // 2 for leaf in leaves), default=0)


def _grouped(parts: Iterable[Part]) -> list[tuple[list[Part], list[int]]]:
    """Return parts in groups, with the columns of each group, where sharing columns takes none of them more panels."""
    groups: list[tuple[list[Part], list[int]]] = []
    for part in sorted(parts, key=lambda p: panels(len(p.scales))):
        if groups:
            group, columns = groups[-1]
            both = list(dict.fromkeys((*columns, *part.scales)))
            if panels(len(both)) <= min(panels(len(columns)), panels(len(part.scales))):
                group.append(part)
                columns[:] = both
                continue
        groups.append(([part], list(part.scales)))
    return groups


def _steps(part: Part) -> list[tuple[int, float, int]]:
    """Return (column, cut, rise) of every step; the line is counted with the kind of the first column running fastest."""
    steps, stride = [], 1
    for column, scale in part.scales.items():
        steps += [(column, cut, stride * rise) for cut, rise in scale.steps()]
        stride *= scale.size
    return steps


def _filled(part: Part, columns: Sequence[int]) -> NDArray[np.float64]:
    """Return the numbers of a part's table, whose lanes are those of the columns."""
    number = np.zeros((panels(len(columns)), part.lines, LANES))
    place = {column: i for i, column in enumerate(part.scales)}
    examples = [scale.examples() for scale in part.scales.values()]
    kinds = np.array([len(values) for values in examples], np.int64)
    leaves = Leaves.of([Leaf(leaf.value, {place[c]: i for c, i in leaf.intervals.items()}) for leaf in part.leaves])
    asked = [(place[c], interval) for leaf in part.leaves for c, interval in leaf.intervals.items()]
    inside = np.zeros((len(asked), int(kinds.max(initial=1))))
    for i, (c, interval) in enumerate(asked):
        inside[i, : kinds[c]] = [interval.holds(value) for value in examples[c]]
    lanes = np.array([columns.index(column) for column in part.scales], np.int64)
    _fill(leaves, lanes, kinds, inside, *gauss(_most(part.leaves)), number)
    return number.ravel()


@compiled
def _leaf(inside, share, points, weights, found):  # type: ignore[no-untyped-def]
    """Write the Shapley values of a leaf with output 1; `inside` is 1 or 0 per column."""
    k = share.shape[0]
    n = (k + 1) // 2
    found[:k] = 0.0
    for q in range(n):
        t = points[n, q]
        product = weights[n, q]
        for j in range(k):
            product *= (1.0 - t) * share[j] + t * inside[j]
        for j in range(k):
            found[j] += product / ((1.0 - t) * share[j] + t * inside[j])
    for j in range(k):
        found[j] *= inside[j] - share[j]


@compiled
def _fill(leaves, lanes, kinds, inside, points, weights, number):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Fill a table (panels × lines × lanes); `inside` (questions of the leaves × kinds) says which kinds of values lead on."""
    value, first, column, share = leaves.value, leaves.first, leaves.column, leaves.share
    kind = np.zeros(kinds.shape[0], np.int64)
    held, found = np.empty(share.shape[0]), np.empty(share.shape[0])
    for line in range(number.shape[1]):
        for leaf in range(value.shape[0]):
            a, b = first[leaf], first[leaf + 1]
            for j in range(a, b):
                held[j] = inside[j, kind[column[j]]]
            _leaf(held[a:b], share[a:b], points, weights, found)
            for j in range(a, b):
                lane = lanes[column[j]]
                number[lane // LANES, line, lane % LANES] += value[leaf] * found[j - a]
        for c in range(kinds.shape[0]):
            kind[c] += 1
            if kind[c] < kinds[c]:
                break
            kind[c] = 0


@compiled
def _turn(rows, fills, source, turned, values):  # type: ignore[no-untyped-def]
    """Write rows as columns, missing values filled, set their values to 0, and return whether a value is infinite."""
    values[:] = 0.0
    for i in range(rows.shape[0]):
        for j in range(source.shape[0]):
            turned[j, i] = rows[i, source[j]]
    infinite = 0
    for j in range(source.shape[0]):
        column, fill = turned[j], fills[source[j]]
        for i in range(rows.shape[0]):
            x = column[i]
            infinite += np.isinf(x)
            column[i] = fill if np.isnan(x) else x
    return infinite > 0


@intrinsic
def _add_lanes(_context, total, at, number, start):  # type: ignore[no-untyped-def]
    """Add the :data:`LANES` numbers from `start` to those from `at`, all at once, which the compiler does not find by itself."""

    def code(context, builder, signature, args):  # type: ignore[no-untyped-def]
        lanes = ir.VectorType(ir.DoubleType(), LANES).as_pointer()
        data = [context.make_array(signature.args[i])(context, builder, args[i]).data for i in (0, 2)]
        to, what = (builder.bitcast(builder.gep(d, [i]), lanes) for d, i in zip(data, (args[1], args[3]), strict=True))
        added = builder.fadd(builder.load(to, align=8), builder.load(what, align=8))
        builder.store(added, to, align=8)
        return context.get_dummy_value()

    return types.void(total, types.int64, number, types.int64), code


@compiled
def _add(turned, tables, values):  # type: ignore[no-untyped-def]
    """Add what the tables say to the rows' values (rows × columns)."""
    # Arrays by names of their own: reached through their tuple, each access would count a reference.
    part, lane, column, step, lines = tables.part, tables.lane, tables.column, tables.step, tables.lines
    start, of, cut, rise, number = tables.start, tables.of, tables.cut, tables.rise, tables.number
    rows = values.shape[0]
    widest = 0
    for g in range(part.shape[0] - 1):
        widest = max(widest, lane[g + 1] - lane[g])
    line = np.empty(rows, np.int32)
    total = np.empty(-(-widest // LANES) * rows * LANES)
    for g in range(part.shape[0] - 1):
        width = -(-(lane[g + 1] - lane[g]) // LANES)
        total[: width * rows * LANES] = 0.0
        for p in range(part[g], part[g + 1]):
            line[:] = 0
            for s in range(step[p], step[p + 1]):
                x, c, up = turned[of[s]], cut[s], rise[s]
                if np.isnan(c):
                    for i in range(rows):
                        line[i] += up if np.isnan(x[i]) else np.int32(0)
                else:
                    for i in range(rows):
                        line[i] += up if x[i] > c else np.int32(0)
            for w in range(width):
                table = start[p] + w * lines[p] * LANES
                for i in range(rows):
                    _add_lanes(total, (w * rows + i) * LANES, number, table + line[i] * LANES)
        for w in range(width):
            first = lane[g] + w * LANES
            last = min(first + LANES, lane[g + 1])
            for i in range(rows):
                at = (w * rows + i) * LANES - first
                for a in range(first, last):
                    values[i, column[a]] += total[at + a]


@compiled
def _add_loose(turned, leaves, points, weights, values):  # type: ignore[no-untyped-def]
    """Add the Shapley values of single leaves to the rows' values."""
    value, first, column, share = leaves.value, leaves.first, leaves.column, leaves.share
    low, high, nan = leaves.low, leaves.high, leaves.nan
    held, found = np.empty(share.shape[0]), np.empty(share.shape[0])
    for i in range(values.shape[0]):
        for leaf in range(value.shape[0]):
            a, b = first[leaf], first[leaf + 1]
            for j in range(a, b):
                x = turned[column[j], i]
                inside = nan[j] if np.isnan(x) else low[j] < x <= high[j]
                held[j] = 1.0 if inside else 0.0
            _leaf(held[a:b], share[a:b], points, weights, found)
            for j in range(a, b):
                values[i, column[j]] += value[leaf] * found[j - a]
