"""`credit-tier monitor` and `score --previous` on what the demo leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = [sys.executable, "-c", "from credit_tier.cli.main import run; run()"]


def call(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SCRIPT, *map(str, words)], capture_output=True, text=True, check=False)


def test_a_model_that_is_still_what_it_was_asks_for_nothing(played: tuple[Path, dict]) -> None:
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


def test_a_second_run_tells_who_went_where(played: tuple[Path, dict], tmp_path: Path) -> None:
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
