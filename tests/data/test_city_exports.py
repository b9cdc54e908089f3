"""Records as departments export them: another look, the same lake."""

from __future__ import annotations

import csv
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
from credit_tier.errors import UsageError

SIZE, SEED = 1500, 3


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exports") / "town"
    generate(out, enterprises=SIZE, seed=SEED, style="exports")
    return out


def _lines(path: Path) -> list[list[str]]:
    return list(csv.reader(path.read_bytes().decode("gb18030").splitlines()))


def test_exports_and_plain_files_make_the_same_lake(exports: Path, tmp_path: Path) -> None:
    """Title lines, official headers, Chinese words, 是/否 and four ways to write a day change nothing that is known."""
    generate(tmp_path / "plain", enterprises=SIZE, seed=SEED)
    assert ingest(tmp_path / "plain-lake", tmp_path / "plain" / "records", Content.resolve()).clean
    report = ingest(tmp_path / "lake", exports / "records", Content.resolve())
    assert report.clean
    assert all(file.unmapped_columns == ("序号",) for table in report.tables for file in table.files)
    assert Lake.open(tmp_path / "lake").digest == Lake.open(tmp_path / "plain-lake").digest


def test_files_look_like_exports(exports: Path) -> None:
    """No file is UTF-8; each begins with a title and says who filled it in; penalties carry the double publicity codes."""
    files = sorted((exports / "records").iterdir())
    assert len(files) == 23
    for path in files:
        with pytest.raises(UnicodeDecodeError):
            path.read_bytes().decode("utf-8")
        lines = _lines(path)
        assert lines[0][0]
        assert not any(lines[0][1:])
        assert lines[1][0].startswith("填报单位:")
        assert lines[2][0] == "序号"
        assert [line[0] for line in lines[3:6]] == ["1", "2", "3"]
        assert {len(line) for line in lines} == {len(lines[2])}
    assert _lines(exports / "records" / "penalties.csv")[2][1:4] == ["CF_WSH", "CF_XDR_SHXYM", "CF_JDRQ"]
    assert _lines(exports / "records" / "licences.csv")[2][1:4] == ["XK_WSH", "XK_XDR_SHXYM", "XK_JDRQ"]


def test_words_are_chinese_and_days_are_written_in_four_ways(exports: Path) -> None:
    """A clerk reads the exports without a list of codes."""
    penalties = _lines(exports / "records" / "penalties.csv")
    kinds = {word for line in penalties[3:] for word in line[penalties[2].index("CF_CFLB")].split("、")}
    assert {"罚款", "警告", "没收违法所得"} <= kinds
    reports = _lines(exports / "records" / "annual_reports.csv")
    assert {line[reports[2].index("是否逾期")] for line in reports[3:]} == {"是", "否"}
    signs = Counter()
    for path in (exports / "records").iterdir():
        lines = _lines(path)
        day = lines[3][lines[2].index("入库日期")]
        signs[next(sign for sign in "年/.-" if sign in day)] += 1
    assert set(signs) == set("年/.-")


def test_dirty_exports_are_set_aside_as_planted(tmp_path: Path) -> None:
    """Dirt and export style go together: per table and rule the planted rows are set aside."""
    generate(tmp_path / "x", enterprises=SIZE, seed=SEED, style="exports", dirty=0.05)
    planted = pl.read_parquet(tmp_path / "x" / "truth" / "dirty.parquet")
    report = ingest(tmp_path / "lake", tmp_path / "x" / "records", Content.resolve())
    found = Counter({rule: count for table in report.tables for rule, count in table.rules.items()})
    assert found == Counter(rule for rule in planted["rule"] if rule)
    assert found.total() > 500


def test_parquet_exports_are_refused_and_the_command_writes_csv(tmp_path: Path) -> None:
    """Asking for both is a contradiction and not settled silently."""
    with pytest.raises(UsageError) as caught:
        generate(tmp_path / "x", enterprises=100, seed=1, style="exports", format="parquet")
    assert caught.value.code == "CT-CITY-002"
    assert not (tmp_path / "x").exists()
    app = typer.Typer()
    app.command("city")(city_command)
    result = CliRunner().invoke(app, [str(tmp_path / "y"), "--enterprises", "100", "--seed", "1", "--as", "exports"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "y" / "records" / "penalties.csv").is_file()
