"""Points and dimensions: exact sums, exact round trips, more risk never gives more points."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier.errors import LearningError
from credit_tier.learning.explain import Reasons, explain, score_and_explain
from credit_tier.learning.forest import Forest
from credit_tier.learning.scorecard import Scaling, Scorer
from credit_tier.learning.splits import Parts
from credit_tier.specs.model import ModelSpec, Trees


@pytest.fixture(scope="module", params=[True, False], ids=["confined", "free"])
def model(
    request: pytest.FixtureRequest, parts: Parts, new_spec: Callable[..., ModelSpec], new_scorer: Callable[..., Scorer]
) -> Scorer:
    trees = Trees(rounds=40, leaves=8, min_rows_in_leaf=20, confine=request.param)
    return new_scorer(parts, new_spec(trees=trees))


def test_dimensions_add_up(model: Scorer, parts: Parts) -> None:
    """base + dimensions = calibrated log-odds and = points, row by row to 1e-9; probability is the same number again."""
    s = model.score(parts.test.frame.x)
    calibrated = model.calibration.log_odds(model.raw_score(parts.test.frame.x))
    np.testing.assert_allclose(s.base_log_odds + s.dimension_log_odds.sum(axis=1), calibrated, rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        s.base_points + s.dimension_points.sum(axis=1), model.scaling.to_points(calibrated), rtol=0, atol=1e-9
    )
    np.testing.assert_allclose(s.points, model.scaling.to_points(calibrated), rtol=0, atol=1e-9)
    np.testing.assert_allclose(s.probability, 1 / (1 + np.exp(-calibrated)), rtol=0, atol=1e-12)
    assert s.dimension_points.shape == (len(parts.test.frame), 3)
    assert np.ptp(s.dimension_points[:, 0]) > 10


def test_rows_in_the_same_leaves_have_the_same_score(model: Scorer, parts: Parts) -> None:
    """To the last bit, wherever else their values differ: classes part no equals, and ranks know no false order."""
    x = parts.train.frame.x
    scores = model.score(x)
    leaves = lgb.Booster(model_str=model.forest.render()).predict(x, pred_leaf=True, num_threads=1)
    _, same = np.unique(np.asarray(leaves), axis=0, return_inverse=True)
    for values in (scores.raw_score, scores.log_odds, scores.probability, scores.points):
        assert len({(int(a), float(b)) for a, b in zip(same, values, strict=True)}) == same.max() + 1 > 100


def test_the_base_is_the_average_training_row(model: Scorer, parts: Parts) -> None:
    """Over the training rows the log-odds average to the base; of a confined model every dimension averages to zero."""
    s = model.score(parts.train.frame.x)
    if model.spans is not None:
        np.testing.assert_allclose(s.dimension_log_odds.mean(axis=0), 0, atol=1e-6)
    assert s.log_odds.mean() == pytest.approx(s.base_log_odds, abs=1e-6)


def test_reasons_add_up_to_dimensions(model: Scorer, parts: Parts) -> None:
    """A dimension's points are the sum of the contributions of its features."""
    x = parts.test.frame.x[:300]
    contributions, scores = model.contributions(x), model.score(x)
    for d, name in enumerate(model.dimensions):
        own = [feature.dimension == name for feature in model.features]
        np.testing.assert_allclose(contributions[:, own].sum(axis=1), scores.dimension_points[:, d], rtol=0, atol=1e-9)


def test_scores_and_contributions_are_lightgbms(model: Scorer, parts: Parts) -> None:
    """LightGBM, given the canonical text and rows filled as the model says, gives the same raw scores and contributions, to 1e-9."""
    x = parts.test.frame.x[:500].copy()
    x[::7] = np.nan
    filled = np.where(np.isnan(x), model.fills, x)
    booster = lgb.Booster(model_str=model.forest.render())
    raw = np.asarray(booster.predict(filled, raw_score=True, num_threads=1))
    np.testing.assert_allclose(model.raw_score(x), raw, rtol=0, atol=1e-9)
    np.testing.assert_allclose(model.score(x).raw_score, raw, rtol=0, atol=1e-9)
    shap = np.asarray(booster.predict(filled, pred_contrib=True, num_threads=1))[:, :-1]
    wanted = model.scaling.to_points(model.calibration.slope * shap) - model.scaling.to_points(0.0)
    np.testing.assert_allclose(model.contributions(x), wanted, rtol=0, atol=1e-9)


