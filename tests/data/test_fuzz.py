"""Whatever a file holds, it is read, quarantined or refused in words: no traceback, and no value in any message."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credit_tier.content import Content
from credit_tier.data.batches import Spill
from credit_tier.data.delivery import prepared_all
from credit_tier.data.ingest import ingest, load_specs
from credit_tier.data.report import IngestReport
from credit_tier.data.sources import SourceFile
from credit_tier.data.staging import stage_table

SECRET = "绝密某某"
HEADER = "文号,统一社会信用代码,决定日期,罚款金额,种类,备注,入库日期"
LINES = [HEADER, *(f"{SECRET}{n},91000000MA0000007C,2024-01-0{n},1,fine,{SECRET},2024-02-01" for n in range(1, 6))]
CSV = "\r\n".join(LINES).encode()
FEW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def workbook() -> bytes:
    book = openpyxl.Workbook()
    for line in LINES:
        book.worksheets[0].append(line.split(","))
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def parquet() -> bytes:
    stream = io.BytesIO()
    pl.read_csv(CSV).cast(pl.String).write_parquet(stream)
    return stream.getvalue()


FORMS: dict[str, bytes] = {
    "fines.csv": CSV,
    "fines-gb.csv": "\n".join(LINES).encode("gb18030"),
    "fines.csv.gz": gzip.compress(CSV),
    "fines.xlsx": workbook(),
    "fines.xls": workbook(),
    "fines.parquet": parquet(),
}


@pytest.fixture
def stage(content: Content, tmp_path: Path) -> Callable[[str, bytes], str]:
    """Return a reader that stages one file and gives all words that it says about it."""
    spec = load_specs(content)["fines"]

    def staged(name: str, raw: bytes) -> str:
        folder = tmp_path / "work"
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        (tmp_path / name).write_bytes(raw)
        files, unusable = prepared_all([SourceFile(tmp_path / name, "fines", "0" * 64, spec)], folder)
        found = stage_table(spec, files, Spill(folder))
        assert len(unusable) + len(found.refused) > 0 or len(found.files) == 1
        rules = found.failures["rule"].unique().to_list()
        return " ".join([*map(str, (*unusable, *found.refused)), *rules])

    return staged


@pytest.mark.parametrize("name", FORMS)
@given(data=st.data())
@FEW
def test_cut_and_damaged_files_never_crash(name: str, data: st.DataObject, stage: Callable[[str, bytes], str]) -> None:
    """A file cut off anywhere, or with bytes changed anywhere, is read or refused; no word quotes a value."""
    raw = FORMS[name]
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw)))]
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, max(len(raw) - 1, 0)))
        raw = raw[:at] + data.draw(st.binary(min_size=1, max_size=4)) + raw[at + 1 :]
    said = stage(name, raw)
    assert SECRET not in said
    assert "91000000MA0000007C" not in said


@given(raw=st.binary(max_size=400), name=st.sampled_from(sorted(FORMS)))
@FEW
def test_noise_never_crashes(raw: bytes, name: str, stage: Callable[[str, bytes], str]) -> None:
    """Bytes that are no file of any kind are refused in words."""
    assert "CT-DATA-" in stage(name, raw)


def test_a_cell_of_ten_megabytes(stage: Callable[[str, bytes], str]) -> None:
    """A huge cell is a value like any other where it stands below the headers, and no header above them."""
    huge = "值" * 3_500_000
    below = f"{HEADER}\n甲,91000000MA0000007C,2024-01-01,1,fine,{huge},2024-02-01\n"
    assert stage("fines.csv", below.encode()) == ""
    assert "CT-DATA-0" in stage("fines.csv", f"{huge}\n{HEADER}\n".encode())
    assert "CT-DATA-005" in stage("fines.csv", f'{HEADER}\n"{huge}'.encode())


def test_formulas_are_text_and_are_never_repeated(
    first: Path, content: Content, tmp_path: Path, codes: list[str]
) -> None:
    """=cmd|… in a cell stays a text of the lake or the quarantine; no message or report shows it."""
    bad = "=cmd|'/C calc'!A0"
    row = f"{bad},{codes[0]},{bad},{bad},{bad},{bad},2024-02-01"
    sound = f"@SUM(1),{codes[0]},2024-01-01,1,fine,+无,2024-02-01"
    (first / "fines.csv").write_text("\n".join([HEADER, row, sound]) + "\n", encoding="utf-8")
    report: IngestReport = ingest(tmp_path / "lake", first, content)
    said = json.dumps(report.to_json(), ensure_ascii=False, default=str)
    assert "cmd" not in said
    assert "SUM" not in said
    fines = next(table for table in report.tables if table.table == "fines")
    assert (fines.accepted, fines.quarantined) == (1, 1)


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, b""])
def test_a_row_in_another_encoding_refuses_the_file(mark: bytes, stage: Callable[[str, bytes], str]) -> None:
    """One department's rows pasted under another's: the file is refused, not half read as nonsense."""
    codes_only = "doc,uscc,decided_on,amount,kind,note,received_on\n"
    mixed = mark + codes_only.encode() + LINES[1].encode() + b"\n" + LINES[2].encode("gb18030") + b"\n"
    said = stage("fines.csv", mixed)
    assert "CT-DATA-004" in said
    assert SECRET not in said


def test_a_workbook_of_many_small_bombs(stage: Callable[[str, bytes], str]) -> None:
    """Many entries, each harmless, are added up."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"<x/>")
        for number in range(90):
            archive.writestr(f"xl/media/{number}", bytes(1 << 20))
    assert "far more" in stage("fines.xlsx", stream.getvalue())
