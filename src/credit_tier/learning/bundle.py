"""The bundle: a model as a folder of plain data, six files, no pickle, no code, byte-identical for equal inputs and seed.

    manifest.json     what it is, where it comes from, SHA-256 and size of every other file; its own digest is the bundle's identity
    model.txt         the trees, LightGBM's text in canonical form
    calibration.json  raw score to log-odds
    scorecard.json    log-odds to points, dimensions, base
    reasons.json      what a reason says
    golden_rows.json  made-up rows with the scores they must get

Opening checks sizes, digests, form and structure before LightGBM sees anything, then the golden rows.
No date of making, no path and no thread count is kept, and no row of training data: golden rows are made from thresholds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from credit_tier import files
from credit_tier.canonical import sha256_hex
from credit_tier.errors import LearningError
from credit_tier.learning.calibrate import Calibration
from credit_tier.learning.evaluate import Evaluation
from credit_tier.learning.fit import Fitted, dimensions_of
from credit_tier.learning.forest import Forest
from credit_tier.learning.scorecard import Scaling, Scorer, Scores
from credit_tier.learning.splits import Parts
from credit_tier.specs.feature import FeatureSpec
from credit_tier.specs.model import ModelSpec

FORMAT = "credit_tier/bundle/1"
GOLDEN = 50
TOLERANCE = 1e-9
CAPS = {
    "manifest.json": 8_000_000,
    "model.txt": 128_000_000,
    "calibration.json": 10_000,
    "scorecard.json": 1_000_000,
    "reasons.json": 8_000_000,
    "golden_rows.json": 16_000_000,
}
"""The files of a bundle and the most bytes each may have."""


@dataclass(frozen=True)
class Provenance:
    """Digests of what a model was trained from."""

    catalogue_digest: str
    lake_digest: str
    content_digest: str


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: checked, immutable, ready to score.

    Attributes
    ----------
    folder : where it lies.
    manifest : parsed `manifest.json`.
    scorer : the model.
    """

    folder: Path
    manifest: Mapping[str, Any]
    scorer: Scorer

    @property
    def digest(self) -> str:
        """Return the SHA-256 that identifies the bundle."""
        return str(self.manifest["digest"])

    @property
    def model(self) -> str:
        """Return the id of the model declaration."""
        return str(self.manifest["model"])

    @property
    def features(self) -> tuple[FeatureSpec, ...]:
        """Return the features in the order of the columns that :meth:`score` takes."""
        return self.scorer.features

    @cached_property
    def feature_ids(self) -> tuple[str, ...]:
        """Return the ids of the features in column order."""
        return tuple(feature.id for feature in self.features)

    def score(self, x: NDArray[np.float32], *, threads: int = 1) -> Scores:
        """Score rows; see :meth:`credit_tier.learning.scorecard.Scorer.score`."""
        return self.scorer.score(x, threads=threads)

    @classmethod
    def open(cls, folder: Path | str) -> Bundle:
        """Open a bundle after checking every byte of it.

        Raises
        ------
        LearningError : CT-LEARN-040 a file is missing or too large, CT-LEARN-041 a digest differs, CT-LEARN-042 a file is not in
            form, CT-LEARN-043 the trees are not sound, CT-LEARN-044 a golden row gets another score. The file is named.

        Source: `service.md` section 1.3 and D2: digests before any parser, structure before LightGBM.
        """
        folder = Path(folder)
        raw = {name: _read(folder, name) for name in CAPS}
        manifest = _json(raw["manifest.json"], "manifest.json")
        _check_manifest(manifest, raw)
        try:
            scorer = _scorer(manifest, raw)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise _bad("CT-LEARN-042", "manifest.json", "its facts do not fit together") from error
        for name, text in _derived(scorer).items():
            if raw[name] != text:
                raise _bad("CT-LEARN-042", name, "it does not follow from the other files")
        _check_golden(scorer, _json(raw["golden_rows.json"], "golden_rows.json"))
        return cls(folder, manifest, scorer)


