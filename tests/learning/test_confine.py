"""Bridges: trees that combine two named dimensions are a contribution of their own, and everything still adds up exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from credit_tier.errors import LearningError
from credit_tier.learning.bundle import Bundle
from credit_tier.learning.calibrate import Calibration
from credit_tier.learning.confine import contributions_of, cut
from credit_tier.learning.explain import score_and_explain
from credit_tier.learning.fit import fit
from credit_tier.learning.forest import MAX_TREES, Forest
from credit_tier.learning.scorecard import Scorer
from credit_tier.learning.signing import SigningKey
from credit_tier.learning.splits import Parts, TrainingFrame
from credit_tier.specs.model import Bridge, ModelSpec, Trees

CROSSED = Bridge(id="alpha_beta", title_zh="甲乙", dimensions=("alpha", "beta"))
SHARED = Bridge(id="beta_gamma", title_zh="乙丙", dimensions=("beta", "gamma"))


def crossing(frame: TrainingFrame, seed: int = 0) -> TrainingFrame:
    """The same rows with outcomes that follow products across dimensions: f1·f2 between alpha and beta, f3·f4 beta and gamma."""
    rng = np.random.default_rng(seed)
    x = np.nan_to_num(frame.x)
    z = -1.5 + 1.2 * np.sign(x[:, 1]) * np.maximum(x[:, 2], 0) + 0.9 * x[:, 3] * x[:, 4] + 0.4 * x[:, 5]
    return replace(frame, y=(rng.random(len(z)) < 1 / (1 + np.exp(-z))).astype(np.int8))


def with_train(parts: Parts, frame: TrainingFrame) -> Parts:
    return replace(parts, train=replace(parts.train, frame=frame))


def grown(parts: Parts, spec: Callable[..., ModelSpec], bridges: Sequence[Bridge], **changes: object) -> Scorer:
    facts: dict[str, object] = {"rounds": 60, "leaves": 8, "min_rows_in_leaf": 20, "monotone": False}
    trees = Trees.model_validate(facts | changes | {"bridges": tuple(bridges)})
    declared = spec(trees=trees)
    fitted = fit(with_train(parts, crossing(parts.train.frame)), declared, seed=2, threads=1)
    return Scorer.of(fitted, Calibration("platt", -0.3, 1.2), declared.points)


@pytest.mark.parametrize("bridges", [[CROSSED], [CROSSED, SHARED]], ids=["one", "two that share a dimension"])
def test_base_dimensions_and_bridges_add_up_to_the_points(
    bridges: list[Bridge], parts: Parts, new_spec: Callable[..., ModelSpec]
) -> None:
    """Base, dimensions and bridges sum to the points to 1e-9; so do base and reasons; every bridge says something of its own."""
    scorer = grown(parts, new_spec, bridges)
    x = parts.test.frame.x
    scores, contributions = scorer.score(x), scorer.contributions(x)
    assert scores.dimensions == ("alpha", "beta", "gamma", *(bridge.id for bridge in bridges))
    np.testing.assert_allclose(
        scores.base_points + scores.dimension_points.sum(axis=1), scores.points, rtol=0, atol=1e-9
    )
    np.testing.assert_allclose(scores.base_points + contributions.sum(axis=1), scores.points, rtol=0, atol=1e-9)
    assert (np.abs(scores.dimension_points[:, 3:]).max(axis=0) > 1).all()
    seen, reasons = score_and_explain(scorer, x, top=6, threads=2)
    np.testing.assert_array_equal(seen.dimension_points, scores.dimension_points)
    for row in range(0, len(x), 97):
        for reason in reasons.of(row):
            column = next(j for j, f in enumerate(scorer.features) if f.id == reason.feature)
            assert reason.points == pytest.approx(contributions[row, column], abs=1e-12)


@pytest.mark.parametrize("bridges", [[CROSSED], [CROSSED, SHARED]], ids=["one", "two that share a dimension"])
def test_a_contribution_is_what_its_own_trees_say(
    bridges: list[Bridge], parts: Parts, new_spec: Callable[..., ModelSpec]
) -> None:
    """LightGBM, given the trees of one dimension or bridge alone, says that contribution, and of all of them the reasons."""
    scorer = grown(parts, new_spec, bridges)
    assert scorer.spans is not None
    x = parts.test.frame.x[:400]
    scores = scorer.score(x)
    allowed = contributions_of(scorer.features, tuple(bridges))
    for k, (one, (first, count)) in enumerate(zip(allowed, scorer.spans, strict=True)):
        trees = scorer.forest.trees[first : first + count]
        assert all(set(tree.feature.tolist()) <= one.columns for tree in trees)
        earlier = [other.columns for other in allowed[:k]]
        assert not any(set(tree.feature.tolist()) <= columns for tree in trees for columns in earlier)
        alone = lgb.Booster(model_str=replace(scorer.forest, trees=trees).render())
        said = alone.predict(x, raw_score=True, num_threads=1) - scorer.centres[k]
        np.testing.assert_allclose(scores.dimension_points[:, k], said * scorer.points_per_raw_score, rtol=0, atol=1e-8)
    whole = lgb.Booster(model_str=scorer.forest.render())
    theirs = whole.predict(x, pred_contrib=True, num_threads=1)[:, :-1] * scorer.points_per_raw_score
    np.testing.assert_allclose(scorer.contributions(x), theirs, rtol=0, atol=1e-8)


def test_contributions_average_to_zero_over_the_training_rows(parts: Parts, new_spec: Callable[..., ModelSpec]) -> None:
    """What a dimension or a bridge says is told against the average training row, cut trees included."""
    scorer = grown(parts, new_spec, [CROSSED, SHARED])
    mean = scorer.score(parts.train.frame.x).dimension_points.mean(axis=0)
    np.testing.assert_allclose(mean, 0, rtol=0, atol=1e-6)


def test_a_bridge_finds_what_crosses_dimensions(parts: Parts, new_spec: Callable[..., ModelSpec]) -> None:
    """Where the truth crosses two dimensions, the bridge between them lowers the log loss; a bridge elsewhere does not."""
    later = crossing(parts.test.frame, seed=1)

    def loss(bridges: list[Bridge]) -> float:
        z = grown(parts, new_spec, bridges).raw_score(later.x)
        return float(np.mean(np.logaddexp(0, z) - later.y * z))

    elsewhere = Bridge(id="alpha_gamma", title_zh="甲丙", dimensions=("alpha", "gamma"))
    none, right, wrong = loss([]), loss([CROSSED, SHARED]), loss([elsewhere])
    assert right < none - 0.01
    assert wrong > none - 0.005


def test_a_bridge_of_named_features_combines_no_others(parts: Parts, new_spec: Callable[..., ModelSpec]) -> None:
    """With features named, trees of the bridge use these alone; the other features stay within their dimensions."""
    scorer = grown(parts, new_spec, [CROSSED.model_copy(update={"features": ("f1", "f2")})])
    assert scorer.spans is not None
    first, count = scorer.spans[3]
    assert count > 0
    assert {int(f) for tree in scorer.forest.trees[first : first + count] for f in tree.feature} == {1, 2}


def test_equal_seed_equal_forest_with_bridges(parts: Parts, new_spec: Callable[..., ModelSpec]) -> None:
    """Trees that are cut are cut the same way every time."""
    texts = [grown(parts, new_spec, [CROSSED, SHARED]).forest.render() for _ in range(2)]
    assert texts[0] == texts[1]


def free_forest(seed: int) -> tuple[Forest, np.ndarray]:
    """Trees whose branches stay within {0, 1, 2} or {2, 3, 4}, though whole trees use all five; every second column has gaps."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(600, 5)).astype(np.float32)
    x[rng.random((600, 5)) < np.array([0, 0.2, 0, 0.2, 0])] = np.nan
    z = 2 * x[:, 2] + 2 * np.where(x[:, 2] > 0, np.nan_to_num(x[:, 1]), x[:, 4])
    y = rng.random(600) < 1 / (1 + np.exp(-z))
    params = {"objective": "binary", "verbosity": -1, "num_threads": 1, "num_leaves": 9, "min_data_in_leaf": 10}
    params |= {"interaction_constraints": [[0, 1, 2], [2, 3, 4]], "seed": seed, "deterministic": True}
    booster = lgb.train(params, lgb.Dataset(x, y.astype(np.int8), feature_name=[f"f{j}" for j in range(5)]), 12)
    return Forest.read(booster.model_to_string()).on_grid(), x


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_cutting_changes_no_score_and_no_reason(seed: int) -> None:
    """Cut trees each lie in one set, pass every check of structure, and say of each row exactly what the whole ones did."""
    forest, x = free_forest(seed)
    sets = [{0, 1}, {2}, {3, 4}, {0, 1, 2}, {2, 3, 4}]
    pieces = cut(forest, sets)
    assert all(any(set(tree.feature.tolist()) <= one for one in sets) for tree in pieces.trees)
    assert all(tree.fault(5) is None for tree in pieces.trees)
    assert len(pieces.trees) > len(forest.trees)
    assert cut(pieces, sets).render() == pieces.render()
    before, after = (lgb.Booster(model_str=one.render()) for one in (forest, pieces))
    np.testing.assert_array_equal(*(b.predict(x, raw_score=True, num_threads=1) for b in (before, after)))
    a, b = (m.predict(x, pred_contrib=True, num_threads=1) for m in (before, after))
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)