def strongest(model: Scorer, x: np.ndarray, top: int) -> Reasons:
    """Sort all contributions of all rows, rounded to 1e-6; equal ones stay in the order of the columns."""
    points = model.contributions(x)
    size = np.round(np.abs(points), 6)
    order = np.argsort(-size, axis=1, kind="stable")[:, :top]
    none = np.take_along_axis(size, order, axis=1) < 1e-6
    return Reasons(
        model.features,
        np.where(none, -1, order).astype(np.int16),
        np.where(none, 0.0, np.take_along_axis(points, order, axis=1)),
        np.where(none, np.float32(np.nan), np.take_along_axis(x, order, axis=1)),
    )


@pytest.mark.parametrize("top", [0, 1, 3, 6, 9])
def test_reasons_are_those_of_a_full_sort(top: int, model: Scorer, parts: Parts) -> None:
    """Picking reasons row by row gives what sorting all contributions gives, with ties, with features that say nothing, for any `top`."""
    x = parts.test.frame.x[:400].copy()
    twin, brief = replace(model, forest=doubled(model.forest)), replace(model, forest=shortened(model.forest))
    for scorer in (model, twin, brief):
        wanted = strongest(scorer, x, top)
        scores, found = score_and_explain(scorer, x, top=top, threads=2)
        for name in ("feature", "points", "value"):
            np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
        np.testing.assert_array_equal(scores.points, scorer.score(x).points)
    assert (strongest(brief, x, 6).feature == -1).any()
    sizes = np.round(np.abs(strongest(twin, x, 6).points), 6)
    assert (sizes[:, 0] == sizes[:, 1]).any()


def doubled(forest: Forest) -> Forest:
    """Every tree twice, the second time with columns 2k and 2k + 1 changed for each other."""
    return replace(forest, trees=(*forest.trees, *(replace(tree, feature=tree.feature ^ 1) for tree in forest.trees)))


def shortened(forest: Forest) -> Forest:
    """The first tree alone, which leaves columns unasked."""
    return replace(forest, trees=forest.trees[:1])


