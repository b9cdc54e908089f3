"""The agency's door: score a city at an as_of, look one enterprise up, build the feature table behind it.

A score is a function of (records known before as_of, content, bundle); every result carries the digests of all three.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    from credit_tier.rules.repair import RepairAssessment
    from credit_tier.rules.resolve import RulePack

SCORES, REASONS, SUMMARY = "scores.parquet", "reasons.parquet", "scores.json"


@dataclass(frozen=True)
class CityScores:
    """Scores of everybody at one as_of.

    Attributes
    ----------
    scores : one row per enterprise, sorted by code: `code, as_of, risk_class, probability, raw_score, points` (0 to 1000 for
        display), `base_points`, `dim_<dimension>` (points; base and dimensions sum to the unrounded points), then kept columns.
    reasons : `code, rank, feature, dimension, title_zh, title_en, points, value`; the strongest contributions first. Names and
        titles are of an enumerated type, a byte or two each.
    summary : counts by class, the cuts, and the digests of lake, content and bundle.
    """

    scores: nw.DataFrame[Any]
    reasons: nw.DataFrame[Any]
    summary: dict[str, Any]

    def to_pandas(self) -> pd.DataFrame:
        """Return the scores as a pandas frame."""
        return engines.to_pandas(self.scores)

    def save(self, folder: Path) -> None:
        """Write `scores.parquet`, `reasons.parquet` and, last, `scores.json`."""
        import json

        engines.write_parquet(folder / SCORES, self.scores)
        engines.write_parquet(folder / REASONS, self.reasons)
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
    threads: int = 1,
    reasons: int = 5,
) -> CityScores:
    """Score everybody whom the bundle's model scores at an as_of, and give each a risk class.

    Parameters
    ----------
    bundle : the model; its own declaration and features are used, not those of the content.
    content : gives the class policy `pipelines/tiers.yaml`.
    keep : columns of the register (as known at as_of) or of the planned event to carry along, for instance the strata of a plan.
    previous : folder of the scores before these: classes then change only beyond the policy's hysteresis, and who went where is told.
    reasons : contributions kept per enterprise.

    Raises
    ------
    UsageError : CT-PROF-001 the class policy is made for another model, CT-PROF-002 no scores in `previous`, CT-PROF-004 they are
        of the same day or a later one.
    FeatureError, LearningError : the bundle does not fit the lake.

    Source: DESIGN section 5, Score and profile.
    """
    import numpy as np

    from credit_tier.features import build, spine
    from credit_tier.learning.classes import migration, ranks_of
    from credit_tier.learning.explain import score_and_explain

    spec = ModelSpec.model_validate(bundle.manifest["declaration"])
    tiers = content.load("pipelines", "tiers.yaml", TiersSpec)
    if tiers.model != spec.model:
        raise UsageError.of(
            "CT-PROF-001",
            where="pipelines/tiers.yaml",
            what=f"the classes rest on model '{tiers.model}', the bundle is '{spec.model}'.",
            advice="Score with the model of the class policy, or give a content folder whose policy names this model.",
        )
    rows = spine.scoring(lake, spec, as_of.on)
    table = build.build(lake, bundle.features, rows)
    scored, told = score_and_explain(bundle.scorer, table.matrix(), top=reasons, threads=threads)
    codes, order = _by_code(lake, rows)
    before = None if previous is None else _before(previous, codes, as_of)
    earlier = None
    if before is not None:
        earlier = np.empty(len(order), np.int8)
        earlier[order] = before["previous_rank"]
    cuts, ranks = ranks_of(tiers, scored.probability, earlier)
    names = engines.frame({"class": [str(RiskClass.from_rank(rank)) for rank in range(4)]})["class"]
    columns: dict[str, Any] = {
        "code": codes.to_native(),
        "as_of": np.full(len(codes), np.datetime64(as_of.on, "D")),
        "risk_class": names[ranks[order]].to_native(),
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
            "migration": migration(earlier, ranks),
            "new": int((earlier < 0).sum()),
            "held": int(((ranks != cuts.ranks(scored.probability)) & (earlier >= 0)).sum()),
        }
    summary = {
        "as_of": str(as_of),
        "model": spec.model,
        "enterprises": len(codes),
        "classes": {name: int((ranks == rank).sum()) for rank, name in enumerate(names)},
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
    return CityScores(engines.frame(columns), _reason_frame(told, codes, order), summary)


def _summary(folder: Path) -> dict[str, Any]:
    import json

    if not (folder / SUMMARY).is_file():
        raise UsageError.of(
            "CT-PROF-002", where=str(folder), what="there are no scores here.", advice="Run credit-tier score first."
        )
    found: dict[str, Any] = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    return found


def _before(folder: Path, codes: nw.Series[Any], as_of: AsOf) -> dict[str, Any]:
    """Return rank (-1: none), class and points of the run before for each code, and that run's digest."""
    import narwhals as nw

    summary = _summary(folder)
    if summary["as_of"] >= str(as_of):
        raise UsageError.of(
            "CT-PROF-004",
            where=str(folder),
            what=f"these scores are as of {summary['as_of']}, not before {as_of}.",
            advice="Name the folder of an earlier run.",
        )
    scores = engines.read_parquet(folder / SCORES).select("code", "risk_class", "points")
    found = codes.alias("code").to_frame().join(scores, on="code", how="left")
    ranks = {str(RiskClass.from_rank(rank)): rank for rank in range(4)}
    rank = found["risk_class"].cast(nw.String).replace_strict(ranks, default=None, return_dtype=nw.Int8).fill_null(-1)
    return {
        "previous_rank": rank.to_numpy(),
        "previous_class": found["risk_class"].to_native(),
        "previous_points": found["points"].to_native(),
        "digest": summary["digests"]["scores"],
    }


