"""A double publicity export goes into the shipped contracts as departments really send it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from credit_tier.content import Content
from credit_tier.data.ingest import ingest, load_specs
from credit_tier.data.lake import Lake
from credit_tier.errors import DataError
from credit_tier.specs.dataset import Column, DatasetSpec
from credit_tier.temporal import day_number
from credit_tier.types import uscc_check_character

HEADERS = {
    "CF_XDR_MC": "行政相对人名称",
    "CF_XDR_SHXYM": "行政相对人代码_1(统一社会信用代码)",
    "CF_WSH": "行政处罚决定书文号",
    "CF_CFLB": "处罚类别",
    "CF_NR_FK": "罚款金额(万元)",
    "CF_JDRQ": "处罚决定日期",
    "CF_GSJZQ": "公示截止期",
    "CF_CFJG": "处罚机关",
    "CF_CFJGDM": "处罚机关统一社会信用代码",
}


def code(number: int) -> str:
    body = f"91320500MA{number:07d}"
    return body + uscc_check_character(body)


ROWS = [
    (
        "甲公司",
        code(0),
        "苏罚〔2024〕1号",
        "罚款;没收违法所得、没收非法财物",
        "1.5",
        "2024/03/05",
        "2099-12-31",
        "某局",
        code(9),
    ),
    ("乙公司", code(1), "苏罚〔2024〕2号", "警告，罚款", "0.2", "2024年03月06日", "", "某局", code(9)),
    ("丙公司", code(2), "苏罚〔2024〕3号", "警告", "", "2024.03.07", "", "某局", code(9)),
    ("丁公司", code(3), "苏罚〔2024〕4号", "吊销许可", "", "45359", "", "某局", code(9)),
    ("戊公司", code(4), "苏罚〔2024〕5号", "一般程序处罚", "1", "2024-03-09", "", "某局", code(9)),
]


def sound(column: Column) -> str:
    """Return a value that meets a contract."""
    if column.vocabulary:
        return next(iter(column.vocabulary))
    return {"date": "2020-01-01", "money": "100", "integer": "1", "boolean": "否"}.get(column.type, "甲")


def register(spec: DatasetSpec) -> pl.DataFrame:
    columns = {name: [sound(column)] * 5 for name, column in spec.columns.items()}
    return pl.DataFrame({**columns, spec.key: [code(number) for number in range(5)]})


@pytest.fixture
def delivery(tmp_path: Path) -> Path:
    folder = tmp_path / "delivery"
    folder.mkdir()
    register(load_specs(Content.resolve())["enterprises"]).write_csv(folder / "enterprises.csv")
    return folder


def write(folder: Path, form: str) -> None:
    chinese = form.endswith("names")
    rows = [list(HEADERS.values() if chinese else HEADERS), *map(list, ROWS)]
    if form.startswith("xlsx"):
        book = openpyxl.Workbook()
        for row in [["某局行政处罚公示表"], *rows]:
            book.worksheets[0].append([int(cell) if cell == "45359" else cell for cell in row])
        book.worksheets[0].merge_cells("A1:I1")
        book.save(folder / "penalties-某局.xlsx")
    else:
        lines = ["某局行政处罚公示表" + "," * 8, *(",".join(row) for row in rows)]
        (folder / "penalties-某局.csv").write_bytes("\r\n".join(lines).encode(form.split(maxsplit=1)[0]))


@pytest.mark.parametrize("form", ["gb18030 codes", "utf-8-sig names", "xlsx codes", "xlsx names"])
def test_an_official_export_goes_in_as_it_is(form: str, delivery: Path, tmp_path: Path) -> None:
    """Official codes or names, any encoding or Excel, titles, several kinds in a cell: the same records come out."""
    write(delivery, form)
    report = ingest(tmp_path / "lake", delivery, Content.resolve(), received_on=date(2024, 4, 1))
    assert report.refused == ()
    penalties = next(table for table in report.tables if table.table == "penalties")
    assert (penalties.rows_read, penalties.accepted, penalties.rules) == (5, 4, {"penalties.kinds.vocabulary": 1})
    table = Lake.open(tmp_path / "lake").frame("penalties").collect().to_native().sort("penalty_no")
    assert table["kinds"].to_list() == [
        "fine;confiscate_gains;confiscate_goods",
        "warning;fine",
        "warning",
        "revoke_permit",
    ]
    assert table["fine"].to_list() == [1_500_000, 200_000, None, None]
    assert table["event_day"].to_list() == [day_number(date(2024, 3, day)) for day in (5, 6, 7, 8)]
    assert set(table["known_day"].to_list()) == {day_number(date(2024, 4, 1))}
    columns = {item.column: item for item in penalties.files[0].columns}
    assert penalties.files[0].header_row == 2
    assert (columns["received_on"].how, columns["decided_on"].day_numbers) == ("received", 1)
    assert "CF_CFJGDM" in penalties.files[0].unmapped_columns or "names" in form


def test_without_a_day_of_receipt_the_export_is_refused(delivery: Path, tmp_path: Path) -> None:
    """When a record became known is stated, never derived: not from the decision, not from the clock."""
    write(delivery, "gb18030 codes")
    report = ingest(tmp_path / "lake", delivery, Content.resolve())
    assert [(fault.code, "penalties.received_on" in fault.what) for fault in report.refused] == [("CT-DATA-008", True)]
    assert "--received-on" in report.refused[0].advice


def test_the_day_of_receipt_does_not_stand_in_for_other_columns(delivery: Path, tmp_path: Path) -> None:
    """A column that is there keeps its word, and a missing business date stays missing."""
    (delivery / "enterprises.csv").unlink()
    spec = load_specs(Content.resolve())["enterprises"]
    register(spec).drop("status").write_csv(delivery / "enterprises.csv")
    with pytest.raises(DataError, match=r"CT-DATA-008.*enterprises\.status"):
        ingest(tmp_path / "lake", delivery, Content.resolve(), received_on=date(2024, 4, 1))
    register(spec).write_csv(delivery / "enterprises.csv")
    report = ingest(tmp_path / "lake", delivery, Content.resolve(), received_on=date(2024, 4, 1))
    assert report.tables[0].known_last == date(2020, 1, 1)
