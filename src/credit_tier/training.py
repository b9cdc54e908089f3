"""The data scientist's door: from a lake and a model declaration to a tested, calibrated, recorded bundle.

`observe` gives point-in-time features and mature labels, `train` a finished training, `recalibrate` a model in use with a new level;
`promote` and `rollback` are the decisions of a person about what they made, `champion` the bundle in use. The README shows them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from credit_tier.content import Content
from credit_tier.data.lake import Lake
from credit_tier.errors import ContentError, Fault, LearningError
from credit_tier.learning.finish import Observations, Training, finish
from credit_tier.learning.promotion import champion, promote, rollback
from credit_tier.specs.feature import CatalogueSpec, FeatureSpec
from credit_tier.specs.model import ModelSpec, Split

if TYPE_CHECKING:
    from credit_tier.features.audit import Finding
    from credit_tier.learning.bundle import Bundle
    from credit_tier.learning.splits import Parts

__all__ = [
    "Observations",
    "Training",
    "audit",
    "champion",
    "declared",
    "observe",
    "promote",
    "recalibrate",
    "require_no_leak",
    "rollback",
    "train",
]


def declared(model: str, content: Content) -> tuple[ModelSpec, tuple[FeatureSpec, ...], tuple[FeatureSpec, ...]]:
    """Return a model's declaration, its features and those of its plain yardstick, in catalogue order.

    Raises
    ------
    ContentError : CT-CONTENT-013 no such model, CT-CONTENT-025 a feature that the catalogue does not have.
    """
    spec = content.load("models", f"{model}/model.yaml", ModelSpec)
    catalogue = content.load("pipelines", "features.yaml", CatalogueSpec)
    try:
        return spec, catalogue.subset(spec.features), catalogue.subset(spec.yardstick_features or ())
    except KeyError as error:
        raise ContentError.of(
            "CT-CONTENT-025",
            where=f"models/{model}/model.yaml",
            what=f"the catalogue has no feature '{error.args[0]}'.",
            advice="See credit-tier features list.",
        ) from error


def observe(model: str, lake: Lake, content: Content) -> Observations:
    """Compute features and labels of everything a model can learn from.

    Raises
    ------
    ContentError, FeatureError : the declarations do not fit the lake.
    LearningError (CT-LEARN-060) if no row has a mature, observed outcome.
    """
    from credit_tier.features import build, spine
    from credit_tier.learning.labelled import labelled

    spec, features, plain = declared(model, content)
    rows = spine.observations(lake, spec)
    found = labelled(lake, spec, tuple(dict.fromkeys((*features, *plain))), rows)
    if found is None:
        raise LearningError.of(
            "CT-LEARN-060",
            where=model,
            what=f"none of {len(rows)} rows has a mature outcome by {lake.cutoff_of(spec.label.source)}.",
            advice="Check label window, delay and the label's conditions against the lake.",
        )
    return Observations(
        spec,
        features,
        found.frame.select(features),
        found.frame.select(plain) if plain else None,
        len(rows),
        found.mature,
        found.observed,
        build.catalogue_digest(features),
        found.spine,
        found.drawn,
    )


def audit(seen: Observations, lake: Lake, *, rows: int = 2000, dates: int = 12) -> list[Finding]:
    """Search observations for features that know the future; leaks first, in the order of the catalogue.

    Parameters
    ----------
    rows, dates : how many observations, on how many as_of days, are computed again from a lake without its tail.

    Source: :mod:`credit_tier.features.audit`.
    """
    from credit_tier.features import audit as guard

    x = seen.frame.x
    found = [
        *guard.separators(x, seen.frame.y, seen.features),
        *guard.early_knowledge(lake, seen.features),
        *guard.cut_test(lake, seen.features, seen.spine, x, outcome=seen.spec.label.source, rows=rows, dates=dates),
    ]
    order = {feature.id: place for place, feature in enumerate(seen.features)}
    return sorted(found, key=lambda f: (not f.is_leak, order[f.feature]))


def require_no_leak(seen: Observations, lake: Lake) -> None:
    """Stop a training whose features know the future; the cut test takes a small sample.

    Raises
    ------
    LearningError (CT-LEARN-061), one fault per leak, naming the feature.
    """
    leaks = [f for f in audit(seen, lake, rows=400, dates=2) if f.is_leak]
    if leaks:
        raise LearningError(
            *(
                Fault(
                    "CT-LEARN-061",
                    f"{seen.spec.model} {leak.feature}",
                    f"{leak.what_zh} · the feature knows the future: {leak.what_en}.",
                    "See credit-tier features audit; correct known_at of its table, or leave the feature out of the model.",
                )
                for leak in leaks
            )
        )


def train(
    model: str,
    lake: Lake,
    content: Content,
    *,
    store: Path | str,
    seed: int,
    threads: int,
    key: Path | str | None = None,
    ebm: bool = False,
    optbinning: bool = False,
    search: int | None = None,
) -> Training:
    """Train, calibrate, test and record a model.

    Same lake, content, seed and threads give the same bundle, byte for byte.
    The new version gets the alias `challenger` if it passes its gates; `champion` is given by :func:`promote` only.

    Parameters
    ----------
    model : folder name under `models/`.
    store : folder of the MLflow store; made if absent.
    key : private key file that signs the bundle; see :func:`credit_tier.learning.signing.key_for_store`.
    ebm : train an explainable boosting machine as one more yardstick; takes longer than everything else.
    optbinning : have that library find the bins of the scorecard among the yardsticks.
    search : how many settings of the trees to try, by outcomes within the training part, see :mod:`.learning.search`; 0 takes the
        declared ones; None does as the declaration says.

    Raises
    ------
    ContentError, FeatureError, LearningError : the declarations do not fit the data, a part of the split is empty, or the fitted
        model breaks a promise (monotone, confined, calibrated the right way round).
    MachineError (CT-LEARN-038) if a library that a yardstick needs is not installed.
    """
    from credit_tier.learning import heldout, signing
    from credit_tier.learning.appraise import chosen, level_of
    from credit_tier.learning.finish import raw_scores
    from credit_tier.learning.fit import fit
    from credit_tier.learning.folds import Folds, divide
    from credit_tier.learning.search import chosen_settings
    from credit_tier.learning.yardstick import Extras

    extras = Extras(ebm=ebm, optbinning=optbinning)
    extras.require()
    seen = observe(model, lake, content)
    require_no_leak(seen, lake)
    signer = signing.key_for_store(store, key)
    spec = seen.spec
    parts = divide(seen.frame, spec, seed=seed)
    searched = chosen_settings(parts, spec, search, seed=seed, threads=threads)
    if searched is not None:
        spec = spec.model_copy(update={"trees": searched.trees})
        seen = replace(seen, spec=spec)
    fitted = fit(parts.grown, spec, seed=seed, threads=threads)
    fitted = replace(fitted, searched_from=None if searched is None else searched.declared)

    def grow(some: Parts) -> heldout.Score:
        return raw_scores(fit(some, spec, seed=seed, threads=threads), spec, threads=threads)

    if isinstance(parts, Folds):
        held = heldout.in_folds(parts, grow)
    else:
        held = heldout.in_time(parts, raw_scores(fitted, spec, threads=threads))
    choice = chosen(parts, held)
    level = level_of(choice.method if spec.calibration == "auto" else spec.calibration)
    return finish(
        seen,
        parts,
        fitted,
        held,
        level,
        choice=choice,
        lake=lake,
        content=content,
        store=store,
        threads=threads,
        key=signer,
        extras=extras,
        searched=searched,
    )


def recalibrate(
    bundle: Bundle,
    lake: Lake,
    content: Content,
    *,
    store: Path | str,
    threads: int,
    calibrate_days: int = 365,
    test_days: int = 180,
    refit_slope: bool = False,
    key: Path | str | None = None,
) -> Training:
    """Fit the calibration of a model in use anew to recent mature outcomes, and record the result as a version of its own.

    Trees and ranking stay as they are; probabilities, points and base follow the drifted base rate. The new version is tested on
    rows later than those it was recalibrated on, passes the same gates and gets the same report as any other.

    Parameters
    ----------
    bundle : the model in use; see :func:`champion`.
    calibrate_days, test_days : outcomes to recalibrate on and, after them, to test on, counted back from the last mature as_of.
    refit_slope : fit the slope too, not the intercept alone.
    store, threads, key : as in :func:`train`.

    Raises
    ------
    LearningError : CT-LEARN-021 too few outcomes, CT-LEARN-022 the declaration has changed or the outcomes are not newer than those
        the trees grew from, CT-LEARN-023 the model was cross-validated; otherwise as :func:`train`.
    """
    from credit_tier.learning import calibrate, heldout, refresh, signing
    from credit_tier.learning.appraise import chosen
    from credit_tier.learning.yardstick import Extras

    seen = observe(bundle.model, lake, content)
    refresh.require_same(bundle, seen.spec, seen.features)
    require_no_leak(seen, lake)
    signer = signing.key_for_store(store, key)
    recent = Split(train_from=seen.spec.split.train_from, calibrate_days=calibrate_days, test_days=test_days)
    trees = refresh.grown_with(bundle)
    seen = replace(seen, spec=seen.spec.model_copy(update={"split": recent, "trees": trees}))
    parts = refresh.recent_parts(bundle, seen.frame, seen.spec)
    held = heldout.in_time(parts, lambda x: bundle.scorer.raw_score(x, threads=threads))

    def level(by: heldout.Scored) -> calibrate.Calibration:
        return calibrate.recalibrate(
            bundle.scorer.calibration, by.raw, by.frame.y, by.frame.weight, refit_slope=refit_slope
        )

    return finish(
        seen,
        parts,
        refresh.fitted_of(bundle),
        held,
        level,
        choice=chosen(parts, held),
        lake=lake,
        content=content,
        store=store,
        threads=threads,
        key=signer,
        extras=Extras(),
        parent=bundle.digest,
    )