def write(
    folder: Path | str,
    *,
    spec: ModelSpec,
    fitted: Fitted,
    calibration: Calibration,
    parts: Parts,
    evaluation: Evaluation,
    provenance: Provenance,
) -> Bundle:
    """Write a bundle into a new folder, whole or not at all, and open it.

    An existing folder is left alone: if it holds the same bundle it is opened, else it is an error, since bundles are immutable.

    Raises
    ------
    LearningError (CT-LEARN-045) if the folder holds something else; otherwise as :meth:`Bundle.open`.
    """
    folder = Path(folder)
    scorer = Scorer.of(fitted, calibration, spec.points)
    texts = _derived(scorer) | {
        "model.txt": scorer.forest.render().encode(),
        "calibration.json": _bytes(
            {"method": calibration.method, "intercept": calibration.intercept, "slope": calibration.slope}
        ),
        "golden_rows.json": _bytes(_golden(scorer, _golden_rows(scorer))),
    }
    facts = {
        "format": FORMAT,
        "model": spec.model,
        "title_zh": spec.title_zh,
        "title_en": spec.title_en,
        "purpose": spec.purpose,
        "legal_basis": spec.legal_basis,
        "declaration": spec.model_dump(mode="json"),
        "features": [
            feature.model_dump(mode="json") | {"stands_for_missing": None if np.isnan(fill) else float(fill)}
            for feature, fill in zip(fitted.features, fitted.fills, strict=True)
        ],
        "confined": fitted.spans is not None,
        "split": parts.describe(),
        "metrics": evaluation.metrics(),
        "provenance": {
            "catalogue": provenance.catalogue_digest,
            "lake": provenance.lake_digest,
            "content": provenance.content_digest,
        },
        "seed": fitted.seed,
        "package": {"name": "credit-tier", "version": metadata.version("credit-tier")},
        "lightgbm": fitted.lightgbm_version,
        "files": {name: {"bytes": len(data), "sha256": sha256_hex(data)} for name, data in sorted(texts.items())},
    }
    texts["manifest.json"] = _bytes(facts | {"digest": sha256_hex(_bytes(facts))})
    if folder.exists():
        if not all((folder / name).is_file() and (folder / name).read_bytes() == data for name, data in texts.items()):
            raise _bad("CT-LEARN-045", folder.name, "the folder holds something else", "Choose a new folder")
        return Bundle.open(folder)
    _write_folder(folder, texts)
    return Bundle.open(folder)


def _write_folder(folder: Path, texts: Mapping[str, bytes]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".tmp-{folder.name}-{os.getpid()}")
    try:
        for name, data in texts.items():
            files.write_bytes(temporary / name, data)
        temporary.rename(folder)
    finally:
        if temporary.exists():
            for path in temporary.iterdir():
                path.unlink()
            temporary.rmdir()
    files.sync_folder(folder.parent)


def _derived(scorer: Scorer) -> dict[str, bytes]:
    """Return the files that follow from trees, calibration, scale and feature declarations."""
    spans = scorer.spans if scorer.spans is not None else ((None, None),) * len(scorer.dimensions)
    centres = scorer.centres.tolist() if scorer.spans is not None else [None] * len(scorer.dimensions)
    scale = scorer.scaling
    card = {
        "scaling": {"points": scale.points, "odds": scale.odds, "double_odds": scale.double_odds},
        "dimensions": [
            {"id": name, "first_tree": first, "trees": count, "centre_raw_score": centre}
            for name, (first, count), centre in zip(scorer.dimensions, spans, centres, strict=True)
        ],
        "base_log_odds": scorer.base_log_odds,
        "base_points": float(scale.to_points(scorer.base_log_odds)),
    }
    reasons = [
        {
            "feature": feature.id,
            "dimension": feature.dimension,
            "title_zh": feature.title_zh,
            "title_en": feature.title_en,
            "unit": feature.unit,
            "direction": feature.direction,
            "legal_basis": feature.legal_basis,
        }
        for feature in scorer.features
    ]
    return {"scorecard.json": _bytes(card), "reasons.json": _bytes(reasons)}


def _golden_rows(scorer: Scorer) -> NDArray[np.float32]:
    """Make rows that visit both sides of many splits, from hashes: no row of data leaves training."""
    columns: list[list[float]] = []
    features = np.concatenate([tree.feature for tree in scorer.forest.trees])
    thresholds = np.concatenate([tree.threshold for tree in scorer.forest.trees])
    limit = float(np.finfo(np.float32).max) / 4
    for j in range(len(scorer.features)):
        cuts = np.unique(np.clip(thresholds[features == j], -limit, limit))
        around = np.concatenate((cuts, np.nextafter(cuts.astype(np.float32), np.float32(np.inf)), [0.0]))
        columns.append([*around.tolist(), float("nan")])
    rows = np.empty((GOLDEN, len(columns)), np.float32)
    for i in range(GOLDEN):
        for j, choices in enumerate(columns):
            rows[i, j] = choices[int(sha256_hex(f"{FORMAT}/golden/{i}/{j}".encode())[:12], 16) % len(choices)]
    return rows


def _golden(scorer: Scorer, rows: NDArray[np.float32]) -> dict[str, Any]:
    scores = scorer.score(rows)
    return {
        "x": [[None if np.isnan(v) else float(v) for v in row] for row in rows],
        "raw_score": scores.raw_score.tolist(),
        "probability": scores.probability.tolist(),
        "points": scores.points.tolist(),
        "dimension_points": scores.dimension_points.tolist(),
    }


