"""The data scientist's door: from a lake and a model declaration to a tested, calibrated, recorded bundle.

`observe` gives point-in-time features and mature labels, `train` a finished training; `promote` and `rollback` are the decisions of a
person about what it made, `champion` the bundle in use. The README shows them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from credit_tier.canonical import digest_of
from credit_tier.content import Content
from credit_tier.data.lake import Lake
from credit_tier.errors import ContentError, Fault, LearningError
from credit_tier.learning.promotion import champion, promote, rollback
from credit_tier.specs.feature import CatalogueSpec, FeatureSpec
from credit_tier.specs.model import ModelSpec, TiersSpec
from credit_tier.temporal import day_number

if TYPE_CHECKING:
    import narwhals as nw
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from credit_tier.features.audit import Finding
    from credit_tier.learning.appraise import Appraisal
    from credit_tier.learning.bundle import Bundle
    from credit_tier.learning.evaluate import Evaluation
    from credit_tier.learning.splits import Part, Parts, TrainingFrame
    from credit_tier.learning.tracking import RunInfo
    from credit_tier.learning.yardstick import Yardstick

__all__ = [
    "Observations",
    "Training",
    "audit",
    "champion",
    "declared",
    "observe",
    "promote",
    "require_no_leak",
    "rollback",
    "train",
]


@dataclass(frozen=True)
class Observations:
    """Rows a model can learn from.

    Attributes
    ----------
    spec, features : the declarations.
    frame : the model's features and mature, observed outcomes.
    plain : the same rows with the features of the plain yardstick, or None if the model declares none.
    rows, mature, observed : rows of the spine, those whose label window is over, and those of them that have an outcome.
    catalogue_digest : SHA-256 of the features' declarations.
    spine : the usable rows in the order of the frames: `row`, `enterprise_no`, `as_of_day` and the cohort's attributes.
    """

    spec: ModelSpec
    features: tuple[FeatureSpec, ...]
    frame: TrainingFrame
    plain: TrainingFrame | None
    rows: int
    mature: int
    observed: int
    catalogue_digest: str
    spine: nw.DataFrame[Any]

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a pandas frame: enterprise_no, as_of_day, features, outcome."""
        import pandas as pd

        table = pd.DataFrame(self.frame.x, columns=[f.id for f in self.features])
        table.insert(0, "enterprise_no", self.frame.subject)
        table.insert(1, "as_of_day", self.frame.as_of_day)
        return table.assign(outcome=self.frame.y)


