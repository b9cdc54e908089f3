"""Shapley values from tables: LightGBM's own to the last digits, exact sums, the definition itself on small trees, any shape of tree."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from credit_tier.errors import LearningError
from credit_tier.learning import patterns, shapley
from credit_tier.learning.forest import DEFAULT_LEFT, MAX_DEPTH, NAN_IS_MISSING, Forest, Tree
from credit_tier.learning.shapley import Shapley, gauss

BIG = float(np.finfo(np.float32).max)


def rows(n: int, columns: int, seed: int, missing: float = 0.3) -> NDArray[np.float32]:
    """Counts, amounts and flags, of which every third column has missing values."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, columns)).astype(np.float32)
    for j in range(columns):
        if j % 3 == 0:
            x[:, j] = np.floor(np.abs(x[:, j]) * 2)
        if j % 3 == 1:
            x[rng.random(n) < missing, j] = np.nan
        if j % 5 == 2:
            x[:, j] *= np.float32(1e30)
    return x


def grown(seed: int, columns: int, rounds: int, **settings: Any) -> lgb.Booster:
    x = rows(1500, columns, seed)
    rng = np.random.default_rng(seed)
    z = np.where(np.isnan(x), -0.7, np.clip(x, -2, 2)) @ rng.normal(size=columns)
    y = (rng.random(len(x)) < 1 / (1 + np.exp(-z))).astype(np.int8)
    facts = {"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": seed, "min_data_in_leaf": 5}
    return lgb.train(facts | settings, lgb.Dataset(x, y), rounds)


def hard_rows(forest: Forest, seed: int) -> NDArray[np.float32]:
    """Rows with values on, right below and right above thresholds, next to zero, missing everywhere, and as large as they get."""
    rng = np.random.default_rng(seed)
    feature = np.concatenate([tree.feature for tree in forest.trees])
    threshold = np.concatenate([tree.threshold for tree in forest.trees])
    x = np.empty((400, len(forest.names)), np.float32)
    for j in range(x.shape[1]):
        near = np.clip(threshold[feature == j], -BIG, BIG).astype(np.float32)
        around = [near, np.nextafter(near, np.float32(-BIG)), np.nextafter(near, np.float32(BIG))]
        edges = np.array([np.nan, 0.0, -0.0, 1e-36, -1e-36, 1e-35, -1e-35, 2e-35, -2e-35, BIG, -BIG], np.float32)
        x[:, j] = rng.choice(np.concatenate((*around, edges)), len(x))
    return np.concatenate((x, rows(400, x.shape[1], seed + 1, missing=0.6)))


def values_of(forest: Forest, x: NDArray[np.float32], *, threads: int = 1) -> NDArray[np.float64]:
    out = np.empty((len(x), len(forest.names)))

    def keep(first: int, values: NDArray[np.float64]) -> None:
        out[first : first + len(values)] = values

    unfilled = np.full(len(forest.names), np.nan, np.float32)
    assert not Shapley.of(forest).each(x, unfilled, keep, threads=threads)
    return out


def check(forest: Forest, booster: lgb.Booster, x: NDArray[np.float32]) -> None:
    """Contributions are those of `pred_contrib`; with the base they add up to the raw score of every row."""
    found = values_of(forest, x)
    wanted = np.asarray(booster.predict(x, pred_contrib=True, num_threads=1))
    np.testing.assert_allclose(found, wanted[:, :-1], rtol=0, atol=1e-9)
    base = math.fsum(tree.expected for tree in forest.trees)
    assert base == pytest.approx(wanted[0, -1], abs=1e-9)
    raw = np.asarray(booster.predict(x, raw_score=True, num_threads=1))
    np.testing.assert_allclose(base + found.sum(axis=1), raw, rtol=0, atol=1e-9)


