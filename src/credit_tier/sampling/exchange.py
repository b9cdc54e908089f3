"""The cheapest among the most even teams: seats are filled one by one, each along the cheapest chain of exchanges, in exact integers.

Min-cost flow by successive shortest paths on seat -> (visit, inspector) -> inspector -> load steps, contracted to the inspectors: an
arc from a to b says what it costs if b takes part in some visit of a, who leaves it. There are as many nodes as inspectors, however
many visits there are, and no number but integers below 2^63, so nothing depends on the version of a solver.

Source: successive shortest paths with prices (Edmonds and Karp 1972; Tomizawa 1971); least unequal loads (Frank and Murota 2022).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from credit_tier.compiling import compiled

Numbers = NDArray[np.int64]

NEVER = 1 << 61
"""Stands for "cannot": larger than any sum of costs, and twice it still fits 64 bits."""

NOBODY = -1


@dataclass(frozen=True)
class Problem:
    """Seats to fill.

    Attributes
    ----------
    visit : visit of each group of like seats, non-decreasing from 0 without gaps, shape (groups,).
    count : seats of each group, at least 1, shape (groups,).
    cost : cost of each inspector in each group, 0 <= cost < 2^40, or -1 where not eligible; shape (groups, inspectors).
    limit : most visits of each inspector, shape (inspectors,).
    """

    visit: Numbers
    count: Numbers
    cost: Numbers
    limit: Numbers

    @cached_property
    def price(self) -> Numbers:
        """Return the costs with `NEVER` where not eligible."""
        return np.where(self.cost < 0, NEVER, self.cost)

    @cached_property
    def group(self) -> Numbers:
        """Return the group of each seat, shape (seats,)."""
        return np.repeat(np.arange(len(self.count)), self.count)

    @cached_property
    def first(self) -> Numbers:
        """Return the first seat of each visit and, last, the number of seats, shape (visits + 1,)."""
        visits = int(self.visit[-1]) + 1 if len(self.visit) else 0
        return np.searchsorted(self.visit[self.group], np.arange(visits + 1)).astype(np.int64)

    def arcs(self, holder: Numbers) -> Numbers:
        """Return what it costs at least if somebody takes part in a visit of somebody else, who leaves it; shape (inspectors, inspectors)."""
        return _arcs(self.first, self.group, self.price, holder)  # type: ignore[no-any-return]

    def loads(self, holder: Numbers) -> Numbers:
        """Return the visits of each inspector, shape (inspectors,)."""
        return np.bincount(holder[holder >= 0], minlength=len(self.limit)).astype(np.int64)


def fill(problem: Problem) -> Numbers:
    """Return who takes each seat: the teams of least cost among the most even ones.

    Most even: the loads are majorised by those of every other choice of eligible teams, so that they differ by one at most wherever
    any choice achieves that; and from nobody a visit can pass, directly or through a chain of exchanges, to somebody with two fewer.

    Returns
    -------
    inspectors, shape (seats,); -1 for seats that nobody can take, of which there are as few as possible.
    """
    holder = np.full(len(problem.group), NOBODY, np.int64)
    if len(holder):
        _fill(problem.first, problem.group, problem.price, problem.limit, holder)
    return holder


@compiled
def passing(group: Numbers, price: Numbers, holder: Numbers, begin: int, end: int) -> Numbers:
    """Return what it costs that a seat of a visit takes another seat's holder, directly or through third seats; shape (seats, seats).

    Entry [a, b]: seat a gets somebody of this visit, and in the end seat b is the free one.
    """
    size = end - begin
    best = np.full((size, size), NEVER)
    for a in range(size):
        for b in range(size):
            member = holder[begin + b]
            if member >= 0 and price[group[begin + a], member] < NEVER:
                best[a, b] = price[group[begin + a], member] - price[group[begin + b], member]
        best[a, a] = 0
    for through in range(size):
        for a in range(size):
            for b in range(size):
                if best[a, through] < NEVER and best[through, b] < NEVER:
                    best[a, b] = min(best[a, b], best[a, through] + best[through, b])
    return best


@compiled
def entering(  # noqa: PLR0917
    group: Numbers, price: Numbers, holder: Numbers, begin: int, end: int, ways: Numbers, seat: int, out: Numbers
) -> None:
    """Write what it costs that somebody new comes into a visit because a seat of it is free; shape (inspectors,)."""
    out[:] = NEVER
    for b in range(end - begin):
        shift = ways[seat - begin, b]
        if shift < NEVER:
            row = price[group[begin + b]]
            for i in range(len(out)):
                if row[i] < NEVER and shift + row[i] < out[i]:
                    out[i] = shift + row[i]
    for b in range(begin, end):
        if holder[b] >= 0:
            out[holder[b]] = NEVER


@compiled
def _refresh(  # noqa: PLR0917
    visit: int, first: Numbers, group: Numbers, price: Numbers, holder: Numbers, leaving: Numbers
) -> None:
    """Compute anew what it costs that the holder of a seat leaves and somebody new comes into the visit."""
    begin, end = first[visit], first[visit + 1]
    ways = passing(group, price, holder, begin, end)
    for seat in range(begin, end):
        if holder[seat] >= 0:
            entering(group, price, holder, begin, end, ways, seat, leaving[seat])
            paid = price[group[seat], holder[seat]]
            for i in range(leaving.shape[1]):
                if leaving[seat, i] < NEVER:
                    leaving[seat, i] -= paid


@compiled
def _arcs(first: Numbers, group: Numbers, price: Numbers, holder: Numbers) -> Numbers:
    people = price.shape[1]
    arcs = np.full((people, people), NEVER)
    leaving = np.full((len(group), people), NEVER)
    for visit in range(len(first) - 1):
        _refresh(visit, first, group, price, holder, leaving)
        for seat in range(first[visit], first[visit + 1]):
            if holder[seat] >= 0:
                arcs[holder[seat]] = np.minimum(arcs[holder[seat]], leaving[seat])
    return arcs


@compiled
def _take(  # noqa: PLR0917
    newcomer: int, seat: int, begin: int, end: int, group: Numbers, price: Numbers, holder: Numbers
) -> None:
    """Give a visit a newcomer for a free seat: he takes it, or another one whose holder moves on, whichever is cheapest."""
    size = end - begin
    spent = np.full(size, NEVER)
    origin = np.full(size, NOBODY)
    spent[seat - begin] = 0
    moved = True
    while moved:
        moved = False
        for a in range(size):
            if spent[a] < NEVER:
                for b in range(size):
                    member = holder[begin + b]
                    if member >= 0 and price[group[begin + a], member] < NEVER:
                        step = price[group[begin + a], member] - price[group[begin + b], member]
                        if spent[a] + step < spent[b]:
                            spent[b], origin[b], moved = spent[a] + step, a, True
    at, least = seat - begin, NEVER
    for b in range(size):
        cost = price[group[begin + b], newcomer]
        if spent[b] < NEVER and cost < NEVER and spent[b] + cost < least:
            at, least = b, spent[b] + cost
    mover = newcomer
    while origin[at] >= 0:
        mover, holder[begin + at] = holder[begin + at], mover
        at = origin[at]
    holder[begin + at] = mover


@compiled
def _chain(  # noqa: PLR0917
    load: Numbers, limit: Numbers, arcs: Numbers, prices: Numbers, distance: Numbers, before: Numbers
) -> int:
    """Find the cheapest chain to somebody of the least load that may take one more visit, and bring the prices up to date.

    Dijkstra's method on costs reduced by the prices, which are therefore never negative. `distance` holds the costs of entering on
    call and is used up; `before` receives the way back. Returns the end of the chain, or -1.
    """
    people = len(load)
    done = np.zeros(people, np.bool_)
    lowest, spare = NEVER, NEVER  # the least load of anybody who may take more, and the least price at that load
    for i in range(people):
        before[i] = NOBODY
        if distance[i] < NEVER:
            distance[i] -= prices[i]
        if load[i] < limit[i]:
            if load[i] < lowest:
                lowest, spare = load[i], prices[i]
            elif load[i] == lowest:
                spare = min(spare, prices[i])
    target, reached, least = NOBODY, 0, NEVER
    while True:
        nearest = NOBODY
        for i in range(people):
            if not done[i] and distance[i] < NEVER and (nearest < 0 or distance[i] < distance[nearest]):
                nearest = i
        if nearest < 0:
            break
        reached = distance[nearest]
        if target >= 0 and load[target] == lowest and least <= reached + spare:
            break
        done[nearest] = True
        cost = reached + prices[nearest]
        if load[nearest] < limit[nearest] and (
            target < 0 or load[nearest] < load[target] or (load[nearest] == load[target] and cost < least)
        ):
            target, least = nearest, cost
        for i in range(people):
            if not done[i] and arcs[nearest, i] < NEVER:
                longer = cost + arcs[nearest, i] - prices[i]
                if longer < distance[i]:
                    distance[i], before[i] = longer, nearest
    if target >= 0:
        for i in range(people):
            prices[i] += distance[i] if done[i] else reached
    return target


@compiled
def _fill(first: Numbers, group: Numbers, price: Numbers, limit: Numbers, holder: Numbers) -> None:
    """Fill all seats that can be filled."""
    seats, people, visits = len(group), price.shape[1], len(first) - 1
    leaving = np.full((seats, people), NEVER)
    arcs = np.full((people, people), NEVER)
    given = np.empty((people, people), np.int64)  # the visit behind each arc
    joins = np.zeros((people, visits), np.bool_)
    load, prices = np.zeros(people, np.int64), np.zeros(people, np.int64)
    distance, before = np.empty(people, np.int64), np.empty(people, np.int64)
    stale = np.zeros(people, np.bool_)
    changed = np.empty(people + 1, np.int64)
    visit = 0
    for seat in range(seats):
        if seat == first[visit + 1]:
            visit += 1
        begin, end = first[visit], first[visit + 1]
        entering(group, price, holder, begin, end, passing(group, price, holder, begin, end), seat, distance)
        target = _chain(load, limit, arcs, prices, distance, before)
        if target < 0:
            continue
        load[target] += 1
        many, at = 0, target
        while (
            before[at] >= 0
        ):  # from the end of the chain, so that each visit still is as it was when its arc was computed
            place, leaver = given[before[at], at], before[at]
            free = first[place]
            while holder[free] != leaver:
                free += 1
            holder[free] = NOBODY
            _take(at, free, first[place], first[place + 1], group, price, holder)
            joins[leaver, place], joins[at, place], stale[at] = False, True, True
            changed[many] = place
            many, at = many + 1, leaver
        _take(at, seat, begin, end, group, price, holder)
        joins[at, visit], stale[at], changed[many] = True, True, visit
        for place in changed[: many + 1]:
            _refresh(place, first, group, price, holder, leaving)
            for member in holder[first[place] : first[place + 1]]:
                if member >= 0:
                    stale[member] = True
        for i in range(people):
            if stale[i]:
                stale[i] = False
                arcs[i, :] = NEVER
                for place in range(visits):
                    if joins[i, place]:
                        held = first[place]
                        while holder[held] != i:
                            held += 1
                        for k in range(people):
                            if leaving[held, k] < arcs[i, k]:
                                arcs[i, k], given[i, k] = leaving[held, k], place
