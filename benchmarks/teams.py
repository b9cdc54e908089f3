"""Teams of two for 200 x 60, 1,000 x 100 and 3,000 visits x 300 inspectors: our exchanges against OR-tools, NetworkX and SciPy's HiGHS.

All are asked for the same: the least hash cost among the most even loads. Ours starts from the bare problem; the others get the part of
the network in which all most even teams lie. Who differs from ours is counted. NetworkX and HiGHS take part up to a size at which they
need minutes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np

from credit_tier.sampling.exchange import Numbers, Problem, fill
from credit_tier.sampling.prices import prices_of
from credit_tier.sampling.solvers import solve

SIZES = ((200, 60), (1_000, 100), (3_000, 300))
LARGEST = {"networkx": 200, "highs": 1_000}
"""Most visits for which an alternative is asked."""


def problem(visits: int, people: int, seed: int) -> Problem:
    """Return random costs; one pair in twenty is barred."""
    rng = np.random.default_rng(seed)
    cost = rng.integers(0, 1 << 40, (visits, people))
    cost[rng.random(cost.shape) < 0.05] = -1
    return Problem(np.arange(visits), np.full(visits, 2), cost, np.full(people, visits))


def highs(item: Problem) -> Numbers:
    """Return the teams of a linear programme in doubles, loads between the two whole numbers next to their mean."""
    from scipy.optimize import linprog
    from scipy.sparse import coo_array, vstack

    group, who = np.nonzero(item.cost >= 0)
    ones, edges = np.ones(len(group)), np.arange(len(group))
    seats = coo_array((ones, (group, edges)))
    loads = coo_array((ones, (who, edges)))
    mean, more = divmod(int(item.count.sum()), item.cost.shape[1])
    bounds = np.concatenate([np.full(loads.shape[0], mean + (more > 0)), np.full(loads.shape[0], -mean)])
    found = linprog(
        item.cost[group, who] / 2**40,
        A_ub=vstack([loads, -loads]).tocsr(),
        b_ub=bounds,
        A_eq=seats.tocsr(),
        b_eq=item.count,
        bounds=(0, 1),
        method="highs",
    )
    return who[np.round(found.x).astype(bool)]


def timed(work: Callable[[], Numbers], repeats: int) -> tuple[float, Numbers]:
    """Return the median seconds and the result."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - started)
    return sorted(seconds)[len(seconds) // 2], result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    fill(problem(3, 4, 0))  # compiles
    print(f"{'visits x people':>16} {'edges':>9}  {'solver':10} {'seconds':>8} {'x ours':>7}  differs")
    for visits, people in SIZES:
        item = problem(visits, people, seed=1)
        edges = int((item.cost >= 0).sum())
        ours, teams = timed(lambda: fill(item), repeats)  # noqa: B023 - called at once
        proof, prices = timed(lambda: np.array([prices_of(item, teams) is not None]), repeats)  # noqa: B023
        assert prices.all()
        load = item.loads(teams)
        assert load.max() - load.min() <= 1
        pairs = {*zip(item.group.tolist(), teams.tolist(), strict=True)}
        print(
            f"{visits:>8,} x {people:>5} {edges:>9,}  {'exchange':10} {ours:>8.2f} {1:>7}  spread {load.max() - load.min()}"
        )
        print(f"{'':>16} {'':>9}  {'  prices':10} {proof:>8.2f}")
        for name in ("ortools", "networkx", "highs"):
            if visits <= LARGEST.get(name, visits):
                work = (lambda: highs(item)) if name == "highs" else (lambda name=name: solve(item, name))  # noqa: B023
                seconds, other = timed(work, 1)
                missed = len(pairs - {*zip(item.group.tolist(), other.tolist(), strict=True)})
                print(f"{'':>16} {'':>9}  {name:10} {seconds:>8.2f} {seconds / ours:>7.1f}  {missed}")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
