"""Hostile bundles: whatever somebody writes into the folder, opening ends with the file's name and runs nothing.

Four hands write the mutants. A vandal changes files. A forger repairs every digest but cannot sign. A stranger signs with a key that
nobody trusts. An insider holds the trusted key, so that the checks of form, structure and golden rows are really reached.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from credit_tier.canonical import sha256_hex
from credit_tier.errors import LearningError
from credit_tier.learning.bundle import Bundle
from credit_tier.learning.bundle_files import CAPS, MANIFEST, SIGNATURE, derived, digest_of, to_bytes
from credit_tier.learning.forest import Forest
from credit_tier.learning.scorecard import Scorer
from credit_tier.learning.signing import SigningKey, TrustedKeys, new_key
from credit_tier.learning.splits import Parts
from credit_tier.specs.model import ModelSpec, Trees

Files = Mapping[str, bytes]
Mutant = tuple[str, Files]
INNER = [name for name in CAPS if name not in {MANIFEST, SIGNATURE}]
JSON = [name for name in INNER if name.endswith(".json")]


@dataclass(frozen=True)
class Base:
    """A sound bundle, another sound one, and the keys of the office and of a stranger."""

    raw: Files
    other: Files
    scorer: Scorer
    office: SigningKey
    stranger: SigningKey

    @property
    def trusted(self) -> TrustedKeys:
        return TrustedKeys({self.office.public: "office"})

    def sealed(self, changed: Files, key: SigningKey | None, **facts: Any) -> Files:
        """Return the files with every digest repaired, signed with a key or left with the old signature."""
        raw = dict(self.raw) | dict(changed)
        manifest = json.loads(self.raw[MANIFEST]) | facts
        manifest["files"] = {name: {"bytes": len(raw[name]), "sha256": sha256_hex(raw[name])} for name in sorted(INNER)}
        return self.stated(raw, manifest, key)

    def stated(self, raw: Files, manifest: dict[str, Any], key: SigningKey | None) -> Files:
        manifest = {name: value for name, value in manifest.items() if name != "digest"}
        data = to_bytes(manifest | {"digest": digest_of(manifest)})
        return dict(raw) | {MANIFEST: data} | ({SIGNATURE: key.sign(data)} if key else {})

    def following(self, **parts: Any) -> dict[str, bytes]:
        """Return model and what follows from it, for an insider who knows the form; golden rows stay those of the old model."""
        scorer = replace(self.scorer, **parts)
        return derived(scorer) | {
            "model.txt": scorer.forest.render().encode(),
            "calibration.json": to_bytes(scorer.calibration.to_dict()),
        }


@pytest.fixture(scope="module")
def base(
    made: Bundle,
    key: SigningKey,
    parts: Parts,
    new_spec: Callable[..., ModelSpec],
    new_bundle: Callable[..., Bundle],
    tmp_path_factory: pytest.TempPathFactory,
) -> Base:
    folder = tmp_path_factory.mktemp("hostile")
    stranger = SigningKey.read(new_key(folder / "keys", "stranger")[0])
    other = new_bundle(folder / "other", parts, new_spec(trees=Trees(rounds=12, leaves=3)), key)
    return Base(
        {name: (made.folder / name).read_bytes() for name in CAPS},
        {name: (other.folder / name).read_bytes() for name in CAPS},
        made.scorer,
        key,
        stranger,
    )


def pick(seed: str, below: int) -> int:
    """Return a number below a bound, the same in every run."""
    return int(sha256_hex(seed.encode())[:12], 16) % below


# ---- the vandal -------------------------------------------------------------------------------------------------------------


def cut(base: Base) -> Iterator[Mutant]:
    for name in CAPS:
        data = base.raw[name]
        for size in (0, 1, len(data) // 2, len(data) - 1):
            yield f"{name} cut to {size}", {**base.raw, name: data[:size]}


def exchanged(base: Base) -> Iterator[Mutant]:
    for name in CAPS:
        if base.other[name] != base.raw[name]:
            yield f"{name} of another bundle", {**base.raw, name: base.other[name]}
    for name in INNER:
        other = INNER[(INNER.index(name) + 1) % len(INNER)]
        yield f"{name} holds {other}", {**base.raw, name: base.raw[other]}


# ---- the forger and the stranger ----------------------------------------------------------------------------------------------


def some_changes(base: Base) -> Iterator[tuple[str, Files]]:
    for name in INNER:
        if base.other[name] != base.raw[name]:
            yield f"{name} of another bundle", {name: base.other[name]}
    forest = base.scorer.forest
    higher = tuple(replace(tree, value=tree.value + 1) for tree in forest.trees)
    yield "higher leaves", base.following(forest=replace(forest, trees=higher))
    yield "nothing", {}


def forged(base: Base) -> Iterator[Mutant]:
    for name, changed in some_changes(base):
        if changed:
            yield f"unsigned: {name}", base.sealed(changed, None)
    yield "no digest of a training", base.sealed({}, None, provenance={})
    for name, signature in {
        "of another bundle": base.other[SIGNATURE],
        "of the model": base.office.sign(base.raw["model.txt"]),
        "zeros": re.sub(rb'"signature":"\w+"', b'"signature":"' + b"0" * 128 + b'"', base.raw[SIGNATURE]),
        "no curve point": re.sub(rb'"public_key":"\w+"', b'"public_key":"' + b"f" * 64 + b'"', base.raw[SIGNATURE]),
        "identity": re.sub(rb'"public_key":"\w+"', b'"public_key":"01' + b"0" * 62 + b'"', base.raw[SIGNATURE]),
        "no JSON": b"-----BEGIN SIGNATURE-----",
        "deep": b"[" * 990,
        "pickle": pickle.dumps({"public_key": "x"}),
    }.items():
        yield f"signature {name}", {**base.raw, SIGNATURE: signature}


def strange(base: Base) -> Iterator[Mutant]:
    for name, changed in some_changes(base):
        yield f"stranger: {name}", base.sealed(changed, base.stranger)


# ---- the insider: form and structure --------------------------------------------------------------------------------------------


def mutated_model(base: Base) -> Iterator[Mutant]:
    text = base.raw["model.txt"].decode()
    lines = text.split("\n")
    tokens = [
        "-1",
        "0",
        "7",
        "999999999",
        "-999999999",
        "1e400",
        "nan",
        "inf",
        "-inf",
        "",
        "1 1",
        "x",
        "2147483648",
        "٣",
    ]
    for i in range(90):
        kind, seed = i % 6, f"mutant {i}"
        changed = list(lines)
        at = pick(seed + " line", len(lines) - 1)
        while kind < 4 and "=" not in changed[at]:
            at = (at + 1) % (len(lines) - 1)
        if kind < 3:
            key, _, values = changed[at].partition("=")
            words = values.split(" ")
            words[pick(seed + " word", len(words))] = tokens[pick(seed + " token", len(tokens))]
            changed[at] = f"{key}={' '.join(words)}"
        elif kind == 3:
            changed[at] = changed[at] + " 1"
        elif kind == 4:
            del changed[at]
        else:
            changed.insert(at, changed[pick(seed + " from", len(lines) - 1)])
        data = "\n".join(changed).encode()
        if data != base.raw["model.txt"]:
            yield f"model mutant {i}", base.sealed({"model.txt": data}, base.office)


def crafted_model(base: Base) -> Iterator[Mutant]:
    text = base.raw["model.txt"].decode()
    forest = base.scorer.forest
    first = text.index("Tree=0")
    block = text[first : text.index("Tree=1")]
    for name, old, new in (
        ("huge count of leaves", "\nnum_leaves=", "\nnum_leaves=4000000000"),
        ("huge count of features", "\nmax_feature_idx=", "\nmax_feature_idx=2147483647"),
        ("column far away", "\nsplit_feature=", "\nsplit_feature=2147483647 "),
        ("column below zero", "\nsplit_feature=", "\nsplit_feature=-"),
        ("child is its parent", "\nleft_child=", "\nleft_child=0 "),
        ("child far away", "\nright_child=", "\nright_child=99999999 "),
        ("leaf far away", "\nright_child=", "\nright_child=-99999999 "),
        ("categories", "num_cat=0", "num_cat=1\ncat_boundaries=0 1\ncat_threshold=4294967295"),
        ("linear leaves", "is_linear=0", "is_linear=1\nleaf_const=1 1 1 1"),
        ("zero as missing", "\ndecision_type=", "\ndecision_type=4 "),
        ("leaf not a number", "\nleaf_value=", "\nleaf_value=nan "),
        ("leaf infinite", "\nleaf_value=", "\nleaf_value=inf "),
        ("threshold not a number", "\nthreshold=", "\nthreshold=nan "),
        ("hexadecimal", "\nthreshold=", "\nthreshold=0x1p3 "),
        ("underscores", "\nleaf_count=", "\nleaf_count=1_0"),
        ("several classes", "num_class=1", "num_class=2"),
        ("another task", "objective=binary sigmoid:1", "objective=multiclass num_class:3"),
        ("another version", "version=v4", "version=v3"),
        ("parameters", "end of trees\n", "end of trees\nparameters:\n[device_type: gpu]\nend of parameters\n"),
        ("ranges", "feature_infos=none", "feature_infos=[0:1]"),
        ("carriage returns", "\n", "\r\n"),
        ("tail", "end of trees\n", "end of trees\n" + "\0" * 100),
        ("no end", "end of trees\n", ""),
        ("no trees", text[first : text.index("end of trees")], ""),
        ("shadowed line", "num_cat=0", "num_cat=0\nnum_cat=0"),
        ("not ASCII", "Tree=0", "Tree=０"),
        ("feature names", "feature_names=f0", "feature_names=f1"),
        ("thousands of trees", block, block * 6000),
        ("a line of megabytes", "\nthreshold=", "\nthreshold=" + "1 " * 1_000_000),
        ("millions of lines", "num_cat=0", "\n" * 3_000_000),
        (
            "leaves as large as numbers are",
            block,
            re.sub(r"leaf_value=.*", "leaf_value=1e308 1e308 1e308 1e308", block),
        ),
    ):
        assert old in text, name
        yield name, base.sealed({"model.txt": text.replace(old, new).encode()}, base.office)
    yield "another pickle", base.sealed({"model.txt": pickle.dumps(Forest)}, base.office)
    yield "UTF-16", base.sealed({"model.txt": text.encode("utf-16")}, base.office)
    yield "zeros", base.sealed({"model.txt": bytes(1_000_000)}, base.office)
    yield "chain", base.sealed({"model.txt": chain(forest, 200).encode()}, base.office)
    for name, trees in (("reversed trees", forest.trees[::-1]), ("tree twice", forest.trees + forest.trees[:1])):
        yield name, base.sealed({"model.txt": replace(forest, trees=trees).render().encode()}, base.office)


def chain(forest: Forest, depth: int) -> str:
    """Return the text of a forest whose first tree is a chain: every right child splits again."""
    inner = np.arange(depth)
    tree = replace(
        forest.trees[0],
        feature=np.full(depth, forest.trees[0].feature[0]),
        threshold=inner.astype(float),
        decision=np.full(depth, 10),
        left=~inner,
        right=np.append(inner[1:], ~depth),
        value=np.zeros(depth + 1),
        count=np.ones(depth + 1, np.int64),
        split_count=depth + 1 - inner,
    )
    return replace(forest, trees=(tree, *forest.trees[1:])).render()


def odd_json(base: Base) -> Iterator[Mutant]:
    for name in JSON:
        text = base.raw[name].decode()
        opening = text[0]
        doubled = text.replace("{\n", '{\n "method": "none",\n "method": "none",\n', 1)
        for what, data in {
            "doubled key": doubled.encode(),
            "no blank": json.dumps(json.loads(text)).encode(),
            "byte order mark": b"\xef\xbb\xbf" + text.encode(),
            "UTF-16": text.encode("utf-16"),
            "NaN": re.sub(r"-?\d+\.\d+|\"\w+\"", "NaN", text, count=1).encode(),
            "infinite": re.sub(r"-?\d+\.\d+|\"\w+\"", "1e999", text, count=1).encode(),
            "endless number": re.sub(r"-?\d+\.\d+|\"\w+\"", "9" * 5000, text, count=1).encode(),
            "half a character": text.replace('"', '"\\ud800', 1).encode(),
            "deep": b"[" * 4000 + b"]" * 4000,
            "deeper": b'{"a":' * 100_000,
            "other kind": to_bytes([] if opening == "{" else {}),
            "null": to_bytes(None),
            "text": to_bytes("x"),
            "pickle": pickle.dumps({"x": 1}),
        }.items():
            if len(data) <= CAPS[name]:
                yield f"{name}: {what}", base.sealed({name: data}, base.office)


def bridged(spec: dict[str, Any], dimensions: list[str], **facts: Any) -> dict[str, Any]:
    bridge = {"id": "x", "title_zh": "-", "title_en": "", "dimensions": dimensions, "features": None} | facts
    return spec | {"trees": spec["trees"] | {"bridges": [bridge]}}


def odd_manifest(base: Base) -> Iterator[Mutant]:
    manifest = json.loads(base.raw[MANIFEST])
    spec = manifest["declaration"]
    features = manifest["features"]
    for what, changed in {
        "loader": {"loader_module": "os"},
        "flavour": {"flavors": {"python_function": {"loader_module": "os", "code": "code"}}},
        "another model": {"model": "n"},
        "another model declared": {"declaration": spec | {"model": "n"}},
        "not confined": {"confined": False},
        "confined is a word": {"confined": "true"},
        "confined is a number": {"confined": 1},
        "trees declared otherwise": {"declaration": spec | {"trees": spec["trees"] | {"confine": False}}},
        "bridge to nowhere": {"declaration": bridged(spec, ["alpha", "delta"])},
        "bridge without trees": {"declaration": bridged(spec, ["alpha", "beta"])},
        "bridge named as a dimension": {"declaration": bridged(spec, ["alpha", "beta"], id="gamma")},
        "bridge of no features": {"declaration": bridged(spec, ["alpha", "beta"], features=[])},
        "bridge with a loader": {"declaration": bridged(spec, ["alpha", "beta"], loader_module="os")},
        "bridges are a word": {"declaration": spec | {"trees": spec["trees"] | {"bridges": "alpha"}}},
        "points declared otherwise": {"declaration": spec | {"points": spec["points"] | {"points": 601}}},
        "odds of zero": {"declaration": spec | {"points": spec["points"] | {"odds": 0}}},
        "no declaration": {"declaration": None},
        "declaration with a loader": {"declaration": spec | {"loader_module": "os"}},
        "no features": {"features": []},
        "features reversed": {"features": features[::-1]},
        "feature twice": {"features": features + features[:1]},
        "feature is a word": {"features": ["f0"] * 6},
        "feature with code": {"features": [features[0] | {"filter": "__import__('os')"}, *features[1:]]},
        "dimension is a list": {"features": [features[0] | {"dimension": ["alpha"]}, *features[1:]]},
        "other dimension": {"features": [features[0] | {"dimension": "beta"}, *features[1:]]},
        "other title": {"features": [features[0] | {"title_zh": "指标０"}, *features[1:]]},
        "fill is a word": {"features": [features[0] | {"stands_for_missing": "0"}, *features[1:]]},
        "fill is a list": {"features": [features[0] | {"stands_for_missing": [0]}, *features[1:]]},
        "metrics are words": {"metrics": {"auc": "high"}},
        "gates are one word": {"failed_gates": "none"},
        "no gates": {"failed_gates": None},
        "seed is a fraction": {"seed": 1.5},
        "split is a list": {"split": []},
        "package is a list": {"package": ["credit-tier"]},
        "deep split": {"split": nested(300)},
        "searched from no settings": {"searched_from": {"rounds": 0}},
        "searched from a word": {"searched_from": "trees"},
    }.items():
        yield f"manifest: {what}", base.stated(base.raw, manifest | changed, base.office)
    for name in manifest.keys() - {"digest", "format", "files", "searched_from"}:
        without = {key: value for key, value in manifest.items() if key != name}
        yield f"manifest without {name}", base.stated(base.raw, without, base.office)
    for what, listed in {
        "no files": {},
        "files are a list": [],
        "another path": manifest["files"] | {"../../model.txt": manifest["files"]["model.txt"]},
        "absolute path": manifest["files"] | {"/etc/passwd": {"bytes": 1, "sha256": "0" * 64}},
        "size of a word": manifest["files"] | {"model.txt": {"bytes": "1", "sha256": "0" * 64}},
        "no digest": manifest["files"] | {"model.txt": {"bytes": len(base.raw["model.txt"])}},
        "MD5": manifest["files"] | {"model.txt": {"md5": "0" * 32}},
    }.items():
        yield f"manifest: {what}", base.stated(base.raw, manifest | {"files": listed}, base.office)
    for what, data in {
        "another format": base.raw[MANIFEST].replace(b"bundle/1", b"bundle/9"),
        "no digest": to_bytes({key: value for key, value in manifest.items() if key != "digest"}),
        "doubled digest": base.raw[MANIFEST].replace(b' "digest"', b' "digest": "x",\n "digest"', 1),
        "no end": base.raw[MANIFEST][:-2],
        "a list": b"[]\n",
        "deep": b'{"a":' * 100_000,
        "YAML": b"!!python/object/apply:os.system ['true']\n",
    }.items():
        yield f"manifest text: {what}", {**base.raw, MANIFEST: data, SIGNATURE: base.office.sign(data)}


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def odd_numbers(base: Base) -> Iterator[Mutant]:
    calibration = json.loads(base.raw["calibration.json"])
    for what, changed in {
        "slope of zero": {"slope": 0.0},
        "slope below zero": {"slope": -calibration["slope"]},
        "slope is whole": {"slope": 1},
        "slope is a word": {"slope": "1"},
        "slope is true": {"slope": True},
        "slope as large as numbers are": {"slope": 1.7e308},
        "intercept is nothing": {"intercept": None},
        "unknown method": {"method": "pickle"},
        "method is a list": {"method": ["platt"]},
        "extra": {"loader_module": "os"},
    }.items():
        data = to_bytes(calibration | changed)
        yield f"calibration: {what}", base.sealed({"calibration.json": data}, base.office)
    card = json.loads(base.raw["scorecard.json"])
    for what, changed in {
        "odds of zero": {"scaling": card["scaling"] | {"odds": 0.0}},
        "odds below zero": {"scaling": card["scaling"] | {"odds": -1.0}},
        "scaling is a list": {"scaling": [600.0, 20.0, 50.0]},
        "scaling is missing": {"scaling": {}},
        "another base": {"base_points": card["base_points"] + 1},
        "no dimensions": {"dimensions": []},
        "extra": {"code": "import os"},
    }.items():
        yield f"scorecard: {what}", base.sealed({"scorecard.json": to_bytes(card | changed)}, base.office)
    reasons = json.loads(base.raw["reasons.json"])
    for what, told in {
        "no reasons": [],
        "reversed": reasons[::-1],
        "script": [reasons[0] | {"title_zh": "<script>"}, *reasons[1:]],
    }.items():
        yield f"reasons: {what}", base.sealed({"reasons.json": to_bytes(told)}, base.office)


# ---- the insider: golden rows, in the child ---------------------------------------------------------------------------------------


def other_scores(base: Base) -> Iterator[Mutant]:
    forest = base.scorer.forest
    for what, changed in {
        "leaves a little higher": lambda tree: {"value": tree.value + 1e-6},
        "leaves far away": lambda tree: {"value": tree.value + 900},
        "thresholds moved": lambda tree: {"threshold": tree.threshold + 1},
        "missing goes the other way": lambda tree: {"decision": tree.decision ^ 2},
    }.items():
        trees = tuple(replace(tree, **changed(tree)) for tree in forest.trees)
        yield what, base.sealed(base.following(forest=replace(forest, trees=trees)), base.office)
    steeper = replace(base.scorer.calibration, slope=base.scorer.calibration.slope * 2)
    yield "steeper calibration", base.sealed(base.following(calibration=steeper), base.office)
    rows = json.loads(base.raw["golden_rows.json"])
    rows["probability"][7] += 1e-6
    yield "one score changed", base.sealed({"golden_rows.json": to_bytes(rows)}, base.office)


def odd_golden(base: Base) -> Iterator[Mutant]:
    rows = json.loads(base.raw["golden_rows.json"])
    for what, changed in {
        "one row more": {"x": rows["x"] + rows["x"][:1]},
        "words": {"x": [["a"] * 6] * 50},
        "ragged": {"x": [*rows["x"][:-1], rows["x"][0][:-1]]},
        "infinite as float32": {"x": [[1e300] * 6] * 50},
        "deep": {"x": [[[[0.0] * 6]]] * 50},
        "scores are words": {"points": ["high"] * 50},
        "extra": {"code": "import os"},
    }.items():
        data = to_bytes(rows | changed)
        yield f"golden: {what}", base.sealed({"golden_rows.json": data}, base.office)


SIZE, DIGEST, SIGNER, FORM, TREES, SCORES, NO_TREE = (f"CT-LEARN-0{n}" for n in (40, 41, 46, 42, 43, 44, 11))
FAMILIES: dict[Callable[[Base], Iterator[Mutant]], set[str]] = {
    cut: {DIGEST, FORM, SIGNER},
    exchanged: {DIGEST, SIGNER},
    forged: {SIGNER},
    strange: {SIGNER},
    mutated_model: {TREES, SCORES},
    crafted_model: {TREES, FORM, NO_TREE},
    odd_json: {FORM},
    odd_manifest: {DIGEST, FORM},
    odd_numbers: {FORM},
    other_scores: {SCORES},
    odd_golden: {FORM},
}
"""What each family must meet with: exactly these layers."""


def placed(mutant: Files, folder: Path) -> Path:
    folder.mkdir()
    for name, data in mutant.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_every_mutant_ends_with_the_name_of_a_file(
    family: Callable[[Base], Iterator[Mutant]], base: Base, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A LearningError that names a file of the bundle, from the layers that had to notice and from each of them; nothing printed."""
    reached = set()
    for number, (what, mutant) in enumerate(family(base)):
        with pytest.raises(LearningError) as caught:
            Bundle.open(placed(mutant, tmp_path / str(number)), trusted=base.trusted)
        assert caught.value.code in FAMILIES[family], f"{what}: {caught.value}"
        reached.add(caught.value.code)
        assert caught.value.faults[0].where in CAPS, f"{what}: {caught.value}"
    assert reached == FAMILIES[family]
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""


