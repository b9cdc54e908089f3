"""The agency's door: score a city at an as_of, look one enterprise up, build the feature table behind it.

A score is a function of (records known before as_of, content, bundle); every result carries the digests of all three.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from credit_tier.canonical import digest_of, sha256_hex
from credit_tier.content import Content
from credit_tier.data import engines
from credit_tier.data.lake import Lake
from credit_tier.errors import UsageError
from credit_tier.files import write_text
from credit_tier.specs.feature import CatalogueSpec
from credit_tier.specs.model import ModelSpec, TiersSpec
from credit_tier.temporal import AsOf
from credit_tier.types import RiskClass

if TYPE_CHECKING:
    import narwhals as nw
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from credit_tier.features.table import FeatureTable
    from credit_tier.learning.bundle import Bundle
    from credit_tier.learning.explain import Reasons

SCORES, REASONS, OVERRIDES, SUMMARY = "scores.parquet", "reasons.parquet", "overrides.parquet", "scores.json"


@dataclass(frozen=True)
class CityScores:
    """Scores of everybody at one as_of.

    Attributes
    ----------
    scores : one row per enterprise, sorted by code: `code, as_of, risk_class, model_class` (before overrides), `override` (the
        rule that gives the class, empty if the model does), `probability, raw_score, points` (0 to 1000 for display), `base_points`,
        `dim_<dimension>` (points; base and dimensions sum to the unrounded points), then kept columns.
    reasons : `code, rank, feature, dimension, title_zh, title_en, points, value`; the strongest contributions first. Names and
        titles are of an enumerated type, a byte or two each.
    overrides : `code, rule, table, record_id, event_on`: every record by which an override holds somebody who was scored.
    summary : counts by class, the cuts, what overrides did, and the digests of lake, content and bundle.
    """

    scores: nw.DataFrame[Any]
    reasons: nw.DataFrame[Any]
    overrides: nw.DataFrame[Any]
    summary: dict[str, Any]

    def to_pandas(self) -> pd.DataFrame:
        """Return the scores as a pandas frame."""
        return engines.to_pandas(self.scores)

    def save(self, folder: Path) -> None:
        """Write `scores.parquet`, `reasons.parquet`, `overrides.parquet` and, last, `scores.json`."""
        import json

        engines.write_parquet(folder / SCORES, self.scores)
        engines.write_parquet(folder / REASONS, self.reasons)
        engines.write_parquet(folder / OVERRIDES, self.overrides)
        write_text(folder / SUMMARY, json.dumps(self.summary, ensure_ascii=False, indent=1, sort_keys=True) + "\n")


@dataclass(frozen=True)
class Profile:
    """Credit profile (信用画像) of one enterprise at an as_of: points, class, dimensions, reasons and digests."""

    code: str
    as_of: str
    risk_class: RiskClass
    probability: float
    points: int
    base_points: float
    dimensions: dict[str, float]
    reasons: list[dict[str, Any]]
    digests: dict[str, str]
    model_class: RiskClass
    overrides: list[dict[str, Any]]
    """What holds the enterprise: rule, whether it `gives` the class, the law, and the records behind it."""
    previous_class: str | None = None
    previous_points: int | None = None


def feature_table(
    lake: Lake, content: Content, as_of: AsOf, out: Path, *, engine: Literal["embedded", "spark"] = "embedded"
) -> FeatureTable:
    """Compute all features of every subject of the register and write them with their codes as Parquet.

    Features that need an attribute of a planned event are left out, because a register has none, and so are those whose tables the
    lake does not have. See :mod:`credit_tier.features.table` for what the engines write.
    """
    from credit_tier.features import table

    catalogue = content.load("pipelines", "features.yaml", CatalogueSpec)
    wanted = tuple(f for f in catalogue.features if f.source != "spine")
    facts = {"as_of": str(as_of), "content": content.digest()}
    write = table.write_by_spark if engine == "spark" else table.write
    return write(lake, wanted, as_of, out, facts)


def score(
    lake: Lake,
    content: Content,
    bundle: Bundle,
    as_of: AsOf,
    *,
    keep: tuple[str, ...] = (),
    previous: Path | None = None,
    jurisdiction: str = "cn",
    threads: int = 1,
    reasons: int = 5,
) -> CityScores:
    """Score everybody whom the bundle's model scores at an as_of, and give each a risk class.

    The class is the model's, changed by the overrides in force (see :mod:`credit_tier.rules.classification`). An enterprise without
    records of its own is scored like any other, from the register and its groups; how many there are is told.

    Parameters
    ----------
    bundle : the model; its own declaration and features are used, not those of the content.
    content : gives the class policy `pipelines/tiers.yaml`.
    keep : columns of the register (as known at as_of) or of the planned event to carry along, for instance the strata of a plan.
    previous : folder of the scores before these: the model's classes then change only beyond the policy's hysteresis, and who went
        where is told. An override acts and ends at once.
    jurisdiction : whose overrides are asked: cn, cn-32, cn-3205 or cn-320505.
    reasons : contributions kept per enterprise.

    Raises
    ------
    UsageError : CT-PROF-001 the class policy is made for another model, CT-PROF-002 no scores in `previous`, CT-PROF-004 they are
        of the same day or a later one.
    FeatureError, LearningError : the bundle does not fit the lake; RuleError, LakeError : the overrides are wrong or do not fit it.

    Source: DESIGN section 5, Score and profile.
    """
    import numpy as np

    from credit_tier.features import build, spine
    from credit_tier.features.coverage import without_records
    from credit_tier.learning.classes import migration, ranks_of
    from credit_tier.learning.explain import score_and_explain
    from credit_tier.overriding import overridden

    spec = ModelSpec.model_validate(bundle.manifest["declaration"])
    tiers = class_policy(content, spec.model)
    rows = spine.scoring(lake, spec, as_of.on)
    table = build.build(lake, bundle.features, rows)
    scored, told = score_and_explain(bundle.scorer, table.matrix(), top=reasons, threads=threads)
    codes, order = _by_code(lake, rows)
    before = None if previous is None else _before(previous, codes, as_of)
    earlier = None
    if before is not None:
        earlier = np.empty(len(order), np.int8)
        earlier[order] = before["model_rank"]
    cuts, model_ranks = ranks_of(tiers, scored.probability, earlier)
    bound = overridden(lake, content, as_of, codes, model_ranks[order], jurisdiction=jurisdiction)
    names = engines.frame({"class": [str(RiskClass.from_rank(rank)) for rank in range(4)]})["class"]
    columns: dict[str, Any] = {
        "code": codes.to_native(),
        "as_of": np.full(len(codes), np.datetime64(as_of.on, "D")),
        "risk_class": names[bound.ranks].to_native(),
        "model_class": names[model_ranks[order]].to_native(),
        "override": bound.named.to_native(),
        "probability": scored.probability[order],
        "raw_score": scored.raw_score[order],
        "points": scored.points_shown[order],
        "base_points": np.full(len(codes), scored.base_points),
    }
    for d, name in enumerate(scored.dimensions):
        columns[f"dim_{name}"] = scored.dimension_points[order, d]
    for name, values in _kept(lake, rows, keep).items():
        columns[name] = values[order].to_native()
    changes: dict[str, Any] = {}
    if earlier is not None and before is not None:
        columns |= {name: before[name] for name in ("previous_class", "previous_points")}
        changes = {
            "previous": before["digest"],
            "migration": migration(before["rank"], bound.ranks),
            "new": int((earlier < 0).sum()),
            "held": int(((model_ranks != cuts.ranks(scored.probability)) & (earlier >= 0)).sum()),
        }
    silent = without_records(table, lake.register)[order]
    summary = {
        "as_of": str(as_of),
        "model": spec.model,
        "enterprises": len(codes),
        "classes": _counts(bound.ranks),
        "model_classes": _counts(model_ranks),
        "overrides": bound.summary,
        "without_records": {"enterprises": int(silent.sum()), "classes": _counts(bound.ranks[silent])},
        "cuts": {"B": cuts.b, "C": cuts.c, "D": cuts.d},
        "tiers": {"reference": tiers.reference, "verified": tiers.verified, "hysteresis": tiers.hysteresis},
        **changes,
        "mean_probability": float(scored.probability.mean()),
        "cutoff": lake.cutoff.isoformat(),
        "digests": {
            "lake": lake.digest,
            "content": content.digest(),
            "bundle": bundle.digest,
            "features": table.digest,
            "scores": digest_of(
                [
                    sha256_hex("\n".join(codes.to_list()).encode()),
                    sha256_hex(columns["probability"].astype("<f8").tobytes()),
                ]
            ),
        },
    }
    return CityScores(engines.frame(columns), _reason_frame(told, codes, order), bound.hits, summary)


def class_policy(content: Content, model: str) -> TiersSpec:
    """Return the class policy.

    Raises
    ------
    UsageError (CT-PROF-001) if it is made for another model.
    """
    tiers = content.load("pipelines", "tiers.yaml", TiersSpec)
    if tiers.model != model:
        raise UsageError.of(
            "CT-PROF-001",
            where="pipelines/tiers.yaml",
            what=f"the classes rest on model '{tiers.model}', the bundle is '{model}'.",
            advice="Score with the model of the class policy, or give a content folder whose policy names this model.",
        )
    return tiers


def _counts(ranks: NDArray[np.int8]) -> dict[str, int]:
    """Return how many are in each class."""
    return {str(RiskClass.from_rank(rank)): int((ranks == rank).sum()) for rank in range(4)}


def summary_of(folder: Path) -> dict[str, Any]:
    """Return the summary of a saved scoring run.

    Raises
    ------
    UsageError (CT-PROF-002) if the folder holds no scores.
    """
    import json

    if not (folder / SUMMARY).is_file():
        raise UsageError.of(
            "CT-PROF-002", where=str(folder), what="there are no scores here.", advice="Run credit-tier score first."
        )
    found: dict[str, Any] = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    return found


def _before(folder: Path, codes: nw.Series[Any], as_of: AsOf) -> dict[str, Any]:
    """Return ranks (-1: none; the model's and the final one), class and points of the run before, and that run's digest."""
    import narwhals as nw

    summary = summary_of(folder)
    if summary["as_of"] >= str(as_of):
        raise UsageError.of(
            "CT-PROF-004",
            where=str(folder),
            what=f"these scores are as of {summary['as_of']}, not before {as_of}.",
            advice="Name the folder of an earlier run.",
        )
    scores = engines.read_parquet(folder / SCORES)
    own = "model_class" if "model_class" in scores.columns else "risk_class"  # runs before there were overrides
    scores = scores.select("code", "risk_class", "points", nw.col(own).alias("own"))
    found = codes.alias("code").to_frame().join(scores, on="code", how="left")
    return {
        "model_rank": _rank(found["own"]),
        "rank": _rank(found["risk_class"]),
        "previous_class": found["risk_class"].to_native(),
        "previous_points": found["points"].to_native(),
        "digest": summary["digests"]["scores"],
    }


def _rank(classes: nw.Series[Any]) -> NDArray[np.int8]:
    """Return 0 for A to 3 for D, -1 where there is no class."""
    import narwhals as nw

    ranks = {str(RiskClass.from_rank(rank)): rank for rank in range(4)}
    return classes.cast(nw.String).replace_strict(ranks, default=None, return_dtype=nw.Int8).fill_null(-1).to_numpy()


def profile(folder: Path, code: str) -> Profile:
    """Return one enterprise's profile from a saved scoring run.

    Raises
    ------
    UsageError : CT-PROF-002 if the folder holds no scores, CT-PROF-003 if the enterprise is not among them.
    """
    import narwhals as nw

    summary = summary_of(folder)
    found = engines.read_parquet(folder / SCORES).filter(nw.col("code") == code).rows(named=True)
    if not found:
        raise UsageError.of(
            "CT-PROF-003",
            where=str(folder),
            what="this code was not scored at this as_of.",
            advice="Check the code; only active members of the model's population are scored.",
        )
    row = found[0]
    told = engines.read_parquet(folder / REASONS).filter(nw.col("code") == code).sort("rank").rows(named=True)
    return Profile(
        code=code,
        as_of=summary["as_of"],
        risk_class=RiskClass(row["risk_class"]),
        model_class=RiskClass(row["model_class"]),
        overrides=_overrides(folder, code, row["override"], summary),
        probability=row["probability"],
        points=row["points"],
        base_points=row["base_points"],
        dimensions={name.removeprefix("dim_"): value for name, value in row.items() if name.startswith("dim_")},
        reasons=[{key: value for key, value in item.items() if key != "code"} for item in told],
        digests=summary["digests"],
        previous_class=row.get("previous_class"),
        previous_points=row.get("previous_points"),
    )


def with_records(found: Profile, lake: Lake, bundle: Bundle, *, most: int = 5) -> Profile:
    """Return a profile whose reasons name the records behind them, as they were known at its as_of.

    Each reason gets `records`: `table`, `count` and the `newest` few, each with `record_id` (left out where it is personal) and
    `event_on`; None where the feature is a figure of a group or of the planned event.

    Parameters
    ----------
    lake, bundle : those of the scoring run. most : records named per reason.

    Raises
    ------
    UsageError (CT-PROF-005) if lake or bundle are not those of the scores.
    """
    from dataclasses import asdict, replace

    from credit_tier.features.explain import newest_behind

    for name, digest in (("lake", lake.digest), ("bundle", bundle.digest)):
        if found.digests[name] != digest:
            raise UsageError.of(
                "CT-PROF-005",
                where=name,
                what=f"this is not the {name} of these scores.",
                advice=f"Name the {name} whose digest stands in {SUMMARY}, or score again.",
            )
    features = {spec.id: spec for spec in bundle.features}
    as_of = AsOf.parse(found.as_of)
    reasons = []
    for reason in found.reasons:
        behind = newest_behind(lake, features[reason["feature"]], found.code, as_of, most=most)
        reasons.append({**reason, "records": None if behind is None else asdict(behind)})
    return replace(found, reasons=reasons)


def _overrides(folder: Path, code: str, gives: str, summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the overrides that hold an enterprise, the one that gives the class first, each with its records."""
    import narwhals as nw

    found: dict[str, list[dict[str, Any]]] = {}
    for hit in engines.read_parquet(folder / OVERRIDES).filter(nw.col("code") == code).rows(named=True):
        found.setdefault(hit["rule"], []).append({name: hit[name] for name in ("table", "record_id", "event_on")})
    law = {name: told for name, told in summary["overrides"]["rules"].items() if name in found}
    counts = ("holds", "gives", "changes")
    return [
        {
            "rule": name,
            "gives": name == gives,
            **{key: value for key, value in law[name].items() if key not in counts},
            "records": found[name],
        }
        for name in sorted(law, key=lambda name: name != gives)
    ]


def _by_code(lake: Lake, rows: nw.DataFrame[Any]) -> tuple[nw.Series[Any], NDArray[np.int64]]:
    """Return the codes of spine rows in ascending order, and the place among the rows of each."""
    import numpy as np

    codes = lake.codes()["code"][rows["enterprise_no"].to_numpy()]
    found = engines.frame({"code": codes.to_native(), "place": np.arange(len(codes))}).sort("code")
    return found["code"], found["place"].to_numpy()


def _kept(lake: Lake, rows: nw.DataFrame[Any], keep: tuple[str, ...]) -> dict[str, nw.Series[Any]]:
    from credit_tier.features.spine import register_columns

    planned = {name: rows[name] for name in rows.columns if name not in {"row", "enterprise_no", "as_of_day"}}
    wanted = [name for name in keep if name not in planned]
    if not wanted:
        return planned
    known = register_columns(lake, rows, wanted)
    return planned | {name: known[name] for name in wanted}


def _reason_frame(told: Reasons, codes: nw.Series[Any], order: NDArray[np.int64]) -> nw.DataFrame[Any]:
    """Return the reasons of the rows in an order, one line per reason; of texts the number in a list is kept, not the text."""
    import narwhals as nw
    import numpy as np

    feature = told.feature[order]
    row, place = np.nonzero(feature >= 0)
    chosen = feature[row, place]
    columns: dict[str, Any] = {"code": codes[row].to_native(), "rank": (place + 1).astype(np.int8)}
    texts = {
        "feature": [spec.id for spec in told.features],
        "dimension": [spec.dimension for spec in told.features],
        "title_zh": [spec.title_zh for spec in told.features],
        "title_en": [spec.title_en for spec in told.features],
    }
    for name, own in texts.items():
        listed = engines.frame({name: own})[name].cast(nw.Enum(list(dict.fromkeys(own))))
        columns[name] = listed[chosen].to_native()
    at = order[row]
    return engines.frame({**columns, "points": told.points[at, place], "value": told.value[at, place]})
