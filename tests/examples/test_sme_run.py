"""The invoice example: its own script, on a bank's masked records, as `make sme` runs it."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "../shared/data/cn_sme_2020c"
HEADLINE = re.compile(r"cross-validated AUC (0\.\d{3}) \((0\.\d{3})–(0\.\d{3})\), logistic yardstick (0\.\d{3})")


@pytest.mark.skipif(not SOURCE.is_dir(), reason="shared data are not here")
def test_the_model_runs_on_a_banks_invoices_and_says_how_wide_its_interval_is(tmp_path: Path, run) -> None:
    """Its last line is the figure that the README tells: well above chance, and not to be told from simple models; no invoice is lost
    and everybody is scored.
    """
    done = run("sme_invoices", tmp_path, SOURCE.resolve(), tmp_path / "out")
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


def test_a_folder_without_data_and_one_in_use_are_refused(tmp_path: Path, refuses) -> None:
    """Before anything is computed, with the exit codes of the commands."""
    refuses("sme_invoices", "invoices_credit.parquet", tmp_path)