def test_there_are_enough_mutants_and_none_is_the_sound_bundle(base: Base, tmp_path: Path) -> None:
    """At least 300 different ones; and the sound bundle, sealed again by the same hand, opens: the mutants fail for what they are."""
    seen = {sha256_hex(b"".join(mutant[name] for name in CAPS)) for family in FAMILIES for _, mutant in family(base)}
    assert len(seen) >= 300
    sound = base.sealed({}, base.office)
    assert sound == base.raw
    assert sha256_hex(b"".join(sound[name] for name in CAPS)) not in seen
    same = base.sealed(base.following(), base.office)
    assert Bundle.open(placed(same, tmp_path / "same"), trusted=base.trusted).signer.trusted_as == "office"


def test_a_bundle_of_an_earlier_release_opens(base: Base, tmp_path: Path) -> None:
    """Manifests and declarations gain optional fields: one that lacks them is in form, and its model is the same."""
    manifest = json.loads(base.raw[MANIFEST])
    del manifest["declaration"]["history_feature"], manifest["declaration"]["trees"]["depth"]
    del manifest["searched_from"], manifest["declaration"]["search"], manifest["declaration"]["trees"]["bridges"]
    del manifest["features"][0]["title_en"]
    older = base.stated(base.raw, manifest, base.office)
    with pytest.raises(LearningError, match=rf"{FORM} reasons\.json"):
        Bundle.open(placed(older, tmp_path / "changed"), trusted=base.trusted)
    manifest["features"][0]["title_en"] = "Feature 0"
    older = base.stated(base.raw, manifest, base.office)
    opened = Bundle.open(placed(older, tmp_path / "older"), trusted=base.trusted)
    assert opened.features == base.scorer.features
    assert opened.digest != digest_of(json.loads(base.raw[MANIFEST]))


