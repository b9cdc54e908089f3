"""One number cut into bins by weight of evidence (证据权重): what a scorecard is made of.

A bin's weight of evidence is how much its log-odds of the event lie above those of all rows: above 0 is riskier. Bins are
[edge before, edge); a missing value has a bin of its own. How the edges are found is one question, what stands in the bins between
given edges another: whoever finds the edges, this module or optbinning, the same table is made of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Limits:
    """What every bin must hold.

    Attributes
    ----------
    prebins : groups of about equal size, ties together, from which bins are put together.
    most : bins beside the one for missing values.
    share, events, nonevents : least share of the rows whose value is known, least rows with and without the event. The bin for missing
        values is as it is, and so is a single bin.
    """

    prebins: int = 40
    most: int = 6
    share: float = 0.05
    events: int = 5
    nonevents: int = 5


LIMITS = Limits()


@dataclass(frozen=True)
class Bins:
    """A number cut into k bins.

    Attributes
    ----------
    edges : rising, shape (k - 1,).
    rows, events : by bin, shape (k + 1,), the last one for missing values: sums of weights, which without weights are numbers of rows.
    """

    edges: tuple[float, ...]
    rows: tuple[float, ...]
    events: tuple[float, ...]

    @classmethod
    def of(
        cls,
        values: NDArray[np.float64],
        y: NDArray[np.int8],
        edges: NDArray[np.float64],
        weight: NDArray[np.float64] | None = None,
    ) -> Bins:
        """Return the table of the bins between given edges.

        Parameters
        ----------
        values, y : shape (n,); NaN is missing. weight : how many rows each row stands for; None is 1.
        """
        at, size = place(values, edges), len(edges) + 2
        count = np.ones(len(y)) if weight is None else weight
        rows, events = np.bincount(at, count, size), np.bincount(at, count * y, size)
        return cls(tuple(edges.tolist()), tuple(rows.tolist()), tuple(events.tolist()))

    @cached_property
    def woe(self) -> NDArray[np.float64]:
        """Return the weights of evidence by bin, shape (k + 1,); 0 where a bin is empty."""
        return weight_of_evidence(np.array(self.rows), np.array(self.events), sum(self.rows), sum(self.events))

    @property
    def iv(self) -> float:
        """Return the information value of all bins, that for missing values too."""
        rows, events = np.array(self.rows), np.array(self.events)
        return float(_information(rows, events, rows.sum(), events.sum(), self.woe).sum())

    @property
    def trend(self) -> int:
        """Return 1 if the risk rises with the number, -1 if it falls, 0 if there is one bin only."""
        return int(np.sign(self.woe[-2] - self.woe[0]))

    def values(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the weight of evidence of each of some numbers, shape (n,)."""
        return self.woe[place(x, np.array(self.edges))]


