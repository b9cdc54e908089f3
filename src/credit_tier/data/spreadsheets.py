"""Spreadsheets: the one sheet of a workbook that holds a table, as text columns in a Parquet file.

Cells are values, never formulas; no macro runs. Numbers are taken in the 15 digits that a spreadsheet keeps.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from credit_tier.data.archives import UnsafeArchiveError, require_safe_workbook
from credit_tier.data.cells import cell_text
from credit_tier.data.headers import LINES_SEARCHED, KnownHeaders, distinct_headers, header_line
from credit_tier.data.sources import Layout, SourceFile, damaged, empty_file, headers_not_found
from credit_tier.data.workbook_reader import PASSWORD
from credit_tier.errors import DataError

MAX_BYTES = 1 << 28
"""Largest workbook that is opened."""

MAX_EXACT = 10**15
"""Whole numbers from here on have lost their last digits in a spreadsheet."""

_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"

Cells = Sequence[Sequence[object]]


def spooled(file: SourceFile, folder: Path) -> SourceFile:
    """Return a workbook's table as a Parquet file of text columns in a folder, with the sheet and line of its headers.

    The sheet is the visible one that names most columns of the contract.

    Raises
    ------
    DataError : CT-DATA-001 empty, 006 no readable or a dangerous workbook, 007 one header twice, 013 no headers,
        014 several sheets fit equally, 015 numbers that have lost digits where a text is needed.
    """
    import polars as pl

    names, sheets = _sheets(file)
    tops = [[[_header(cell) for cell in row] for row in rows[:LINES_SEARCHED]] for rows in sheets]
    found = [(header_line(top, file.spec), at) for at, top in enumerate(tops)]
    best = max((line.named for line, _ in found), default=0)
    if not best:
        raise headers_not_found(file) if any(sheets) else empty_file(file)
    fitting = [(line, at) for line, at in found if line.named == best]
    if len(fitting) > 1:
        raise DataError.of(
            "CT-DATA-014",
            where=file.name,
            what=f"{len(fitting)} sheets fit the table '{file.table}' equally well: number {', '.join(str(at + 1) for _, at in fitting)}.",
            advice="Keep one of them in the workbook, or send each as a file of its own.",
        )
    line, chosen = fitting[0]
    rows = sheets[chosen]
    headers = distinct_headers(line.cells, file.spec, where=file.name)
    columns = list(zip(*rows[line.position + 1 :], strict=True)) or [()] * len(headers)
    _require_whole_digits(headers, columns, file)
    frame = pl.DataFrame(
        {header: [cell_text(cell) for cell in column] for header, column in zip(headers, columns, strict=True)},
        schema=dict.fromkeys(headers, pl.String),
    )
    path = folder / f"{file.sha256[:16]}-{len(list(folder.iterdir()))}.parquet"
    frame.filter(~pl.all_horizontal(pl.all().is_null())).write_parquet(path)
    layout = Layout(header_row=line.position + 1, sheet=names[chosen])
    return replace(file, path=path, label=file.name, layout=layout)


def _sheets(file: SourceFile) -> tuple[list[str], list[Cells]]:
    """Return names and cells of the visible sheets, read in a process of its own; see `workbook_reader`."""
    raw = file.path.read_bytes()
    if not raw:
        raise empty_file(file)
    try:
        _require_workbook(raw)
    except UnsafeArchiveError as error:
        raise damaged(file, str(error)) from error
    command = [sys.executable, "-m", "credit_tier.data.workbook_reader"]
    done = subprocess.run(command, input=raw, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if done.returncode == PASSWORD:
        raise damaged(file, "the workbook is protected by a password.")
    if done.returncode:
        raise damaged(file, "this is not a readable Excel file, or it needs far more memory than a table does.")
    names, sheets = json.loads(done.stdout)
    return names, sheets


def _require_workbook(raw: bytes) -> None:
    if len(raw) > MAX_BYTES:
        raise UnsafeArchiveError(f"the workbook is larger than {MAX_BYTES >> 20} MiB: send it as CSV.")
    if raw.startswith(_ZIP):
        require_safe_workbook(io.BytesIO(raw), len(raw))
    elif not raw.startswith(_OLE):
        raise UnsafeArchiveError(
            "this is not an Excel file, whatever its name ends in: open it in Excel and save it as .xlsx."
        )


def _header(cell: object) -> str:
    return cell if isinstance(cell, str) else cell_text(cell) or ""


def _require_whole_digits(headers: Sequence[str], columns: Sequence[Sequence[object]], file: SourceFile) -> None:
    """Refuse codes and numbers of documents that the spreadsheet kept as numbers and therefore cut to 15 digits."""
    known = KnownHeaders(file.spec)
    cut = {}
    for header, column in zip(headers, columns, strict=True):
        found = known.find(header)
        if found is not None and file.spec.columns[found.column].type in {"uscc", "text", "code"}:
            cut[header] = sum(isinstance(cell, float | int) and abs(cell) >= MAX_EXACT for cell in column)
    wrong = {header: count for header, count in cut.items() if count}
    if wrong:
        raise DataError.of(
            "CT-DATA-015",
            where=file.name,
            what=f"cells hold numbers of more than 15 digits, whose last digits are lost: {', '.join(f'{header} ({count})' for header, count in wrong.items())}.",
            advice="Format these columns as text before the values are entered, or send the table as CSV.",
        )
