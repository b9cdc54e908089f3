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
from credit_tier.data.headers import KnownHeaders
from credit_tier.data.ingest import ingest, load_specs
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
    """Title lines, headers of every office, Chinese words, 元 for 万元 and ways to write a day change nothing that is known."""
    generate(tmp_path / "plain", enterprises=SIZE, seed=SEED)
    assert ingest(tmp_path / "plain-lake", tmp_path / "plain" / "records", Content.resolve()).clean
    report = ingest(tmp_path / "lake", exports / "records", Content.resolve())
    assert report.clean
    assert all(file.unmapped_columns == ("序号",) for table in report.tables for file in table.files)
    assert Lake.open(tmp_path / "lake").digest == Lake.open(tmp_path / "plain-lake").digest


def _body(path: Path) -> tuple[list[list[str]], list[str], list[list[str]]]:
    """Return the lines above the headers, the headers and the rows."""
    lines = _lines(path)
    at = next(number for number, line in enumerate(lines) if line[0] == "序号")
    return lines[:at], lines[at], lines[at + 1 :]


def test_files_look_like_exports(exports: Path) -> None:
    """No file is UTF-8; each begins with a title, most say who filled it in; penalties carry the double publicity codes."""
    files = sorted((exports / "records").iterdir())
    assert len(files) >= 27
    heights = Counter()
    for path in files:
        with pytest.raises(UnicodeDecodeError):
            path.read_bytes().decode("utf-8")
        above, headers, rows = _body(path)
        assert above[0][0]
        assert not any(cell for line in above for cell in line[1:])
        assert len(above) == 1 or above[-1][0].startswith("填报单位:")
        assert [row[0] for row in rows[:3]] == ["1", "2", "3"]
        assert {len(line) for line in (*above, *rows)} == {len(headers)}
        heights[len(above)] += 1
    assert set(heights) == {1, 2, 3}
    assert _body(exports / "records" / "penalties.csv")[1][1:4] == ["CF_WSH", "CF_XDR_SHXYM", "CF_JDRQ"]
    assert _body(exports / "records" / "licences.csv")[1][1:4] == ["XK_WSH", "XK_XDR_SHXYM", "XK_JDRQ"]


def test_words_are_chinese_and_offices_have_habits(exports: Path) -> None:
    """A clerk reads the exports without a list of codes; days, headers, units and words for no end differ between offices."""
    _, headers, rows = _body(exports / "records" / "penalties.csv")
    kinds = {word for row in rows for word in row[headers.index("CF_CFLB")].split("、")}
    assert {"罚款", "警告", "没收违法所得"} <= kinds
    report_headers, units, ends = set(), set(), set()
    signs: Counter[str] = Counter()
    specs = load_specs(Content.resolve())
    for path in sorted((exports / "records").iterdir()):
        spec = specs[path.stem]
        _, headers, rows = _body(path)
        known = KnownHeaders(spec)
        found = {known.find(header).column: header for header in headers[1:]}
        assert list(found) == list(spec.columns)
        report_headers.add(found.get("uscc"))
        for column, header in found.items():
            values = {row[headers.index(header)] for row in rows}
            if spec.columns[column].type == "boolean":
                assert values <= {"是", "否", ""}
            if spec.columns[column].type == "money" and header.endswith("元)"):
                units.add(header.rsplit("(", 1)[1])
            if spec.columns[column].type == "date":
                ends |= values & set(spec.columns[column].empty_values)
                days = values - set(spec.columns[column].empty_values) - {""}
                signs.update({next(sign for sign in "年/.-" if sign in day) for day in days})
    assert set(signs) == set("年/.-")
    assert units == {"元)", "万元)"}
    assert len(report_headers) > 5
    assert len(ends) > 1


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
