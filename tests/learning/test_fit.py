"""Trees: monotone by proof and by sweep, confined to one dimension, equal for equal seeds; what LightGBM cannot take is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import lightgbm as lgb
import numpy as np
import pytest

from credit_tier.errors import LearningError
from credit_tier.learning.calibrate import Calibration
from credit_tier.learning.fit import Fitted, fit
from credit_tier.learning.forest import Forest
from credit_tier.learning.scorecard import Scorer
from credit_tier.learning.splits import Parts, TrainingFrame
from credit_tier.specs.model import ModelSpec, Trees


def with_train(parts: Parts, frame: TrainingFrame) -> Parts:
    return replace(parts, train=replace(parts.train, frame=frame))


@pytest.mark.parametrize(
    "trees",
    [
        Trees(rounds=30, leaves=8, min_rows_in_leaf=5, l2=0),
        Trees(rounds=30, leaves=31, min_rows_in_leaf=2, l2=0, confine=False),
        Trees(rounds=30, leaves=8, min_rows_in_leaf=5, l2=0, row_fraction=0.5, feature_fraction=0.5),
    ],
    ids=["confined", "free", "fractions"],
)
def test_scores_never_move_against_a_declared_direction(
    trees: Trees, parts: Parts, new_spec: Callable[..., ModelSpec]
) -> None:
    """Sweeping each constrained feature over all its thresholds, other values fixed, the raw score never moves the wrong way."""
    spec = new_spec(trees=trees)
    scorer = Scorer.of(fit(parts, spec, seed=3, threads=1), Calibration("none", 0.0, 1.0), spec.points)
    rows = parts.test.frame.x[:40]
    moved = 0
    for j, feature in enumerate(scorer.features):
        cuts = np.concatenate([tree.threshold[tree.feature == j] for tree in scorer.forest.trees])
        if feature.direction == 0 or len(cuts) == 0:
            continue
        values = np.unique(np.concatenate((cuts - 1e-3, cuts + 1e-3))).astype(np.float32)
        grid = np.repeat(rows, len(values), axis=0)
        grid[:, j] = np.tile(values, len(rows))
        steps = np.diff(scorer.raw_score(grid).reshape(len(rows), len(values)), axis=1)
        assert (feature.direction * steps).min() >= -1e-12
        moved += int((steps != 0).any())
    assert moved >= 3


def test_a_model_that_breaks_its_direction_is_found(parts: Parts, new_spec: Callable[..., ModelSpec]) -> None:
    """The proof is not empty: trees grown without constraints against the truth's direction are named, as a sweep finds them too."""
    spec = new_spec(trees=Trees(rounds=20, leaves=8, min_rows_in_leaf=5, monotone=False))
    forest = fit(parts, spec, seed=3, threads=1).forest
    assert forest.broken_directions() == ()
    turned = replace(forest, directions=(-1, 1, -1, 0, 0, 0))
    assert turned.broken_directions() == ("f0", "f1", "f2")
    right = replace(forest, directions=(1, -1, 1, 0, 0, 0))
    scorer = Scorer.of(fit(parts, spec, seed=3, threads=1), Calibration("none", 0.0, 1.0), spec.points)
    swept = set()
    for j in (0, 1, 2):
        grid = np.repeat(parts.test.frame.x[:200], 200, axis=0)
        grid[:, j] = np.tile(np.linspace(-4, 6, 200, dtype=np.float32), 200)
        steps = np.diff(scorer.raw_score(grid).reshape(200, 200), axis=1)
        if (right.directions[j] * steps).min() < -1e-9:
            swept.add(f"f{j}")
    assert swept <= set(right.broken_directions())


def test_every_tree_stays_in_one_dimension(scorer: Scorer) -> None:
    """Confined trees use features of one dimension, and the trees of a dimension stand side by side."""
    assert scorer.spans is not None
    for dimension, (first, count) in zip(scorer.dimensions, scorer.spans, strict=True):
        for tree in scorer.forest.trees[first : first + count]:
            assert {scorer.features[int(f)].dimension for f in tree.feature} == {dimension}
    assert sum(count for _, count in scorer.spans) == len(scorer.forest.trees)