def test_scoring_needs_neither_lightgbm_nor_any_other_heavy_library(scorer: Scorer, tmp_path: Path) -> None:
    """A process that reads a forest, scores and explains loads no LightGBM, scikit-learn, MLflow, pandas or Polars."""
    (tmp_path / "model.txt").write_text(scorer.forest.render())
    code = """
import sys
import numpy as np
from credit_tier.learning.calibrate import Calibration
from credit_tier.learning.explain import score_and_explain
from credit_tier.learning.forest import Forest
from credit_tier.learning.scorecard import Scaling, Scorer
from credit_tier.specs.feature import FeatureSpec, Missing

forest = Forest.read(open("model.txt").read())
facts = dict(title_zh="-", dimension="d", source="t", aggregate="count", missing=Missing(policy="unknown"), unit="-", direction=0, legal_basis="-")
features = tuple(FeatureSpec(id=name, **facts) for name in forest.names)
scorer = Scorer(forest, features, ("d",), None, np.full(6, np.nan), Calibration("platt", 0.0, 1.0), Scaling(600, 20, 50))
scores, reasons = score_and_explain(scorer, np.zeros((1, 6), np.float32))
assert len(reasons.of(0)) > 0
print(*sorted({name.split(".")[0] for name in sys.modules} & {"lightgbm", "sklearn", "mlflow", "pandas", "polars"}))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_reasons_are_the_largest_contributions_in_order(model: Scorer, parts: Parts) -> None:
    """Top reasons come by size, none is smaller than what was left out, direction follows the sign, unknown values stay unknown."""
    x = parts.test.frame.x[:300]
    all_points = model.contributions(x)
    found = explain(model, x, top=3)
    assert len(found) == 300
    for row in range(300):
        reasons = found.of(row)
        sizes = [abs(reason.points) for reason in reasons]
        assert sizes == sorted(sizes, reverse=True)
        shown = {reason.feature for reason in reasons}
        left = [abs(p) for p, f in zip(all_points[row], model.features, strict=True) if f.id not in shown]
        assert len(reasons) < 3 or max(left) <= min(sizes) + 1e-6
        for reason in reasons:
            column = int(reason.feature[1:])
            assert reason.points == all_points[row, column]
            assert (reason.direction == "raises") == (reason.points < 0)
            assert (reason.value is None) == bool(np.isnan(x[row, column]))
            assert reason.text_zh.startswith(reason.title_zh)
            assert f"{reason.points:+.1f}" in reason.text_en


@settings(max_examples=100, deadline=None)
@given(st.floats(-30, 30), st.integers(0, 1000), st.floats(0.01, 1000), st.floats(1, 500))
def test_points_and_log_odds_round_trip(log_odds: float, points: int, odds: float, double: float) -> None:
    """log-odds -> points -> log-odds is the identity to 1e-9, whatever the scale; double odds of safety cost double_odds points."""
    scale = Scaling(points, odds, double)
    assert float(scale.to_log_odds(scale.to_points(log_odds))) == pytest.approx(log_odds, abs=1e-9)
    step = float(scale.to_points(log_odds - np.log(2)) - scale.to_points(log_odds))
    assert step == pytest.approx(double, rel=1e-9)


def test_probabilities_come_back_from_points(scorer: Scorer, parts: Parts) -> None:
    """points -> probability agrees with the probability given beside them, to 1e-9."""
    s = scorer.score(parts.test.frame.x)
    back = 1 / (1 + np.exp(-scorer.scaling.to_log_odds(s.points)))
    np.testing.assert_allclose(back, s.probability, rtol=0, atol=1e-9)
    order = np.argsort(s.probability, kind="stable")
    assert (np.diff(s.points[order]) <= 1e-9).all()


def test_shown_points_are_whole_and_within_bounds(scorer: Scorer, parts: Parts) -> None:
    """What is shown lies in 0..1000; the additive points behind it are untouched."""
    wide = Scorer(**{**{f: getattr(scorer, f) for f in scorer.__dataclass_fields__}, "scaling": Scaling(600, 20, 5000)})
    s = wide.score(parts.test.frame.x)
    assert s.points.min() < 0
    assert (s.points_shown.min(), s.points_shown.max()) >= (0, 0)
    assert s.points_shown.max() <= 1000
    inside = (s.points > 0) & (s.points < 1000)
    assert (np.abs(s.points_shown - s.points)[inside] <= 0.5).all()


def test_scoring_does_not_depend_on_the_other_rows(scorer: Scorer, parts: Parts) -> None:
    """A row scores the same alone, in any order, in a large block, and with two threads."""
    x = parts.test.frame.x
    whole = scorer.score(x)
    for row in (0, 17, len(x) - 1):
        assert scorer.score(x[row : row + 1]).points[0] == whole.points[row]
    np.testing.assert_array_equal(scorer.score(x[::-1]).points[::-1], whole.points)
    np.testing.assert_array_equal(scorer.score(x[:500], threads=2).points, whole.points[:500])
    assert scorer.score(x[:0]).points.shape == (0,)
    assert len(explain(scorer, x[:0])) == 0


def test_rows_that_are_not_the_models_are_refused(scorer: Scorer, parts: Parts) -> None:
    """Another type, another width or an infinite value is refused; the message names the column and not the value."""
    x = parts.test.frame.x[:4].copy()
    for wrong in (x.astype(np.float64), x[:, :5]):
        with pytest.raises(LearningError, match="CT-LEARN-014"):
            scorer.score(wrong)  # type: ignore[arg-type]
    with pytest.raises(LearningError, match="1 thread or more"):
        scorer.score(x, threads=0)
    x[1, 4] = np.inf
    with pytest.raises(LearningError, match="'f4' is infinite in 1 rows"):
        scorer.score(x)
