"""LightGBM's text model as plain data: read, checked to the last index, written again in one canonical form.

Nothing here calls LightGBM, whose parser crashes on damaged files (`service.md` D2): only text that passed these checks may
reach it. The canonical form keeps what a prediction needs and drops the rest: training parameters, gains, and the ranges of the
features, which would show single rows' values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from credit_tier.errors import LearningError

MAX_TREES = 5000
MAX_LEAVES = 256
MAX_DEPTH = 64
MAX_OUTPUT = 1000.0
"""The largest output of a leaf: odds beyond any number, and still small enough for sums to keep nine digits behind the point."""

GRID = 2.0**32
"""Steps to one unit of raw score on which the outputs of a fitted forest lie, so that their sums are exact in any order."""

NAN_IS_MISSING = 8
DEFAULT_LEFT = 2
DECISIONS = (0, DEFAULT_LEFT, NAN_IS_MISSING, NAN_IS_MISSING | DEFAULT_LEFT)
"""Numeric splits that treat NaN as missing, or meet none; anything else (categories, zero as missing) is refused."""

_INTEGER = re.compile(r"-?\d{1,18}")


class Boxes(NamedTuple):
    """Where the m leaves of a tree lie, along the k columns it uses.

    Attributes
    ----------
    used : shape (k,); the columns.
    low, high, nan : shape (m, k); the interval (low, high] that leads to the leaf, and whether NaN does.
    share : shape (m, k); of the training rows that met splits on the column along the leaf's way, the share that went on; 1 where
        there are none, below 1 otherwise.
    """

    used: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    nan: NDArray[np.bool_]
    share: NDArray[np.float64]


@dataclass(frozen=True)
class Tree:
    """One binary tree of m leaves, m >= 2.

    Attributes
    ----------
    feature, decision : shape (m-1,); the column of each split, LightGBM's decision bits.
    threshold : shape (m-1,); a row goes left if its value <= threshold.
    left, right : shape (m-1,); a child >= 0 is a split, a child c < 0 the leaf ~c.
    value, count : shape (m,); output of each leaf, training rows in it.
    split_count : shape (m-1,); training rows in each split.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    decision: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: NDArray[np.float64]
    count: NDArray[np.int64]
    split_count: NDArray[np.int64]

    @property
    def expected(self) -> float:
        """Return the mean output over the training rows that grew the tree."""
        return float(np.dot(self.value, self.count) / self.count.sum())

    def fault(self, features: int) -> str | None:
        """Return what is wrong with the structure, or None."""
        m = len(self.value)
        sizes = {
            name: len(getattr(self, name))
            for name in ("feature", "threshold", "decision", "left", "right", "split_count")
        }
        wrong = next((name for name, size in sizes.items() if size != m - 1), None)
        if not 2 <= m <= MAX_LEAVES or wrong is not None or len(self.count) != m:
            return f"has {m} leaves and does not list as many {wrong or 'counts'} as that takes"
        children = np.concatenate((self.left, self.right))
        parents = np.concatenate((np.arange(m - 1), np.arange(m - 1)))
        inner = children >= 0
        checks = (
            ("splits on a column that does not exist", bool(((self.feature >= 0) & (self.feature < features)).all())),
            ("has an unknown kind of split", bool(np.isin(self.decision, DECISIONS).all())),
            ("has a threshold that is not finite", bool(np.isfinite(self.threshold).all())),
            ("has a leaf that no log-odds can be", bool((np.abs(self.value) <= MAX_OUTPUT).all())),
            ("has a split above its parent", bool((children[inner] > parents[inner]).all())),
            ("does not use every split once", np.array_equal(np.sort(children[inner]), np.arange(1, m - 1))),
            ("does not use every leaf once", np.array_equal(np.sort(~children[~inner]), np.arange(m))),
        )
        for text, holds in checks:
            if not holds:
                return text
        rows = np.where(
            inner, self.split_count[np.where(inner, children, 0)], self.count[np.where(inner, 0, ~children)]
        )
        if (self.count < 1).any() or not np.array_equal(rows[: m - 1] + rows[m - 1 :], self.split_count):
            return "has row counts that do not add up"
        depth = np.ones(m - 1, np.int64)
        for node, child in zip(parents[inner], children[inner], strict=True):
            depth[child] = depth[node] + 1
        return None if depth.max() <= MAX_DEPTH else f"is deeper than {MAX_DEPTH}"

    def boxes(self) -> Boxes:
        """Return which values of each column lead to each leaf."""
        used = np.unique(self.feature)
        at = {int(f): i for i, f in enumerate(used)}
        m = len(self.value)
        low, high = np.full((m, len(used)), -np.inf), np.full((m, len(used)), float(np.finfo(np.float32).max))
        nan, share = np.ones((m, len(used)), bool), np.ones((m, len(used)))
        stack = [(0, low[0].copy(), high[0].copy(), nan[0].copy(), share[0].copy())]
        while stack:
            node, a, b, n, s = stack.pop()
            if node < 0:
                low[~node], high[~node], nan[~node], share[~node] = a, b, n, s
                continue
            j, cut, bits = at[int(self.feature[node])], float(self.threshold[node]), int(self.decision[node])
            nan_left = bool(bits & DEFAULT_LEFT) if bits & NAN_IS_MISSING else cut >= 0
            for child, goes_left in ((int(self.left[node]), True), (int(self.right[node]), False)):
                a2, b2, n2, s2 = a.copy(), b.copy(), n.copy(), s.copy()
                if goes_left:
                    b2[j] = min(b2[j], cut)
                else:
                    a2[j] = max(a2[j], cut)
                n2[j] = n2[j] and nan_left == goes_left
                s2[j] *= (self.split_count[child] if child >= 0 else self.count[~child]) / self.split_count[node]
                stack.append((child, a2, b2, n2, s2))
        return Boxes(used, low, high, nan, share)

    def breaks(self, directions: NDArray[np.int64]) -> set[int]:
        """Return the columns along which the tree moves against its direction, for some row; exact, not by trial rows.

        Two leaves are compared along a column if some row could move from one to the other by that column alone.
        """
        used, low, high, nan, _ = self.boxes()
        meet = (np.maximum(low[:, None], low[None]) < np.minimum(high[:, None], high[None])) | (
            nan[:, None] & nan[None]
        )
        rise = self.value[None, :] - self.value[:, None]
        broken = set()
        for j, feature in enumerate(used):
            sign = int(directions[feature])
            if sign == 0:
                continue
            others = np.delete(meet, j, axis=2).all(axis=2)
            real = low[:, j] < high[:, j]
            below = (high[:, None, j] <= low[None, :, j]) & real[:, None] & real[None, :]
            if (sign * rise[others & below] < -1e-12).any():
                broken.add(int(feature))
        return broken


