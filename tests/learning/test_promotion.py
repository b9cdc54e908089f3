"""Promotion: only what passed its gates and opens becomes champion, every decision is on record, one step back is one command."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from credit_tier.canonical import canonical_json, sha256_hex
from credit_tier.errors import LearningError, MachineError, RefusedError, UsageError, VerificationError
from credit_tier.learning import promotion, signing
from credit_tier.learning.bundle import Bundle
from credit_tier.learning.bundle_files import MANIFEST, SIGNATURE, digest_of, to_bytes
from credit_tier.learning.evaluate import Evaluation, evaluate
from credit_tier.learning.promotion import LOG, Decision, champion, decisions, promote, rollback, unconfirmed
from credit_tier.learning.rival import against_champion
from credit_tier.learning.scorecard import Scorer
from credit_tier.learning.signing import SigningKey
from credit_tier.learning.splits import Part, Parts
from credit_tier.learning.tracking import RunInfo, attach, find, log_training, record_decision

AT = datetime(2026, 1, 2, 9, 30, tzinfo=UTC)
BY = {"who": "监管科 甲", "why": "季度更新", "at": AT}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, made: Bundle, parts: Parts, key: SigningKey) -> Path:
    """A store with seven versions of one model: 1 and 2 sound, 3 failed a gate, 4 far worse than 1 on the same test rows, 5 on others.

    The trainings of 6 and 7 have measured themselves beside version 1: perhaps worse, and clearly worse.

    The bundles of 2 to 7 are the first one with other facts in the manifest, signed again.
    """
    folder = tmp_path_factory.mktemp("store") / "mlruns"
    (folder / signing.TRUSTED).mkdir(parents=True)
    (folder / signing.TRUSTED / "office.pub").write_bytes(public_of(key))
    test = parts.test.frame
    evaluation = evaluate(test.y, made.score(test.x).probability, test.subject, test.as_of_day, replicates=20)
    worse = made.manifest["metrics"] | {"auc": 0.6, "auc_low": 0.58, "auc_high": 0.62}
    log(folder, made, evaluation)
    log(folder, varied(made, folder / "two", key, seed=2), evaluation)
    log(folder, varied(made, folder / "three", key, failed_gates=["AUC 0.5 低于门槛"]), evaluation, passed=False)
    log(folder, varied(made, folder / "four", key, metrics=worse), evaluation)
    five = varied(made, folder / "five", key, metrics=worse, test_rows="d" * 64)
    log(folder, five, evaluation)
    for low, high in ((-0.08, 0.01), (-0.08, -0.02)):
        found = log(folder, five, evaluation)
        metrics = {"auc_minus_champion_v1": -0.03, "auc_minus_champion_v1_low": low, "auc_minus_champion_v1_high": high}
        attach(folder, found.run_id, files={}, metrics=metrics)
    return folder


def log(folder: Path, bundle: Bundle, evaluation: Evaluation, *, passed: bool = True) -> RunInfo:
    return log_training(
        folder,
        experiment="m",
        model="m",
        bundle=bundle,
        evaluation=evaluation,
        params={},
        datasets=(),
        figures={},
        tags={},
        aliases=("challenger",) if passed else (),
    )


def varied(made: Bundle, folder: Path, key: SigningKey, **changed: object) -> Bundle:
    shutil.copytree(made.folder, folder)
    manifest = dict(made.manifest) | changed
    data = to_bytes(manifest | {"digest": digest_of(manifest)})
    (folder / MANIFEST).write_bytes(data)
    (folder / SIGNATURE).write_bytes(key.sign(data))
    return Bundle.open(folder)


def public_of(key: SigningKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def store(template: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    shutil.copytree(template, folder)
    return folder


def in_use(store: Path) -> tuple[int, ...]:
    """Return the versions that MLflow calls champion and previous."""
    found = []
    for alias in ("champion", "previous"):
        try:
            found.append(find(store, "m", alias).number)
        except LearningError:
            continue
    return tuple(found)


def test_a_promotion_names_moves_and_records(store: Path) -> None:
    """The chosen version is champion, the one before it `previous`; who, why, when, from and to are in the log and on the version."""
    first = promote(store, "m", version=1, **BY)
    second = promote(store, "m", version=2, **BY | {"why": "新一季样本"})
    assert in_use(store) == (2, 1)
    assert champion(store, "m").digest == second.bundle
    assert [(d.sequence, d.action, d.champion, d.version) for d in decisions(store)] == [
        (1, "promoted", None, 1),
        (2, "promoted", 1, 2),
    ]
    assert (first.who, first.why, first.at) == ("监管科 甲", "季度更新", "2026-01-02T09:30:00+00:00")
    assert "AUC" in second.compared
    tag = find(store, "m", "2").tags["decision_0002"]
    assert tag == f"promoted {second.at} 监管科 甲: 新一季样本 [{sha256_hex(second.line)}]"


def test_without_a_version_the_challenger_is_meant(store: Path) -> None:
    """Version 7 is the newest that passed its gates; with no champion there is nothing to be worse than."""
    assert promote(store, "m", **BY).version == 7
    with pytest.raises(UsageError, match="CT-LEARN-085 m 7"):
        promote(store, "m", **BY)
    assert len(decisions(store)) == 1


def test_a_failed_gate_cannot_be_promoted(store: Path) -> None:
    """Exit 3, the gate is named, the champion stays, and the attempt is on record."""
    promote(store, "m", version=1, **BY)
    with pytest.raises(RefusedError, match=r"CT-LEARN-080 m 3: AUC 0\.5 低于门槛") as caught:
        promote(store, "m", version=3, **BY)
    assert caught.value.exit_code == 3
    assert in_use(store) == (1,)
    last = decisions(store)[-1]
    assert (last.action, last.version, last.champion) == ("refused", 3, 1)
    assert "低于门槛" in last.faults[0]
    assert find(store, "m", "3").tags["decision_0002"].startswith("refused ")


def test_a_challenger_worse_beyond_its_interval_is_refused(store: Path) -> None:
    """On the same test rows the champion's AUC lies above the challenger's interval."""
    promote(store, "m", version=1, **BY)
    with pytest.raises(RefusedError, match=r"CT-LEARN-080 m 4: .*worse than the champion"):
        promote(store, "m", version=4, **BY)
    assert in_use(store) == (1,)


def test_other_test_rows_are_not_compared(store: Path) -> None:
    """A worse figure on other rows says nothing; the decision tells that nothing was compared."""
    promote(store, "m", version=1, **BY)
    assert "not comparable" in promote(store, "m", version=5, **BY).compared


def test_a_difference_measured_in_pairs_decides_where_there_is_one(store: Path) -> None:
    """Clearly worse than this champion is refused, perhaps worse is not; a difference from another champion says nothing."""
    promote(store, "m", version=1, **BY)
    with pytest.raises(RefusedError, match=r"CT-LEARN-080 m 7: .*-0\.0300 \(-0\.0800…-0\.0200\)"):
        promote(store, "m", version=7, **BY)
    assert promote(store, "m", version=6, **BY).compared == "AUC − 现役 champion -0.0300 (-0.0800…+0.0100)"
    assert promote(store, "m", version=7, **BY).compared.startswith("AUC 0.6000 (0.5800–0.6200)")


def test_a_new_model_is_measured_against_the_champion_on_rows_new_to_both(
    store: Path, parts: Parts, scorer: Scorer
) -> None:
    """Equal models differ by nothing, reversed scores by much; no figure on rows the champion learned from, or without its features."""

    def measured(part: Part, score: np.ndarray) -> dict[str, float]:
        found = against_champion(store, "m", part, score, seed=1, threads=1)
        return {} if found is None else found.metrics()

    raw, frame = scorer.raw_score(parts.test.frame.x), parts.test.frame
    assert measured(parts.test, raw) == {}
    promote(store, "m", version=1, **BY)
    name = "auc_minus_champion_v1"
    assert measured(parts.test, raw) == {name: 0, f"{name}_low": 0, f"{name}_high": 0}
    turned = replace(frame, x=np.ascontiguousarray(frame.x[:, ::-1]), features=frame.features[::-1])
    assert measured(replace(parts.test, frame=turned), raw)[name] == 0
    worse = measured(parts.test, -raw)
    assert worse[f"{name}_low"] < worse[name] < worse[f"{name}_high"] < -0.1
    assert measured(parts.calibrate, scorer.raw_score(parts.calibrate.frame.x)) == {}
    other = (frame.features[0].model_copy(update={"unit": "元"}), *frame.features[1:])
    assert measured(replace(parts.test, frame=replace(frame, features=other)), raw) == {}


@pytest.mark.parametrize("damage", ["flip", "unsigned", "stranger"])
def test_a_bundle_that_does_not_open_is_refused(damage: str, store: Path, tmp_path: Path) -> None:
    """A damaged file, a missing signature, a signer whom the store does not trust: refused with the file's name, on record."""
    folder = find(store, "m", "1").folder
    if damage == "flip":
        data = bytearray((folder / "model.txt").read_bytes())
        data[500] ^= 1
        (folder / "model.txt").write_bytes(bytes(data))
    elif damage == "unsigned":
        (folder / SIGNATURE).unlink()
    else:
        stranger = SigningKey.read(signing.new_key(tmp_path / "keys", "stranger")[0])
        (folder / SIGNATURE).write_bytes(stranger.sign((folder / MANIFEST).read_bytes()))
    name = "model.txt" if damage == "flip" else SIGNATURE
    with pytest.raises(RefusedError, match=name):
        promote(store, "m", version=1, **BY)
    assert in_use(store) == ()
    assert decisions(store)[-1].action == "refused"


