"""Cross-validation: whole enterprises, shares of both outcomes, and nothing about a row learned from its own outcome."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier.errors import LearningError
from credit_tier.learning.appraise import level_of
from credit_tier.learning.evaluate import auc_of, evaluate
from credit_tier.learning.finish import raw_scores
from credit_tier.learning.fit import fit
from credit_tier.learning.folds import Folds, divide
from credit_tier.learning.heldout import Grow, Score, held_out, in_folds, in_time
from credit_tier.learning.scorecard import Scorer
from credit_tier.learning.splits import Parts, TrainingFrame
from credit_tier.learning.yardstick import logistic, single_feature
from credit_tier.specs.model import ModelSpec, Split, Trees


def small(frame: TrainingFrame, rows: int, *, seed: int = 5) -> TrainingFrame:
    """Some rows, two of each enterprise."""
    chosen = np.random.Generator(np.random.Philox(seed)).permutation(len(frame))[:rows]
    return replace(frame.take(chosen), subject=(np.arange(rows) // 2).astype(np.int32))


def shuffled(frame: TrainingFrame, *, seed: int) -> TrainingFrame:
    """Outcomes that know nothing of the features, one for each enterprise."""
    y = (np.random.Generator(np.random.Philox(seed)).random(len(frame)) < 0.25).astype(np.int8)
    return replace(frame, y=y[frame.subject])


def grower(spec: ModelSpec) -> Grow:
    def grow(some: Parts) -> Score:
        return raw_scores(fit(some, spec, seed=1, threads=1), spec, threads=1)

    return grow


def crossed(spec: ModelSpec, folds: int = 5, rounds: int = 15) -> ModelSpec:
    trees = Trees(rounds=rounds, leaves=3, min_rows_in_leaf=10)
    return spec.model_copy(update={"split": Split(folds=folds), "trees": trees})


@given(
    subjects=st.lists(st.tuples(st.booleans(), st.integers(1, 4)), min_size=14, max_size=60),
    count=st.integers(3, 6),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_every_row_is_in_one_fold_no_enterprise_in_two_and_outcomes_are_shared_out(
    frame: TrainingFrame, subjects: list[tuple[bool, int]], count: int, seed: int
) -> None:
    """Folds differ by one enterprise at most, in all and of each outcome; the order of rows does not matter; too few are refused."""
    number = np.repeat(np.arange(len(subjects)), [n for _, n in subjects]).astype(np.int32)
    rows = np.resize(np.arange(len(frame)), len(number))
    y = np.array([hit and at == 0 for hit, n in subjects for at in range(n)], np.int8)
    mine = replace(frame.take(rows), subject=number, y=y)
    hits = sum(hit for hit, _ in subjects)
    if min(hits, len(subjects) - hits) < count:
        with pytest.raises(LearningError, match=f"CT-LEARN-004.*{count} folds.*{hits} have a positive row"):
            Folds.deal(mine, count, gap_days=0, seed=seed)
        return
    folds = Folds.deal(mine, count, gap_days=0, seed=seed)
    of = dict(zip(number.tolist(), folds.fold.tolist(), strict=True))
    assert [of[s] for s in number.tolist()] == folds.fold.tolist()
    assert set(folds.fold.tolist()) == set(range(count))
    for kind in (True, False):
        sizes = Counter(of[s] for s, (hit, _) in enumerate(subjects) if hit == kind)
        assert len(sizes) == count
        assert max(sizes.values()) - min(sizes.values()) <= 1
    assert max(Counter(of.values()).values()) - min(Counter(of.values()).values()) <= 1
    back = Folds.deal(mine.take(np.arange(len(number))[::-1]), count, gap_days=0, seed=seed)
    assert back.fold[::-1].tolist() == folds.fold.tolist()
    for k in range(count):
        grown = folds.without(k).train.frame
        assert set(grown.subject.tolist()) == {s for s, fold in of.items() if fold != k}


def test_the_seed_decides_who_sits_with_whom(frame: TrainingFrame) -> None:
    """Equal seeds give equal folds, others give others."""
    mine = small(frame, 300)
    first, again, other = (Folds.deal(mine, 5, gap_days=0, seed=seed).fold.tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_neither_trees_nor_calibration_of_a_row_see_its_enterprise(frame: TrainingFrame) -> None:
    """Turning all outcomes of one fold leaves every score and every calibration of that fold as they were."""
    mine = small(frame, 240)
    folds = Folds.deal(mine, 4, gap_days=0, seed=3)
    seen: list[frozenset[int]] = []

    def grow(some: Parts) -> Score:
        train = some.train.frame
        seen.append(frozenset(train.subject.tolist()))
        weight = np.linalg.lstsq(np.nan_to_num(train.x), train.y.astype(float), rcond=None)[0]
        return lambda x: np.nan_to_num(x) @ weight

    before = in_folds(folds, grow)
    assert len(seen) == 4 + 6
    assert frozenset(mine.subject.tolist()) not in seen
    rows = folds.fold == 2
    turned = replace(mine, y=np.where(rows, 1 - mine.y, mine.y).astype(np.int8))
    after = in_folds(replace(folds, frame=turned), grow)
    assert after.raw[rows].tolist() == before.raw[rows].tolist()
    z = [held.log_odds(level_of("platt")) for held in (before, after)]
    assert z[0][rows].tolist() == z[1][rows].tolist()
    assert (z[0][~rows] != z[1][~rows]).all()
    for k, item in enumerate(before.rounds):
        assert not set(item.by.frame.subject.tolist()) & set(mine.subject[item.rows].tolist())
        assert set(item.rows.tolist()) == set(np.flatnonzero(folds.fold == k).tolist())


def test_outcomes_that_know_nothing_give_half_an_auc_and_the_right_level(frame: TrainingFrame, spec: ModelSpec) -> None:
    """In 8 worlds without a signal the interval holds 0.5 all but once, the mean AUC is near it, and probabilities are on the level."""
    mine, plan = small(frame, 240), crossed(spec, folds=4, rounds=6)
    found = []
    for seed in range(8):
        world = shuffled(mine, seed=seed)
        folds = divide(world, plan, seed=seed)
        p = held_out(folds, grower(plan)).probability(level_of("platt"))
        found.append(evaluate(world.y, p, world.subject, world.as_of_day, fold=folds.fold, seed=1, replicates=200))
    assert sum(e.auc_interval.low <= 0.5 <= e.auc_interval.high for e in found) >= 7
    assert np.mean([e.auc for e in found]) == pytest.approx(0.5, abs=0.06)
    assert all(e.predicted_to_observed == pytest.approx(1, abs=0.1) for e in found)
    assert np.mean([e.brier_ratio for e in found]) < 1.1


def test_a_calibration_by_the_models_own_rows_would_flatter(frame: TrainingFrame, spec: ModelSpec) -> None:
    """What the folds prevent: judged on the rows it grew from, the same model finds a signal where there is none."""
    mine, plan = shuffled(small(frame, 240), seed=1), crossed(spec)
    own = raw_scores(fit(Folds.deal(mine, 5, gap_days=0, seed=1).grown, plan, seed=1, threads=1), plan, threads=1)
    assert auc_of(mine.y, own(mine.x)) > 0.6


def test_a_signal_is_found_and_calibrated(frame: TrainingFrame, spec: ModelSpec) -> None:
    """On real differences model and yardsticks rank well, each row judged once, and predictions fit outcomes."""
    mine, plan = small(frame, 900), crossed(spec)
    folds = divide(mine, plan, seed=2)
    p = held_out(folds, grower(plan)).probability(level_of("platt"))
    found = evaluate(mine.y, p, mine.subject, mine.as_of_day, fold=folds.fold, seed=1, replicates=200)
    assert found.rows == 900
    assert found.auc_interval.low > 0.65
    assert found.predicted_to_observed == pytest.approx(1, abs=0.1)
    assert 0.6 < found.calibration_slope < 1.6
    for stick in (logistic(folds, replicates=50), single_feature(folds, "f0", replicates=50)):
        assert len(stick.probability) == 900
        assert stick.evaluation.auc > 0.6


def test_one_feature_alone_keeps_its_auc(frame: TrainingFrame) -> None:
    """Within folds a feature ranks as it does by itself, whatever line each fold lays through it; across folds it would not."""
    mine = small(frame, 120)
    mine = replace(mine, x=np.exp(3 * mine.x), y=mine.y)
    alone = auc_of(mine.y, mine.x[:, 0].astype(float))
    found = [single_feature(Folds.deal(mine, 5, gap_days=0, seed=s), "f0", replicates=2).evaluation for s in range(12)]
    assert np.mean([e.auc for e in found]) == pytest.approx(alone, abs=0.03)


def test_an_auc_within_folds_is_the_mean_over_pairs_of_a_fold() -> None:
    """Against a double loop, with ties and weights; equal to the plain one where there is one fold."""
    rng = np.random.Generator(np.random.Philox(4))
    y, fold = (rng.integers(0, n, 80).astype(t) for n, t in ((2, np.int8), (3, np.int32)))
    score, weight = rng.integers(0, 9, 80).astype(float), rng.random(80) + 0.1
    pairs = [(i, j) for i in np.flatnonzero(y == 1) for j in np.flatnonzero(y == 0) if fold[i] == fold[j]]
    share = np.array([weight[i] * weight[j] for i, j in pairs])
    wins = np.array([(score[i] > score[j]) + 0.5 * (score[i] == score[j]) for i, j in pairs])
    assert auc_of(y, score, weight, fold) == pytest.approx(float((share * wins).sum() / share.sum()))
    assert auc_of(y, score, weight, np.zeros(80, np.int32)) == auc_of(y, score, weight)


def test_in_time_there_is_one_round_and_a_wrong_way_is_an_error(parts: Parts) -> None:
    """Scores, calibrating rows and judged rows are those of the parts; a model that ranks backwards is refused, not held flat."""
    held = in_time(parts, lambda x: -x[:, 0].astype(float))
    assert held.raw.tolist() == (-parts.test.frame.x[:, 0].astype(float)).tolist()
    assert held.by.frame is parts.calibrate.frame
    with pytest.raises(LearningError, match="CT-LEARN-020"):
        held.log_odds(level_of("platt"))


def test_in_time_judged_probabilities_are_those_of_the_model_that_leaves_training(
    parts: Parts, spec: ModelSpec
) -> None:
    """Figures are made from raw scores and the calibration, a bundle from points: to the last digits the same."""
    fitted = fit(parts, spec, seed=1, threads=1)
    held = in_time(parts, raw_scores(fitted, spec, threads=1))
    for method in ("platt", "beta", "isotonic"):
        level = level_of(method)
        left = Scorer.of(fitted, level(held.by), spec.points).score(parts.test.frame.x)
        np.testing.assert_allclose(held.probability(level), left.probability, rtol=1e-12)
        assert held.raw.tolist() == left.raw_score.tolist()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"split": {"folds": 2}}, "greater than or equal to 3"),
        ({"split": {"folds": 5, "test_days": 90}}, "folds stand alone"),
        ({"split": {"folds": 5, "calibrate_days": 90, "test_days": 90}}, "or folds"),
        ({"split": {"folds": 5}, "calibration": "auto"}, "there is no later part"),
        ({"split": {"folds": 5}, "trees": {"early_stopping_rounds": 5}}, "there is no later part"),
    ],
)
def test_what_needs_an_order_in_time_is_refused_with_folds(
    spec: ModelSpec, change: dict[str, object], what: str
) -> None:
    """When the declaration is read, in words."""
    with pytest.raises(ValueError, match=what):
        ModelSpec.model_validate(spec.model_dump() | change)


def test_a_declaration_with_folds_is_read_again_from_what_it_says(spec: ModelSpec) -> None:
    """As a bundle's manifest holds it, with every field given."""
    folded = spec.model_copy(update={"split": Split(folds=5)})
    assert ModelSpec.model_validate(folded.model_dump(mode="json")) == folded
