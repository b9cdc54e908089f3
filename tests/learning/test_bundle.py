"""Bundles: equal inputs give equal bytes, any flipped byte is refused with the file's name, nothing private inside."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier.canonical import sha256_hex
from credit_tier.errors import LearningError
from credit_tier.learning import bundle as room
from credit_tier.learning.bundle import CAPS, Bundle, Provenance
from credit_tier.learning.calibrate import calibrate
from credit_tier.learning.evaluate import evaluate
from credit_tier.learning.fit import fit
from credit_tier.learning.forest import Forest
from credit_tier.learning.scorecard import Scorer
from credit_tier.learning.splits import Parts
from credit_tier.specs.model import ModelSpec, Trees

ORIGIN = Provenance("a" * 64, "b" * 64, "c" * 64)


def make(folder: Path, parts: Parts, spec: ModelSpec, *, seed: int = 1) -> Bundle:
    fitted = fit(parts, spec, seed=seed, threads=1)
    plain = Scorer.of(fitted, calibrate(np.zeros(0), np.zeros(0, np.int8), "none"), spec.points)
    calibration = calibrate(plain.raw_score(parts.calibrate.frame.x), parts.calibrate.frame.y, spec.calibration)
    test = parts.test.frame
    probability = Scorer.of(fitted, calibration, spec.points).score(test.x).probability
    evaluation = evaluate(test.y, probability, test.subject, test.as_of_day, replicates=20)
    return room.write(
        folder, spec=spec, fitted=fitted, calibration=calibration, parts=parts, evaluation=evaluation, provenance=ORIGIN
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, parts: Parts, spec: ModelSpec) -> Bundle:
    return make(tmp_path_factory.mktemp("bundles") / "one", parts, spec)


def copy(made: Bundle, folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in CAPS:
        (folder / name).write_bytes((made.folder / name).read_bytes())
    return folder


def resealed(folder: Path, **changed: bytes) -> Path:
    """Replace files and repair every digest, as somebody without the signing key could."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for key, data in changed.items():
        name = key.replace("__", ".")
        (folder / name).write_bytes(data)
        manifest["files"][name] = {"bytes": len(data), "sha256": sha256_hex(data)}
    rest = {key: value for key, value in manifest.items() if key != "digest"}
    text = lambda value: (json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1) + "\n").encode()  # noqa: E731
    (folder / "manifest.json").write_bytes(text(rest | {"digest": sha256_hex(text(rest))}))
    return folder


def test_equal_inputs_give_equal_bytes(made: Bundle, parts: Parts, spec: ModelSpec, tmp_path: Path) -> None:
    """Same frame, declaration and seed: six equal files in another folder; another seed changes the identity."""
    again = make(tmp_path / "elsewhere" / "two", parts, spec)
    for name in CAPS:
        assert (again.folder / name).read_bytes() == (made.folder / name).read_bytes(), name
    assert {path.name for path in made.folder.iterdir()} == set(CAPS)
    drawn = spec.model_copy(update={"trees": Trees(rounds=10, row_fraction=0.5)})
    assert make(tmp_path / "three", parts, drawn, seed=1).digest != make(tmp_path / "four", parts, drawn, seed=2).digest