def test_roll_back_is_one_command_and_goes_on(store: Path) -> None:
    """2 back to 1; a second step back has nowhere to go; and a new promotion starts from 1."""
    promote(store, "m", version=1, **BY)
    promote(store, "m", version=2, **BY)
    back = rollback(store, "m", **BY | {"why": "投诉增多"})
    assert (back.action, back.champion, back.version) == ("rolled_back", 2, 1)
    assert in_use(store) == (1,)
    assert champion(store, "m").digest == back.bundle
    with pytest.raises(RefusedError, match="CT-LEARN-081"):
        rollback(store, "m", **BY)
    assert promote(store, "m", version=2, **BY).champion == 1
    assert [d.action for d in decisions(store)] == ["promoted", "promoted", "rolled_back", "refused", "promoted"]
    assert in_use(store) == (2, 1)


def test_a_key_taken_from_the_trusted_ends_the_use_of_its_models(store: Path, tmp_path: Path) -> None:
    """After a change of keys the old signature opens nothing, neither as champion nor by roll-back."""
    promote(store, "m", version=1, **BY)
    promote(store, "m", version=2, **BY)
    (store / signing.TRUSTED / "office.pub").unlink()
    with pytest.raises(LearningError, match="CT-LEARN-047"):
        champion(store, "m")
    new = signing.new_key(tmp_path / "keys", "new")
    shutil.copy(new[1], store / signing.TRUSTED)
    with pytest.raises(LearningError, match=r"CT-LEARN-046 .*not trusted"):
        champion(store, "m")
    with pytest.raises(RefusedError, match="CT-LEARN-046"):
        rollback(store, "m", **BY)
    # A person may still name the keys to be trusted, in place of the store's.
    key = tmp_path / "office.pub"
    key.write_bytes(shutil.copy(new[1], key).read_bytes())
    with pytest.raises(LearningError, match="CT-LEARN-046"):
        champion(store, "m", trust=[key])