@dataclass(frozen=True)
class Forest:
    """A binary classifier's trees; the raw score of a row is the sum of its leaves."""

    names: tuple[str, ...]
    directions: tuple[int, ...]
    trees: tuple[Tree, ...]

    def on_grid(self) -> Forest:
        """Return the forest with every output moved to the nearest of :data:`GRID`: rows in the same leaves then have one score."""
        return replace(self, trees=tuple(replace(tree, value=np.rint(tree.value * GRID) / GRID) for tree in self.trees))

    def grouped(self, sets: Sequence[AbstractSet[int]]) -> tuple[Forest, tuple[tuple[int, int], ...]]:
        """Return the forest with the trees of each set side by side, and (start, number of trees) of each set.

        Parameters
        ----------
        sets : sets of columns; a tree belongs to the first that holds all of its own.

        Raises
        ------
        LearningError (CT-LEARN-013) if no set holds the columns of a tree.
        """
        lots: list[list[Tree]] = [[] for _ in sets]
        for i, tree in enumerate(self.trees):
            used = set(tree.feature.tolist())
            lot = next((lot for lot, one in zip(lots, sets, strict=True) if used <= one), None)
            if lot is None:
                raise LearningError.of(
                    "CT-LEARN-013",
                    where=f"tree {i}",
                    what="一棵树跨越两个维度 · a tree uses features of two dimensions that no bridge joins.",
                )
            lot.append(tree)
        ends = np.cumsum([0, *map(len, lots)])
        ordered = tuple(tree for lot in lots for tree in lot)
        return replace(self, trees=ordered), tuple((int(a), int(b - a)) for a, b in pairwise(ends))

    def broken_directions(self) -> tuple[str, ...]:
        """Return the names of columns along which some tree moves against its direction; empty if the model is monotone."""
        signs = np.array(self.directions, np.int64)
        broken = set().union(*(tree.breaks(signs) for tree in self.trees)) if signs.any() else set()
        return tuple(self.names[i] for i in sorted(broken))

    def render(self) -> str:
        """Return the canonical text: LightGBM reads it, :meth:`read` reads it, equal forests give equal bytes."""
        head = [
            "tree",
            "version=v4",
            "num_class=1",
            "num_tree_per_iteration=1",
            "label_index=0",
            f"max_feature_idx={len(self.names) - 1}",
            "objective=binary sigmoid:1",
            f"feature_names={' '.join(self.names)}",
            f"monotone_constraints={_line(self.directions)}",
            f"feature_infos={' '.join(['none'] * len(self.names))}",
            "",
        ]
        blocks = [_tree_text(i, tree) for i, tree in enumerate(self.trees)]
        return "\n".join(head) + "\n" + "\n\n".join(blocks) + "\n\nend of trees\n"

    @classmethod
    def read(cls, text: str, *, where: str = "model.txt") -> Forest:
        """Read LightGBM's text and check every index, count and number.

        A tree of one leaf, which LightGBM writes when it finds no split, is added to the next tree.

        Raises
        ------
        LearningError : CT-LEARN-043 the text or a tree is not sound, CT-LEARN-011 no tree has a split.
        """
        body, end, _ = text.partition("end of trees")
        head, *blocks = body.split("\nTree=")
        facts = _pairs(head)
        names = tuple(facts.get("feature_names", "").split(" "))
        fixed = {"version": "v4", "num_class": "1", "num_tree_per_iteration": "1", "objective": "binary sigmoid:1"}
        wrong = [key for key, value in fixed.items() if facts.get(key) != value]
        if not end or wrong or facts.get("max_feature_idx") != str(len(names) - 1) or len(blocks) > MAX_TREES:
            raise _unsound(where, f"its head is not that of a binary model ({', '.join(wrong) or 'size'})")
        directions = tuple(_integers(facts.get("monotone_constraints", " ".join(["0"] * len(names))), where).tolist())
        if len(directions) != len(names) or any(d not in {-1, 0, 1} for d in directions):
            raise _unsound(where, "its monotone constraints do not fit its features")
        trees: list[Tree] = []
        constant = 0.0
        for i, block in enumerate(blocks):
            tree = _tree_of(_pairs(block), where)
            if len(tree.value) == 1 and np.isfinite(tree.value).all():
                constant += float(tree.value[0])
                continue
            fault = tree.fault(len(names))
            if fault:
                raise _unsound(where, f"tree {i} {fault}")
            trees.append(replace(tree, value=tree.value + constant) if constant else tree)
            constant = 0.0
        if not trees:
            raise LearningError.of(
                "CT-LEARN-011",
                where=where,
                what="没有任何有用的划分 · no split improved the model.",
                advice="Lower min_rows_in_leaf, or check that the features hold information before as_of.",
            )
        return cls(names, directions, tuple(trees))