def place(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the bin of each number, the last one for missing values.

    >>> place(np.array([0.0, 1.0, 5.0, np.nan]), np.array([1.0, 3.0])).tolist()
    [0, 1, 2, 3]
    """
    return np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="right"))


def weight_of_evidence(
    rows: NDArray[np.float64], events: NDArray[np.float64], all_rows: float, all_events: float
) -> NDArray[np.float64]:
    """Return ln((e + aE) / (r - e + aN)) - ln(E / N) for bins of r rows and e events among E events and N other rows.

    a is 1 / min(E, N): every bin is told as if it held one more row of the rarer outcome, and of the other one in proportion. So an
    empty cell is finite, a small bin lies nearer to 0, an empty one is 0, and the sign is that of the rate against that of all rows.

    Source: Good, Probability and the weighing of evidence (1950); the smoothing is a prior with the mean of all rows.

    >>> weight_of_evidence(np.array([0.0, 20.0, 80.0]), np.array([0.0, 6.0, 4.0]), 100.0, 10.0).round(3).tolist()
    [0.0, 1.008, -0.636]
    """
    everything, rest = all_events, all_rows - all_events
    a = 1 / min(everything, rest)
    odds = (events + a * everything) / (rows - events + a * rest)
    return np.where(rows > 0, np.log(odds) - np.log(everything / rest), 0.0)


def _information(
    rows: NDArray[np.float64],
    events: NDArray[np.float64],
    all_rows: float,
    all_events: float,
    woe: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return what each bin adds to the information value: (share of events - share of other rows) * weight of evidence."""
    return np.asarray((events / all_events - (rows - events) / (all_rows - all_events)) * woe)


def cut(
    values: NDArray[np.float64],
    y: NDArray[np.int8],
    *,
    direction: int = 0,
    weight: NDArray[np.float64] | None = None,
    limits: Limits = LIMITS,
) -> Bins:
    """Cut a number into the bins of greatest information value among all that keep the limits and one direction.

    Parameters
    ----------
    values, y : shape (n,); NaN is missing, both outcomes occur.
    direction : 1 if the weight of evidence must not fall from bin to bin, -1 if it must not rise, 0 for the better of both.
    weight : how many rows each row stands for; a weight of 2 is the same as the row twice.

    Returns
    -------
    A single bin where no division keeps the limits, or no value is known.

    Source: exact dynamic programming over contiguous groups of :func:`prebin`, as for optimal histograms (Jagadish and others, 1998).
    """
    edges = prebin(values, weight, most=limits.prebins)
    fine = Bins.of(values, y, edges, weight)
    kept = best(np.array(fine.rows), np.array(fine.events), direction=direction, limits=limits)
    return Bins.of(values, y, edges[kept], weight)


def prebin(
    values: NDArray[np.float64], weight: NDArray[np.float64] | None = None, *, most: int = LIMITS.prebins
) -> NDArray[np.float64]:
    """Return the edges of at most so many groups of about equal weight; equal numbers stay together.

    An edge is the number with the fewest digits that parts two groups, so that a person can read it.

    >>> prebin(np.array([0.0, 0.0, 1.2, 4.0, 4.0, np.nan])).tolist()
    [1.0, 4.0]
    """
    known = ~np.isnan(values)
    distinct, at = np.unique(values[known], return_inverse=True)
    total = np.bincount(at, None if weight is None else weight[known])
    middle = np.cumsum(total) - total / 2
    group = np.arange(len(distinct)) if len(distinct) <= most else np.floor(most * middle / total.sum())
    upper = np.flatnonzero(np.diff(group)) + 1
    return np.array([_between(float(distinct[i - 1]), float(distinct[i])) for i in upper])


def _between(low: float, high: float) -> float:
    """Return the number with the fewest digits above `low` and not above `high`."""
    for digits in range(1, 17):
        short = float(f"{high:.{digits}g}")
        if low < short <= high:
            return short
    return high


def best(
    rows: NDArray[np.float64], events: NDArray[np.float64], *, direction: int, limits: Limits = LIMITS
) -> NDArray[np.intp]:
    """Return which edges between neighbouring groups to keep for the greatest information value; none if no division keeps the limits.

    Parameters
    ----------
    rows, events : by group, shape (p + 1,), the last one for missing values: it counts in the totals only.
    direction : see :func:`cut`.

    Of divisions of equal value the one with the fewest bins is taken.
    """
    found = [_monotone(rows, events, sign, limits) for sign in ((direction,) if direction else (1, -1))]
    return max(found, key=lambda item: item[0])[1]


def _monotone(
    rows: NDArray[np.float64], events: NDArray[np.float64], sign: int, limits: Limits
) -> tuple[float, NDArray[np.intp]]:
    """Return the greatest information value in one direction, and the edges kept.

    value[b, i, j] is the greatest one of the groups before j in b + 1 bins of which the last holds the groups i to j - 1.
    """
    p = len(rows) - 1
    upto_rows, upto_events = (np.concatenate(([0.0], np.cumsum(cells[:-1]))) for cells in (rows, events))
    r, e = (upto[None, :] - upto[:, None] for upto in (upto_rows, upto_events))
    totals = float(rows.sum()), float(events.sum())
    inside = np.triu(np.ones((p + 1, p + 1), bool), 1)
    kept = inside & (r >= limits.share * upto_rows[-1]) & (e >= limits.events) & (r - e >= limits.nonevents)
    r, e = np.where(inside, r, 0.0), np.where(inside, e, 0.0)
    woe = weight_of_evidence(r, e, *totals)
    gain = np.where(kept, _information(r, e, *totals, woe), -np.inf)
    value = np.full((limits.most, p + 1, p + 1), -np.inf)
    before = np.zeros((limits.most, p + 1, p + 1), np.intp)
    value[0, 0] = gain[0]
    for i in range(1, p):
        reached = value[:-1, :i, i]
        if np.isneginf(reached).all():
            continue
        allowed = sign * woe[:i, i, None] <= sign * woe[None, i, i + 1 :]
        all_before = np.where(allowed, reached[:, :, None], -np.inf)
        before[1:, i, i + 1 :] = all_before.argmax(axis=1)
        value[1:, i, i + 1 :] = all_before.max(axis=1) + gain[i, i + 1 :]
    last = value[:, :, p]
    most = float(last.max())
    if not np.isfinite(most):
        return 0.0, np.empty(0, np.intp)
    b = int(np.flatnonzero(last.max(axis=1) >= most - 1e-12)[0])
    i, j = int(last[b].argmax()), p
    edges: list[int] = []
    while b:
        edges.append(i - 1)
        i, j, b = int(before[b, i, j]), i, b - 1
    return most, np.array(edges[::-1], np.intp)