def profile(folder: Path, code: str) -> Profile:
    """Return one enterprise's profile from a saved scoring run.

    Raises
    ------
    UsageError : CT-PROF-002 if the folder holds no scores, CT-PROF-003 if the enterprise is not among them.
    """
    import narwhals as nw

    summary = _summary(folder)
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
        probability=row["probability"],
        points=row["points"],
        base_points=row["base_points"],
        dimensions={name.removeprefix("dim_"): value for name, value in row.items() if name.startswith("dim_")},
        reasons=[{key: value for key, value in item.items() if key != "code"} for item in told],
        digests=summary["digests"],
        previous_class=row.get("previous_class"),
        previous_points=row.get("previous_points"),
    )


@dataclass(frozen=True)
class Worklist:
    """Adverse records of a city under the rules of one day.

    Attributes
    ----------
    items : what somebody can do something about, most urgent first.
    verdicts : verdict -> records, over all records, also those that need nothing.
    pack : the rule pack in force.
    """

    items: list[RepairAssessment]
    verdicts: dict[str, int]
    pack: RulePack


def repair_worklist(
    lake: Lake, content: Content, as_of: AsOf, *, jurisdiction: str = "cn", topic: str = "repair"
) -> Worklist:
    """Assess every adverse record known at an as_of: who can be helped now, who next and when (信用修复工作清单).

    Raises
    ------
    RuleError if no pack is in force that day; LakeError if the pack's table is not in the lake.
    """
    from collections import Counter

    from credit_tier.features.records import visible_rows
    from credit_tier.rules.repair import Assessor, worklist
    from credit_tier.rules.resolve import resolve

    pack = resolve(content, jurisdiction, topic, as_of.on)
    judge = Assessor(pack, as_of)
    verdicts: Counter[str] = Counter()

    def counted() -> Iterator[RepairAssessment]:
        for row in visible_rows(lake, judge.table, judge.columns, as_of):
            found = judge(row)
            verdicts[found.verdict.value] += 1
            yield found

    return Worklist(worklist(counted()), dict(sorted(verdicts.items())), pack)


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
