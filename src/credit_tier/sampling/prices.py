"""Prices that prove teams optimal: one pair of integers per inspector and per group of seats.

A cost is a pair (visits already made, hash cost), compared from the left: evenness first, then the hash costs.
Teams are the cheapest if prices exist such that the k-th visit of an inspector pays for itself and everybody in a team lies at or below
the threshold of his group, everybody else who is eligible at or above it (linear programming duality; `certificate` checks just that).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from credit_tier.sampling.exchange import NEVER, Numbers, Problem, passing

Pair = tuple[int, int]


@dataclass(frozen=True)
class Prices:
    """Dual prices.

    Attributes
    ----------
    inspectors : price of each inspector.
    groups : threshold of each group: somebody is in the team if his cost plus his price lies below.
    """

    inspectors: tuple[Pair, ...]
    groups: tuple[Pair, ...]


def prices_of(problem: Problem, holder: Numbers) -> Prices | None:
    """Return prices that prove full teams optimal, or None if they are not optimal.

    Parameters
    ----------
    holder : inspector of each seat, none missing, whichever solver found them.
    """
    load = problem.loads(holder)
    top = int(load.max(initial=0)) + 2
    level = np.where(load < problem.limit, load + 1, top)
    rest = np.zeros(len(load), np.int64)
    arcs = problem.arcs(holder)
    for _ in range(len(load) + 1):
        over = np.where(arcs < NEVER, level[None, :], NEVER).min(axis=1)
        best = np.where((arcs < NEVER) & (level[None, :] == over[:, None]), arcs + rest[None, :], NEVER).min(axis=1)
        better = (over < level) | ((over == level) & (best < rest))
        if not better.any():
            break
        level, rest = np.where(better, over, level), np.where(better, best, rest)
    else:
        return None
    if ((load > 0) & ((level < load) | ((level == load) & (rest < 0)))).any():
        return None
    groups = _thresholds(problem, holder, level, rest, (top + 1, 0))
    if groups is None:
        return None
    return Prices(tuple(zip(level.tolist(), rest.tolist(), strict=True)), tuple(groups))


def _thresholds(problem: Problem, holder: Numbers, level: Numbers, rest: Numbers, above: Pair) -> list[Pair] | None:
    """Return, group by group, the least price of one more member: of the group itself or at the end of moves between groups.

    None if members of one visit had better change seats among themselves.
    """
    found = []
    for visit in range(len(problem.first) - 1):
        begin, end = int(problem.first[visit]), int(problem.first[visit + 1])
        ways = passing(problem.group, problem.price, holder, begin, end)
        if (ways.diagonal() < 0).any():
            return None
        outside = [
            _cheapest(problem.price[problem.group[b]], holder[begin:end], level, rest, above) for b in range(begin, end)
        ]
        seats = np.unique(problem.group[begin:end], return_index=True)[1]
        for a in seats.tolist():
            steps = ways[a].tolist()
            found.append(min((lv, rs + step) for (lv, rs), step in zip(outside, steps, strict=True) if step < NEVER))
    return found


def _cheapest(row: Numbers, team: Numbers, level: Numbers, rest: Numbers, above: Pair) -> Pair:
    open_ = row < NEVER
    open_[team] = False
    if not open_.any():
        return above
    lowest = level[open_].min()
    return int(lowest), int((row + rest)[open_ & (level == lowest)].min())