def test_equal_seed_equal_forest(parts: Parts, new_spec: Callable[..., ModelSpec]) -> None:
    """The same seed gives the same bytes although rows and columns are drawn; another seed gives another forest."""
    spec = new_spec(trees=Trees(rounds=10, row_fraction=0.5, feature_fraction=0.7))
    texts = [fit(parts, spec, seed=seed, threads=1).forest.render() for seed in (5, 5, 6)]
    assert texts[0] == texts[1] != texts[2]


def test_early_stopping_keeps_the_best_trees(parts: Parts, new_spec: Callable[..., ModelSpec]) -> None:
    """With early stopping fewer trees remain than were allowed; without it all of them."""
    trees = Trees(rounds=300, leaves=16, learning_rate=0.3, min_rows_in_leaf=5, early_stopping_rounds=5)
    assert len(fit(parts, new_spec(trees=trees), seed=1, threads=1).forest.trees) < 100


def test_the_canonical_text_predicts_as_lightgbm_did(parts: Parts, new_spec: Callable[..., ModelSpec]) -> None:
    """Dropping parameters, gains and ranges and sorting trees changes no score and no contribution, missing values included."""
    frame = parts.train.frame
    data = lgb.Dataset(frame.x, frame.y, feature_name=[f.id for f in frame.features])
    booster = lgb.train({"objective": "binary", "verbosity": -1, "num_threads": 1, "num_leaves": 9}, data, 25)
    forest = Forest.read(booster.model_to_string())
    again = lgb.Booster(model_str=forest.render())
    for wanted in ({"raw_score": True}, {"pred_contrib": True}):
        a, b = (m.predict(parts.test.frame.x, num_threads=1, **wanted) for m in (booster, again))
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)
    assert Forest.read(forest.render()).render() == forest.render()


def walk(scorer: Scorer, row: np.ndarray) -> float:
    """Independent oracle: follow one row through the trees in plain Python."""
    total = 0.0
    for tree in scorer.forest.trees:
        node = 0
        while node >= 0:
            value, bits = float(row[tree.feature[node]]), int(tree.decision[node])
            if np.isnan(value) and not bits & 8:
                value = 0.0
            left = bool(bits & 2) if np.isnan(value) else value <= tree.threshold[node]
            node = int((tree.left if left else tree.right)[node])
        total += float(tree.value[~node])
    return total


def test_a_walk_through_the_trees_gives_the_raw_score(scorer: Scorer, parts: Parts) -> None:
    """The parsed trees mean what LightGBM computes."""
    rows = parts.test.frame.x[:200]
    np.testing.assert_allclose([walk(scorer, row) for row in rows], scorer.score(rows).raw_score, rtol=0, atol=1e-12)


def test_a_value_never_missing_in_training_is_filled_not_read_as_zero(
    parts: Parts, new_scorer: Callable[..., Scorer], spec: ModelSpec
) -> None:
    """A missing value in a column without gaps in training counts as the training median, where LightGBM would read 0."""
    frame = parts.train.frame
    shifted = frame.x.copy()
    shifted[:, 1] += 100
    scorer = new_scorer(with_train(parts, replace(frame, x=shifted)), spec.model_copy(update={"calibration": "none"}))
    row = shifted[:1].copy()
    row[0, 1] = np.nan
    median = row.copy()
    median[0, 1] = np.median(shifted[:, 1])
    assert scorer.score(row).points == scorer.score(median).points
    assert np.isnan(scorer.fills[3])
    assert scorer.fills[1] == np.median(shifted[:, 1])


def test_nothing_to_learn_is_said(parts: Parts, spec: ModelSpec) -> None:
    """Constant features end in CT-LEARN-011, not in a constant model."""
    frame = parts.train.frame
    with pytest.raises(LearningError, match="CT-LEARN-011"):
        fit(with_train(parts, replace(frame, x=np.ones_like(frame.x))), spec, seed=1, threads=1)


