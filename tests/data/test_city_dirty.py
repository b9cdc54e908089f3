"""Dirt on request: every planted fault is found under its rule, and nothing else is touched."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from credit_tier.cli.city import city as city_command
from credit_tier.content import Content
from credit_tier.data.city import generate
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake
from credit_tier.data.report import IngestReport
from credit_tier.errors import UsageError

SIZE, SEED, SHARE = 2500, 8, 0.03
FAULTS = {
    *("check_digit", "not_in_register", "missing", "impossible_date", "unreadable_date", "after_known", "unknown_code"),
    *("amount_with_unit", "amount_in_words", "amount_too_fine", "identical_duplicate", "conflicting_duplicate"),
}


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("dirty")
    generate(home / "clean", enterprises=SIZE, seed=SEED)
    generate(home / "dirty", enterprises=SIZE, seed=SEED, dirty=SHARE)
    return home


@pytest.fixture(scope="module")
def report(towns: Path) -> IngestReport:
    assert ingest(towns / "clean-lake", towns / "clean" / "records", Content.resolve()).clean
    return ingest(towns / "dirty-lake", towns / "dirty" / "records", Content.resolve())


@pytest.fixture(scope="module")
def planted(towns: Path) -> pl.DataFrame:
    return pl.read_parquet(towns / "dirty" / "truth" / "dirty.parquet")


def test_quarantine_counts_are_those_planted(report: IngestReport, planted: pl.DataFrame) -> None:
    """Per table and rule as many rows are set aside as were spoiled for it; identical copies count as duplicates."""
    assert not report.refused
    for table in report.tables:
        lines = planted.filter(pl.col("table") == table.table)
        wanted = Counter(rule for rule in lines["rule"] if rule)
        assert table.rules == dict(sorted(wanted.items())), table.table
        assert table.quarantined == wanted.total()
        assert table.duplicates == (lines["fault"] == "identical_duplicate").sum()
        assert table.accepted == table.rows_read - table.quarantined - table.duplicates


def test_the_very_rows_are_set_aside(towns: Path, report: IngestReport, planted: pl.DataFrame) -> None:
    """Quarantine holds the rows of the list, each with its one rule."""
    for table in report.tables:
        wanted = planted.filter(pl.col("table") == table.table, pl.col("rule") != "")
        if table.quarantine_file is None:
            assert wanted.is_empty()
            continue
        found = pl.read_parquet(towns / "dirty-lake" / table.quarantine_file).select("_row", "_rules")
        assert sorted(found.rows()) == sorted(wanted.select("row", "rule").rows()), table.table


def test_what_is_kept_is_what_a_clean_city_sends(towns: Path, report: IngestReport) -> None:
    """Rows in the lake, those with units inside amounts too, are rows of the clean city to the last fen."""
    dirty, clean = Lake.open(towns / "dirty-lake"), Lake.open(towns / "clean-lake")
    assert dirty.codes().to_native().equals(clean.codes().to_native())
    for table in dirty.tables:
        kept = pl.read_parquet(sorted((towns / "dirty-lake" / table).glob("*.parquet"))).drop("superseded_day")
        whole = pl.read_parquet(sorted((towns / "clean-lake" / table).glob("*.parquet"))).drop("superseded_day")
        assert kept.height < whole.height
        assert kept.join(whole, on=kept.columns, how="anti", nulls_equal=True).is_empty(), table


def test_all_kinds_of_fault_are_planted_in_about_the_share_asked_for(towns: Path, planted: pl.DataFrame) -> None:
    """Each kind occurs; a row has at most one; empty values are never spoiled, so the share is a little less."""
    assert set(planted["fault"]) == FAULTS
    assert planted.select("table", "row").is_unique().all()
    rows = sum(pl.read_parquet(path).height for path in (towns / "clean" / "records").glob("*.parquet"))
    spoiled = planted.height - (planted["fault"] == "conflicting_duplicate").sum() / 2
    assert 0.6 * SHARE < spoiled / rows <= SHARE
    assert set(planted.filter(pl.col("rule") == "")["fault"]) == {"amount_with_unit", "identical_duplicate"}


def test_the_truth_beside_the_list_is_the_same(towns: Path) -> None:
    """Dirt changes what departments send, never what happened."""
    files = {path.name for path in (towns / "clean" / "truth").iterdir()}
    assert {path.name for path in (towns / "dirty" / "truth").iterdir()} == files | {"dirty.parquet"}
    for name in files:
        assert (towns / "clean" / "truth" / name).read_bytes() == (towns / "dirty" / "truth" / name).read_bytes()


def test_dirt_is_reproducible_and_the_same_as_csv(towns: Path, tmp_path: Path, planted: pl.DataFrame) -> None:
    """Seed and share decide the dirt; the ingestion finds the same in a CSV delivery."""
    summary = generate(tmp_path / "csv", enterprises=SIZE, seed=SEED, dirty=SHARE, format="csv")
    assert summary.planted == planted.height
    assert pl.read_parquet(tmp_path / "csv" / "truth" / "dirty.parquet").equals(planted)
    found = ingest(tmp_path / "lake", tmp_path / "csv" / "records", Content.resolve())
    assert sum(table.quarantined for table in found.tables) == (planted["rule"] != "").sum()
    assert Lake.open(tmp_path / "lake").digest == Lake.open(towns / "dirty-lake").digest


@pytest.mark.parametrize("share", [-0.01, 0.51])
def test_shares_out_of_range_are_refused(tmp_path: Path, share: float) -> None:
    """More than half of the rows cannot be spoiled."""
    with pytest.raises(UsageError) as caught:
        generate(tmp_path / "x", enterprises=100, seed=1, dirty=share)
    assert [fault.where for fault in caught.value.faults] == ["dirty"]


def test_the_command_says_how_many_faults_and_where_they_are_listed(tmp_path: Path) -> None:
    """A person who asks for dirt is told where the answers are."""
    app = typer.Typer()
    app.command("city")(city_command)
    options = ["--enterprises", "200", "--seed", "9", "--dirty", "0.1"]
    result = CliRunner().invoke(app, [str(tmp_path / "x"), *options])
    assert result.exit_code == 0, result.output
    lines = pl.read_parquet(tmp_path / "x" / "truth" / "dirty.parquet").height
    assert lines > 50
    assert f"planted faults: {lines:,} →" in result.stdout
