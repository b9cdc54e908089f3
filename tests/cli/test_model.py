"""Models from the command line: keys, signers, promotion, roll-back and its log, as an office meets them."""

from __future__ import annotations

import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from credit_tier.learning.tracking import record_decision

Call = Callable[..., subprocess.CompletedProcess[str]]
Told = Callable[..., dict]

MODEL = "violation_risk"
BY = ("--who", "监管科 甲", "--why", "季度更新")


@pytest.fixture
def store(played: tuple[Path, dict], tmp_path: Path) -> Path:
    """A copy of the demo's store, which holds one version, the champion."""
    shutil.copytree(played[0] / "mlflow", tmp_path / "store")
    return tmp_path / "store"


def test_a_new_key_is_private_and_never_overwritten(tmp_path: Path, call: Call, told: Told) -> None:
    """0600 for the private file; a second key of that name is exit 3."""
    made = told("keys", "new", tmp_path / "keys", "--name", "office")
    assert stat.S_IMODE(Path(made["private"]).stat().st_mode) == 0o600
    assert Path(made["public"]).read_text().startswith("-----BEGIN PUBLIC KEY-----")
    again = call("keys", "new", tmp_path / "keys", "--name", "office")
    assert (again.returncode, again.stderr.split()[0]) == (3, "CT-LEARN-049")


def test_the_demo_promoted_its_model_on_record(played: tuple[Path, dict], call: Call, told: Told) -> None:
    """One decision by the demo; the version is challenger and champion, signed by the store's own key; the card has figures."""
    store = played[0] / "mlflow"
    log = told("models", "log", "--store", store)["decisions"]
    assert [(d["action"], d["who"], d["version"], d["champion"]) for d in log] == [
        ("promoted", "credit-tier demo", 1, None)
    ]
    assert told("models", "list", "--store", store)["versions"][0]["aliases"] == ["challenger", "champion"]
    shown = told("models", "show", MODEL, "--store", store)
    assert shown["bundle"] == played[1]["bundle"] == log[0]["bundle"]
    assert shown["trusted_as"] == "store"
    assert f"{shown['metrics']['auc']:.3f}" in shown["card"]
    people = call("models", "show", MODEL, "--store", store).stdout
    assert "签名可信" in people
    assert "AUC" in people


def test_scoring_tells_whose_model_it_is(played: tuple[Path, dict], tmp_path: Path, call: Call, told: Told) -> None:
    """A bare folder is not checked against anybody's key and says so; with the store's keys it is; a stranger's key is refused."""
    out, _ = played
    bundle = next(path for path in (out / "mlflow" / "bundles").iterdir() if path.is_dir())
    words = ("score", out / "lake", "--as-of", "2026-01-01", "--out", tmp_path / "s", "--bundle", bundle)
    bare = call(*words)
    assert bare.returncode == 0, bare.stderr
    assert "NOT checked against a trusted key" in bare.stdout
    assert told(*words, "--trust", out / "mlflow" / "trusted")["trusted_as"] == "store"
    stranger = told("keys", "new", tmp_path / "keys")["public"]
    refused = call(*words, "--trust", stranger)
    assert refused.returncode == 1
    assert "CT-LEARN-046 manifest.sig" in refused.stderr
    assert call(*words, "--store", out / "mlflow").returncode == 2


def test_refusals_are_exit_3_and_on_record(store: Path, call: Call, told: Told) -> None:
    """No way back from the first champion; a damaged bundle is not promoted; who and why are compulsory."""
    assert call("rollback", MODEL, "--store", store, *BY).returncode == 3
    assert call("promote", MODEL, "--store", store, "--who", "甲").returncode == 2
    assert call("promote", MODEL, "--store", store, *BY).returncode == 2  # it is the champion already
    folder = Path(told("models", "show", MODEL, "--store", store)["folder"])
    shutil.copy(folder / "reasons.json", folder / "scorecard.json")
    record_decision(store, MODEL, 1, tag=("note", "-"), aliases={"champion": None})
    done = call("promote", MODEL, "--store", store, "--version", "1", *BY)
    assert done.returncode == 3
    assert "CT-LEARN-041 scorecard.json" in done.stderr
    log = told("models", "log", "--store", store)["decisions"]
    assert [(d["action"], d["who"], d["why"]) for d in log[1:]] == [("refused", "监管科 甲", "季度更新")] * 2
    assert "scorecard.json" in call("models", "log", "--store", store).stdout


def test_a_changed_log_is_exit_5(store: Path, call: Call) -> None:
    """A log that was edited, spoiled or emptied is told apart from the one that MLflow's tags bear witness to."""
    path = store / "decisions.jsonl"
    path.write_bytes(path.read_bytes().replace(b"credit-tier demo", b"somebody  else"))
    done = call("models", "log", "--store", store)
    assert done.returncode == 5
    assert "decision_0001" in done.stdout
    path.write_bytes(path.read_bytes()[:-2] + b"\n")
    done = call("models", "log", "--store", store)
    assert done.returncode == 5
    assert "CT-LEARN-083 decisions.jsonl:1" in done.stderr
    path.write_bytes(b"")
    assert call("models", "log", "--store", store).returncode == 5
