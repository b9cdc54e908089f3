"""The files of a bundle: how they are read, in what form they stand, and how a model is made of them and they of a model.

Nothing here trusts a byte: sizes before reading, digests before parsing, and every fact of the trees before anything uses them.
No numeric library parses a file here, LightGBM least of all.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from credit_tier.canonical import sha256_hex
from credit_tier.content import Spec
from credit_tier.errors import LearningError
from credit_tier.learning.calibrate import Calibration
from credit_tier.learning.confine import contributions_of
from credit_tier.learning.forest import MAX_TREES, Forest
from credit_tier.learning.scorecard import Scaling, Scorer
from credit_tier.specs.feature import FeatureSpec
from credit_tier.specs.model import ModelSpec, Trees

FORMAT = "credit_tier/bundle/1"
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
CAPS = {
    MANIFEST: 8_000_000,
    SIGNATURE: 1_000,
    "model.txt": 128_000_000,
    "calibration.json": 10_000,
    "scorecard.json": 1_000_000,
    "reasons.json": 8_000_000,
    "golden_rows.json": 16_000_000,
}
"""The files of a bundle and the most bytes each may have."""

LINES_OF_A_TREE = 16
LINE = 1_000_000
"""Most bytes of a line of the trees' text."""


class ManifestFeature(FeatureSpec):
    """A feature of the model, and the number that stands for a missing value where the trees never met one."""

    stands_for_missing: float | None


class Manifest(Spec):
    """What `manifest.json` says of a bundle beside the digests of its files."""

    format: Literal["credit_tier/bundle/1"]
    digest: str
    files: dict[str, dict[str, int | str]]
    model: str
    title_zh: str
    title_en: str
    purpose: str
    legal_basis: str
    declaration: ModelSpec
    features: Annotated[tuple[ManifestFeature, ...], Field(min_length=1)]
    confined: bool
    searched_from: Trees | None = None
    """Settings of the trees as declared, where a search has chosen those of `declaration`."""
    split: dict[str, Any]
    test_rows: str
    """SHA-256 over subject, as_of and outcome of the test rows, whatever the features: two models are compared on equal rows."""
    metrics: dict[str, float]
    failed_gates: tuple[str, ...]
    provenance: dict[str, str]
    seed: int
    package: dict[str, str]
    lightgbm: str


def read(folder: Path) -> dict[str, bytes]:
    """Return the files of a bundle by name; whatever else lies in the folder is never opened.

    Raises
    ------
    LearningError (CT-LEARN-040) if a file is missing, is no plain file (a link, a pipe), or is larger than its cap.
    """
    return {name: _read(folder, name) for name in CAPS}


