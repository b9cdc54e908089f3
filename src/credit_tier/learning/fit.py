"""Growing the trees: LightGBM with monotone constraints from the catalogue, every tree confined to one dimension or bridge.

What would kill the process is refused before training, what LightGBM promises is proved on the result.
Classes are never reweighted: that ruins calibration and gains nothing (`peers.md` section 0, item 8).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from credit_tier.errors import Fault, LearningError
from credit_tier.learning.confine import contributions_of, cut
from credit_tier.learning.forest import Forest
from credit_tier.learning.splits import Parts, TrainingFrame
from credit_tier.specs.feature import FeatureSpec
from credit_tier.specs.model import ModelSpec, Trees

if TYPE_CHECKING:
    import lightgbm

MAX_FEATURES = 2000
MAX_THREADS = 256
"""With thousands of threads LightGBM hangs, with more the process dies."""

_ID = re.compile(r"[a-z][a-z0-9_]{0,99}")


@dataclass(frozen=True)
class Fitted:
    """A fitted forest, before calibration.

    Attributes
    ----------
    forest : the trees; of a confined model those of a dimension or bridge stand side by side.
    features : specs of its columns.
    dimensions : ids of the dimensions in the order of the catalogue's features, then of the bridges as declared.
    spans : (first tree, number of trees) of each of them, or None if trees may mix dimensions.
    fills : shape (features,); the number that stands for a missing value, NaN where the trees themselves learned what missing
        means. A column that was never missing in training gets its catalogue value, or else its training median: LightGBM would
        silently read 0.
    searched_from : the declared settings, where a search has chosen those that the trees grew with.
    """

    forest: Forest
    features: tuple[FeatureSpec, ...]
    dimensions: tuple[str, ...]
    spans: tuple[tuple[int, int], ...] | None
    fills: NDArray[np.float64]
    seed: int
    lightgbm_version: str
    searched_from: Trees | None = None


def fit(parts: Parts, spec: ModelSpec, *, seed: int, threads: int) -> Fitted:
    """Grow the model on the training part.

    Equal parts, spec, seed and number of threads give the same forest, to the last bit.

    Parameters
    ----------
    parts : the split; the calibration part is looked at only if `spec.trees.early_stopping_rounds` is given.
    seed : 0 or more; decides which rows and columns a tree sees where the spec takes fractions of them.
    threads : 1 to 256; one training at a time may use all cores.

    Raises
    ------
    LearningError : CT-LEARN-010 columns LightGBM cannot take, CT-LEARN-011 no split found,
        CT-LEARN-012 a fitted tree breaks a monotone constraint, CT-LEARN-013 a tree mixes dimensions that no bridge joins,
        CT-LEARN-015 a bridge that fits no features.

    Source: `performance.md` (confined trees), `peers.md` section 7 (guards).
    """
    import lightgbm as lgb

    train = parts.train.frame
    guard(train, spec.trees, seed=seed, threads=threads)
    contributions = contributions_of(train.features, spec.trees.bridges)
    sets = [one.columns for one in contributions]
    params = parameters(spec.trees, train.features, sets, seed=seed, threads=threads)
    data = dataset(train, params)
    stopping: dict[str, Any] = {}
    if spec.trees.early_stopping_rounds is not None:
        stopping["valid_sets"] = [dataset(parts.calibrate.frame, params, reference=data)]
        stopping["callbacks"] = [lgb.early_stopping(spec.trees.early_stopping_rounds, verbose=False)]
    booster = lgb.train(params, data, num_boost_round=spec.trees.rounds, **stopping)
    best = booster.best_iteration if booster.best_iteration > 0 else -1
    forest = Forest.read(booster.model_to_string(num_iteration=best), where="fit").on_grid()
    spans = None
    broken = forest.broken_directions()
    if broken:
        raise LearningError.of(
            "CT-LEARN-012",
            where="fit",
            what=f"违反单调约束 · the fitted trees break the direction of: {', '.join(broken)}.",
            advice="Report it with the LightGBM version; do not use the model.",
        )
    if spec.trees.confine:
        forest, spans = cut(forest, sets).grouped(sets)
    dimensions = tuple(one.id for one in contributions)
    return Fitted(forest, train.features, dimensions, spans, fills_of(train), seed, str(lgb.__version__))


def guard(train: TrainingFrame, trees: Trees, *, seed: int, threads: int) -> None:
    """Refuse what would kill or hang the process in LightGBM, or end there in a model that says nothing.

    Raises
    ------
    LearningError : CT-LEARN-010 columns, seed, threads or rows that LightGBM cannot take, CT-LEARN-011 nothing could be split; all
        faults at once.

    Source: `peers.md` section 7. Categories cannot occur (features are numbers), nor a list of directions of another length (it is
    made from the features).
    """
    faults = []
    if not 1 <= len(train.features) <= MAX_FEATURES:
        faults.append(
            Fault("CT-LEARN-010", "fit", f"a model takes 1 to {MAX_FEATURES} features, not {len(train.features)}.")
        )
    faults += [
        Fault("CT-LEARN-010", "fit", f"the feature id '{feature.id}' is not lower-case letters, digits and _.")
        for feature in train.features
        if not _ID.fullmatch(feature.id)
    ]
    if seed < 0 or seed >= 2**31 or not 1 <= threads <= MAX_THREADS:
        faults.append(Fault("CT-LEARN-010", "fit", f"seed is 0 to 2147483647 and threads 1 to {MAX_THREADS}."))
    if train.positives in {0, len(train)}:
        what = f"只有一种结果 · the {len(train)} training rows have one outcome only."
        faults.append(Fault("CT-LEARN-010", "fit", what, "Train on more time, or widen the label."))
    seen = int(len(train) * trees.row_fraction)
    if seen < 2 * trees.min_rows_in_leaf:
        what = f"行数不足 · a tree sees {seen} rows and may not make leaves of fewer than {trees.min_rows_in_leaf}: none can split."
        faults.append(Fault("CT-LEARN-011", "fit", what, "Lower trees.min_rows_in_leaf, or train on more rows."))
    elif len(train.features) and not _any_varies(train.x):
        what = "没有变化的指标 · no feature takes two different values in the training rows."
        faults.append(Fault("CT-LEARN-011", "fit", what, "Check that the features hold information before as_of."))
    if faults:
        raise LearningError(*faults)


def _any_varies(x: NDArray[np.float32]) -> bool:
    """Return whether some column has two different values; missing beside known is a difference."""
    known = ~np.isnan(x)
    if (known.any(axis=0) & ~known.all(axis=0)).any():
        return True
    whole = x[:, known.all(axis=0)]
    return bool((whole != whole[:1]).any())


def dataset(
    frame: TrainingFrame, params: dict[str, Any], *, reference: lightgbm.Dataset | None = None
) -> lightgbm.Dataset:
    """Return rows for LightGBM. Weights get the mean 1: shrinkage and smallest leaves would else depend on the unit they are told in.

    Parameters
    ----------
    reference : the rows whose bins are used; None: their own.
    """
    import lightgbm

    return lightgbm.Dataset(
        frame.x,
        frame.y,
        weight=None if frame.weight is None else frame.weight / frame.weight.mean(),
        feature_name=[feature.id for feature in frame.features],
        reference=reference,
        params=params,
    )


def parameters(
    trees: Trees, features: tuple[FeatureSpec, ...], sets: Sequence[frozenset[int]], *, seed: int, threads: int
) -> dict[str, Any]:
    """Return LightGBM's parameters; `sets` are the columns that a branch may combine, see :mod:`credit_tier.learning.confine`."""
    params: dict[str, Any] = {
        "objective": "binary",
        "metric": "binary_logloss",
        "num_leaves": trees.leaves,
        "max_depth": trees.depth,
        "learning_rate": trees.learning_rate,
        "min_data_in_leaf": trees.min_rows_in_leaf,
        "lambda_l2": trees.l2,
        "feature_fraction": trees.feature_fraction,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "verbosity": -1,
    }
    if trees.row_fraction < 1:
        params |= {"bagging_fraction": trees.row_fraction, "bagging_freq": 1}
    if trees.monotone and any(feature.direction for feature in features):
        params["monotone_constraints"] = [int(feature.direction) for feature in features]
        # LightGBM falls back to `basic` by itself where a tree sees a part of the columns only.
        params["monotone_constraints_method"] = "intermediate" if trees.feature_fraction == 1 else "basic"
    if trees.confine:
        params["interaction_constraints"] = [sorted(one) for one in sets]
    return params


def fills_of(train: TrainingFrame) -> NDArray[np.float64]:
    """Return what stands for a missing value of each column, see :class:`Fitted`."""
    fills = np.full(len(train.features), np.nan)
    for j in np.flatnonzero(~np.isnan(train.x).any(axis=0)):
        declared = train.features[j].missing.fill
        fills[j] = np.float32(declared) if declared is not None else np.median(train.x[:, j])
    return fills
