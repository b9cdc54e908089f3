"""Search: settings are chosen by later outcomes within the training part, the same way every time, and simple ones win ties."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import ValidationError

from credit_tier.errors import LearningError
from credit_tier.learning import search as searching
from credit_tier.learning.calibrate import Calibration
from credit_tier.learning.fit import fit
from credit_tier.learning.folds import Folds
from credit_tier.learning.scorecard import Scorer
from credit_tier.learning.search import chosen_settings, folds_of, search
from credit_tier.learning.splits import Parts, TrainingFrame
from credit_tier.specs.model import ModelSpec, Search, Trees

GAP = 40
TREES = Trees(rounds=40, leaves=4, min_rows_in_leaf=20)
PLAN = Search(trials=6, rounds=(5, 20, 40), leaves=(2, 8), learning_rate=(0.05, 0.2), min_rows_in_leaf=(20, 60))


def test_folds_learn_from_rows_whose_labels_were_known(frame: TrainingFrame) -> None:
    """Each fold is judged by rows at least a gap later than those it learned from; judged rows follow each other, none twice."""
    folds = folds_of(frame, 3, gap_days=GAP)
    assert len(folds) == 3
    for fold in folds:
        assert fold.earlier.as_of_day.max() + GAP <= fold.later.as_of_day.min()
        assert fold.earlier.as_of_day.min() == frame.as_of_day.min()
    days = np.concatenate([fold.later.as_of_day for fold in folds])
    assert (np.diff(days) >= 0).all()
    np.testing.assert_array_equal(days, frame.as_of_day[-len(days) :])
    assert len(days) == pytest.approx(0.6 * len(frame), rel=0.02)


def test_rows_after_the_training_part_change_nothing(parts: Parts) -> None:
    """The search takes the training part alone; more of it, later, is another search."""
    frame = parts.train.frame
    one = search(frame, TREES, PLAN, gap_days=GAP, seed=1, threads=1)
    assert all(last <= parts.train.last for _, last, _, _ in one.folds)
    shorter = frame.take(frame.as_of_day < np.quantile(frame.as_of_day, 0.8))
    assert search(shorter, TREES, PLAN, gap_days=GAP, seed=1, threads=1).candidates != one.candidates


def test_equal_seed_equal_choice(parts: Parts) -> None:
    """The same seed tries the same settings and chooses the same; another one draws other settings from ranges that hold more."""
    plan = PLAN.model_copy(update={"l2": (0.0, 1.0, 10.0)})
    one, two, other = (search(parts.train.frame, TREES, plan, gap_days=GAP, seed=s, threads=1) for s in (1, 1, 2))
    assert one == two
    assert one.possible == 24 > one.wanted == one.done == 6
    tried = [
        {(c.leaves, c.learning_rate, c.min_rows_in_leaf, c.l2) for c in found.candidates} for found in (one, other)
    ]
    assert tried[0] != tried[1]


@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_of_the_declared_settings_is_that_of_a_model_fitted_so(
    weighted: bool, parts: Parts, new_spec: Callable[..., ModelSpec]
) -> None:
    """The first candidate is what `trees` declares, and its loss what a plain fit on each fold gives, missing values included."""
    frame = parts.train.frame
    weight = np.where(frame.subject % 3 == 0, 3.0, 1.0) if weighted else None
    frame = replace(frame, weight=weight)
    found = search(frame, TREES, PLAN, gap_days=GAP, seed=4, threads=1)
    first = found.candidates[0]
    assert (first.trial, first.rounds, first.leaves) == (0, 40, 4)
    losses, weights = [], []
    for fold in folds_of(frame, 3, gap_days=GAP):
        spec = new_spec(trees=TREES)
        grown = fit(replace(parts, train=replace(parts.train, frame=fold.earlier)), spec, seed=4, threads=1)
        z = Scorer.of(grown, Calibration("none", 0.0, 1.0), spec.points).raw_score(fold.later.x)
        losses.append(np.logaddexp(0, z) - fold.later.y * z)
        weights.append(np.ones(len(z)) if fold.later.weight is None else fold.later.weight)
        assert first.folds[len(losses) - 1] == pytest.approx(np.average(losses[-1], weights=weights[-1]), abs=1e-9)
    assert first.loss == pytest.approx(np.average(np.concatenate(losses), weights=np.concatenate(weights)), abs=1e-9)


def test_shared_bins_give_the_trees_of_bins_of_their_own(parts: Parts) -> None:
    """A setting is judged alike whether it is tried alone or after others on the same bins."""
    plan = Search(trials=9, min_rows_in_leaf=(2, 30, 300), leaves=(2, 16))
    together = search(parts.train.frame, TREES, plan, gap_days=GAP, seed=1, threads=1)
    for item in together.candidates[1:]:
        alone = TREES.model_copy(update={"min_rows_in_leaf": item.min_rows_in_leaf, "leaves": item.leaves})
        found = search(parts.train.frame, alone, Search(trials=1), gap_days=GAP, seed=1, threads=1)
        assert found.candidates[0].folds == item.folds


def test_the_simplest_within_one_standard_error_is_chosen(parts: Parts) -> None:
    """No candidate with fewer splits is as good as the best within the error of their difference; the best has the least loss."""
    found = search(parts.train.frame, TREES, PLAN, gap_days=GAP, seed=1, threads=1)
    best, chosen = found.candidates[found.best], found.candidates[found.chosen]
    assert best.loss == min(item.loss for item in found.candidates)
    assert (best.worse, best.error) == (0, 0)
    assert chosen.worse <= chosen.error or chosen == best
    assert not any(item.worse <= item.error and item.splits < chosen.splits for item in found.candidates)
    assert (found.trees.rounds, found.trees.leaves) == (chosen.rounds, chosen.leaves)
    assert found.trees.learning_rate == chosen.learning_rate


def test_what_carries_nothing_is_learned_with_few_splits(parts: Parts) -> None:
    """Where outcomes are noise the smallest forest is chosen; where they follow the features a larger one."""
    frame = parts.train.frame
    noise = replace(frame, y=(np.random.default_rng(5).random(len(frame)) < 0.2).astype(np.int8))
    plan = Search(trials=4, rounds=(5, 20, 80), leaves=(2, 8))
    trees = TREES.model_copy(update={"rounds": 20})
    empty = search(noise, trees, plan, gap_days=GAP, seed=1, threads=1).trees
    assert empty.rounds * (empty.leaves - 1) == 5
    full = search(frame, trees, plan, gap_days=GAP, seed=1, threads=1).trees
    assert full.rounds * (full.leaves - 1) > 20


def test_a_clock_stops_between_trials_and_is_told(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the seconds are over no trial begins; the first is always finished, and the result says that it was stopped."""
    ticks = iter([0.0, 30.0, 61.0])
    monkeypatch.setattr(searching, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    plan = PLAN.model_copy(update={"seconds": 60})
    found = search(parts.train.frame, TREES, plan, gap_days=GAP, seed=1, threads=1)
    assert (found.done, found.wanted, found.was_stopped) == (2, 6, True)
    assert found.to_dict()["was_stopped"] is True
    monkeypatch.undo()
    assert not search(parts.train.frame, TREES, PLAN, gap_days=GAP, seed=1, threads=1).was_stopped


def test_early_stopping_is_given_up_for_counted_rounds(parts: Parts) -> None:
    """The chosen settings do not look at the calibration part."""
    trees = TREES.model_copy(update={"early_stopping_rounds": 5})
    found = search(parts.train.frame, trees, Search(trials=1), gap_days=GAP, seed=1, threads=1)
    assert found.trees.early_stopping_rounds is None


def test_a_training_part_shorter_than_its_gap_cannot_be_searched(parts: Parts) -> None:
    """Without an earlier and a later piece the search is refused and says how many days lie between them."""
    with pytest.raises(LearningError, match="CT-LEARN-016") as caught:
        search(parts.train.frame, TREES, PLAN, gap_days=2000, seed=1, threads=1)
    assert "2000 days" in str(caught.value)


def test_what_is_declared_is_searched_unless_somebody_asks_otherwise(
    parts: Parts, new_spec: Callable[..., ModelSpec]
) -> None:
    """No declaration, no search; a number of trials overrules it both ways; without declared ranges the usual ones are taken."""
    plain, declared = new_spec(trees=TREES), new_spec(trees=TREES, search=PLAN)

    def done(spec: ModelSpec, trials: int | None) -> int | None:
        found = chosen_settings(parts, spec, trials, seed=1, threads=1)
        return None if found is None else found.done

    assert (done(plain, None), done(declared, 0), done(declared, 2)) == (None, None, 2)
    found = chosen_settings(parts, plain, 2, seed=1, threads=1)
    assert found is not None
    assert found.possible == np.prod([len(values) for values in searching.USUAL.ranges.values()])
    assert chosen_settings(parts, declared, None, seed=1, threads=1) == search(
        parts.train.frame, TREES, PLAN, gap_days=parts.gap_days, seed=1, threads=1
    )


def test_settings_are_not_searched_where_all_rows_judge(
    frame: TrainingFrame, new_spec: Callable[..., ModelSpec]
) -> None:
    """In cross-validation every row judges: settings chosen by them would flatter the figures, and are refused."""
    folds = Folds.deal(frame, 3, gap_days=GAP, seed=1)
    with pytest.raises(LearningError, match=r"CT-LEARN-016.*split in time"):
        chosen_settings(folds, new_spec(search=PLAN), None, seed=1, threads=1)


@pytest.mark.parametrize(
    ("facts", "words"),
    [({"leaves": [8, 4]}, "does not rise"), ({"rounds": [0, 5]}, "greater than"), ({"trials": 0}, "greater than")],
)
def test_ranges_are_checked_like_settings(facts: dict[str, object], words: str) -> None:
    """A range falls under the same bounds as the setting itself, and rises."""
    with pytest.raises(ValidationError, match=words):
        Search.model_validate(facts)