def test_a_bundle_scores_as_the_model_in_memory(made: Bundle, scorer: Scorer, parts: Parts) -> None:
    """Writing and opening changes no score, not even in the last bit."""
    x = parts.test.frame.x
    a, b = made.score(x), scorer.score(x)
    for name in ("raw_score", "probability", "points", "dimension_points"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert made.feature_ids == tuple(f.id for f in parts.train.frame.features)


@pytest.mark.parametrize("name", list(CAPS))
def test_any_flipped_byte_is_refused_by_name(name: str, made: Bundle, tmp_path: Path) -> None:
    """Bits flipped at 40 places of each file, and a cut-off end: refused, and the message names the file."""
    folder = copy(made, tmp_path / "copy")
    data = (folder / name).read_bytes()
    for place in np.linspace(0, len(data) - 1, 40).astype(int):
        damaged = bytearray(data)
        damaged[place] ^= 1 << int(place % 8)
        (folder / name).write_bytes(bytes(damaged))
        with pytest.raises(LearningError) as caught:
            Bundle.open(folder)
        assert caught.value.faults[0].where == name
    for wrong in (data[:-1], b"", data + b"\n"):
        (folder / name).write_bytes(wrong)
        with pytest.raises(LearningError, match=name):
            Bundle.open(folder)
    (folder / name).write_bytes(data)
    assert Bundle.open(folder).digest == made.digest


def test_a_missing_or_huge_file_is_refused(made: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not there, is a link, or is beyond its cap is named before anything is parsed."""
    folder = copy(made, tmp_path / "copy")
    (folder / "reasons.json").unlink()
    with pytest.raises(LearningError, match=r"CT-LEARN-040 reasons\.json"):
        Bundle.open(folder)
    (folder / "reasons.json").symlink_to(made.folder / "reasons.json")
    with pytest.raises(LearningError, match=r"CT-LEARN-040 reasons\.json"):
        Bundle.open(folder)
    monkeypatch.setitem(CAPS, "model.txt", 100)
    with pytest.raises(LearningError, match=r"CT-LEARN-040 model\.txt: .*larger than 100 bytes"):
        Bundle.open(made.folder)


def test_a_changed_model_with_repaired_digests_fails_its_golden_rows(made: Bundle, tmp_path: Path) -> None:
    """A well-formed model with other leaf values does not give the golden rows their scores."""
    forest = Forest.read((made.folder / "model.txt").read_text())
    trees = tuple(replace(tree, value=tree.value + 0.001) for tree in forest.trees)
    folder = resealed(copy(made, tmp_path / "copy"), model__txt=replace(forest, trees=trees).render().encode())
    with pytest.raises(LearningError) as caught:
        Bundle.open(folder)
    assert caught.value.code in {"CT-LEARN-042", "CT-LEARN-044"}
    calm = resealed(copy(made, tmp_path / "calm"))
    assert Bundle.open(calm).digest == made.digest


@pytest.mark.parametrize(
    "change",
    [
        ("calibration.json", '"slope": ', '"slope": -', "CT-LEARN-042"),
        ("scorecard.json", '"double_odds": 50.0', '"double_odds": 40.0', "CT-LEARN-042"),
        ("reasons.json", "指标0", "指标9", "CT-LEARN-042"),
        ("golden_rows.json", '"probability": [', '"probability": [1,', "CT-LEARN-042"),
        ("model.txt", "num_cat=0", "num_cat=1", "CT-LEARN-043"),
        ("model.txt", "\nsplit_feature=", "\nsplit_feature=9", "CT-LEARN-043"),
        ("model.txt", "\nleft_child=", "\nleft_child=7", "CT-LEARN-043"),
        ("model.txt", "\nthreshold=", "\nthreshold=nan ", "CT-LEARN-043"),
        ("model.txt", "\nleaf_value=", "\nleaf_value=inf", "CT-LEARN-043"),
        ("model.txt", "\ndecision_type=", "\ndecision_type=1", "CT-LEARN-043"),
        ("model.txt", "\nleaf_count=", "\nleaf_count=1", "CT-LEARN-043"),
        ("model.txt", "num_class=1", "num_class=2", "CT-LEARN-043"),
        ("model.txt", "end of trees\n", "end of trees\nparameters:\n", "CT-LEARN-043"),
        ("model.txt", "is_linear=0", "is_linear=1", "CT-LEARN-043"),
    ],
)
def test_unsound_content_is_refused_even_with_repaired_digests(
    change: tuple[str, str, str, str], made: Bundle, tmp_path: Path
) -> None:
    """Structure is checked before LightGBM sees a byte, whatever the digests say."""
    name, old, new, code = change
    text = (made.folder / name).read_text("utf-8")
    assert old in text
    folder = resealed(copy(made, tmp_path / "copy"), **{name.replace(".", "__"): text.replace(old, new, 1).encode()})
    with pytest.raises(LearningError) as caught:
        Bundle.open(folder)
    assert caught.value.code == code


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_mutated_tree_text_escapes_the_checks(made: Bundle, data: st.DataObject) -> None:
    """Mutated model text is either refused with a LearningError or read as a sound forest; never another exception."""
    text = (made.folder / "model.txt").read_text()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        length = data.draw(st.integers(0, 30))
        text = text[:at] + data.draw(st.text("0123456789-. \n=eainfT", max_size=6)) + text[at + length :]
    try:
        forest = Forest.read(text)
    except LearningError as error:
        assert error.code in {"CT-LEARN-011", "CT-LEARN-043"}  # noqa: PT017
        return
    assert all(tree.fault(len(forest.names)) is None for tree in forest.trees)


def test_mutants_that_pass_do_not_kill_the_process(made: Bundle) -> None:
    """300 mutants of the text: those that our checks let through are loaded and used by LightGBM in a child, which lives."""
    script = """
import sys
import lightgbm as lgb, numpy as np
from credit_tier.errors import LearningError
from credit_tier.learning.forest import Forest
text = open(sys.argv[1]).read()
generator = np.random.default_rng(0)
x = generator.normal(size=(20, 6))
passed = 0
for _ in range(300):
    at = int(generator.integers(text.index("Tree=0"), len(text)))
    mutant = text[:at] + "0123456789-. "[int(generator.integers(13))] + text[at + 1:]
    try:
        forest = Forest.read(mutant)
    except LearningError:
        continue
    passed += 1
    assert np.isfinite(lgb.Booster(model_str=forest.render()).predict(x, raw_score=True, num_threads=1)).all()
print(passed)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(made.folder / "model.txt")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert 0 < int(done.stdout) < 300


def test_nothing_private_is_inside(made: Bundle, parts: Parts) -> None:
    """No path, no thread count, no feature range and no training row stands in a bundle."""
    for name in CAPS:
        text = (made.folder / name).read_text("utf-8")
        assert str(Path.cwd()) not in text
        assert "num_threads" not in text
        assert "/tmp" not in text  # noqa: S108
    golden = np.array(
        [
            [np.nan if v is None else v for v in row]
            for row in json.loads((made.folder / "golden_rows.json").read_bytes())["x"]
        ],
        np.float32,
    )
    rows = {row.tobytes() for row in np.vstack([part.frame.x for part in parts])}
    assert not any(row.tobytes() in rows for row in golden)
    assert (made.folder / "model.txt").read_text().count("none") == 6


def test_golden_rows_visit_both_sides_of_splits(made: Bundle) -> None:
    """Golden rows differ in score and hold missing values, so that a wrong branch shows."""
    golden = json.loads((made.folder / "golden_rows.json").read_bytes())
    assert len(set(golden["raw_score"])) > 40
    assert any(v is None for row in golden["x"] for v in row)


def test_the_manifest_says_what_it_is(made: Bundle, parts: Parts, spec: ModelSpec) -> None:
    """Identity, origin, split, metrics, features with what stands for a missing value, versions."""
    m = made.manifest
    assert (m["model"], m["seed"], m["provenance"]["lake"]) == (spec.model, 1, "b" * 64)
    assert m["split"]["test"]["rows"] == len(parts.test.frame)
    assert m["metrics"]["auc_low"] < m["metrics"]["auc"] < m["metrics"]["auc_high"]
    assert [f["direction"] for f in m["features"]] == [1, -1, 1, 0, 0, 1]
    assert m["features"][3]["stands_for_missing"] is None
    assert m["declaration"]["label"]["window_days"] == 30


def test_a_folder_with_something_else_is_left_alone(
    made: Bundle, parts: Parts, spec: ModelSpec, tmp_path: Path, new_spec: Callable[..., ModelSpec]
) -> None:
    """Writing the same bundle twice opens it; writing another over it is an error and changes no byte."""
    folder = copy(made, tmp_path / "copy")
    assert make(folder, parts, spec).digest == made.digest
    with pytest.raises(LearningError, match="CT-LEARN-045"):
        make(folder, parts, new_spec(trees=Trees(rounds=3)))
    assert Bundle.open(folder).digest == made.digest
    assert [p.name for p in tmp_path.iterdir()] == ["copy"]


def test_opening_is_silent(made: Bundle, capfd: pytest.CaptureFixture[str], parts: Parts) -> None:
    """LightGBM writes nothing to the terminal when a bundle is opened and used."""
    Bundle.open(made.folder).score(parts.test.frame.x)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
