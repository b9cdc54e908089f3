"""`credit-tier monitor` and `score --previous` on what the demo leaves."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

Call = Callable[..., subprocess.CompletedProcess[str]]


def test_a_model_that_is_still_what_it_was_asks_for_nothing(played: tuple[Path, dict], call: Call) -> None:
    """Exit 0, the reference day, the score's drift against what chance gives, and no alarm; the figures as JSON too."""
    out, _ = played
    words = ("monitor", "violation_risk", out / "lake", "--store", out / "mlflow", "--as-of", "2026-01-01")
    done = call(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2025-01-01 → 2026-01-01" in done.stdout
    told = json.loads(call(*words, "--json").stdout)
    assert told["watch"]["has_alarm"] is False
    assert told["watch"]["score"]["distance"] < 0.1
    assert len(told["watch"]["features"]) == 41
    early = call(*words[:-1], "2025-01-01", "--reference", "2025-06-01")
    assert early.returncode == 2
    assert "CT-MON-001" in early.stderr


def test_a_second_run_tells_who_went_where(played: tuple[Path, dict], call: Call, tmp_path: Path) -> None:
    """The migration table is printed, and a profile tells points and class of the run before."""
    out, _ = played
    for day, more in (("2025-12-01", ()), ("2026-01-01", ("--previous", tmp_path / "2025-12-01"))):
        where = ("--store", out / "mlflow", "--as-of", day, "--out", tmp_path / day)
        done = call("score", out / "lake", *where, *more)
        assert done.returncode == 0, done.stderr
    assert "类别变动 migration" in done.stdout
    moved = json.loads((tmp_path / "2026-01-01" / "scores.json").read_text())["migration"]
    assert moved["A"]["A"] > moved["A"]["B"]
    told = json.loads(call("score", out / "lake", *where, *more, "--json").stdout)
    assert told["new"] + sum(sum(row.values()) for row in told["migration"].values()) == told["enterprises"]


def test_a_model_in_use_is_recalibrated_as_a_version_of_its_own(
    played: tuple[Path, dict], call: Call, tmp_path: Path
) -> None:
    """Train, promote, recalibrate: version 2 with the same trees, a page of its own, and the way to promote it."""
    lake, store = played[0] / "lake", tmp_path / "store"
    first = json.loads(call("train", "violation_risk", lake, "--store", store, "--json").stdout)
    assert call("promote", "violation_risk", "--store", store, "--who", "甲", "--why", "首次").returncode == 0
    words = ("recalibrate", "violation_risk", lake, "--store", store, "--calibrate-days", "420", "--test-days", "300")
    done = call(*words, "--json")
    assert done.returncode in {0, 1}, done.stderr  # a gate may fail in so small a city
    told = json.loads(done.stdout)
    assert (told["version"], told["digest"] != first["digest"]) == (2, True)
    trees = [(Path(item["bundle"]) / "model.txt").read_bytes() for item in (first, told)]
    assert trees[0] == trees[1]
    assert Path(told["report"]).is_file()