SHAPES: dict[str, dict[str, Any]] = {
    "stumps": {"columns": 4, "rounds": 30, "num_leaves": 2},
    "one column": {"columns": 1, "rounds": 10, "num_leaves": 12},
    "small, confined": {
        "columns": 12,
        "rounds": 40,
        "num_leaves": 4,
        "interaction_constraints": [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]],
    },
    "wide, confined": {
        "columns": 41,
        "rounds": 40,
        "num_leaves": 15,
        "interaction_constraints": [list(range(0, 41, 2)), list(range(1, 41, 2))],
    },
    "monotone": {
        "columns": 6,
        "rounds": 30,
        "num_leaves": 8,
        "monotone_constraints": [1, -1, 0, 1, 0, -1],
        "monotone_constraints_method": "intermediate",
    },
    "free": {"columns": 20, "rounds": 25, "num_leaves": 31},
    "deep and uneven": {"columns": 30, "rounds": 6, "num_leaves": 120, "min_data_in_leaf": 1, "learning_rate": 0.5},
    "few of many columns": {"columns": 60, "rounds": 5, "num_leaves": 6, "feature_fraction": 0.1},
    "no missing type": {"columns": 9, "rounds": 20, "num_leaves": 9, "use_missing": False},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", [1, 2])
def test_contributions_and_scores_are_lightgbms(shape: str, seed: int) -> None:
    """Whatever the shape of the trees: each contribution, the base and every row's sum agree with LightGBM to 1e-9."""
    booster = grown(seed, **SHAPES[shape])
    forest = Forest.read(booster.model_to_string())
    check(forest, booster, hard_rows(forest, seed))


def test_the_canonical_text_gives_lightgbm_the_same_model() -> None:
    """What is scored is what the written text says, not what was in memory before."""
    forest = Forest.read(grown(3, 12, 20, num_leaves=7).model_to_string())
    check(forest, lgb.Booster(model_str=forest.render()), hard_rows(forest, 3))


