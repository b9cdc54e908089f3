"""The Beijing example: its own script, on the real published inspections, as `make beijing` runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "../shared/data/cn_beijing_inspections"
HEADLINE = re.compile(r"out-of-time AUC (0\.\d{3}) \((0\.\d{3})–(0\.\d{3})\), logistic yardstick (0\.\d{3})")


def run(folder: Path, data: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Run the script with this interpreter's `credit-tier` and `python`, in a folder of its own."""
    programs = folder / "bin"
    programs.mkdir()
    for name, words in {"credit-tier": "-c 'from credit_tier.cli.main import run; run()'", "python": ""}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n', "utf-8")
        (programs / name).chmod(0o755)
    given = {"BIN": str(programs), "DATA": str(data), "OUT": str(out), "THREADS": "1", "DO_NOT_TRACK": "true"}
    return subprocess.run(
        ["/bin/sh", str(ROOT / "examples/beijing/run.sh")],
        cwd=folder,
        env={**os.environ, **given, "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(not SOURCE.is_dir(), reason="shared data are not here")
def test_the_loop_runs_on_real_inspections_and_beats_the_plain_yardstick(tmp_path: Path) -> None:
    """Its last line is the figure that the README tells; the whole interval lies above the yardstick; everybody is scored and the draw is verified."""
    done = run(tmp_path, SOURCE.resolve(), tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    told = HEADLINE.fullmatch(done.stdout.splitlines()[-1])
    assert told is not None, done.stdout
    auc, low, high, yardstick = map(float, told.groups())
    assert yardstick < low < auc < high
    written = HEADLINE.search((ROOT / "examples/beijing/README.md").read_text("utf-8"))
    assert written is not None
    assert auc == pytest.approx(float(written.group(1)), abs=0.01)
    assert done.stdout.splitlines()[-1] == (tmp_path / "out/training.txt").read_text("utf-8").splitlines()[-1]
    scores = pl.read_parquet(tmp_path / "out/scores/scores.parquet")
    assert scores.height == scores["code"].n_unique() > 5000
    assert scores["probability"].is_between(0, 1).all()
    record = json.loads((tmp_path / "out/draw/record.json").read_text("utf-8"))
    drawn = [unit["code"] for part in record["departments"] for stratum in part["strata"] for unit in stratum["drawn"]]
    assert drawn
    assert set(drawn) <= set(scores["code"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "out"], "nothing is written beside the output"


def test_a_folder_without_data_and_one_in_use_are_refused(tmp_path: Path) -> None:
    """Before anything is computed, with the exit codes of the commands."""
    (tmp_path / "out").mkdir()
    absent = run(tmp_path, tmp_path / "nowhere", tmp_path / "fresh")
    assert (absent.returncode, "give DATA=folder" in absent.stderr) == (4, True)
    assert not (tmp_path / "fresh").exists()
    (tmp_path / "inspections.parquet").touch()
    (tmp_path / "again").mkdir()
    used = run(tmp_path / "again", tmp_path, tmp_path / "out")
    assert (used.returncode, "remove it" in used.stderr) == (2, True)
