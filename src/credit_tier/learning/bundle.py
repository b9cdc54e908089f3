"""The bundle: a model as a folder of plain data, seven files, no pickle, no code, byte-identical for equal inputs, seed and key.

    manifest.json     what it is, where it comes from, SHA-256 and size of the files below; its own digest is the bundle's identity
    manifest.sig      who vouches for it: an Ed25519 signature of the manifest's bytes
    model.txt         the trees, LightGBM's text in canonical form
    calibration.json  raw score to log-odds
    scorecard.json    log-odds to points, dimensions, base
    reasons.json      what a reason says
    golden_rows.json  made-up rows with the scores they must get

Opening checks sizes, digests, signature, form and structure before anything computes with it, then the golden rows in a child process.
No date of making, no path and no thread count is kept, and no row of training data: golden rows are made from thresholds.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from credit_tier import files
from credit_tier.canonical import digest_of, sha256_hex
from credit_tier.learning import bundle_files, golden, signing
from credit_tier.learning.bundle_files import FORMAT, MANIFEST, SIGNATURE, bad, to_bytes
from credit_tier.learning.calibrate import Calibration
from credit_tier.learning.evaluate import Evaluation
from credit_tier.learning.fit import Fitted
from credit_tier.learning.folds import Division
from credit_tier.learning.scorecard import Scorer, Scores
from credit_tier.learning.splits import TrainingFrame
from credit_tier.specs.feature import FeatureSpec
from credit_tier.specs.model import ModelSpec


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
    signer : whose key signed it, and whether that key is trusted.
    """

    folder: Path
    manifest: Mapping[str, Any]
    scorer: Scorer
    signer: signing.Signer

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
    def open(cls, folder: Path | str, *, trusted: signing.TrustedKeys | None = None) -> Bundle:
        """Open a bundle after checking every byte of it; takes about a second, most of it the start of the child process.

        Parameters
        ----------
        trusted : keys of those who may sign; None leaves the signer unchecked, and :attr:`signer` says so.

        Raises
        ------
        LearningError : CT-LEARN-040 a file is missing or too large, CT-LEARN-041 a digest differs, CT-LEARN-046 the signature is
            wrong or not of a trusted key, CT-LEARN-042 a file is not in form, CT-LEARN-043 the trees are not sound, CT-LEARN-044
            a golden row gets another score, CT-LEARN-048 the model crashes or hangs a child process. The file is named.

        Source: `service.md` section 1.3 and D2: digests and signature before any parser of models, structure before use.
        """
        raw = bundle_files.read(Path(folder))
        manifest, signer = _vouched(raw, trusted)
        found = cls(Path(folder), manifest, bundle_files.scorer_of(manifest, raw), signer)
        golden.try_out(raw)
        return found


def manifest_of(folder: Path | str, *, trusted: signing.TrustedKeys) -> Mapping[str, Any]:
    """Return the manifest of a bundle that is not to be used, only to be read: sizes, digests and signature are checked.

    Raises
    ------
    LearningError : CT-LEARN-040, 041, 042, 046 as :meth:`Bundle.open`.
    """
    return _vouched(bundle_files.read(Path(folder)), trusted)[0]


def write(
    folder: Path | str,
    *,
    spec: ModelSpec,
    fitted: Fitted,
    calibration: Calibration,
    parts: Division,
    evaluation: Evaluation,
    failed_gates: Sequence[str],
    provenance: Provenance,
    key: signing.SigningKey,
) -> Bundle:
    """Write a bundle into a new folder, whole or not at all, and open it; its golden rows are scored in this process.

    An existing folder is left alone, since bundles are immutable: if it holds the same bundle it is opened, else it is an error.
    Only the signature is written anew if it was of another key.

    Parameters
    ----------
    failed_gates : why the model may not be promoted; empty if it may.
    key : signs the manifest.

    Raises
    ------
    LearningError (CT-LEARN-045) if the folder holds something else; otherwise as :meth:`Bundle.open`.
    """
    folder = Path(folder)
    scorer = Scorer.of(fitted, calibration, spec.points)
    texts = bundle_files.derived(scorer) | {
        "model.txt": scorer.forest.render().encode(),
        "calibration.json": to_bytes(calibration.to_dict()),
        "golden_rows.json": to_bytes(golden.golden_of(scorer)),
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
        "searched_from": None if fitted.searched_from is None else fitted.searched_from.model_dump(mode="json"),
        "split": parts.describe(),
        "test_rows": _rows_digest(parts.test.frame),
        "metrics": evaluation.metrics(),
        "failed_gates": list(failed_gates),
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
    texts[MANIFEST] = to_bytes(facts | {"digest": bundle_files.digest_of(facts)})
    signature = key.sign(texts[MANIFEST])
    if not folder.exists():
        _write_folder(folder, texts | {SIGNATURE: signature})
    elif not all((folder / name).is_file() and (folder / name).read_bytes() == data for name, data in texts.items()):
        raise bad("CT-LEARN-045", folder.name, "the folder holds something else", "Choose a new folder")
    else:
        files.write_bytes(folder / SIGNATURE, signature)
    raw = bundle_files.read(folder)
    manifest, signer = _vouched(raw, signing.TrustedKeys({key.public: key.name}))
    made = Bundle(folder, manifest, bundle_files.scorer_of(manifest, raw), signer)
    golden.check(made.scorer, raw)
    return made


def _vouched(raw: Mapping[str, bytes], trusted: signing.TrustedKeys | None) -> tuple[Mapping[str, Any], signing.Signer]:
    manifest = bundle_files.parse_manifest(raw)
    return manifest, signing.check(raw[MANIFEST], raw[SIGNATURE], trusted)


def _rows_digest(frame: TrainingFrame) -> str:
    """Return the digest of who was judged when and with what outcome."""
    return digest_of(
        [sha256_hex(values.astype("<i8").tobytes()) for values in (frame.subject, frame.as_of_day, frame.y)]
    )


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
