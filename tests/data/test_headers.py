"""Headers are matched with columns however they are written, and never by mistake."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credit_tier.content import Content
from credit_tier.data.headers import header_line, map_headers, match_headers
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake
from credit_tier.errors import DataError
from credit_tier.specs.dataset import DatasetSpec


def test_headers_match_by_name_title_and_alias(fines_spec: DatasetSpec) -> None:
    """Width, spaces, case and a unit in brackets do not hide a column; what is not asked for is reported."""
    found = map_headers(
        [" DOC ", "统一社会信用代码", "cf_jdrq", "罚款金额（元）", "种 类", "入库日期", "决定日期(元)", "电话"],
        fines_spec,
        where="fines.csv",
    )
    assert found.headers == {
        "doc": " DOC ",
        "uscc": "统一社会信用代码",
        "decided_on": "cf_jdrq",
        "amount": "罚款金额（元）",
        "kind": "种 类",
        "received_on": "入库日期",
    }
    assert found.units == {"amount": "元"}
    assert found.unmapped == ("决定日期(元)", "电话")
    assert found.absent == ("points", "share", "public", "note")
    assert found.how == {
        "doc": "name",
        "uscc": "title",
        "decided_on": "alias",
        "amount": "title",
        "kind": "title",
        "received_on": "title",
    }


@pytest.mark.parametrize(
    ("header", "unit"),
    [
        ("罚款金额(万元)", "万元"),
        ("罚款金额【万元】", "万元"),
        ("罚款金额（单位：元）", "元"),
        ("罚款金额 [ 人民币元 ]", "元"),
        ("*罚款金额(万元)", "万元"),
        ("罚款金额(万元)：", "万元"),
        ("罚款金额(千元)", "千元"),
        ("罚款金额（单位：百万元）", "百万元"),
        ("罚款金额(亿元)", "亿元"),
    ],
)
def test_a_unit_in_brackets_of_any_kind_is_the_unit(header: str, unit: str, fines_spec: DatasetSpec) -> None:
    """Whether a fine is in 元 or 万元 is a factor of ten thousand: the header's word is taken."""
    mapped, several = match_headers([header], fines_spec)
    assert (mapped.headers, mapped.units, several) == ({"amount": header}, {"amount": unit}, {})


@pytest.mark.parametrize(
    "header", ["罚款金额(兆元)", "罚款金额(美元)", "罚款金额(建议)", "决定日期(万元)", "罚款金额万元"]
)
def test_a_header_that_says_something_else_is_not_taken(header: str, fines_spec: DatasetSpec) -> None:
    """Another currency, another unit or another meaning in the brackets leaves the column unmapped."""
    mapped, _ = match_headers([header], fines_spec)
    assert (mapped.headers, mapped.unmapped) == ({}, (header,))


@pytest.mark.parametrize(
    "header",
    [
        "*决定日期",
        "决定日期：",
        "3.决定日期",
        "★决定日期(必填)",
        "决定日期（yyyy-mm-dd）",
        "决定日期(年月日)",
        "(2)决定日期",
    ],
)
def test_marks_for_whoever_fills_in_are_read_past_and_reported(header: str, fines_spec: DatasetSpec) -> None:
    """A star or 必填 changes no meaning; the report still says that it was guessed."""
    mapped, _ = match_headers([header], fines_spec)
    assert (mapped.headers, mapped.how) == ({"decided_on": header}, {"decided_on": "guessed"})


def test_all_missing_columns_are_reported_at_once(fines_spec: DatasetSpec) -> None:
    """A department sends one correction, not one per column."""
    with pytest.raises(DataError) as caught:
        map_headers(["doc"], fines_spec, where="fines.csv")
    assert [fault.code for fault in caught.value.faults] == ["CT-DATA-008"] * 4


@given(titles=st.lists(st.lists(st.sampled_from(["", "某局公示表", "2024年度", "备注"]), max_size=4), max_size=6))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_line_with_most_known_headers_is_found(titles: list[list[str]], fines_spec: DatasetSpec) -> None:
    """Whatever stands above, the headers are found, with how many of them are known."""
    headers = ["序号", "文号", "决定日期", "罚款金额（万元）"]
    rows = [*titles, headers, ["1", "甲", "2024-01-01", "2"]]
    assert header_line(rows, fines_spec)[:2] == (len(titles), 3)


TWO_LINES = [
    ["某局行政处罚公示表", "", "", "", "", ""],
    ["文号", "uscc", "处罚信息", "处罚信息", "kind", "入库日期"],
    ["", "", "决定日期", "罚款金额(元)", "", ""],
    ["F1", "91320500MA0000000W", "2024-01-05", "200", "fine", "2024-01-15"],
]


def test_headers_in_two_lines_are_joined(fines_spec: DatasetSpec) -> None:
    """A group above its columns: where the lower line is empty the upper one names the column; the data begin below both."""
    found = header_line(TWO_LINES, fines_spec)
    assert found == (2, 6, ["文号", "uscc", "决定日期", "罚款金额(元)", "kind", "入库日期"])
    blank = [list(row) for row in TWO_LINES]
    blank[1][3] = ""
    assert header_line(blank, fines_spec) == found
    assert header_line([TWO_LINES[0], found.cells, [*TWO_LINES[3][:5], ""]], fines_spec)[:2] == (1, 6)


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_file_with_headers_in_two_lines_is_taken_in(form: str, first: Path, content: Content, tmp_path: Path) -> None:
    """Merged headers of a sheet, or the same saved as CSV, give the row with the unit of the lower line."""
    (first / "fines.csv").unlink()
    ingest(tmp_path / "lake", first, content)
    later = tmp_path / "later"
    later.mkdir()
    if form == "csv":
        lines = [",".join(row) for row in TWO_LINES]
        (later / "fines.csv").write_text("\n".join(lines) + "\n", encoding="gb18030")
    else:
        book = openpyxl.Workbook()
        sheet = book.active
        for row in TWO_LINES:
            sheet.append([cell or None for cell in row])
        sheet.merge_cells("C2:D2")
        for column in "ABEF":
            sheet.merge_cells(f"{column}2:{column}3")
        book.save(later / "fines.xlsx")
    report = ingest(tmp_path / "lake", later, content)
    assert report.clean
    assert Lake.open(tmp_path / "lake").frame("fines").collect()["amount"].to_list() == [20_000]


def test_without_any_known_header_none_is_found(fines_spec: DatasetSpec) -> None:
    """A file without headers is not read as if its first row were some."""
    assert header_line([["1", "2"], []], fines_spec)[:2] == (0, 0)
    assert header_line([], fines_spec)[:2] == (0, 0)
