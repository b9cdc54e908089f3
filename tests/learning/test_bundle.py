"""Bundles: equal inputs give equal bytes, any flipped byte is refused with the file's name, nothing private inside."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier.errors import LearningError
from credit_tier.learning import golden
from credit_tier.learning.bundle import Bundle
from credit_tier.learning.bundle_files import CAPS, SIGNATURE
from credit_tier.learning.forest import Forest
from credit_tier.learning.scorecard import Scorer
from credit_tier.learning.signing import SigningKey, TrustedKeys, new_key
from credit_tier.learning.splits import Parts
from credit_tier.specs.model import ModelSpec, Trees

New = Callable[..., Bundle]


def copy(made: Bundle, folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in CAPS:
        (folder / name).write_bytes((made.folder / name).read_bytes())
    return folder


def test_equal_inputs_give_equal_bytes(
    made: Bundle, parts: Parts, spec: ModelSpec, key: SigningKey, new_bundle: New, tmp_path: Path
) -> None:
    """Same frame, declaration, seed and key: seven equal files in another folder; another seed changes the identity."""
    again = new_bundle(tmp_path / "elsewhere" / "two", parts, spec, key)
    for name in CAPS:
        assert (again.folder / name).read_bytes() == (made.folder / name).read_bytes(), name
    assert {path.name for path in made.folder.iterdir()} == set(CAPS)
    drawn = spec.model_copy(update={"trees": Trees(rounds=10, row_fraction=0.5)})
    three, four = (new_bundle(tmp_path / str(seed), parts, drawn, key, seed=seed) for seed in (1, 2))
    assert three.digest != four.digest


def test_a_signature_is_no_part_of_the_identity(
    made: Bundle, parts: Parts, spec: ModelSpec, key: SigningKey, new_bundle: New, tmp_path: Path
) -> None:
    """Another key signs the same bundle: same digest; writing it again with the first key brings the first signature back."""
    folder = tmp_path / "bundle"
    other = SigningKey.read(new_key(tmp_path / "keys", "other")[0])
    signed = new_bundle(folder, parts, spec, other)
    assert signed.digest == made.digest
    assert signed.signer.trusted_as == "other"
    assert (folder / SIGNATURE).read_bytes() != (made.folder / SIGNATURE).read_bytes()
    new_bundle(folder, parts, spec, key)
    assert (folder / SIGNATURE).read_bytes() == (made.folder / SIGNATURE).read_bytes()


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


def test_the_signer_is_told_and_checked(made: Bundle, key: SigningKey, tmp_path: Path) -> None:
    """Without trusted keys a bundle says that nobody checked its signer; with them it names the key, or refuses."""
    plain = Bundle.open(made.folder)
    assert plain.signer.trusted_as is None
    assert "NOT checked" in str(plain.signer)
    known = Bundle.open(made.folder, trusted=TrustedKeys({key.public: "office"}))
    assert known.signer.trusted_as == "office"
    assert known.signer.fingerprint == plain.signer.fingerprint
    stranger = TrustedKeys.read(new_key(tmp_path, "stranger")[1])
    with pytest.raises(LearningError, match=r"CT-LEARN-046 manifest\.sig: .*not trusted"):
        Bundle.open(made.folder, trusted=stranger)


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended by signal 11"),
        ("import os; os.abort()", "ended by signal 6"),
        ("while True: pass", "is not done after"),
        ("import credit_tier.learning.golden as g; g._limit(); bytearray(g.MEMORY)", "ended with status 1"),
        ("import credit_tier.learning.golden as g; g.SECONDS = 1; g._limit()\nwhile True: pass", "ended by signal"),
        ("import os; os._exit(0 if set(os.environ) >= {'SECRET'} else 77)", "ended with status 77"),
    ],
)
def test_whatever_happens_in_the_child_is_an_error_of_ours(
    program: str, told: str, made: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash, an abort, a hang, too much memory, a look for secrets: the parent lives and says so."""
    run = subprocess.run

    def other_child(command: list[str], **given: object) -> object:
        return run([*command[:3], "-c", program], **given)  # type: ignore[call-overload]

    monkeypatch.setenv("SECRET", "1")
    monkeypatch.setattr(subprocess, "run", other_child)
    monkeypatch.setattr(golden, "PATIENCE", 12)
    with pytest.raises(LearningError, match=rf"CT-LEARN-048 model\.txt: .*{told}"):
        Bundle.open(made.folder)


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