def test_a_branch_outside_all_sets_cannot_be_cut() -> None:
    """Where the way to a leaf leaves all sets, no cut helps: refused, as is a cut into more trees than a model may have."""
    forest, _ = free_forest(1)
    with pytest.raises(LearningError, match="CT-LEARN-013"):
        cut(forest, [{0, 1, 2}, {3, 4}])
    many = replace(forest, trees=forest.trees * (MAX_TREES // len(forest.trees)))
    with pytest.raises(LearningError, match="CT-LEARN-013"):
        cut(many, [{0, 1, 2}, {2, 3, 4}])


def test_a_bridge_that_fits_no_features_is_refused_before_training(
    parts: Parts, new_spec: Callable[..., ModelSpec]
) -> None:
    """A dimension that the model does not have, a feature of a third one, the name of a dimension: all told at once."""
    wrong = [
        Bridge(id="a", title_zh="-", dimensions=("alpha", "delta")),
        Bridge(id="b", title_zh="-", dimensions=("alpha", "beta"), features=("f0", "f4")),
        Bridge(id="gamma", title_zh="-", dimensions=("alpha", "beta")),
    ]
    with pytest.raises(LearningError) as caught:
        grown(parts, new_spec, wrong)
    assert {fault.code for fault in caught.value.faults} == {"CT-LEARN-015"}
    for words in ("dimension 'delta'", "'f4' is no feature", "dimension 'beta'", "name of a dimension"):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"bridges": [CROSSED, CROSSED]}, "stands twice"),
        ({"bridges": [CROSSED], "confine": False}, "need no bridges"),
        ({"bridges": [{"id": "a", "title_zh": "-", "dimensions": ["b", "b"]}]}, "to itself"),
        ({"bridges": [{"id": "a", "title_zh": "-", "dimensions": ["a", "b"]}]}, "name of a dimension"),
    ],
)
def test_declarations_that_make_no_sense_are_refused(facts: dict[str, object], words: str) -> None:
    """Doubled names, bridges without confinement, and bridges from a dimension to itself are no declarations."""
    with pytest.raises(ValidationError, match=words):
        Trees.model_validate(facts)


def test_a_bundle_with_bridges_opens_and_scores_alike(
    tmp_path: Path,
    parts: Parts,
    new_spec: Callable[..., ModelSpec],
    new_bundle: Callable[..., Bundle],
    key: SigningKey,
) -> None:
    """A bundle holds its bridges: opened from its files alone, in a child process too, it gives every bridge the same points."""
    crossed = with_train(parts, crossing(parts.train.frame))
    trees = Trees(rounds=30, leaves=8, min_rows_in_leaf=20, monotone=False, bridges=(CROSSED, SHARED))
    made = new_bundle(tmp_path / "bundle", crossed, new_spec(trees=trees, calibration="none"), key)
    opened = Bundle.open(tmp_path / "bundle")
    x = parts.test.frame.x
    assert opened.scorer.dimensions[3:] == ("alpha_beta", "beta_gamma")
    np.testing.assert_array_equal(opened.score(x).dimension_points, made.score(x).dimension_points)
    assert (np.abs(opened.score(x).dimension_points[:, 3:]).max(axis=0) > 1).all()
