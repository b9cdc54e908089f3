"""The invoice example: its own script, on a bank's masked records, as `make sme` runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "../shared/data/cn_sme_2020c"
HEADLINE = re.compile(r"cross-validated AUC (0\.\d{3}) \((0\.\d{3})–(0\.\d{3})\), logistic yardstick (0\.\d{3})")


def run(folder: Path, data: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Run the script with this interpreter's `credit-tier`, in a folder of its own."""
    programs = folder / "bin"
    programs.mkdir()
    call = f"#!/bin/sh\nexec {sys.executable} -c 'from credit_tier.cli.main import run; run()' \"$@\"\n"
    (programs / "credit-tier").write_text(call, "utf-8")
    (programs / "credit-tier").chmod(0o755)
    given = {"BIN": str(programs), "DATA": str(data), "OUT": str(out), "THREADS": "1", "DO_NOT_TRACK": "true"}
    return subprocess.run(
        ["/bin/sh", str(ROOT / "examples/sme_invoices/run.sh")],
        cwd=folder,
        env={**os.environ, **given, "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(not SOURCE.is_dir(), reason="shared data are not here")
def test_the_model_runs_on_a_banks_invoices_and_says_how_wide_its_interval_is(tmp_path: Path) -> None:
    """Its last line is the figure that the README tells: well above chance, and not to be told from simple models; no invoice is lost
    and everybody is scored.
    """
    done = run(tmp_path, SOURCE.resolve(), tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    told = HEADLINE.fullmatch(done.stdout.splitlines()[-1])
    assert told is not None, done.stdout
    auc, low, high, yardstick = map(float, told.groups())
    assert 0.65 < low < yardstick < high < 0.97
    assert 0.78 < auc < 0.89
    assert 0.12 < high - low < 0.3
    written = HEADLINE.search((ROOT / "examples/sme_invoices/README.md").read_text("utf-8"))
    assert written is not None
    assert [auc, low, high] == pytest.approx([float(value) for value in written.groups()[:3]], abs=0.01)
    assert re.search(r"invoices +1,099,441 +1,099,441 +1,099,441 +0 +0", done.stdout)
    assert re.search(r"all +2020-03-01…2020-03-01 +123 +27 ", done.stdout)
    assert re.search(r"only_sales_1y: AUC 0\.8", done.stdout)
    scores = pl.read_parquet(tmp_path / "out/scores/scores.parquet")
    assert scores.height == scores["code"].n_unique() == 425
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "out"], "nothing is written beside the output"


def test_a_folder_without_data_and_one_in_use_are_refused(tmp_path: Path) -> None:
    """Before anything is computed, with the exit codes of the commands."""
    (tmp_path / "out").mkdir()
    absent = run(tmp_path, tmp_path / "nowhere", tmp_path / "fresh")
    assert (absent.returncode, "give DATA=folder" in absent.stderr) == (4, True)
    assert not (tmp_path / "fresh").exists()
    (tmp_path / "invoices_credit.parquet").touch()
    (tmp_path / "again").mkdir()
    used = run(tmp_path / "again", tmp_path, tmp_path / "out")
    assert (used.returncode, "remove it" in used.stderr) == (2, True)
