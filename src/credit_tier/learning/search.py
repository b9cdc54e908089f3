"""Choosing settings of the trees by later outcomes, within the training part alone: calibration and test rows are never looked at.

Every setting grows a forest on the earlier rows of each fold and is judged by the log loss on later rows, whose labels were not known
when the earlier ones were. The simplest setting is taken that is not worse than the best by more than one standard error of their
difference, row by row and in whole enterprises. Equal rows, ranges, seed and threads give the same choice.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from credit_tier.errors import LearningError
from credit_tier.learning.calibrate import difference
from credit_tier.learning.confine import contributions_of
from credit_tier.learning.fit import dataset, fills_of, guard, parameters
from credit_tier.learning.folds import Division
from credit_tier.learning.splits import Parts, TrainingFrame
from credit_tier.specs.model import ModelSpec, Search, Trees
from credit_tier.temporal import date_of

USUAL = Search(
    rounds=(50, 100, 200, 400),
    leaves=(2, 4, 8, 16),
    learning_rate=(0.03, 0.1),
    min_rows_in_leaf=(50, 150),
    l2=(1.0, 10.0),
)
"""What is searched where a search is asked for and a model declares none."""

MOST = 500
"""Trials of a search at most."""

FIRST = 0.4
"""Share of the training rows, the earliest, that no fold judges."""


@dataclass(frozen=True)
class Fold:
    """Rows to learn from, rows to be judged by, and the first and last as_of of the latter."""

    earlier: TrainingFrame
    later: TrainingFrame
    first: date
    last: date


@dataclass(frozen=True)
class Candidate:
    """One setting, judged.

    Attributes
    ----------
    trial : which forests it comes from; candidates of a trial differ in `rounds` alone.
    loss, folds : log loss over all judged rows, and over those of each fold.
    worse, error : by how much the loss is above that of the best, and the standard error of that over enterprises.
    """

    trial: int
    rounds: int
    leaves: int
    learning_rate: float
    min_rows_in_leaf: int
    l2: float
    loss: float
    folds: tuple[float, ...]
    worse: float
    error: float

    @property
    def splits(self) -> int:
        """Return the most splits that the forest may have: what makes it complicated."""
        return self.rounds * (self.leaves - 1)


@dataclass(frozen=True)
class Searched:
    """A finished search.

    Attributes
    ----------
    declared : the settings before it; the first candidate.
    trees : the chosen settings.
    candidates : all that were judged, in the order of their trials; `best` and `chosen` are places in it.
    folds : first as_of, last as_of and number of the judged rows, and number of the rows before them, of each fold.
    possible, wanted, done : settings within the ranges, trials allowed, trials made.
    """

    declared: Trees
    trees: Trees
    candidates: tuple[Candidate, ...]
    best: int
    chosen: int
    folds: tuple[tuple[date, date, int, int], ...]
    possible: int
    wanted: int
    done: int

    @property
    def was_stopped(self) -> bool:
        """Return whether the clock ended the search, so that another machine may choose otherwise."""
        return self.done < self.wanted

    def metrics(self) -> dict[str, float]:
        """Return the single numbers by name."""
        first, chosen = self.candidates[0], self.candidates[self.chosen]
        return {
            "search_trials": float(self.done),
            "search_loss_declared": first.loss,
            "search_loss_chosen": chosen.loss,
            "search_loss_best": self.candidates[self.best].loss,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        folds = [
            {"from": a.isoformat(), "to": b.isoformat(), "rows": rows, "rows_before": before}
            for a, b, rows, before in self.folds
        ]
        return {
            "declared": self.declared.model_dump(mode="json"),
            "trees": self.trees.model_dump(mode="json"),
            "candidates": [asdict(item) for item in self.candidates],
            "best": self.best,
            "chosen": self.chosen,
            "folds": folds,
            "possible": self.possible,
            "wanted": self.wanted,
            "done": self.done,
            "was_stopped": self.was_stopped,
        }


def chosen_settings(
    parts: Division, spec: ModelSpec, trials: int | None, *, seed: int, threads: int
) -> Searched | None:
    """Search as a model declares, or as somebody asks; None if neither does.

    Parameters
    ----------
    trials : settings to try, over :data:`USUAL` ranges where the model declares none; 0: no search; None: as declared.

    Raises
    ------
    LearningError : CT-LEARN-016 no such number of trials, or rows in folds: settings chosen by all rows would flatter the figures that
        the same rows give; otherwise as :func:`search`.
    """
    if trials == 0 or (trials is None and spec.search is None):
        return None
    plan = spec.search or USUAL
    if trials is not None:
        plan = plan.model_copy(update={"trials": trials})
    if not isinstance(parts, Parts) or not 1 <= plan.trials <= MOST:
        raise LearningError.of(
            "CT-LEARN-016",
            where=f"search {spec.model}",
            what=f"不能搜索参数 · a search takes 1 to {MOST} trials and a split in time.",
            advice="With folds, declare the settings.",
        )
    return search(parts.train.frame, spec.trees, plan, gap_days=parts.gap_days, seed=seed, threads=threads)


def search(frame: TrainingFrame, trees: Trees, plan: Search, *, gap_days: int, seed: int, threads: int) -> Searched:
    """Choose settings of the trees.

    Parameters
    ----------
    frame : the training part. trees : the declared settings, which are tried first; what `plan` does not name stays as it is there.
    gap_days : label window and delay, see :func:`.gap_of`.
    seed : decides which settings are tried if the ranges hold more than `plan.trials`, and all that the trees draw.

    Raises
    ------
    LearningError : CT-LEARN-016 no fold can be made; otherwise as :func:`.fit`.

    Source: rolling origin, Tashman (2000); one standard error, Breiman and others (1984), here of the difference in pairs.
    """
    guard(frame, trees, seed=seed, threads=threads)
    folds = folds_of(frame, plan.folds, gap_days=gap_days)
    settings = _settings(trees, plan, seed=seed)
    tries = [_Try(fold, trees, seed=seed, threads=threads) for fold in folds]
    end = None if plan.seconds is None else time.monotonic() + plan.seconds
    losses: list[tuple[int, Trees, list[NDArray[np.float64]]]] = []
    done = 0
    for trial, setting in enumerate(settings):
        if trial and end is not None and time.monotonic() > end:
            break
        declared = (trees.rounds,) if trial == 0 or not plan.rounds else ()
        rounds = tuple(dict.fromkeys(declared + plan.rounds))
        by_fold = [one.losses(setting, rounds) for one in tries]
        losses += [
            (trial, setting.model_copy(update={"rounds": n}), [loss[i] for loss in by_fold])
            for i, n in enumerate(rounds)
        ]
        done += 1
    candidates, best = _judged(losses, folds)
    chosen = min(range(len(candidates)), key=lambda i: _simplicity(candidates[i], i))
    return Searched(
        declared=trees,
        trees=losses[chosen][1].model_copy(update={"early_stopping_rounds": None}),
        candidates=candidates,
        best=best,
        chosen=chosen,
        folds=tuple((fold.first, fold.last, len(fold.later), len(fold.earlier)) for fold in folds),
        possible=int(np.prod([len(values) for values in plan.ranges.values()], dtype=int)),
        wanted=len(settings),
        done=done,
    )


def folds_of(frame: TrainingFrame, count: int, *, gap_days: int) -> tuple[Fold, ...]:
    """Cut the rows after the first :data:`FIRST` of them into spans of time with about as many rows each.

    A span is judged by what was learned from the rows whose labels were known when it begins. One without both outcomes on both sides
    is left out.

    Raises
    ------
    LearningError (CT-LEARN-016) if no span is left.
    """
    days = np.sort(frame.as_of_day)
    places = [min(int(len(days) * (FIRST + (1 - FIRST) * k / count)), len(days) - 1) for k in range(count)]
    starts = [int(days[place]) for place in places]
    ends = [*starts[1:], int(days[-1]) + 1]
    folds = []
    for start, end in zip(starts, ends, strict=True):
        earlier = frame.take(frame.as_of_day <= start - gap_days)
        later = frame.take((frame.as_of_day >= start) & (frame.as_of_day < end))
        if all(0 < part.positives < len(part) for part in (earlier, later)):
            folds.append(Fold(earlier, later, date_of(start), date_of(end - 1)))
    if not folds:
        raise LearningError.of(
            "CT-LEARN-016",
            where="search",
            what=f"训练部分分不出先后两段 · no fold of the training part, as_of {date_of(int(days[0]))} to {date_of(int(days[-1]))}, "
            f"has both outcomes before and after a gap of {gap_days} days.",
            advice="Train on more time, ask for fewer folds, or take the declared settings.",
        )
    return tuple(folds)


class _Try:
    """A fold whose values LightGBM has put into bins once, for all settings."""

    def __init__(self, fold: Fold, trees: Trees, *, seed: int, threads: int) -> None:
        frame = fold.earlier
        self._features = frame.features
        self._sets = [one.columns for one in contributions_of(frame.features, trees.bridges)]
        self._drawn = {"seed": seed, "threads": threads}
        self._y, self._threads = fold.later.y, threads
        self._x = np.where(np.isnan(fold.later.x), fills_of(frame).astype(np.float32), fold.later.x)
        self._data = dataset(frame, self._parameters(trees)).construct()

    def _parameters(self, trees: Trees) -> dict[str, Any]:
        # Without the filter, bins do not depend on min_rows_in_leaf.
        return parameters(trees, self._features, self._sets, **self._drawn) | {"feature_pre_filter": False}

    def losses(self, trees: Trees, rounds: Sequence[int]) -> list[NDArray[np.float64]]:
        """Return the log loss of each later row for each number of rounds."""
        import lightgbm as lgb

        booster = lgb.train(self._parameters(trees), self._data, num_boost_round=max(rounds))
        z = np.zeros(len(self._y))
        found: dict[int, NDArray[np.float64]] = {}
        before = 0
        for count in sorted(rounds):
            z = z + np.asarray(
                booster.predict(
                    self._x,
                    raw_score=True,
                    start_iteration=before,
                    num_iteration=count - before,
                    num_threads=self._threads,
                )
            )
            found[count] = np.logaddexp(0.0, z) - self._y * z
            before = count
        return [found[count] for count in rounds]


def _settings(trees: Trees, plan: Search, *, seed: int) -> list[Trees]:
    """Return the declared settings and then those of the ranges, in an order drawn by the seed, as many as the budget allows."""
    ranges = plan.ranges
    every = [dict(zip(ranges, values, strict=True)) for values in product(*ranges.values())]
    every.sort(key=lambda one: hashlib.sha256(f"{seed}:{json.dumps(one, sort_keys=True)}".encode()).digest())
    found = [trees, *(trees.model_copy(update=one) for one in every)]
    return list(dict.fromkeys(found))[: plan.trials]


def _judged(
    losses: Sequence[tuple[int, Trees, list[NDArray[np.float64]]]], folds: Sequence[Fold]
) -> tuple[tuple[Candidate, ...], int]:
    """Return the candidates and the place of the best."""
    subject = np.concatenate([fold.later.subject for fold in folds])
    weights = [fold.later.weight for fold in folds if fold.later.weight is not None]
    weight = np.concatenate(weights) if weights else None
    rows = [np.concatenate(by_fold) for _, _, by_fold in losses]
    means = [difference(one, subject, weight)[0] for one in rows]
    best = int(np.argmin(means))
    found = []
    for (trial, trees, by_fold), one, mean in zip(losses, rows, means, strict=True):
        worse, error = difference(one - rows[best], subject, weight)
        own = tuple(
            difference(loss, fold.later.subject, fold.later.weight)[0]
            for loss, fold in zip(by_fold, folds, strict=True)
        )
        found.append(
            Candidate(
                trial,
                trees.rounds,
                trees.leaves,
                trees.learning_rate,
                trees.min_rows_in_leaf,
                trees.l2,
                mean,
                own,
                worse,
                error,
            )
        )
    return tuple(found), best


def _simplicity(item: Candidate, place: int) -> tuple[bool, int, int, float, int]:
    """Return what puts the candidate to choose first: as good as the best, then few splits, large leaves, strong shrinkage."""
    return item.worse > item.error, item.splits, -item.min_rows_in_leaf, -item.l2, place
