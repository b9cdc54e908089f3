"""The end of every training: a calibrated model is tested, appraised, written as a bundle and recorded in the store."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from credit_tier.canonical import digest_of
from credit_tier.content import Content
from credit_tier.data.lake import Lake
from credit_tier.errors import Fault
from credit_tier.learning import bundle as bundles
from credit_tier.learning import tracking
from credit_tier.learning.appraise import Appraisal, Other, appraise, grading_of
from credit_tier.learning.attributes import attributes_of
from credit_tier.learning.bundle import Bundle
from credit_tier.learning.calibrate import Calibration, Choice
from credit_tier.learning.card import card_of
from credit_tier.learning.evaluate import Evaluation, evaluate
from credit_tier.learning.figures import draw
from credit_tier.learning.fit import Fitted, fit
from credit_tier.learning.folds import Division
from credit_tier.learning.gates import failed_gates
from credit_tier.learning.heldout import HeldOut, Level, Score, held_out
from credit_tier.learning.rival import against_champion
from credit_tier.learning.scorecard import Scorer
from credit_tier.learning.search import Searched
from credit_tier.learning.selection import Drawn, Selected, apart_of, selected_of
from credit_tier.learning.signing import SigningKey
from credit_tier.learning.splits import Part, Parts, TrainingFrame
from credit_tier.learning.tracking import RunInfo
from credit_tier.learning.woe_card import FILE as SCORECARD
from credit_tier.learning.yardstick import Extras, Yardstick, ebm, logistic, single_feature, woe_scorecard
from credit_tier.specs.feature import FeatureSpec
from credit_tier.specs.model import ModelSpec, TiersSpec
from credit_tier.temporal import day_number

if TYPE_CHECKING:
    import narwhals as nw
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


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
    drawn : weights of the rows and what was left out, if the model's declaration says how its rows were drawn.
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
    drawn: Drawn | None = None

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
    parts : how the rows were divided.
    bundle : the model; `evaluation` its figures on rows it has not seen, `yardsticks` those of simple models on the same rows.
    appraisal : tests, comparisons, shifts and slices; :mod:`credit_tier.reports.training` makes a page of all of it.
    failed_gates : what keeps it from the alias `challenger`; empty if it may have it.
    run : where MLflow keeps it.
    searched : how the settings of the trees were chosen, or None if they were taken as declared.
    """

    observations: Observations
    parts: Division
    bundle: Bundle
    evaluation: Evaluation
    yardsticks: tuple[Yardstick, ...]
    appraisal: Appraisal
    failed_gates: tuple[Fault, ...]
    run: RunInfo
    searched: Searched | None = None

    @property
    def headline(self) -> str:
        """Return the figure people ask for first, with its interval and the yardstick."""
        found, interval = self.evaluation, self.evaluation.auc_interval
        return (
            f"{self.parts.tested_en} AUC {found.auc:.3f} ({interval.low:.3f}–{interval.high:.3f}), "
            f"logistic yardstick {self.yardsticks[0].evaluation.auc:.3f}"
        )