def test_an_alias_moved_by_hand_is_noticed(store: Path) -> None:
    """MLflow's page moves aliases without asking anybody: such a champion is not used, and promoting again puts it right."""
    promote(store, "m", version=1, **BY)
    record_decision(store, "m", 4, tag=("note", "-"), aliases={"champion": 4})
    with pytest.raises(VerificationError, match=r"CT-LEARN-082 m: .*version 4, the log 1"):
        champion(store, "m")
    again = promote(store, "m", version=1, **BY)
    assert champion(store, "m").digest == again.bundle
    assert in_use(store) == (1,)


def test_a_bundle_put_in_place_of_the_promoted_one_is_noticed(store: Path) -> None:
    """Another bundle, soundly signed, under the promoted version: it is not the one that was decided about."""
    promote(store, "m", version=1, **BY)
    here, there = find(store, "m", "1").folder, find(store, "m", "2").folder
    shutil.rmtree(here)
    shutil.copytree(there, here)
    with pytest.raises(VerificationError, match=r"CT-LEARN-082 .*not the one that was promoted"):
        champion(store, "m")


def test_every_changed_line_of_the_log_is_named(store: Path) -> None:
    """Any flipped bit, a line taken out, two lines exchanged, a line added without its chain: the first wrong line is named.

    What the chain cannot show, a changed or missing end, MLflow's tags do.
    """
    for version in (1, 2):
        promote(store, "m", version=version, **BY)
    rollback(store, "m", **BY)
    data = (store / LOG).read_bytes()
    lines = data.splitlines(keepends=True)
    assert len(lines) == 3
    assert unconfirmed(store, decisions(store)) == ()
    for place in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[place] ^= 4
        (store / LOG).write_bytes(bytes(damaged))
        line = data[:place].count(b"\n") + 1
        try:
            found = decisions(store)
        except VerificationError as error:
            # A change of text within a line breaks the chain at the line after it.
            assert error.faults[0].where in {f"{LOG}:{line}", f"{LOG}:{line + 1}"}  # noqa: PT017
        else:
            assert (line, unconfirmed(store, found)) == (3, ("decision_0003",))
    (store / LOG).write_bytes(b"".join(lines[:2]))
    assert unconfirmed(store, decisions(store)) == ("decision_0003",)
    with pytest.raises(VerificationError, match="CT-LEARN-082"):
        champion(store, "m")
    with pytest.raises(VerificationError, match=r"CT-LEARN-083 decisions\.jsonl: .*decision_0003"):
        promote(store, "m", version=2, **BY)
    for wrong, line in ((lines[1:], 1), (lines[:1] + lines[2:], 2), ([lines[0], lines[2], lines[1]], 2)):
        (store / LOG).write_bytes(b"".join(wrong))
        with pytest.raises(VerificationError, match=rf"CT-LEARN-083 decisions\.jsonl:{line}:"):
            champion(store, "m")
    forged = json.loads(lines[2]) | {"sequence": 4}
    (store / LOG).write_bytes(data + canonical_json(forged) + b"\n")
    with pytest.raises(VerificationError, match=r"CT-LEARN-083 decisions\.jsonl:4:"):
        rollback(store, "m", **BY)