@dataclass(frozen=True)
class Training:
    """A finished training.

    Attributes
    ----------
    bundle : the model; `evaluation` its figures on the test part, `yardsticks` those of simple models on the same rows.
    appraisal : tests, comparisons, shifts and slices; :mod:`credit_tier.reports.training` makes a page of all of it.
    failed_gates : what keeps it from the alias `challenger`; empty if it may have it.
    run : where MLflow keeps it.
    """

    observations: Observations
    parts: Parts
    bundle: Bundle
    evaluation: Evaluation
    yardsticks: tuple[Yardstick, ...]
    appraisal: Appraisal
    failed_gates: tuple[Fault, ...]
    run: RunInfo

    @property
    def headline(self) -> str:
        """Return the figure people ask for first, with its interval and the yardstick."""
        found, interval = self.evaluation, self.evaluation.auc_interval
        return (
            f"out-of-time AUC {found.auc:.3f} ({interval.low:.3f}–{interval.high:.3f}), "
            f"logistic yardstick {self.yardsticks[0].evaluation.auc:.3f}"
        )


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
    import narwhals as nw
    import numpy as np

    from credit_tier.features import build, labels, spine
    from credit_tier.learning.splits import TrainingFrame

    spec, features, plain = declared(model, content)
    rows = spine.observations(lake, spec)
    outcome = labels.attach(lake, spec.label, rows)
    usable = outcome.filter(~nw.col("outcome").is_null())
    if len(usable) == 0:
        raise LearningError.of(
            "CT-LEARN-060",
            where=model,
            what=f"none of {len(rows)} rows has a mature outcome by {lake.cutoff_of(spec.label.source)}.",
            advice="Check label window, delay and the label's conditions against the lake.",
        )
    kept = rows.join(usable.select("row", "outcome"), on="row", how="inner").sort("row")
    every = tuple(dict.fromkeys((*features, *plain)))
    x = build.build(lake, every, kept.drop("outcome")).matrix()
    days, subjects = (kept[name].to_numpy().astype(np.int32) for name in ("as_of_day", "enterprise_no"))
    y = kept["outcome"].to_numpy().astype(np.int8)

    def frame_of(chosen: tuple[FeatureSpec, ...]) -> TrainingFrame:
        return TrainingFrame(np.ascontiguousarray(x[:, [every.index(f) for f in chosen]]), y, days, subjects, chosen)

    mature = int(outcome["is_mature"].sum())
    return Observations(
        spec,
        features,
        frame_of(features),
        frame_of(plain) if plain else None,
        len(rows),
        mature,
        len(usable),
        build.catalogue_digest(features),
        kept.drop("outcome"),
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
) -> Training:
    """Train, calibrate, test and record a model.

    Same lake, content, seed and threads give the same bundle, byte for byte.
    The new version gets the alias `challenger` if it passes its gates; `champion` is given by :func:`promote` only.

    Parameters
    ----------
    model : folder name under `models/`.
    store : folder of the MLflow store; made if absent.
    key : private key file that signs the bundle; see :func:`credit_tier.learning.signing.key_for_store`.

    Raises
    ------
    ContentError, FeatureError, LearningError : the declarations do not fit the data, a part of the split is empty, or the fitted
        model breaks a promise (monotone, confined, calibrated the right way round).
    """
    from credit_tier.learning import bundle as bundles
    from credit_tier.learning import signing, tracking
    from credit_tier.learning.appraise import Other, appraise, chosen, grading_of
    from credit_tier.learning.attributes import attributes_of
    from credit_tier.learning.calibrate import Calibration, calibrate
    from credit_tier.learning.card import card_of
    from credit_tier.learning.evaluate import evaluate
    from credit_tier.learning.figures import draw
    from credit_tier.learning.fit import fit
    from credit_tier.learning.gates import failed_gates
    from credit_tier.learning.rival import against_champion
    from credit_tier.learning.scorecard import Scorer
    from credit_tier.learning.splits import split

    seen = observe(model, lake, content)
    require_no_leak(seen, lake)
    signer = signing.key_for_store(store, key)
    spec = seen.spec
    parts = split(seen.frame, spec.split, spec.label)
    fitted = fit(parts, spec, seed=seed, threads=threads)
    uncalibrated = Scorer.of(fitted, Calibration("none", 0.0, 1.0), spec.points)
    later = parts.calibrate.frame
    raw_later = uncalibrated.raw_score(later.x, threads=threads)
    choice = chosen(parts, raw_later)
    calibration = calibrate(raw_later, later.y, choice.method if spec.calibration == "auto" else spec.calibration)
    scorer = Scorer.of(fitted, calibration, spec.points)
    test = parts.test.frame
    probability = scorer.score(test.x, threads=threads).probability
    evaluation = evaluate(test.y, probability, test.subject, test.as_of_day, seed=seed)
    yardsticks = _yardsticks(seen, parts, seed=seed)
    appraisal = appraise(
        parts,
        scorer,
        choice,
        grading=grading_of(_tiers(model, content), probability),
        unconstrained=_unconstrained(parts, spec, seed=seed, threads=threads),
        yardsticks=[Other(stick.name, stick.title_zh, stick.probability) for stick in yardsticks],
        attributes=attributes_of(lake, spec, _rows_of(seen, parts.test)),
        budget=spec.report.budget,
        seed=seed,
        threads=threads,
    )
    failed = failed_gates(spec.gates, evaluation, yardsticks)
    inputs = digest_of([seen.frame.digest, spec.model_dump_json(), lake.digest, content.digest(), seed, threads])
    written = bundles.write(
        Path(store) / "bundles" / f"{model}-{inputs[:16]}",
        spec=spec,
        fitted=fitted,
        calibration=calibration,
        parts=parts,
        evaluation=evaluation,
        failed_gates=[fault.what for fault in failed],
        provenance=bundles.Provenance(seen.catalogue_digest, lake.digest, content.digest()),
        key=signer,
    )
    digests = {"lake": lake.digest, "catalogue": seen.catalogue_digest, "content": content.digest()}
    prose = [item for item in content.files("models", suffix=".md") if item.name == f"{model}/card.md"]
    run = tracking.log_training(
        store,
        experiment=model,
        model=model,
        bundle=written,
        evaluation=evaluation,
        params={
            "seed": str(seed),
            "threads": str(threads),
            **{f"trees.{k}": str(v) for k, v in spec.trees.model_dump().items()},
        },
        datasets=tracking.datasets_of(parts, digests),
        figures=draw(evaluation, yardsticks),
        tags={f"{name}_digest": value for name, value in digests.items()}
        | {f"yardstick_{stick.name}_auc": f"{stick.evaluation.auc:.4f}" for stick in yardsticks},
        card=card_of(written.manifest, prose[0].path.read_text("utf-8") if prose else ""),
        aliases=() if failed else ("challenger",),
    )
    tracking.attach(
        store,
        run.run_id,
        files={
            "appraisal.json": json.dumps(appraisal.to_dict(), ensure_ascii=False, indent=1, sort_keys=True).encode()
        },
        metrics=appraisal.metrics()
        | against_champion(store, model, parts.test, probability, seed=seed, threads=threads),
    )
    return Training(seen, parts, written, evaluation, yardsticks, appraisal, failed, run)


