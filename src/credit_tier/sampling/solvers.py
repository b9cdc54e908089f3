"""The same teams by other people's solvers: NetworkX or OR-tools on the part of the network in which all most even teams lie.

Evenness is settled first, by prices without hash costs: they say who is needed, who may be taken, and between which two loads each
inspector stays (`prices`). What is left is a min-cost flow with one 40-bit cost per edge, which every solver takes.
Whatever comes back is checked by its own prices, so that no solver has to be trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from credit_tier.errors import MachineError
from credit_tier.sampling.exchange import NOBODY, Numbers, Problem, fill
from credit_tier.sampling.prices import prices_of

SOLVERS = ("exchange", "networkx", "ortools")


def solve(problem: Problem, solver: str) -> Numbers:
    """Return who takes each seat, shape (seats,); -1 for seats that nobody can take.

    Parameters
    ----------
    solver : `exchange` (the default everywhere), `networkx` or `ortools`.

    Raises
    ------
    MachineError (CT-DRAW-038) if OR-tools is wanted and not installed.
    """
    if solver == "exchange":
        return fill(problem)
    flow = {"networkx": _networkx, "ortools": _ortools}[solver]
    even = replace(problem, cost=np.where(problem.cost < 0, -1, 0))
    holder = fill(even)
    if (holder < 0).any() or not len(holder):
        return holder
    network = _network(problem, even, holder)
    chosen = flow(network)
    taken: list[list[int]] = [[] for _ in problem.count]
    for edge, used in zip(network.edges, chosen, strict=True):
        if edge.group != NOBODY and used + edge.least:
            taken[edge.group].append(edge.inspector)
    return np.array([who for members in taken for who in sorted(members)], np.int64)


@dataclass(frozen=True)
class _Edge:
    start: int
    end: int
    capacity: int
    cost: int = 0
    group: int = NOBODY
    inspector: int = NOBODY
    least: int = 0
    """Flow that is already in the supplies of its ends."""


@dataclass
class _Network:
    """Nodes with supplies and edges; lower bounds are already moved into the supplies."""

    supply: list[int] = field(default_factory=list)
    edges: list[_Edge] = field(default_factory=list)

    def node(self, supply: int = 0) -> int:
        self.supply.append(supply)
        return len(self.supply) - 1

    def edge(self, edge: _Edge, *, least: int = 0) -> None:
        """Add an edge that carries at least so much."""
        self.supply[edge.start] -= least
        self.supply[edge.end] += least
        self.edges.append(replace(edge, capacity=edge.capacity - least, least=least) if least else edge)


def _network(problem: Problem, even: Problem, holder: Numbers) -> _Network:
    prices = prices_of(even, holder)
    if prices is None:  # what fill returns is optimal
        raise AssertionError
    level = [a for a, _ in prices.inspectors]
    limit = problem.limit.tolist()
    network = _Network()
    sink = network.node(-len(holder))
    people = [network.node() for _ in level]
    for i, node in enumerate(people):
        least = min(level[i] - 1, limit[i])
        network.edge(_Edge(node, sink, min(level[i], limit[i])), least=least)
    for groups in _by_visit(problem):
        eligible = np.flatnonzero((problem.cost[groups] >= 0).any(axis=0)).tolist()
        excess = {i: max(prices.groups[g][0] - level[i] for g in groups if problem.cost[g, i] >= 0) for i in eligible}
        pairs = {}
        for i in eligible if len(groups) > 1 else ():  # nobody takes two seats of a visit
            pairs[i] = network.node()
            network.edge(_Edge(pairs[i], people[i], 1), least=int(excess[i] > 0))
        for g in groups:
            node = network.node(int(problem.count[g]))
            for i in np.flatnonzero(problem.cost[g] >= 0).tolist():
                if level[i] + max(0, excess[i]) == prices.groups[g][0]:
                    edge = _Edge(node, pairs.get(i, people[i]), 1, int(problem.cost[g, i]), g, i)
                    network.edge(edge, least=int(i not in pairs and excess[i] > 0))
    return network


def _by_visit(problem: Problem) -> Iterator[list[int]]:
    for visit in range(len(problem.first) - 1):
        yield list(range(*np.searchsorted(problem.visit, [visit, visit + 1]).tolist()))


def _networkx(network: _Network) -> list[int]:
    import networkx  # type: ignore[import-untyped]

    graph = networkx.DiGraph()
    graph.add_nodes_from((node, {"demand": -supply}) for node, supply in enumerate(network.supply))
    graph.add_edges_from((e.start, e.end, {"capacity": e.capacity, "weight": e.cost}) for e in network.edges)
    _, flow = networkx.network_simplex(graph)
    return [flow[edge.start][edge.end] for edge in network.edges]


def _ortools(network: _Network) -> list[int]:
    try:
        from ortools.graph.python.min_cost_flow import SimpleMinCostFlow  # type: ignore[import-untyped]
    except ImportError as error:
        raise MachineError.of(
            "CT-DRAW-038",
            where="ortools",
            what="未安装 OR-tools · OR-tools is not installed.",
            advice="pip install 'credit-tier[teams]', or leave the solver out: the teams are the same.",
        ) from error
    flow = SimpleMinCostFlow()
    add: Callable[[int, int, int, int], int] = flow.add_arc_with_capacity_and_unit_cost
    arcs = [add(edge.start, edge.end, edge.capacity, edge.cost) for edge in network.edges]
    for node, supply in enumerate(network.supply):
        flow.set_node_supply(node, supply)
    if flow.solve() != flow.OPTIMAL:  # a network of this form has a solution
        raise AssertionError
    return [flow.flow(arc) for arc in arcs]
