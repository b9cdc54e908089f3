"""The exchange method finds the least unequal loads and, among them, the unique least cost; prices prove it; shortages are true and minimal."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest

from credit_tier.errors import DrawError
from credit_tier.sampling.blocking import blocks, refusal
from credit_tier.sampling.eligible import LEAD, RECUSED, Group, Visit
from credit_tier.sampling.exchange import Problem, fill
from credit_tier.sampling.prices import prices_of
from credit_tier.sampling.roster import Inspector, Roster
from credit_tier.sampling.solvers import SOLVERS, solve
from credit_tier.sampling.timetable import Appointment, timetable
from credit_tier.specs.teams import DaysSpec, SeatSpec


def instance(number: int, *, visits: int, people: int, ties: bool = False) -> Problem:
    """Return a random problem: one to three groups a visit, some without eligible people, some with tight limits."""
    rng = np.random.default_rng(number)
    counts = rng.integers(1, 3, int(rng.integers(1, 4)))
    cost = rng.integers(0, 3 if ties else 1 << 40, (len(counts) * visits, people))
    cost[rng.random(cost.shape) > rng.choice([0.5, 0.8, 1.0])] = -1
    limit = np.full(people, visits if rng.random() < 0.5 else int(rng.integers(1, visits + 1)))
    return Problem(np.repeat(np.arange(visits), len(counts)), np.tile(counts, visits), cost, limit)


def every_team(problem: Problem, visit: int) -> list[tuple[tuple[int, ...], int]]:
    """Return the members and the cost of every eligible team of a visit, by brute force."""
    groups = [g for g in range(len(problem.visit)) if problem.visit[g] == visit]
    choices = [combinations(np.flatnonzero(problem.cost[g] >= 0).tolist(), int(problem.count[g])) for g in groups]
    found = []
    for parts in product(*choices):
        team = tuple(member for part in parts for member in part)
        if len(set(team)) == len(team):
            cost = sum(int(problem.cost[g, m]) for g, part in zip(groups, parts, strict=True) for m in part)
            found.append((team, cost))
    return found


@pytest.mark.parametrize("ties", [False, True])
def test_no_choice_of_teams_is_more_even_or_as_even_and_cheaper(ties):
    """Against all choices of eligible teams of 150 small problems: sorted loads are majorised by all others, the cost is the least."""
    solved = 0
    for number in range(150):
        problem = instance(number, visits=3, people=4, ties=ties)
        best = None
        for teams in product(*(every_team(problem, visit) for visit in range(3))):
            load = np.bincount([m for team, _ in teams for m in team], minlength=4)
            if (load <= problem.limit).all():
                found = (int((load * (load + 1)).sum()), sum(cost for _, cost in teams))
                best = found if best is None else min(best, found)
        holder = fill(problem)
        assert (holder >= 0).all() == (best is not None)
        if best is not None:
            solved += 1
            load = problem.loads(holder)
            assert (load <= problem.limit).all()
            cost = sum(int(problem.cost[g, m]) for g, m in zip(problem.group, holder, strict=True))
            assert (int((load * (load + 1)).sum()), cost) == best
            assert prices_of(problem, holder) is not None
    assert 30 < solved < 150


def test_solvers_agree_on_random_problems():
    """NetworkX and OR-tools give the same teams on 120 random problems of up to 9 visits and 11 people."""
    solved = 0
    for number in range(120):
        problem = instance(number, visits=1 + number % 9, people=2 + number % 10)
        teams = [
            {(g, m) for g, m in zip(problem.group.tolist(), solve(problem, solver).tolist(), strict=True)}
            for solver in SOLVERS
        ]
        if all(m >= 0 for _, m in teams[0]):
            solved += 1
            assert teams[0] == teams[1] == teams[2]
    assert solved > 30


@pytest.mark.slow
def test_solvers_agree_on_a_thousand_visits():
    """OR-tools gives the same teams, leaders and members, for 1,000 visits and 100 people; loads are even."""
    rng = np.random.default_rng(2)
    cost = rng.integers(0, 1 << 40, (2_000, 100))
    cost[rng.random(cost.shape) < 0.3] = -1
    problem = Problem(np.repeat(np.arange(1_000), 2), np.ones(2_000, np.int64), cost, np.full(100, 1_000))
    holder = fill(problem)
    assert (solve(problem, "ortools") == holder).all()
    assert set(problem.loads(holder).tolist()) == {20}
    assert prices_of(problem, holder) is not None


def test_full_network_agrees_too():
    """NetworkX on the undivided network, evenness and hash costs in one number, gives the same teams: nothing is lost by taking them in turn."""
    import networkx

    solved = 0
    for number in range(40):
        problem = instance(number, visits=2 + number % 3, people=6)
        seats, weight = len(problem.group), (len(problem.group) + 1) << 40
        graph = networkx.DiGraph()
        graph.add_node("end", demand=seats)
        for i in range(6):
            for k in range(1, int(problem.limit[i]) + 1):
                graph.add_edge(i, (i, k), capacity=1, weight=weight * k)
                graph.add_edge((i, k), "end", capacity=1)
        for g, visit in enumerate(problem.visit.tolist()):
            graph.add_node(("group", g), demand=-int(problem.count[g]))
            for i in np.flatnonzero(problem.cost[g] >= 0).tolist():
                graph.add_edge(("group", g), ("pair", visit, i), capacity=1, weight=int(problem.cost[g, i]))
                graph.add_edge(("pair", visit, i), i, capacity=1)
        holder = fill(problem)
        if (holder < 0).any():
            with pytest.raises(networkx.NetworkXUnfeasible):
                networkx.network_simplex(graph)
            continue
        solved += 1
        _, flow = networkx.network_simplex(graph)
        theirs = {(g, pair[2]) for g in range(len(problem.count)) for pair, used in flow["group", g].items() if used}
        assert theirs == set(zip(problem.group.tolist(), holder.tolist(), strict=True))
    assert solved > 10


def test_prices_refuse_other_teams():
    """Teams that are eligible but dearer, or uneven, have no prices."""
    problem = Problem(np.arange(4), np.ones(4, np.int64), np.array([[5, 1], [1, 5], [5, 2], [1, 6]]), np.full(2, 4))
    assert fill(problem).tolist() == [1, 0, 1, 0]
    assert prices_of(problem, np.array([1, 0, 1, 0])) is not None
    assert prices_of(problem, np.array([0, 1, 1, 0])) is None
    assert prices_of(problem, np.array([0, 0, 1, 0])) is None
    team = Problem(np.zeros(2, np.int64), np.ones(2, np.int64), np.array([[5, 1], [1, 5]]), np.full(2, 4))
    assert fill(team).tolist() == [1, 0]
    assert prices_of(team, np.array([0, 1])) is None


def groups(problem: Problem) -> list[Group]:
    return [Group(int(v), "market", "lead", SeatSpec(role="lead"), ("market",), ("food",)) for v in problem.visit]


ROSTER = Roster.of([Inspector(f"P{i}", "market") for i in range(6)])


def test_a_shortage_is_reported_as_the_smallest_set_with_what_helps():
    """Of forty visits three share one leader who may make two: these three are named, no other, and what suffices is tried, not guessed."""
    visits = 40
    against = np.zeros((visits, 6), np.uint8)
    against[:3, 1:] = LEAD
    against[:3, 5] = RECUSED
    problem = Problem(
        np.arange(visits), np.ones(visits, np.int64), np.where(against == 0, 7, -1), np.array([2, 40, 40, 40, 40, 40])
    )
    holder = fill(problem)
    assert (holder < 0).sum() == 1
    (block,) = blocks(problem, holder, groups(problem), against)
    assert block.visits == (0, 1, 2)
    assert (block.inspectors, block.needed, block.available) == ((0,), 3, 2)
    assert block.is_minimal
    assert block.only == {LEAD: 4, RECUSED: 1}
    assert block.helps == (LEAD,)
    assert block.limit_helps
    text = str(
        refusal(
            [block],
            groups(problem),
            [Visit(f"E{i}", "", "320506", ("market",)) for i in range(visits)],
            ROSTER,
            where="x",
        )
    )
    for word in (
        "CT-DRAW-032",
        "3 visits block",
        "1 short",
        "food",
        "320506",
        "name another leader",
        "1 more inspector",
        "are recused",
    ):
        assert word in text
    assert "E0" not in text


def test_many_shortages_are_told_apart_and_a_busy_colleague_is_not_blamed():
    """Seventy visits that lack a second person are seventy blocks of one visit, though the same inspector goes to all; the message describes ten."""
    visits = 70
    against = np.zeros((visits, 6), np.uint8)
    against[:, 1:] = LEAD
    problem = Problem(np.arange(visits), np.full(visits, 2), np.where(against == 0, 7, -1), np.full(6, visits))
    holder = fill(problem)
    found = blocks(problem, holder, groups(problem), against)
    assert {len(block.visits) for block in found} == {1}
    assert len(found) == visits
    places = [Visit(f"E{i}", "", "320506", ("market",)) for i in range(visits)]
    error = refusal(found, groups(problem), places, ROSTER, where="x")
    assert len(error.faults) == 11
    assert "60 more" in str(error)
    assert len(error.document["blocks"]) == visits  # type: ignore[arg-type]


def test_shortages_are_true_and_minimal_on_random_problems():
    """As many seats stay empty as the best choice leaves; without any visit of a block the rest of it can be filled; with it, not."""
    seen = 0
    for number in range(60):
        problem = instance(number, visits=5, people=5)
        holder = fill(problem)
        against = np.where(problem.cost < 0, LEAD, 0).astype(np.uint8)
        for block in blocks(problem, holder, groups(problem), against) if (holder < 0).any() else ():
            seen += 1
            assert block.needed > block.available
            for visit in (None, *block.visits):
                kept = [g for g in block.groups if problem.visit[g] != visit]
                if kept:
                    _, numbers = np.unique(problem.visit[kept], return_inverse=True)
                    part = Problem(numbers, problem.count[kept], problem.cost[kept], problem.limit)
                    assert (fill(part) < 0).any() == (visit is None)
            assert block.limit_helps == (not (fill(replace(_part(problem, block), limit=problem.limit + 1)) < 0).any())
    assert seen > 10


def _part(problem: Problem, block) -> Problem:
    kept = list(block.groups)
    _, numbers = np.unique(problem.visit[kept], return_inverse=True)
    return Problem(numbers, problem.count[kept], problem.cost[kept], problem.limit)


def test_a_full_calendar_is_found_and_an_overfull_one_refused():
    """Ten people in pairs, nine visits each, in nine days: every day holds five visits; in eight days it is impossible and said so."""
    pairs = [Appointment(f"{a}-{b}", "320506", (a, b)) for a in range(10) for b in range(a)]
    days = [f"2026-12-{d:02d}" for d in range(1, 11)]
    chosen = timetable(pairs, days, DaysSpec(), seed="ab")
    assert chosen == timetable(pairs, days, DaysSpec(), seed="ab") != timetable(pairs, days, DaysSpec(), seed="cd")
    for day in days:
        busy = [who for item, on in zip(pairs, chosen, strict=True) if on == day for who in item.team]
        assert len(busy) == len(set(busy))
    with pytest.raises(DrawError, match="at least 9 working days"):
        timetable(pairs, days[:8], DaysSpec(), seed="ab")
    with pytest.raises(DrawError, match="1 districts"):
        timetable(pairs, days, DaysSpec(per_district=4), seed="ab")
    assert max(np.unique(timetable(pairs, days, DaysSpec(per_district=5), seed="ab"), return_counts=True)[1]) <= 5


def test_everybody_of_a_pool_is_used_alike_over_many_seeds():
    """2,000 seeds, 12 visits of two, 9 people: each pair of visit and inspector comes as often as any other; no pair of colleagues three times the mean."""
    rng = np.random.default_rng(11)
    seeds, used, together = 2_000, np.zeros((12, 9)), np.zeros((9, 9))
    for _ in range(seeds):
        problem = Problem(np.arange(12), np.full(12, 2), rng.integers(0, 1 << 40, (12, 9)), np.full(9, 12))
        holder = fill(problem).reshape(12, 2)
        assert set(problem.loads(holder.ravel()).tolist()) <= {2, 3}
        used[np.arange(12)[:, None], holder] += 1
        together[holder.min(axis=1), holder.max(axis=1)] += 1
    share = 2 / 9
    band = 4.5 * np.sqrt(seeds * share * (1 - share))
    assert (np.abs(used - seeds * share) < band).all()
    pairs = together[np.triu_indices(9, 1)]
    assert pairs.max() <= 3 * pairs.mean()