def parse_manifest(raw: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the manifest's JSON after checking every digest.

    Raises
    ------
    LearningError : CT-LEARN-042 the manifest is not in form, CT-LEARN-041 a digest differs.
    """
    manifest = from_bytes(raw[MANIFEST], MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise bad("CT-LEARN-042", MANIFEST, f"it is not of format {FORMAT}")
    if manifest.get("digest") != digest_of(manifest):
        raise bad("CT-LEARN-041", MANIFEST, "it does not have the digest it states")
    listed = manifest.get("files")
    if not isinstance(listed, dict) or set(listed) != set(CAPS) - {MANIFEST, SIGNATURE}:
        raise bad("CT-LEARN-042", MANIFEST, "it does not list the files of a bundle")
    for name, facts in listed.items():
        if facts != {"bytes": len(raw[name]), "sha256": sha256_hex(raw[name])}:
            raise bad("CT-LEARN-041", name, "it does not have the digest that the manifest states")
    return manifest


def digest_of(manifest: Mapping[str, Any]) -> str:
    """Return the digest that identifies a bundle: over its manifest without this digest; a signature is no part of it."""
    return sha256_hex(to_bytes({key: value for key, value in manifest.items() if key != "digest"}))


def scorer_of(manifest: Mapping[str, Any], raw: Mapping[str, bytes]) -> Scorer:
    """Return the model after checking that every file is in form and all of them fit together; nothing is computed with it.

    Raises
    ------
    LearningError : CT-LEARN-042 a file is not in form, CT-LEARN-043 the trees are not sound. The file is named.
    """
    with _form(MANIFEST):
        facts = Manifest.model_validate(manifest)
        # Fields that a later release added stand at their defaults; nothing that is stated may have been coerced.
        same = to_bytes(facts.model_dump(mode="json", exclude_unset=True)) == raw[MANIFEST]
    spec = facts.declaration
    if not same:
        raise bad("CT-LEARN-042", MANIFEST, "a value is not of the type it should have")
    if (facts.model, facts.title_zh, facts.confined) != (spec.model, spec.title_zh, spec.trees.confine):
        raise bad("CT-LEARN-042", MANIFEST, "it does not agree with its declaration")
    features = tuple(
        FeatureSpec(**{name: getattr(f, name) for name in FeatureSpec.model_fields}) for f in facts.features
    )
    fills = np.array([np.nan if f.stands_for_missing is None else f.stands_for_missing for f in facts.features])
    forest = _forest(raw["model.txt"])
    if tuple(feature.id for feature in features) != forest.names:
        raise bad("CT-LEARN-042", "model.txt", "its features are not those of the manifest")
    with _form("calibration.json"):
        calibration = Calibration.from_dict(from_bytes(raw["calibration.json"], "calibration.json"))
    with _form("scorecard.json"):
        scaling = Scaling(**from_bytes(raw["scorecard.json"], "scorecard.json")["scaling"])
    if scaling != Scaling.of(spec.points):
        raise bad("CT-LEARN-042", "scorecard.json", "its scale is not the declared one")
    try:
        contributions = contributions_of(features, spec.trees.bridges)
    except LearningError as error:
        raise bad("CT-LEARN-042", MANIFEST, "a declared bridge does not fit its features") from error
    dimensions = tuple(one.id for one in contributions)
    spans = None
    if facts.confined:
        try:
            ordered, spans = forest.grouped([one.columns for one in contributions])
        except LearningError as error:
            raise bad("CT-LEARN-042", "model.txt", "a tree uses features that no dimension or bridge has") from error
        if ordered.render().encode() != raw["model.txt"]:
            raise bad("CT-LEARN-042", "model.txt", "its trees are not in the order of the dimensions")
    scorer = Scorer(forest, features, dimensions, spans, fills, calibration, scaling)
    with _form("model.txt"):
        wanted = derived(scorer)
    for name, data in wanted.items():
        if raw[name] != data:
            raise bad("CT-LEARN-042", name, "it does not follow from the other files")
    from_bytes(raw["golden_rows.json"], "golden_rows.json")
    return scorer


def derived(scorer: Scorer) -> dict[str, bytes]:
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
    return {"scorecard.json": to_bytes(card), "reasons.json": to_bytes(reasons)}


def to_bytes(value: Any) -> bytes:
    """Return the one text of a JSON value here: keys sorted, one blank of indent, shortest exact floats, no NaN."""
    return (json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()


def from_bytes(data: bytes, name: str) -> Any:
    """Return a file's JSON value.

    Raises
    ------
    LearningError (CT-LEARN-042) if the bytes are not those of :func:`to_bytes`: doubled keys, NaN, other spellings of a number.
    """
    try:
        value = json.loads(data)
        same = to_bytes(value) == data
    except (ValueError, RecursionError) as error:
        raise bad("CT-LEARN-042", name, "it is not JSON in canonical form") from error
    if not same:
        raise bad("CT-LEARN-042", name, "it is not JSON in canonical form")
    return value


def bad(code: str, where: str, what: str, advice: str = "Take the bundle from the registry again") -> LearningError:
    """Return the error that says why a bundle is not used."""
    return LearningError.of(code, where=where, what=f"模型包不可用 · {what}.", advice=f"{advice}.")


@contextmanager
def _form(name: str) -> Iterator[None]:
    """Turn whatever a wrong shape or number of a file sets off into an error that names the file."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise bad("CT-LEARN-042", name, "its facts do not fit together") from error


def _forest(data: bytes) -> Forest:
    lines = data.count(b"\n")
    if lines > LINES_OF_A_TREE * MAX_TREES or max(map(len, data.split(b"\n"))) > LINE:
        raise bad("CT-LEARN-043", "model.txt", "it has more or longer lines than any model")
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise bad("CT-LEARN-043", "model.txt", "it is not plain text") from error
    with _form("model.txt"):
        forest = Forest.read(text)
        same = forest.render() == text
    if not same:
        raise bad("CT-LEARN-043", "model.txt", "it is not in canonical form")
    return forest


def _read(folder: Path, name: str) -> bytes:
    try:
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise bad("CT-LEARN-040", name, f"the bundle '{folder.name}' has no such plain file") from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise bad("CT-LEARN-040", name, f"the bundle '{folder.name}' has no such plain file")
        if facts.st_size > CAPS[name]:
            raise bad("CT-LEARN-040", name, f"it is larger than {CAPS[name]} bytes")
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read(CAPS[name])
    finally:
        os.close(descriptor)