@pytest.mark.parametrize("lines", [1, 4, 32])
def test_cutting_trees_finer_changes_nothing(lines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With tables of few lines trees are cut into many pieces, and leaves with long ways are worked out row by row."""
    booster = grown(4, 30, 6, num_leaves=60, min_data_in_leaf=1)
    forest = Forest.read(booster.model_to_string())
    monkeypatch.setattr(patterns, "LINES", lines)
    parts, loose = patterns.plan(forest)
    assert len(loose) > 0
    assert max(part.lines for part in parts) <= patterns.ALONE * lines
    assert sum(len(part.leaves) for part in parts) + len(loose) == sum(len(tree.value) for tree in forest.trees)
    check(forest, booster, hard_rows(forest, 4))


def test_tables_stay_within_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A forest too large for its tables gets smaller ones, down to none at all, and the same values."""
    booster = grown(5, 20, 8, num_leaves=31)
    forest = Forest.read(booster.model_to_string())
    for memory in (20_000, 0):
        monkeypatch.setattr(patterns, "MEMORY", memory)
        assert Shapley.of(forest).tables.number.size <= memory
        check(forest, booster, hard_rows(forest, 5))


def test_trees_of_one_leaf_only_move_the_base() -> None:
    """LightGBM writes a tree of one leaf where it finds no split."""
    head, *trees = grown(6, 5, 3, num_leaves=4).model_to_string().split("Tree=")
    single = "1\nnum_leaves=1\nnum_cat=0\nleaf_value=0.25\nis_linear=0\nshrinkage=1\n\n\n"
    head = "\n".join(line for line in head.splitlines() if not line.startswith("tree_sizes")) + "\n\n"
    text = "Tree=".join((head, trees[0], single, *trees[1:]))
    forest, booster = Forest.read(text), lgb.Booster(model_str=text)
    assert (len(forest.trees), booster.num_trees()) == (3, 4)
    check(forest, booster, hard_rows(forest, 6))


def test_zero_as_missing_and_categories_are_refused() -> None:
    """Trees that read 0 as missing or split on categories are not read at all, so they are never scored wrongly."""
    with pytest.raises(LearningError, match="CT-LEARN-043"):
        Forest.read(grown(7, 6, 3, zero_as_missing=True).model_to_string())
    x = rows(1500, 3, 7, missing=0)
    data = lgb.Dataset(np.abs(x[:, :1]).astype(np.int32) % 5, x[:, 0] > 1, categorical_feature=[0])
    grouped = lgb.train({"objective": "binary", "verbosity": -1, "num_threads": 1}, data, 2)
    with pytest.raises(LearningError, match="CT-LEARN-043"):
        Forest.read(grouped.model_to_string())


def chain(depth: int, rng: np.random.Generator) -> Forest:
    """One tree in which every split asks another column and one child of each is a leaf."""
    count = np.concatenate((rng.integers(1, 5000, depth), [37]))
    split = np.cumsum(count[::-1])[1:][::-1]
    left = np.array([~i for i in range(depth)])
    right = np.array([*range(1, depth), ~depth])
    turned = rng.random(depth) < 0.5
    left, right = np.where(turned, right, left), np.where(turned, left, right)
    decision = rng.choice([0, DEFAULT_LEFT, NAN_IS_MISSING, NAN_IS_MISSING | DEFAULT_LEFT], depth)
    tree = Tree(
        np.arange(depth), rng.normal(size=depth), decision, left, right, rng.normal(size=depth + 1), count, split
    )
    assert tree.fault(depth) is None
    return Forest(tuple(f"f{i}" for i in range(depth)), (0,) * depth, (tree,))


def way_down(forest: Forest, rng: np.random.Generator) -> NDArray[np.float32]:
    """Rows of which every second one leaves the chain nowhere but at one split."""
    depth = len(forest.names)
    x = rng.normal(size=(200, depth)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    tree = forest.trees[0]
    x[::2] = np.where(tree.right >= 0, tree.threshold + 1, tree.threshold - 1)
    x[np.arange(0, 200, 2), rng.integers(depth, size=100)] *= -1
    return x


@pytest.mark.parametrize("depth", [9, 13, 30])
def test_leaves_too_deep_for_tables_are_lightgbms(depth: int) -> None:
    """A tree that asks 30 columns one after the other has leaves without a table; they agree all the same."""
    rng = np.random.default_rng(depth)
    forest = chain(depth, rng)
    assert bool(patterns.plan(forest).loose) == (depth > 12)
    check(forest, lgb.Booster(model_str=forest.render()), way_down(forest, rng))


def test_the_deepest_tree_is_exact() -> None:
    """At the greatest depth, where `pred_contrib` (4.7) loses every digit, values add up, and a column's is that worked out in fractions."""
    rng = np.random.default_rng(64)
    forest = chain(MAX_DEPTH, rng)
    x, tree = way_down(forest, rng), forest.trees[0]
    booster = lgb.Booster(model_str=forest.render())
    raw = np.asarray(booster.predict(x, raw_score=True, num_threads=1))
    found = values_of(forest, x)
    np.testing.assert_allclose(tree.expected + found.sum(axis=1), raw, rtol=0, atol=1e-12)
    column, wanted = 40, Fraction(0)
    for leaf in patterns.leaves_of(tree):
        if column not in leaf.intervals:
            continue
        product = [Fraction(1)]  # a polynomial in the chance to know a column, lowest power first
        for other, interval in leaf.intervals.items():
            share = Fraction(round(interval.share * int(tree.split_count[other])), int(tree.split_count[other]))
            slope = interval.holds(float(x[0, other])) - share
            if other == column:
                mine = slope
            else:
                product = [a * share + b * slope for a, b in zip([*product, 0], [0, *product], strict=True)]
        wanted += Fraction(leaf.value) * mine * sum(a / (i + 1) for i, a in enumerate(product))
    assert found[0, column] == pytest.approx(float(wanted), abs=1e-12)


def by_definition(tree: Tree, row: NDArray[np.float32], columns: int) -> NDArray[np.float64]:
    """Shapley's formula over all sets of known columns; unknown ones go both ways by the shares of the training rows."""

    def expected(node: int, known: tuple[int, ...]) -> float:
        if node < 0:
            return float(tree.value[~node])
        left, right, column = int(tree.left[node]), int(tree.right[node]), int(tree.feature[node])
        if column in known:
            value, bits = float(row[column]), int(tree.decision[node])
            if math.isnan(value) and bits & NAN_IS_MISSING:
                return expected(left if bits & DEFAULT_LEFT else right, known)
            return expected(left if (0.0 if math.isnan(value) else value) <= tree.threshold[node] else right, known)
        rows_left = tree.split_count[left] if left >= 0 else tree.count[~left]
        share = rows_left / tree.split_count[node]
        return float(share * expected(left, known) + (1 - share) * expected(right, known))

    found = np.zeros(columns)
    for j in range(columns):
        others = [c for c in range(columns) if c != j]
        for size in range(columns):
            weight = math.factorial(size) * math.factorial(columns - size - 1) / math.factorial(columns)
            for known in itertools.combinations(others, size):
                found[j] += weight * (expected(0, (*known, j)) - expected(0, known))
    return found


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), leaves=st.integers(2, 9), columns=st.integers(1, 5))
def test_values_follow_the_definition(seed: int, leaves: int, columns: int) -> None:
    """Random trees of any shape, with splits below each other on one column: the values are Shapley's formula, worked out in full."""
    rng = np.random.default_rng(seed)
    kids: list[list[int]] = []
    open_places: list[tuple[int, int]] = [(-1, 0)]
    while len(kids) < leaves - 1:
        parent, side = open_places.pop(int(rng.integers(len(open_places))))
        if parent >= 0:
            kids[parent][side] = len(kids)
        open_places += [(len(kids), 0), (len(kids), 1)]
        kids.append([0, 0])
    for leaf, (parent, side) in enumerate(open_places):
        kids[parent][side] = ~leaf
    count = rng.integers(1, 40, leaves)
    split = np.zeros(leaves - 1, np.int64)
    for i in reversed(range(leaves - 1)):
        split[i] = sum(int(split[c]) if c >= 0 else int(count[~c]) for c in kids[i])
    shape = np.array(kids)
    tree = Tree(
        rng.integers(0, columns, leaves - 1),
        np.round(rng.normal(size=leaves - 1), 1),
        rng.choice([0, DEFAULT_LEFT, NAN_IS_MISSING, NAN_IS_MISSING | DEFAULT_LEFT], leaves - 1),
        shape[:, 0],
        shape[:, 1],
        rng.normal(size=leaves),
        count,
        split,
    )
    assert tree.fault(columns) is None
    x = np.round(rng.normal(size=(8, columns)), 1).astype(np.float32)
    x[rng.random(x.shape) < 0.3] = np.nan
    forest = Forest(tuple(f"f{i}" for i in range(columns)), (0,) * columns, (tree,))
    wanted = [by_definition(tree, row, columns) for row in x]
    np.testing.assert_allclose(values_of(forest, x), wanted, rtol=0, atol=1e-12)


