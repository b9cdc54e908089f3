"""Cutting a forest into sets of leaves whose Shapley values fit into a table, and which value of a row leads to which line.

What a leaf gives to the Shapley values of a row depends only on which of the leaf's intervals hold the row's values. For a set of
leaves, each column therefore falls into few kinds of values, told apart by thresholds; the combinations of kinds are the lines of a
table. Leaves of a tree are joined from below while the table stays small, then whatever is left over is joined across trees.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isnan, prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from credit_tier.learning.forest import Forest, Tree

LINES = 512
"""Lines that a table of several leaves has at most: it fits into the cache nearest to the processor."""
ALONE = 8
"""How many times as many lines the table of a single leaf may have."""
LANES = 8
"""Columns of a table are filled up to a multiple of this, which the processor adds at once.

Compiled into the loops of :mod:`credit_tier.learning.shapley`: machine code kept from before does not notice a change made here.
"""
MEMORY = 2**25
"""Numbers (8 bytes each) in all tables together at most."""
OPEN = 16
"""Sets of leaves that are looked at for room for the next one."""
ZERO = np.float32(1e-35)
"""LightGBM's kZeroThreshold."""


class Interval(NamedTuple):
    """Values of one column that lead to a leaf.

    Attributes
    ----------
    low, high : the interval (low, high] of float32 numbers; unbounded below at -inf and above at inf, empty unless low < high.
    nan : whether NaN leads there.
    share : share of the training rows that went on towards the leaf at the splits on this column, above 0.
    """

    low: float
    high: float
    nan: bool
    share: float

    def holds(self, value: float) -> bool:
        """Return whether a value, or NaN, leads to the leaf."""
        return self.nan if isnan(value) else self.low < value <= self.high


class Leaf(NamedTuple):
    """The output of a leaf and its intervals by column, of the columns that were asked on the way to it."""

    value: float
    intervals: Mapping[int, Interval]


class Scale(NamedTuple):
    """The kinds of values of one column, numbered from 0.

    Attributes
    ----------
    cuts : ascending float32 numbers; cell i holds the values above i of them, up to and with the next one.
    kinds : the kind of each of the len(cuts) + 1 cells, that of the lowest is 0.
    nan : the kind of NaN.
    """

    cuts: tuple[float, ...]
    kinds: tuple[int, ...]
    nan: int

    @property
    def size(self) -> int:
        """Return how many kinds there are."""
        return 1 + max(*self.kinds, self.nan)

    def examples(self) -> list[float]:
        """Return one value of each kind; infinity stands for values above the last cut."""
        found: dict[int, float] = {}
        for kind, value in zip((*self.kinds, self.nan), (*self.cuts, np.inf, np.nan), strict=True):
            found.setdefault(kind, value)
        return [found[kind] for kind in range(len(found))]

    def steps(self) -> Iterator[tuple[float, int]]:
        """Yield (cut, rise): the kind of a value is the sum of the rises over the cuts below it; NaN as a cut is for NaN alone."""
        for cut, before, after in zip(self.cuts, self.kinds, self.kinds[1:], strict=False):
            if after != before:
                yield cut, after - before
        if self.nan:
            yield np.nan, self.nan

    @classmethod
    def of(cls, interval: Interval) -> Scale:
        """Tell the values inside an interval from those outside."""
        low, high, nan, _ = interval
        if low >= high:
            return cls((), (0,), int(nan))
        cuts = tuple(cut for cut in (low, high) if np.isfinite(cut))
        inside = ([False] if np.isfinite(low) else []) + [True] + ([False] if np.isfinite(high) else [])
        return cls(cuts, tuple(int(i != inside[0]) for i in inside), int(nan != inside[0]))

    def joined(self, other: Scale) -> Scale:
        """Return the coarsest scale that tells apart what one of the two does."""
        if self == other:
            return self
        cuts = sorted({*self.cuts, *other.cuts})
        pairs = [(self.kinds[bisect_left(self.cuts, c)], other.kinds[bisect_left(other.cuts, c)]) for c in cuts]
        pairs += [(self.kinds[-1], other.kinds[-1]), (self.nan, other.nan)]
        number = {pair: i for i, pair in enumerate(dict.fromkeys(pairs))}
        *kinds, nan = (number[pair] for pair in pairs)
        return Scale(tuple(cuts), tuple(kinds), nan)