def finish(
    seen: Observations,
    parts: Division,
    fitted: Fitted,
    held: HeldOut,
    level: Level,
    *,
    choice: Choice,
    lake: Lake,
    content: Content,
    store: Path | str,
    threads: int,
    key: SigningKey,
    extras: Extras,
    searched: Searched | None = None,
    parent: str = "",
) -> Training:
    """Calibrate, test, appraise, write and record a model.

    Parameters
    ----------
    fitted : the model that leaves training. held : scores of rows by models that have not seen them.
    level : how scores are calibrated; choice : how that was, or could have been, chosen.
    extras : yardsticks on request. searched : how the settings of the trees were chosen. parent : digest of the bundle that was recalibrated.
    """
    spec, seed = seen.spec, fitted.seed
    model = spec.model
    calibration = level(held.by)
    test = parts.test.frame
    probability = held.probability(level)
    evaluation = evaluate(test.y, probability, test.subject, test.as_of_day, test.weight, fold=parts.fold, seed=seed)
    yardsticks = _yardsticks(seen, parts, extras, seed=seed)

    def otherwise(trees: dict[str, object]) -> NDArray[np.float64]:
        """Return scores of the judged rows by the same model with other trees."""
        other = spec.model_copy(update={"trees": spec.trees.model_copy(update=trees)})

        def grow(some: Parts) -> Score:
            return raw_scores(fit(some, other, seed=seed, threads=threads), other, threads=threads)

        return held_out(parts, grow).raw

    appraisal = appraise(
        parts,
        held,
        level,
        choice,
        grading=grading_of(_tiers(model, content), probability),
        unconstrained=otherwise({"confine": False, "bridges": ()}) if spec.trees.confine else None,
        unbridged=otherwise({"bridges": ()}) if spec.trees.bridges else None,
        yardsticks=[Other(stick.name, stick.title_zh, stick.probability) for stick in yardsticks],
        attributes=attributes_of(lake, spec, _rows_of(seen, parts.test)),
        budget=spec.report.budget,
        selected=_selected(lake, seen, parts, fitted, calibration, probability=probability, threads=threads),
        champion=against_champion(store, model, parts.test, probability, fold=parts.fold, seed=seed, threads=threads),
        seed=seed,
    )
    failed = failed_gates(spec.gates, evaluation, appraisal.yardsticks)
    inputs = digest_of(
        [
            seen.frame.digest,
            spec.model_dump_json(),
            lake.digest,
            content.digest(),
            seed,
            threads,
            parent,
            json.dumps(calibration.to_dict(), sort_keys=True),
            [fault.what for fault in failed],
        ]
    )
    written = bundles.write(
        Path(store) / "bundles" / f"{model}-{inputs[:16]}",
        spec=spec,
        fitted=fitted,
        calibration=calibration,
        parts=parts,
        evaluation=evaluation,
        failed_gates=[fault.what for fault in failed],
        provenance=bundles.Provenance(seen.catalogue_digest, lake.digest, content.digest()),
        key=key,
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
        figures=draw(evaluation, yardsticks, rows=parts.tested_en),
        tags={f"{name}_digest": value for name, value in digests.items()}
        | {"tested": parts.tested_en}
        | ({"recalibrated_from": parent} if parent else {})
        | {f"yardstick_{stick.name}_auc": f"{stick.evaluation.auc:.4f}" for stick in yardsticks},
        card=card_of(written.manifest, prose[0].path.read_text("utf-8") if prose else ""),
        aliases=() if failed else ("challenger",),
    )
    files = {"appraisal.json": json.dumps(appraisal.to_dict(), ensure_ascii=False, indent=1, sort_keys=True).encode()}
    if searched is not None:
        files["search.json"] = json.dumps(searched.to_dict(), ensure_ascii=False, indent=1, sort_keys=True).encode()
    for stick in yardsticks:
        if stick.card is not None:
            files[SCORECARD] = stick.card.to_bytes()
    tracking.attach(
        store,
        run.run_id,
        files=files,
        metrics=appraisal.metrics() | (searched.metrics() if searched is not None else {}),
    )
    return Training(seen, parts, written, evaluation, yardsticks, appraisal, failed, run, searched)


def _selected(
    lake: Lake,
    seen: Observations,
    parts: Division,
    fitted: Fitted,
    calibration: Calibration,
    *,
    probability: NDArray[np.float64],
    threads: int,
) -> Selected | None:
    """Return what the choice of the inspected does to the figures; None if the declaration does not say how they were drawn."""
    if seen.drawn is None:
        return None
    test, seed = parts.test, fitted.seed
    naive = evaluate(test.frame.y, probability, test.frame.subject, test.frame.as_of_day, fold=parts.fold, seed=seed)
    days = day_number(test.first), day_number(test.last)
    scorer = Scorer.of(fitted, calibration, seen.spec.points)
    apart = apart_of(
        lake, seen.spec, seen.features, days, lambda x: scorer.score(x, threads=threads).probability, seed=seed
    )
    return selected_of(seen.drawn, parts, naive, apart)


def _tiers(model: str, content: Content) -> TiersSpec | None:
    """Return the class policy if it is made for this model."""
    if not any(item.name == "tiers.yaml" for item in content.files("pipelines")):
        return None
    tiers = content.load("pipelines", "tiers.yaml", TiersSpec)
    return tiers if tiers.model == model else None


def raw_scores(fitted: Fitted, spec: ModelSpec, *, threads: int) -> Score:
    """Return the scores of a fitted model before calibration."""
    scorer = Scorer.of(fitted, Calibration("none", 0.0, 1.0), spec.points)
    return lambda x: scorer.raw_score(x, threads=threads)


def _rows_of(seen: Observations, part: Part) -> nw.DataFrame[Any]:
    """Return the rows of the spine that a part holds, in its order."""
    import narwhals as nw

    return seen.spine.filter(nw.col("as_of_day").is_between(day_number(part.first), day_number(part.last)))


def _yardsticks(seen: Observations, parts: Division, extras: Extras, *, seed: int) -> tuple[Yardstick, ...]:
    """Return the simple models beside the model: logistic regressions, the declared plain one first, a scorecard, one feature alone."""
    found = []
    if seen.plain is not None:
        found.append(logistic(parts.over(seen.plain), name=("logistic_plain", "逻辑回归(标尺指标)"), seed=seed))
    found.append(logistic(parts, name=("logistic_same_features", "逻辑回归(同样指标)"), seed=seed))
    found.append(woe_scorecard(parts, seen.spec, optbinning=extras.optbinning, seed=seed))
    if seen.spec.history_feature is not None:
        found.append(single_feature(parts, seen.spec.history_feature, seed=seed))
    if extras.ebm:
        found.append(ebm(parts, seed=seed))
    return tuple(found)