def _check_golden(scorer: Scorer, golden: Any) -> None:
    try:
        rows = np.array([[np.nan if v is None else v for v in row] for row in golden["x"]], np.float32)
        found = _golden(scorer, rows)
        same = len(rows) == GOLDEN and all(
            np.allclose(golden[name], found[name], rtol=0, atol=TOLERANCE) for name in found if name != "x"
        )
    except (KeyError, TypeError, ValueError, LearningError) as error:
        raise _bad("CT-LEARN-042", "golden_rows.json", "it is not in form") from error
    if not same:
        raise _bad(
            "CT-LEARN-044",
            "golden_rows.json",
            "the model gives its golden rows other scores",
            "Compare the LightGBM versions of bundle and machine",
        )


def _scorer(manifest: Mapping[str, Any], raw: Mapping[str, bytes]) -> Scorer:
    forest = _forest(raw["model.txt"])
    declared = [{k: v for k, v in item.items() if k != "stands_for_missing"} for item in manifest["features"]]
    features = tuple(FeatureSpec.model_validate(item) for item in declared)
    fills = np.array(
        [np.nan if f["stands_for_missing"] is None else f["stands_for_missing"] for f in manifest["features"]]
    )
    if tuple(feature.id for feature in features) != forest.names:
        raise _bad("CT-LEARN-042", "model.txt", "its features are not those of the manifest")
    calibration = Calibration(**_json(raw["calibration.json"], "calibration.json"))
    if not (calibration.slope > 0 and np.isfinite(calibration.intercept) and np.isfinite(calibration.slope)):
        raise _bad("CT-LEARN-042", "calibration.json", "the slope is not above zero")
    scaling = Scaling(**_json(raw["scorecard.json"], "scorecard.json")["scaling"])
    dimensions = dimensions_of(features)
    spans = None
    if manifest["confined"]:
        groups = [dimensions.index(feature.dimension) for feature in features]
        ordered, spans = forest.grouped(groups, len(dimensions))
        if ordered.render().encode() != raw["model.txt"]:
            raise _bad("CT-LEARN-042", "model.txt", "its trees are not in the order of the dimensions")
    return Scorer(forest, features, dimensions, spans, fills.astype(np.float64), calibration, scaling)


def _forest(data: bytes) -> Forest:
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise _bad("CT-LEARN-043", "model.txt", "it is not plain text") from error
    forest = Forest.read(text)
    if forest.render() != text:
        raise _bad("CT-LEARN-043", "model.txt", "it is not in canonical form")
    return forest


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    if not path.is_file() or path.is_symlink():
        raise _bad("CT-LEARN-040", name, f"the bundle '{folder.name}' has no such file")
    if path.stat().st_size > CAPS[name]:
        raise _bad("CT-LEARN-040", name, f"it is larger than {CAPS[name]} bytes")
    return path.read_bytes()


def _check_manifest(manifest: Any, raw: Mapping[str, bytes]) -> None:
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise _bad("CT-LEARN-042", "manifest.json", f"it is not of format {FORMAT}")
    rest = {key: value for key, value in manifest.items() if key != "digest"}
    if manifest.get("digest") != sha256_hex(_bytes(rest)):
        raise _bad("CT-LEARN-041", "manifest.json", "it does not have the digest it states")
    listed = manifest.get("files")
    if not isinstance(listed, dict) or set(listed) != set(CAPS) - {"manifest.json"}:
        raise _bad("CT-LEARN-042", "manifest.json", "it does not list the files of a bundle")
    for name, facts in listed.items():
        if facts != {"bytes": len(raw[name]), "sha256": sha256_hex(raw[name])}:
            raise _bad("CT-LEARN-041", name, "it does not have the digest that the manifest states")


def _bytes(value: Any) -> bytes:
    """Return the one text of a JSON value here: keys sorted, two blanks of indent, shortest exact floats, no NaN."""
    return (json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()


def _json(data: bytes, name: str) -> Any:
    try:
        value = json.loads(data)
        same = _bytes(value) == data
    except (ValueError, RecursionError) as error:
        raise _bad("CT-LEARN-042", name, "it is not JSON in canonical form") from error
    if not same:
        raise _bad("CT-LEARN-042", name, "it is not JSON in canonical form")
    return value


def _bad(code: str, where: str, what: str, advice: str = "Take the bundle from the registry again") -> LearningError:
    return LearningError.of(code, where=where, what=f"模型包不可用 · {what}.", advice=f"{advice}.")
