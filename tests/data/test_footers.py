"""Lines below a table are named, not dropped in silence, and never where they could be a record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from credit_tier.content import Content
from credit_tier.data import batches
from credit_tier.data.footers import footer_words
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake
from credit_tier.specs.dataset import DatasetSpec

Columns = Mapping[str, list[object]]

FOOTER = [
    {"文号": "合计", "罚款金额": "4.5", "points": "18"},
    {},
    {"文号": "制表人:某甲", "CF_JDRQ": "审核人：某乙"},
    {"文号": "填报日期:2024-07-01"},
]


def below(fines: Columns, lines: list[dict[str, str]]) -> list[list[object]]:
    rows = [list(values) for values in zip(*fines.values(), strict=True)]
    return [list(fines), *rows, *([line.get(header, "") for header in fines] for line in lines)]


def write(path: Path, rows: list[list[object]]) -> None:
    if path.suffix == ".xlsx":
        book = openpyxl.Workbook()
        for row in rows:
            book.worksheets[0].append(row)
        book.save(path)
    else:
        pl.DataFrame(rows[1:], schema=[str(cell) for cell in rows[0]], orient="row").write_csv(path)


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
@pytest.mark.parametrize("per_batch", [batches.ROWS_PER_BATCH, 2])
def test_a_footer_is_named_and_is_no_row(
    *,
    ending: str,
    per_batch: int,
    first: Path,
    content: Content,
    tmp_path: Path,
    fines: Columns,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Total, author and day below the table change nothing in the lake; the report holds their words, not the names."""
    monkeypatch.setattr(batches, "ROWS_PER_BATCH", per_batch)
    ingest(tmp_path / "plain", first, content)
    (first / "fines.csv").unlink()
    write(first / f"fines.{ending}", below(fines, FOOTER))
    report = ingest(tmp_path / "lake", first, content)
    assert report.clean
    assert (report.tables[1].rows_read, report.tables[1].accepted) == (6, 6)
    assert report.tables[1].files[0].footer == ("合计", "制表人", "填报日期")
    assert "某甲" not in str(report.to_json())
    assert Lake.open(tmp_path / "lake").digest == Lake.open(tmp_path / "plain").digest


@pytest.mark.parametrize(
    "line",
    [
        {"文号": "合计", "uscc": "91000000MA0000007C"},
        {"文号": "合计", "CF_JDRQ": "2024-01-01"},
        {"文号": "合计局〔2024〕1号"},
        {"罚款金额": "4.5"},
    ],
)
def test_what_could_be_a_record_goes_to_quarantine(
    line: dict[str, str], first: Path, content: Content, tmp_path: Path, fines: Columns
) -> None:
    """A subject, a date, another number or no word at all: the line is a faulty row, as before."""
    write(first / "fines.csv", below(fines, [line]))
    report = ingest(tmp_path / "lake", first, content)
    assert (report.tables[1].rows_read, report.tables[1].quarantined) == (7, 1)
    assert report.tables[1].files[0].footer == ()


def test_a_total_between_rows_is_a_faulty_row(first: Path, content: Content, tmp_path: Path, fines: Columns) -> None:
    """Only the end of a file is a footer."""
    rows = below(fines, [{"文号": "小计"}])
    write(first / "fines.csv", [*rows[:3], rows[-1], *rows[3:-1]])
    report = ingest(tmp_path / "lake", first, content)
    assert (report.tables[1].accepted, report.tables[1].quarantined) == (6, 1)


def test_the_word_may_stand_in_any_column_first(fines_spec: DatasetSpec) -> None:
    """Departments put the total under the running number; spaces within the word and a count behind it do not matter."""
    headers = ["序号", "文号", "统一社会信用代码", "决定日期", "罚款金额"]
    cells = [
        ["1", "F0", "x", "2024-01-01", "1"],
        ["总 计", None, None, None, "1"],
        [None, None, "合计:1户", None, None],
    ]
    assert footer_words(pl.DataFrame(cells, schema=headers, orient="row"), fines_spec) == ["总计", "合计"]
