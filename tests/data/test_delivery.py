"""Files that cannot be used are refused by name, with what is wrong and what to do; odd but sound ones are read."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from credit_tier.content import Content
from credit_tier.data.delivery import find_delivery, prepared, read_source
from credit_tier.data.headers import map_headers
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake
from credit_tier.data.sources import Layout, SourceFile
from credit_tier.errors import DataError
from credit_tier.specs.dataset import DatasetSpec

HEADER = "doc,uscc,decided_on,amount,kind,received_on"
ROW = "A,91000000MA0000007C,2024-01-01,1,fine,2024-01-02"


def typed(**change: pl.Expr) -> Callable[[Path], None]:
    frame = pl.DataFrame(dict(zip(HEADER.split(","), [[value] for value in ROW.split(",")], strict=True)))
    return lambda path: frame.with_columns(**change).write_parquet(path)


def text(content: str, encoding: str = "utf-8") -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content.encode(encoding)) and None  # type: ignore[func-returns-value]


BROKEN: list[tuple[str, str, Callable[[Path], object], tuple[str, ...]]] = [
    ("empty", "fines.csv", text(""), ("CT-DATA-001", "is empty", "send it again")),
    ("only blanks", "fines.csv", text("\n \n"), ("CT-DATA-001", "is empty")),
    ("only a mark", "fines.csv", text("\ufeff"), ("CT-DATA-001", "is empty")),
    ("utf-16", "fines.csv", text(f"{HEADER}\n{ROW}\n", "utf-16"), ("CT-DATA-004", "UTF-8", "GB18030", "Excel")),
    ("no encoding", "fines.csv", lambda p: p.write_bytes(b"doc,\xff\xff\n"), ("CT-DATA-004", "neither")),
    (
        "mixed encodings",
        "fines.csv",
        lambda p: p.write_bytes(f"{HEADER},备注\n{ROW},".encode("gb18030") + "无违法记录\n".encode()),
        ("CT-DATA-004", "throughout"),
    ),
    ("no headers", "fines.csv", text(f"{ROW}\n{ROW}\n"), ("CT-DATA-013", "schemas show fines")),
    (
        "gzip bomb",
        "fines.csv.gz",
        lambda p: p.write_bytes(gzip.compress(bytes(1 << 20), 9) * 300),
        ("CT-DATA-006", "unpacks to far more"),
    ),
    ("binary", "fines.csv", lambda p: p.write_bytes(b"doc\x00\n"), ("CT-DATA-004",)),
    ("ragged", "fines.csv", text(f"{HEADER}\n{ROW},more\n"), ("CT-DATA-005", "1 line(s)", "fields than the header")),
    ("cut short", "fines.csv", text(f"{HEADER}\n{ROW[:-11]}\n{ROW}\n"), ("CT-DATA-005", "1 line(s)", "header has (6)")),
    ("open quote", "fines.csv", text(f'{HEADER}\n"{ROW}\n'), ("CT-DATA-005", "close every quotation mark")),
    ("gzip", "fines.csv.gz", text("no gzip"), ("CT-DATA-006", "compressed file is damaged")),
    ("cut gzip", "fines.csv.gz", lambda p: p.write_bytes(gzip.compress(ROW.encode())[:-9]), ("CT-DATA-006",)),
    ("parquet", "fines.parquet", text("PAR1 no"), ("CT-DATA-006", "not a readable Parquet file")),
    ("header twice", "fines.csv", text(f"{HEADER},doc\n{ROW},A\n"), ("CT-DATA-007", "stand twice: doc")),
    (
        "missing column",
        "fines.csv",
        text(f"{HEADER}\n{ROW}\n".replace("decided_on", "day")),
        ("CT-DATA-008", "fines.decided_on (决定日期)", "CF_JDRQ"),
    ),
    (
        "ambiguous",
        "fines.csv",
        text(f"{HEADER},决定日期\n{ROW},2024-01-01\n"),
        ("CT-DATA-009", "2 headers stand for fines.decided_on: decided_on, 决定日期"),
    ),
    ("wrong type", "fines.parquet", typed(decided_on=pl.lit(7)), ("CT-DATA-011", "fines.decided_on", "date", "Int32")),
    ("wrong type", "fines.parquet", typed(kind=pl.lit(0.5)), ("CT-DATA-011", "fines.kind", "of another type")),
]


@pytest.mark.parametrize(("_name", "file", "make", "words"), BROKEN, ids=[item[0] for item in BROKEN])
def test_a_broken_file_is_refused_in_words(
    *,
    _name: str,
    file: str,
    make: Callable[[Path], object],
    words: tuple[str, ...],
    first: Path,
    content: Content,
    tmp_path: Path,
) -> None:
    """The message names the file, the fault and the remedy; the other files of the delivery are taken in."""
    (first / "fines.csv").rename(first / "fines-sound.csv")
    make(first / file)
    report = ingest(tmp_path / "lake", first, content)
    assert len(report.refused) == 1
    message = str(report.refused[0])
    assert f" {file}:" in message
    for word in words:
        assert word in message
    assert "91000000MA0000007C" not in message
    assert Lake.open(tmp_path / "lake").rows("fines") == 6
    assert not report.clean


def test_all_missing_columns_are_reported_at_once(fines_spec: DatasetSpec) -> None:
    """A department sends one correction, not one per column."""
    with pytest.raises(DataError) as caught:
        map_headers(["doc"], fines_spec, where="fines.csv")
    assert [fault.code for fault in caught.value.faults] == ["CT-DATA-008"] * 4


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_encodings_and_line_ends(encoding: str, ending: str, tmp_path: Path, fines_spec: DatasetSpec) -> None:
    """UTF-8 with or without mark and GB18030 read alike, with the line ends of any system."""
    path = tmp_path / "fines.csv"
    path.write_bytes(ending.join(["文号,备注", '甲,"含,逗号"', ",", "乙,𠮷"]).encode(encoding))
    file = SourceFile(path, "fines", "", fines_spec)
    assert read_source(file).rows() == [("甲", "含,逗号"), ("乙", "𠮷")]
    assert prepared(file, tmp_path).layout == Layout(header_row=1)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
@pytest.mark.parametrize("packed", [False, True])
def test_titles_above_the_headers_are_passed_over(
    encoding: str, *, packed: bool, tmp_path: Path, fines_spec: DatasetSpec
) -> None:
    """The line that names most columns holds the headers; which line it was is told."""
    lines = [
        '"某局 2024年\n处罚公示表(含种类)",,,',
        "",
        "填报单位:某局,,,",
        "序号,文号,备注,备 注2",
        "1,甲,无,",
        "2,乙,,x",
    ]
    raw = "\r\n".join(lines).encode(encoding)
    path = tmp_path / ("fines.csv.gz" if packed else "fines.csv")
    path.write_bytes(gzip.compress(raw) if packed else raw)
    file = prepared(SourceFile(path, "fines", "", fines_spec), tmp_path)
    assert file.layout == Layout(header_row=4)
    assert read_source(file).to_dict(as_series=False) == {
        "序号": ["1", "2"],
        "文号": ["甲", "乙"],
        "备注": ["无", None],
        "备 注2": [None, "x"],
    }


def test_repeated_headers_that_nobody_asks_for_do_no_harm(tmp_path: Path, fines_spec: DatasetSpec) -> None:
    """Real exports repeat 附件 or leave headers empty; all of them are kept apart and reported as unused."""
    path = tmp_path / "fines.csv"
    path.write_text("文号,附件,,附件,\n甲,a,b,c,d\n", encoding="utf-8")
    frame = read_source(SourceFile(path, "fines", "", fines_spec))
    assert frame.columns == ["文号", "附件", "_unnamed_3", "附件_2", "_unnamed_5"]
    assert frame.rows() == [("甲", "a", "b", "c", "d")]


def test_a_file_with_headers_only_has_no_rows(first: Path, content: Content, tmp_path: Path) -> None:
    """A month without penalties is not an error."""
    (first / "fines.csv").write_text(HEADER + "\n", encoding="utf-8")
    report = ingest(tmp_path / "lake", first, content)
    assert report.clean
    assert Lake.open(tmp_path / "lake").frame("fines").collect().shape == (0, 14)
    assert Lake.open(tmp_path / "lake").cutoff.isoformat() == "2020-01-01"


def test_files_are_found_by_the_name_of_their_table(
    tmp_path: Path, fines_spec: DatasetSpec, firms_spec: DatasetSpec
) -> None:
    """Any words after a hyphen may follow; hidden files are passed over, folders and strangers are reported."""
    for name in (
        "fines.csv",
        "fines-2024-01.csv.gz",
        "firms-a.b.parquet",
        "finest.csv",
        "fines.xlsx",
        "fines.pdf",
        ".hidden",
    ):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "firms.csv").mkdir()
    specs = {"fines": fines_spec, "firms": firms_spec}
    delivery = find_delivery(tmp_path, specs)
    assert [(item.name, item.table) for item in delivery.files] == [
        ("fines-2024-01.csv.gz", "fines"),
        ("fines.csv", "fines"),
        ("fines.xlsx", "fines"),
        ("firms-a.b.parquet", "firms"),
    ]
    assert delivery.unknown == ("fines.pdf", "finest.csv", "firms.csv")
    before = delivery.digest
    (tmp_path / "fines.csv").write_bytes(b"y")
    assert find_delivery(tmp_path, specs).digest != before
