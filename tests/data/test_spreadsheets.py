"""Workbooks are read as a careful clerk reads them, and what could fill the memory or has lost digits is refused."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path

import openpyxl
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credit_tier.content import Content
from credit_tier.data.archives import UnsafeArchiveError, require_safe_workbook
from credit_tier.data.delivery import prepared, read_source
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake
from credit_tier.data.sources import Layout, SourceFile
from credit_tier.errors import DataError
from credit_tier.specs.dataset import DatasetSpec

HEADERS = ["序号", "文号", "统一社会信用代码", "决定日期", "罚款金额(元)", "种类", "入库日期"]
Rows = Sequence[Sequence[object]]


def workbook(path: Path, sheets: dict[str, Rows], *, merge: str | None = None, hidden: Sequence[str] = ()) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(list(row))
        if merge:
            sheet.merge_cells(merge)
        if title in hidden:
            sheet.sheet_state = "hidden"
    book.save(path)
    return path


@pytest.fixture
def source(fines_spec: DatasetSpec, tmp_path: Path) -> Callable[[Path], SourceFile]:
    (tmp_path / "spool").mkdir()
    return lambda path: prepared(SourceFile(path, "fines", "0" * 64, fines_spec), tmp_path / "spool")


def test_a_workbook_goes_into_the_lake(first: Path, content: Content, tmp_path: Path, codes: list[str]) -> None:
    """Merged title rows, typed dates, day numbers, whole numbers and amounts arrive exactly as from CSV."""
    (first / "fines.csv").unlink()
    rows = [
        ["某局处罚公示表"],
        ["填报单位:某局"],
        HEADERS,
        [1, "F0", codes[0], datetime.fromisoformat("2024-01-05"), 15000.5, "罚款", "2024-01-15"],
        [2, 1001, codes[1], 45327, 0.1 + 0.2, "警告", date(2024, 2, 15)],
        [None] * 7,
        [3, "F2", codes[2], "2024年3月5日", None, "fine", datetime.fromisoformat("2024-03-15 08:30")],
    ]
    workbook(first / "fines-某局.xlsx", {"公示": rows, "说明": [["填报说明"], ["种类"]]}, merge="A1:G1")
    report = ingest(tmp_path / "lake", first, content)
    assert (report.refused, report.clean) == ((), True)
    (file,) = report.tables[1].files
    assert (file.name, file.sheet, file.header_row) == ("fines-某局.xlsx", "公示", 3)
    units = {column.column: (column.unit, column.unit_from) for column in file.columns if column.unit}
    assert units == {"amount": ("元", "header")}
    table = Lake.open(tmp_path / "lake").frame("fines").collect().to_native().sort("event_day")
    assert table["doc"].to_list() == ["F0", "1001", "F2"]
    assert table["amount"].to_list() == [1_500_050, 30, None]
    assert table["event_day"].to_list() == [19727, 19758, 19787]
    assert table["known_day"].to_list() == [19737, 19768, 19797]
    assert table["kind"].to_list() == ["fine", "warning", "fine"]


def test_the_sheet_and_the_line_of_the_headers_are_told(source: Callable[[Path], SourceFile], tmp_path: Path) -> None:
    """The visible sheet that names most columns is read; hidden sheets are not."""
    sheets: dict[str, Rows] = {
        "封面": [["目录"]],
        "旧": [HEADERS, [1, "旧", "", "", "", "", ""]],
        "表": [["标题"], [], HEADERS[:4], [1, "新", "x", None]],
    }
    file = source(workbook(tmp_path / "fines.xlsx", sheets, hidden=["旧"]))
    assert (file.layout, file.name) == (Layout(header_row=3, sheet="表"), "fines.xlsx")
    assert read_source(file).to_dict(as_series=False) == {
        "序号": ["1"],
        "文号": ["新"],
        "统一社会信用代码": ["x"],
        "决定日期": [None],
    }


def test_a_sheet_without_rows_has_no_rows(source: Callable[[Path], SourceFile], tmp_path: Path) -> None:
    """A month without penalties is not an error in a workbook either."""
    frame = read_source(source(workbook(tmp_path / "fines.xlsx", {"a": [HEADERS]})))
    assert (frame.height, frame.columns) == (0, HEADERS)
    assert set(frame.dtypes) == {pl.String}


def test_two_sheets_that_fit_equally_are_not_guessed_between(
    source: Callable[[Path], SourceFile], tmp_path: Path
) -> None:
    """Which of two months is meant is asked, by number of the sheet."""
    path = workbook(tmp_path / "fines.xlsx", {"一月": [HEADERS], "说明": [["x"]], "二月": [HEADERS]})
    with pytest.raises(DataError, match=r"CT-DATA-014.*number 1, 3"):
        source(path)


def test_numbers_that_have_lost_digits_are_refused(
    source: Callable[[Path], SourceFile], tmp_path: Path, codes: list[str]
) -> None:
    """A spreadsheet keeps 15 digits: a credit code typed as a number is another code now."""
    rows = [HEADERS, [10**16, "F", 911311111111111111, "", "", "", ""], [1, "G", codes[0], "", "", "", ""]]
    with pytest.raises(DataError, match=r"CT-DATA-015.*统一社会信用代码 \(1\)\. Format") as caught:
        source(workbook(tmp_path / "fines.xlsx", {"a": rows}))
    assert "9113" not in str(caught.value)


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return stream.getvalue()


def bomb_that_lies() -> bytes:
    """An archive whose directory says that its 300 MB are one byte."""
    raw = bytearray(zipped({"xl/workbook.xml": b"<x/>", "xl/worksheets/sheet1.xml": bytes(300_000_000)}))
    at = raw.rindex(b"PK\x01\x02")
    raw[at + 24 : at + 28] = struct.pack("<I", 1)
    return bytes(raw)


def far_cell() -> bytes:
    cell = '<c r="XFD1048576"><v>1</v></c>'
    return zipped({"xl/workbook.xml": b"<x/>", "xl/worksheets/sheet1.xml": cell.encode()})


BROKEN: list[tuple[str, Callable[[], bytes], str]] = [
    ("empty", lambda: b"", "CT-DATA-001"),
    ("text", "序号,文号\n".encode, "CT-DATA-006.*save it as .xlsx"),
    ("html", lambda: b"<html><table><tr><td>1", "CT-DATA-006.*not an Excel file"),
    ("zip of something", lambda: zipped({"a.txt": b"x"}), "CT-DATA-006.*not an Excel workbook"),
    ("no sheet inside", lambda: zipped({"xl/workbook.xml": b"<x/>"}), "CT-DATA-00(1|6)"),
    ("cut zip", lambda: zipped({"xl/workbook.xml": b"<x/>" * 999})[:-40], "CT-DATA-006.*readable"),
    ("cut ole", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "CT-DATA-006.*readable"),
    ("bomb", lambda: zipped({"xl/workbook.xml": b"", "xl/b": bytes(80_000_000)}), "CT-DATA-006.*far more"),
    ("lying bomb", bomb_that_lies, "CT-DATA-006.*far more"),
    ("far cell", far_cell, "CT-DATA-006.*beyond column"),
    ("other packing", lambda: zipped({"xl/workbook.xml": b"x" * 99}, zipfile.ZIP_BZIP2), "CT-DATA-006.*unusual"),
    (
        "many parts",
        lambda: zipped({"xl/workbook.xml": b"", **{f"a{n}": b"" for n in range(5_001)}}),
        "CT-DATA-006.*parts",
    ),
]


@pytest.mark.parametrize(("_name", "make", "words"), BROKEN, ids=[item[0] for item in BROKEN])
def test_a_dangerous_or_broken_workbook_is_refused_in_words(
    _name: str, make: Callable[[], bytes], words: str, source: Callable[[Path], SourceFile], tmp_path: Path
) -> None:
    """Sizes are found by unpacking, not believed; the message says what to do, and nothing crashes."""
    path = tmp_path / "fines.xlsx"
    path.write_bytes(make())
    with pytest.raises(DataError, match=words):
        source(path)


def test_overlapping_entries_are_counted_each(tmp_path: Path) -> None:
    """A bomb that lists one packed megabyte many times is as large as all its mentions."""
    kernel = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = kernel.compress(bytes(1 << 20)) + kernel.flush()
    local = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 8, 0, 0, 0, len(packed), 1 << 20, 0, 0) + packed
    directory = b""
    names = ["xl/workbook.xml", *(f"xl/{number}" for number in range(99))]
    for name in names:
        fields = (b"PK\x01\x02", 20, 20, 0, 8, 0, 0, 0, len(packed), 1 << 20, len(name), 0, 0, 0, 0, 0, 0)
        directory += struct.pack("<4s6H3I5H2I", *fields) + name.encode()
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, len(names), len(names), len(directory), len(local), 0)
    raw = local + directory + end
    with pytest.raises(UnsafeArchiveError, match="far more"):
        require_safe_workbook(io.BytesIO(raw), len(raw))


def old_workbook(rows: Rows) -> bytes:
    """Return a small .xls file: a BIFF8 stream of one sheet in a compound file of one stream."""

    def record(kind: int, content: bytes) -> bytes:
        return struct.pack("<2H", kind, len(content)) + content

    def cell(row: int, column: int, value: object) -> bytes:
        at = struct.pack("<3H", row, column, 0)
        if isinstance(value, str):
            return record(0x0204, at + struct.pack("<HB", len(value), 1) + value.encode("utf-16-le"))
        return record(0x0203, at + struct.pack("<d", value))

    def begin(kind: int) -> bytes:
        return record(0x0809, struct.pack("<4H2I", 0x0600, kind, 0, 0, 0, 6))

    end = record(0x000A, b"")
    name = "表".encode("utf-16-le")
    sheet_at = len(begin(5)) + 4 + 8 + len(name) + len(end)
    book = begin(5) + record(0x0085, struct.pack("<I4B", sheet_at, 0, 0, 1, 1) + name) + end
    extent = record(0x0200, struct.pack("<2I3H", 0, len(rows), 0, max(map(len, rows)), 0))
    cells = b"".join(cell(at, to, value) for at, row in enumerate(rows) for to, value in enumerate(row) if value != "")
    stream = (book + begin(0x10) + extent + cells + end).ljust(4096, b"\0")
    sectors = -(-len(stream) // 512)
    free, last, none = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF
    chain = [0xFFFFFFFD, last, *range(3, sectors + 2), last]
    table = struct.pack("<128I", *chain, *[free] * (128 - len(chain)))

    def entry(title: str, kind: int, child: int, start: int, size: int) -> bytes:
        text = title.encode("utf-16-le")
        head = text.ljust(64, b"\0") + struct.pack("<HBB3I", len(text) + 2, kind, 1, none, none, child)
        return head + bytes(36) + struct.pack("<IQ", start, size)

    folder = entry("Root Entry", 5, 1, last, 0) + entry("Workbook", 2, none, 2, len(stream))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<5H6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<9I", 0, 1, 1, 0, 4096, last, 0, last, 0) + struct.pack("<109I", 0, *[free] * 108)
    return header + table + folder.ljust(512, b"\0") + stream.ljust(sectors * 512, b"\0")


def test_an_old_workbook_is_read_too(source: Callable[[Path], SourceFile], tmp_path: Path) -> None:
    """Offices that still save .xls are not turned away: titles, texts and day numbers arrive."""
    path = tmp_path / "fines.xls"
    path.write_bytes(old_workbook([["处罚公示表"], HEADERS, [1.0, "甲", "", 45356.0, 0.5, "罚款", "2024-02-01"]]))
    file = source(path)
    assert file.layout == Layout(header_row=2, sheet="表")
    assert read_source(file).rows() == [("1", "甲", None, "45356", "0.5", "罚款", "2024-02-01")]


@given(at=st.integers(0, 5_600), change=st.binary(min_size=1, max_size=8), cut=st.integers(0, 6_000))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_old_workbook_never_crashes(
    *,
    at: int,
    change: bytes,
    cut: int,
    source: Callable[[Path], SourceFile],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Bytes changed or missing anywhere in an .xls file give a table or a fault with a code, and not a word beside it."""
    raw = old_workbook([HEADERS, [1.0, "甲", "", 45356.0, 0.5, "罚款", "2024-02-01"]])
    path = tmp_path / "fines.xls"
    path.write_bytes((raw[:at] + change + raw[at + len(change) :])[: max(cut, 600) if cut < 5_000 else None])
    words = ""
    try:
        assert read_source(source(path)).width >= 1
    except DataError as error:
        words = str(error)
    assert words == "" or words.startswith("CT-DATA-0")
    assert "甲" not in words
    assert capfd.readouterr().err == ""


def test_a_sheet_that_would_fill_the_memory_is_refused(source: Callable[[Path], SourceFile], tmp_path: Path) -> None:
    """A cell far away in an .xls file makes readers lay out billions; the reader may die, the ingestion does not."""
    near, far = (struct.pack("<5H", 0x0203, 14, row, column, 0) for row, column in ((1, 0), (65_535, 65_535)))
    raw = old_workbook([HEADERS, [1.0]])
    assert raw.count(near) == 1
    path = tmp_path / "fines.xls"
    path.write_bytes(raw.replace(near, far))
    with pytest.raises(DataError, match=r"CT-DATA-006.*memory"):
        source(path)