def test_ids_and_seeds_that_lightgbm_cannot_take_are_refused(parts: Parts, spec: ModelSpec) -> None:
    """A feature id with a blank or a negative seed is refused before LightGBM sees it, both at once."""
    frame = parts.train.frame
    odd = (frame.features[0].model_copy(update={"id": "a b"}), *frame.features[1:])
    with pytest.raises(LearningError) as caught:
        fit(with_train(parts, replace(frame, features=odd)), spec, seed=-1, threads=1)
    assert [fault.code for fault in caught.value.faults] == ["CT-LEARN-010", "CT-LEARN-010"]


@pytest.mark.parametrize(
    ("change", "settings", "code", "words"),
    [
        ({}, {"threads": 5000}, "CT-LEARN-010", "threads 1 to 256"),
        ({"y": np.zeros_like}, {}, "CT-LEARN-010", "one outcome only"),
        ({"y": np.ones_like}, {}, "CT-LEARN-010", "one outcome only"),
        ({"x": np.ones_like}, {}, "CT-LEARN-011", "no feature takes two different values"),
        ({"x": lambda x: np.full_like(x, np.nan)}, {}, "CT-LEARN-011", "no feature takes two different values"),
        ({}, {"trees": Trees(min_rows_in_leaf=5000)}, "CT-LEARN-011", "leaves of fewer than 5000"),
        ({}, {"trees": Trees(row_fraction=1e-6)}, "CT-LEARN-011", "a tree sees 0 rows"),
    ],
    ids=["threads", "no positive", "no negative", "constant", "all missing", "few rows", "few rows drawn"],
)
def test_what_kills_lightgbm_or_teaches_it_nothing_is_refused_before_it(
    change: dict[str, Callable[[np.ndarray], np.ndarray]],
    settings: dict[str, object],
    code: str,
    words: str,
    parts: Parts,
    new_spec: Callable[..., ModelSpec],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Thousands of threads, one outcome, columns without a difference, leaves larger than the rows: told before LightGBM is called."""
    frame = parts.train.frame
    changed = replace(frame, **{name: make(getattr(frame, name)) for name, make in change.items()})
    monkeypatch.setattr(lgb, "train", lambda *_, **__: pytest.fail("LightGBM was called"))
    with pytest.raises(LearningError, match=code) as caught:
        fit(
            with_train(parts, changed),
            new_spec(trees=settings.get("trees", Trees())),
            seed=1,
            threads=int(str(settings.get("threads", 1))),
        )
    assert words in str(caught.value)


def test_a_column_without_a_value_beside_others_is_no_fault(parts: Parts, spec: ModelSpec) -> None:
    """One empty column is left aside by the trees; the largest numbers that a frame may hold do no harm either."""
    x = parts.train.frame.x.copy()
    x[:, 0] = np.nan
    x[:, 2] *= np.float32(5e37)
    forest = fit(with_train(parts, replace(parts.train.frame, x=x)), spec, seed=1, threads=1).forest
    assert 0 not in np.concatenate([tree.feature for tree in forest.trees])
    assert 2 in np.concatenate([tree.feature for tree in forest.trees])


def test_the_unit_of_weights_does_not_matter(parts: Parts, spec: ModelSpec) -> None:
    """Weights ten thousand times as large, or as small, give the same trees to the last bit."""
    frame = parts.train.frame
    weight = np.where(frame.subject % 2 == 0, 1.0, 4.0)
    texts = {
        fit(with_train(parts, replace(frame, weight=weight * unit)), spec, seed=1, threads=1).forest.render()
        for unit in (1.0, 2.0**14, 2.0**-14)
    }
    assert len(texts) == 1
    assert texts != {fit(parts, spec, seed=1, threads=1).forest.render()}


def test_a_tree_across_dimensions_cannot_be_grouped(parts: Parts, new_spec: Callable[..., ModelSpec]) -> None:
    """Grouping free trees by dimension is refused: their contributions have no dimension."""
    fitted: Fitted = fit(parts, new_spec(trees=Trees(rounds=5, leaves=16, confine=False)), seed=1, threads=1)
    with pytest.raises(LearningError, match="CT-LEARN-013"):
        fitted.forest.grouped([{0, 1}, {2, 3}, {4, 5}])
