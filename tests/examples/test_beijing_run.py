"""The Beijing example: its own script, on the real published inspections, as `make beijing` runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl
import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "../shared/data/cn_beijing_inspections"
HEADLINE = re.compile(r"out-of-time AUC (0\.\d{3}) \((0\.\d{3})–(0\.\d{3})\), logistic yardstick (0\.\d{3})")


@pytest.mark.skipif(not SOURCE.is_dir(), reason="shared data are not here")
def test_the_loop_runs_on_real_inspections_and_beats_the_plain_yardstick(tmp_path: Path, run) -> None:
    """Its last line is the figure that the README tells; the whole interval lies above the yardstick; everybody is scored and the draw is verified."""
    done = run("beijing", tmp_path, SOURCE.resolve(), tmp_path / "out")
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


def test_a_folder_without_data_and_one_in_use_are_refused(tmp_path: Path, refuses) -> None:
    """Before anything is computed, with the exit codes of the commands."""
    refuses("beijing", "inspections.parquet", tmp_path)
