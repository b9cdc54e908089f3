"""Which features a tree may combine, and to which contribution it belongs: a dimension, or a declared bridge between two.

LightGBM confines branches, not trees: where two bridges share a feature, one branch of a tree may lead over the one bridge and another
branch over the other. Such a tree is cut into several whose sum it is, each within one dimension or bridge.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from credit_tier.errors import Fault, LearningError
from credit_tier.learning.forest import GRID, MAX_TREES, Forest, Tree
from credit_tier.specs.feature import FeatureSpec
from credit_tier.specs.model import Bridge


@dataclass(frozen=True)
class Contribution:
    """One summand of a score: its id and the columns that its trees may use."""

    id: str
    columns: frozenset[int]


def contributions_of(features: tuple[FeatureSpec, ...], bridges: tuple[Bridge, ...] = ()) -> tuple[Contribution, ...]:
    """Return the dimensions of some features, in the order in which they first occur, and after them the bridges.

    Raises
    ------
    LearningError (CT-LEARN-015) if a bridge has the name of a dimension, or names a dimension or feature that is not there; all
        faults at once.
    """
    at: dict[str, list[int]] = {}
    for j, feature in enumerate(features):
        at.setdefault(feature.dimension, []).append(j)
    place = {feature.id: j for j, feature in enumerate(features)}
    joined = [frozenset(place[name] for end in bridge.ends(features) for name in end) for bridge in bridges]
    faults = [
        Fault(
            "CT-LEARN-015",
            f"trees.bridges {bridge.id}",
            f"桥接声明有误 · {what}.",
            f"Dimensions of the model: {', '.join(at)}.",
        )
        for bridge in bridges
        for what in bridge.faults(features)
    ]
    if faults:
        raise LearningError(*faults)
    dimensions = [Contribution(name, frozenset(columns)) for name, columns in at.items()]
    return (*dimensions, *(Contribution(bridge.id, one) for bridge, one in zip(bridges, joined, strict=True)))


def cut(forest: Forest, sets: Sequence[AbstractSet[int]]) -> Forest:
    """Return a forest of the same scores and the same contribution of every feature, whose trees each use columns of one set.

    Parameters
    ----------
    forest : outputs on :data:`~credit_tier.learning.forest.GRID`, so that nothing is lost by adding and subtracting them; the columns
        on the way to any leaf lie in one set.

    Raises
    ------
    LearningError (CT-LEARN-013) if the way to a leaf leaves all sets, or more trees come out than a model may have.
    """
    trees = tuple(piece for i, tree in enumerate(forest.trees) for piece in _pieces(tree, sets, where=f"tree {i}"))
    if len(trees) > MAX_TREES:
        raise LearningError.of(
            "CT-LEARN-013",
            where="fit",
            what=f"树太多 · the bridges cut {len(forest.trees)} trees into {len(trees)}, more than {MAX_TREES}.",
            advice="Declare fewer rounds or leaves, or bridges that share no feature.",
        )
    return replace(forest, trees=trees)


def _pieces(tree: Tree, sets: Sequence[AbstractSet[int]], *, where: str) -> list[Tree]:
    """Return the tree itself if one set holds its columns. Else cut off its largest subtrees that, with the way to them, lie in one
    set: each becomes a tree, less its mean, which takes its place.
    """

    def fits(columns: AbstractSet[int]) -> bool:
        return any(columns <= one for one in sets)

    splits = len(tree.feature)
    above: list[frozenset[int]] = [frozenset()] * splits
    below: list[frozenset[int]] = [frozenset({int(f)}) for f in tree.feature]
    mean = np.zeros(splits)
    parent = np.full(splits, -1)

    def value(child: int) -> float:
        return float(mean[child] if child >= 0 else tree.value[~child])

    def rows(child: int) -> int:
        return int(tree.split_count[child] if child >= 0 else tree.count[~child])

    for node in reversed(range(splits)):
        children = (int(tree.left[node]), int(tree.right[node]))
        total = sum(value(child) * rows(child) for child in children)
        mean[node] = np.rint(total / rows(node) * GRID) / GRID
        for child in children:
            if child >= 0:
                below[node] |= below[child]
                parent[child] = node
    for node in range(splits):
        above[node] = (above[parent[node]] if node else frozenset()) | {int(tree.feature[node])}
    whole = np.array([fits(up | down) for up, down in zip(above, below, strict=True)])
    if whole[0]:
        return [tree]
    tops = [node for node in np.flatnonzero(whole).tolist() if not whole[parent[node]]]
    if not tops:
        raise LearningError.of(
            "CT-LEARN-013",
            where=where,
            what="一棵树跨越两个维度 · a tree uses features of two dimensions that no bridge joins.",
        )
    rest = _kept(tree, ~whole, mean, tree.value)
    found = _pieces(rest, sets, where=where)
    for top in tops:
        keep, inside = np.zeros(splits, bool), np.zeros(splits, bool)
        way = top
        while way >= 0:
            keep[way] = True
            way = int(parent[way])
        output = np.zeros(splits + 1)
        inside[top] = True
        for node in range(top, splits):
            inside[node] |= node != top and inside[parent[node]]
            if inside[node]:
                leaves = [~int(child) for child in (tree.left[node], tree.right[node]) if child < 0]
                output[leaves] = tree.value[leaves] - mean[top]
        found.append(_kept(tree, keep | inside, np.zeros(splits), output))
    return found


def _kept(tree: Tree, keep: NDArray[np.bool_], mean: NDArray[np.float64], value: NDArray[np.float64]) -> Tree:
    """Return the tree with some of its splits, the root among them; a split that is left out becomes a leaf with its mean."""
    number = np.cumsum(keep) - 1
    output: list[float] = []
    count: list[int] = []

    def child(old: int) -> int:
        if old >= 0 and keep[old]:
            return int(number[old])
        output.append(float(mean[old] if old >= 0 else value[~old]))
        count.append(int(tree.split_count[old] if old >= 0 else tree.count[~old]))
        return -len(output)

    nodes = np.flatnonzero(keep)
    return Tree(
        tree.feature[nodes],
        tree.threshold[nodes],
        tree.decision[nodes],
        np.array([child(int(tree.left[node])) for node in nodes], np.int64),
        np.array([child(int(tree.right[node])) for node in nodes], np.int64),
        np.array(output),
        np.array(count, np.int64),
        tree.split_count[nodes],
    )