@dataclass(frozen=True)
class Part:
    """Leaves that share a table, and the scales of their columns."""

    leaves: tuple[Leaf, ...]
    scales: Mapping[int, Scale]

    @classmethod
    def of(cls, leaf: Leaf) -> Part:
        """Return one leaf as a part."""
        return cls((leaf,), {column: Scale.of(interval) for column, interval in leaf.intervals.items()})

    @cached_property
    def lines(self) -> int:
        """Return how many lines the table takes."""
        return prod(scale.size for scale in self.scales.values())

    @property
    def numbers(self) -> int:
        """Return how many numbers the table takes."""
        return self.lines * LANES * panels(len(self.scales))

    def joined(self, other: Part, lines: int) -> Part | None:
        """Return both as one part, or None if its table would have more lines than that."""
        scales, size = dict(self.scales), self.lines
        for column, scale in other.scales.items():
            mine = scales.get(column)
            new = scale if mine is None else mine.joined(scale)
            size = size * new.size // (1 if mine is None else mine.size)
            if size > lines:
                return None
            scales[column] = new
        return Part(self.leaves + other.leaves, scales)


class Plan(NamedTuple):
    """A forest's leaves: in parts with a table each, and those whose own table would be too large."""

    parts: tuple[Part, ...]
    loose: tuple[Leaf, ...]


def panels(columns: int) -> int:
    """Return how often the processor adds for so many columns."""
    return -(-columns // LANES)


def plan(forest: Forest) -> Plan:
    """Cut a forest into parts. Tables of large forests are smaller, so that all of them together stay within :data:`MEMORY`.

    Source: `reference/performance.md`, scoring; tables of decision patterns.
    """
    leaves = [leaves_of(tree) for tree in forest.trees]
    lines = LINES
    while True:
        loose: list[Leaf] = []
        cut = [part for tree, own in zip(forest.trees, leaves, strict=True) for part in _cut(tree, own, lines, loose)]
        parts = tuple(_packed(cut, lines))
        if sum(part.numbers for part in parts) <= MEMORY or lines == 0:
            return Plan(parts, tuple(loose))
        lines //= 4


def leaves_of(tree: Tree) -> list[Leaf]:
    """Return the leaves of a tree, as rows of float32 numbers meet them."""
    used, low, high, nan, share = tree.boxes()
    low, high = _bounds(low), _bounds(high)
    asked = np.isfinite(low) | np.isfinite(high) | ~nan | (share < 1)
    return [
        Leaf(
            float(tree.value[i]),
            {
                int(used[j]): Interval(float(low[i, j]), float(high[i, j]), bool(nan[i, j]), float(share[i, j]))
                for j in np.flatnonzero(asked[i])
            },
        )
        for i in range(len(tree.value))
    ]


def _bounds(cuts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the float32 numbers that part float32 values as the given cuts do.

    LightGBM reads values within :data:`ZERO` of 0 as 0. Cuts at or above the largest number become infinite.
    """
    below_zero = np.nextafter(-ZERO, np.float32(-np.inf))
    cuts = np.where(np.abs(cuts) <= ZERO, np.where(cuts < 0, below_zero, ZERO), cuts)
    with np.errstate(over="ignore"):
        near = cuts.astype(np.float32)
    under = np.where(near > cuts, np.nextafter(near, np.float32(-np.inf)), near)
    return np.where(under >= np.finfo(np.float32).max, np.inf, under.astype(np.float64))


def _cut(tree: Tree, leaves: list[Leaf], lines: int, loose: list[Leaf]) -> Iterator[Part]:
    """Yield the largest subtrees whose tables have at most so many lines; put leaves too large for any table into `loose`."""
    whole: dict[int, Part | None] = {}
    for i, leaf in enumerate(leaves):
        part = Part.of(leaf)
        whole[~i] = part if part.lines <= ALONE * lines else None
        if whole[~i] is None:
            loose.append(leaf)
    for node in reversed(range(len(leaves) - 1)):
        left, right = (whole.pop(int(child)) for child in (tree.left[node], tree.right[node]))
        whole[node] = left.joined(right, lines) if left is not None and right is not None else None
        if whole[node] is None:
            yield from (part for part in (left, right) if part is not None)
    if whole[0] is not None:
        yield whole[0]


def _packed(parts: Iterable[Part], lines: int) -> Iterator[Part]:
    """Join parts of similar columns where the table grows least, as long as neither lines nor panels become too many."""
    room: deque[Part] = deque()
    for part in sorted(parts, key=lambda p: sorted(p.scales)):
        found: list[tuple[float, int, Part]] = []
        for i, other in enumerate(room):
            width = panels(len({*part.scales, *other.scales}))
            if width <= max(panels(len(part.scales)), panels(len(other.scales))):
                both = other.joined(part, lines)
                if both is not None:
                    found.append((both.lines / other.lines, i, both))
        if found:
            _, i, both = min(found, key=lambda item: item[:2])
            room[i] = both
        else:
            room.append(part)
            if len(room) > OPEN:
                yield room.popleft()
    yield from room