def test_neither_threads_nor_blocks_nor_neighbours_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row's values are the same bits alone, in any order, from rows laid out otherwise, with any block size and number of threads."""
    forest = Forest.read(grown(8, 12, 20, num_leaves=10).model_to_string())
    x = rows(3000, 12, 8)
    whole = values_of(forest, x)
    np.testing.assert_array_equal(values_of(forest, np.asfortranarray(x)), whole)
    np.testing.assert_array_equal(values_of(forest, x[::-1])[::-1], whole)
    np.testing.assert_array_equal(values_of(forest, x[1234:1235]), whole[1234:1235])
    assert values_of(forest, x[:0]).shape == (0, 12)
    monkeypatch.setattr(shapley, "BLOCK", 7)
    for threads in (1, 2, 5):
        np.testing.assert_array_equal(values_of(forest, x[:500], threads=threads), whole[:500])


def test_missing_values_are_filled_and_infinite_ones_reported() -> None:
    """A filled column gives what its filler gives; an infinite value anywhere is told."""
    forest = Forest.read(grown(9, 6, 10, num_leaves=6).model_to_string())
    x, fills = rows(200, 6, 9), np.array([np.nan, 1.5, np.nan, np.nan, -2.0, np.nan], np.float32)
    found = np.empty((200, 6))
    one = Shapley.of(forest)
    assert not one.each(
        x, fills, lambda first, values: np.copyto(found[first : first + len(values)], values), threads=1
    )
    np.testing.assert_array_equal(found, values_of(forest, np.where(np.isnan(x), fills, x)))
    for bad in (np.inf, -np.inf):
        spoiled = x.copy()
        spoiled[150, 3] = bad
        assert one.each(spoiled, fills, lambda first, values: None, threads=2)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 32])
def test_gauss_sums_integrate_polynomials(n: int) -> None:
    """The sum of n terms integrates every power up to 2n - 1 over 0 to 1; points and weights are numpy's to 1e-14."""
    points, weights = (table[n, :n] for table in gauss(n))
    for power in range(2 * n):
        assert float(weights @ points**power) == pytest.approx(1 / (power + 1), abs=1e-14)
    wanted, sizes = np.polynomial.legendre.leggauss(n)
    np.testing.assert_allclose(points, (wanted + 1) / 2, rtol=0, atol=1e-14)
    np.testing.assert_allclose(weights, sizes / 2, rtol=0, atol=1e-14)