def _pairs(text: str) -> Mapping[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _unsound(where: str, what: str) -> LearningError:
    return LearningError.of(
        "CT-LEARN-043",
        where=where,
        what=f"模型文件结构有误 · {what}.",
        advice="Take the bundle from the registry again.",
    )


def _integers(text: str, where: str) -> NDArray[np.int64]:
    tokens = text.split()
    if not all(_INTEGER.fullmatch(token) for token in tokens):
        raise _unsound(where, "a list of whole numbers holds something else")
    return np.array([int(token) for token in tokens], np.int64)


def _floats(text: str, where: str) -> NDArray[np.float64]:
    try:
        return np.array([float(token) for token in text.split()], np.float64)
    except ValueError:
        raise _unsound(where, "a list of numbers holds something else") from None


def _line(values: Sequence[int] | NDArray[np.int64]) -> str:
    return " ".join(str(int(v)) for v in values)


def _float_line(values: NDArray[np.float64]) -> str:
    return " ".join(f"{float(v):.17g}" for v in values)


def _tree_of(facts: Mapping[str, str], where: str) -> Tree:
    if facts.get("num_cat", "0") != "0" or facts.get("is_linear", "0") != "0":
        raise _unsound(where, "a tree splits on categories or holds a linear model")

    def whole(name: str) -> NDArray[np.int64]:
        return _integers(facts.get(name, ""), where)

    def real(name: str) -> NDArray[np.float64]:
        return _floats(facts.get(name, ""), where)

    # LightGBM writes inf where a split only parts missing values from the others; no value of a row is infinite.
    biggest = np.finfo(np.float64).max
    tree = Tree(
        whole("split_feature"),
        np.clip(real("threshold"), -biggest, biggest),
        whole("decision_type"),
        whole("left_child"),
        whole("right_child"),
        real("leaf_value"),
        whole("leaf_count"),
        whole("internal_count"),
    )
    if facts.get("num_leaves") != str(len(tree.value)):
        raise _unsound(where, "a tree does not have the leaves it announces")
    return tree


def _tree_text(i: int, tree: Tree) -> str:
    return "\n".join(
        (
            f"Tree={i}",
            f"num_leaves={len(tree.value)}",
            "num_cat=0",
            f"split_feature={_line(tree.feature)}",
            f"threshold={_float_line(tree.threshold)}",
            f"decision_type={_line(tree.decision)}",
            f"left_child={_line(tree.left)}",
            f"right_child={_line(tree.right)}",
            f"leaf_value={_float_line(tree.value)}",
            f"leaf_count={_line(tree.count)}",
            f"internal_count={_line(tree.split_count)}",
            "is_linear=0",
            "shrinkage=1",
            "",
        )
    )