def test_a_stranger_who_knows_the_form_is_stopped_by_trust_alone(base: Base, tmp_path: Path) -> None:
    """Re-signed with consistent digests: nobody notices without trusted keys, except that the bundle says so; with them it is refused."""
    folder = placed(base.sealed({}, base.stranger), tmp_path / "stranger")
    assert Bundle.open(folder).signer.trusted_as is None
    with pytest.raises(LearningError, match=SIGNER):
        Bundle.open(folder, trusted=base.trusted)


@pytest.mark.parametrize("kind", ["link", "dangling link", "endless link", "folder", "pipe", "socket", "huge"])
def test_only_plain_files_of_a_sensible_size_are_read(
    kind: str, base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link, a folder, a pipe that would block, a socket, a file beyond its cap: named, and not read."""
    for name in CAPS:
        folder = placed(base.raw, tmp_path / name)
        path = folder / name
        path.unlink()
        if kind == "link":
            (tmp_path / f"{name}.real").write_bytes(base.raw[name])
            path.symlink_to(tmp_path / f"{name}.real")
        elif kind == "dangling link":
            path.symlink_to(tmp_path / "nothing")
        elif kind == "endless link":
            path.symlink_to("/dev/zero")
        elif kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            monkeypatch.chdir(folder)  # the name of a socket must be short
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(name)
        else:
            path.touch()
            os.truncate(path, CAPS[name] + 1)
        with pytest.raises(LearningError, match=rf"{SIZE} {re.escape(name)}:"):
            Bundle.open(folder, trusted=base.trusted)


class Bomb:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.mark,)


EVENTS: list[tuple[str, str]] = []
WATCH: list[Path] = []


def watch(event: str, given: tuple[object, ...]) -> None:
    """Note what the interpreter opens in a watched folder, imports from it, unpickles or starts."""
    if not WATCH:
        return
    if event in {"open", "import", "os.listdir", "os.scandir"}:
        places = [str(item) for item in given[:2] if str(item).startswith(str(WATCH[0]))]
        EVENTS.extend((event, place) for place in places)
    elif event in {"pickle.find_class", "os.system", "os.exec", "subprocess.Popen"}:
        EVENTS.append((event, str(given[1] if event == "subprocess.Popen" else given[0])))


def test_nothing_else_in_the_folder_is_opened_or_run(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pickles, an MLmodel with a loader, code, modules named like our libraries, a blocking pipe: no byte of them is read.

    The bundle opens, even from within that folder; the only program started is the child that scores the golden rows.
    """
    folder = placed(base.raw, tmp_path / "bundle")
    mark = tmp_path / "mark"
    code = f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n"
    for name in ("model.pkl", "python_model.pkl", "model.joblib", "manifest.pickle"):
        (folder / name).write_bytes(pickle.dumps(Bomb(mark)))
    (folder / "MLmodel").write_text(
        "flavors:\n  python_function:\n    loader_module: evil\n    code: code\n    python_model: python_model.pkl\n"
    )
    (folder / "code").mkdir()
    modules = (
        "evil",
        "numpy",
        "lightgbm",
        "numba",
        "json",
        "pydantic",
        "credit_tier",
        "sitecustomize",
        "usercustomize",
    )
    for name in modules:
        (folder / f"{name}.py").write_text(code)
        (folder / "code" / f"{name}.py").write_text(code)
    (folder / "evil.pth").write_text("import evil\n")
    (folder / "conda.yaml").write_text("dependencies: [pip, {pip: [evil]}]\n")
    os.mkfifo(folder / "waiting.pkl")
    (folder / "endless").symlink_to("/dev/zero")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    pickle.loads((folder / "model.pkl").read_bytes())  # noqa: S301
    assert mark.exists(), "the bomb works"
    mark.unlink()
    sys.addaudithook(watch)
    WATCH.append(folder)
    try:
        opened = Bundle.open(folder, trusted=base.trusted)
    finally:
        WATCH.clear()
    assert opened.signer.trusted_as == "office"
    assert not mark.exists()
    assert {Path(place).name for event, place in EVENTS if event == "open"} == set(CAPS)
    others = [(event, what) for event, what in EVENTS if event != "open"]
    assert len(others) == 1
    assert others[0][0] == "subprocess.Popen"
    assert "credit_tier.learning.golden" in others[0][1]