@pytest.mark.parametrize(
    "wrong",
    [{"who": ""}, {"why": "  "}, {"who": "a\nb"}, {"why": "x" * 1001}, {"at": datetime(2026, 1, 2)}],  # noqa: DTZ001
)
def test_who_why_and_when_are_needed(wrong: dict[str, object], store: Path) -> None:
    """Nothing is written without a person, a reason and an instant."""
    with pytest.raises(UsageError, match=f"CT-LEARN-085 {next(iter(wrong))}:"):
        promote(store, "m", version=1, **BY | wrong)
    assert not (store / LOG).exists()


def test_one_spelling_of_a_name_stands_in_log_and_tag(store: Path) -> None:
    """Accents typed in two ways, blanks around, a full-width blank within: the champion still follows from its decision."""
    made = promote(store, "m", version=1, who=" Zoe\u0301 ", why="季度　更新", at=AT)
    assert (made.who, made.why) == ("Zo\u00e9", "季度　更新")
    assert champion(store, "m").digest == made.bundle
    assert unconfirmed(store, decisions(store)) == ()


def test_what_is_not_there_is_said(store: Path, tmp_path: Path) -> None:
    """No store, no version, no champion to go back from."""
    with pytest.raises(MachineError, match="CT-LEARN-052"):
        promote(tmp_path / "none", "m", **BY)
    assert not (tmp_path / "none").exists()
    with pytest.raises(LearningError, match="CT-LEARN-051"):
        promote(store, "m", version=9, **BY)
    with pytest.raises(LearningError, match="CT-LEARN-051"):
        rollback(store, "m", **BY)
    assert decisions(store) == ()


def test_the_log_of_one_model_does_not_touch_another() -> None:
    """What stands is counted by model; a promotion repeated after a change by hand counts once."""

    def entry(action: str, model: str, version: int) -> Decision:
        return Decision(1, "", action, model, version, "", None, "", "", "", (), "")  # type: ignore[arg-type]

    log = [
        entry("promoted", "m", 1),
        entry("promoted", "n", 7),
        entry("refused", "m", 2),
        entry("promoted", "m", 3),
        entry("promoted", "m", 3),
        entry("rolled_back", "n", 7),
    ]
    assert [step.version for step in promotion.standing(log, "m")] == [1, 3]
    assert promotion.standing(log, "n") == []