def _tiers(model: str, content: Content) -> TiersSpec | None:
    """Return the class policy if it is made for this model."""
    if not any(item.name == "tiers.yaml" for item in content.files("pipelines")):
        return None
    tiers = content.load("pipelines", "tiers.yaml", TiersSpec)
    return tiers if tiers.model == model else None


def _unconstrained(parts: Parts, spec: ModelSpec, *, seed: int, threads: int) -> NDArray[np.float64] | None:
    """Return the test part's raw scores by the same model whose trees may mix dimensions; None if its own may."""
    from credit_tier.learning.calibrate import Calibration
    from credit_tier.learning.fit import fit
    from credit_tier.learning.scorecard import Scorer

    if not spec.trees.confine:
        return None
    free = spec.model_copy(update={"trees": spec.trees.model_copy(update={"confine": False})})
    fitted = fit(parts, free, seed=seed, threads=threads)
    scorer = Scorer.of(fitted, Calibration("none", 0.0, 1.0), spec.points)
    return scorer.raw_score(parts.test.frame.x, threads=threads)


def _rows_of(seen: Observations, part: Part) -> nw.DataFrame[Any]:
    """Return the rows of the spine that a part of the split holds, in its order."""
    import narwhals as nw

    return seen.spine.filter(nw.col("as_of_day").is_between(day_number(part.first), day_number(part.last)))


def _yardsticks(seen: Observations, parts: Parts, *, seed: int) -> tuple[Yardstick, ...]:
    """Return the simple models beside the model: the declared plain one first, one on the model's features, one feature alone."""
    from credit_tier.learning.splits import split
    from credit_tier.learning.yardstick import logistic, single_feature

    found = []
    if seen.plain is not None:
        plain = split(seen.plain, seen.spec.split, seen.spec.label)
        found.append(logistic(plain, name=("logistic_plain", "逻辑回归(标尺指标)"), seed=seed))
    found.append(logistic(parts, name=("logistic_same_features", "逻辑回归(同样指标)"), seed=seed))
    if seen.spec.history_feature is not None:
        found.append(single_feature(parts, seen.spec.history_feature, seed=seed))
    return tuple(found)