def test_mutants_that_pass_score_as_lightgbm_would(made: Bundle) -> None:
    """300 mutants of the text: those that our checks let through are scored by our loops and by LightGBM, alike, and nothing dies."""
    script = """
import sys
from dataclasses import replace
from pathlib import Path
import lightgbm as lgb, numpy as np
from credit_tier.errors import LearningError
from credit_tier.learning import bundle_files
from credit_tier.learning.forest import Forest
raw = bundle_files.read(Path(sys.argv[1]))
scorer = bundle_files.scorer_of(bundle_files.parse_manifest(raw), raw)
sets = [{j for j, feature in enumerate(scorer.features) if feature.dimension == name} for name in scorer.dimensions]
text = raw["model.txt"].decode()
generator = np.random.default_rng(0)
x = generator.normal(size=(200, 6)).astype(np.float32)
x[generator.random(200) < 0.3, 3] = np.nan  # the one column that was missing in training, too
passed = 0
for _ in range(300):
    at = int(generator.integers(text.index("Tree=0"), len(text)))
    mutant = text[:at] + "0123456789-. "[int(generator.integers(13))] + text[at + 1:]
    try:
        forest, spans = Forest.read(mutant).grouped(sets)
        ours = replace(scorer, forest=forest, spans=spans).raw_score(x)
    except LearningError:
        continue
    passed += 1
    theirs = lgb.Booster(model_str=forest.render()).predict(x, raw_score=True, num_threads=1)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
print(passed)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(made.folder)], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert 20 < int(done.stdout) < 300


def test_nothing_private_is_inside(made: Bundle, parts: Parts) -> None:
    """No path, no thread count, no feature range and no training row stands in a bundle."""
    for name in CAPS:
        text = (made.folder / name).read_text("utf-8")
        assert str(Path.cwd()) not in text
        assert "num_threads" not in text
        assert "/tmp" not in text  # noqa: S108
    rows_of = json.loads((made.folder / "golden_rows.json").read_bytes())["x"]
    rows = np.array([[np.nan if v is None else v for v in row] for row in rows_of], np.float32)
    seen = {row.tobytes() for row in np.vstack([part.frame.x for part in parts])}
    assert not any(row.tobytes() in seen for row in rows)
    assert (made.folder / "model.txt").read_text().count("none") == 6


def test_golden_rows_visit_both_sides_of_splits(made: Bundle) -> None:
    """Golden rows differ in score and hold missing values, so that a wrong branch shows."""
    found = json.loads((made.folder / "golden_rows.json").read_bytes())
    assert len(set(found["raw_score"])) > 40
    assert any(v is None for row in found["x"] for v in row)


def test_the_manifest_says_what_it_is(made: Bundle, parts: Parts, spec: ModelSpec) -> None:
    """Identity, origin, split, metrics, features with what stands for a missing value, versions."""
    m = made.manifest
    assert (m["model"], m["seed"], m["provenance"]["lake"]) == (spec.model, 1, "b" * 64)
    assert m["split"]["test"]["rows"] == len(parts.test.frame)
    assert m["metrics"]["auc_low"] < m["metrics"]["auc"] < m["metrics"]["auc_high"]
    assert [f["direction"] for f in m["features"]] == [1, -1, 1, 0, 0, 1]
    assert m["features"][3]["stands_for_missing"] is None
    assert m["declaration"]["label"]["window_days"] == 30
    assert m["failed_gates"] == []


def test_a_folder_with_something_else_is_left_alone(
    made: Bundle,
    parts: Parts,
    spec: ModelSpec,
    key: SigningKey,
    new_bundle: New,
    new_spec: Callable[..., ModelSpec],
    tmp_path: Path,
) -> None:
    """Writing the same bundle twice opens it; writing another over it is an error and changes no byte."""
    folder = copy(made, tmp_path / "copy")
    assert new_bundle(folder, parts, spec, key).digest == made.digest
    with pytest.raises(LearningError, match="CT-LEARN-045"):
        new_bundle(folder, parts, new_spec(trees=Trees(rounds=3)), key)
    assert Bundle.open(folder).digest == made.digest
    assert [p.name for p in tmp_path.iterdir()] == ["copy"]


def test_opening_is_silent(made: Bundle, capfd: pytest.CaptureFixture[str], parts: Parts) -> None:
    """Nothing is written to the terminal when a bundle is opened and used."""
    Bundle.open(made.folder).score(parts.test.frame.x)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
