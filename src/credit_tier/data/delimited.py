"""Delimited text: a CSV file of a delivery as text columns, whatever its encoding, with titles above its headers or without.

The encoding and the lines are judged as a whole: a file that was cut short or mixes encodings is refused, not repaired.
"""

from __future__ import annotations

import codecs
import csv
import re
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from credit_tier.data.headers import LINES_SEARCHED, HeaderLine, distinct_headers, header_line
from credit_tier.data.sources import Layout, SourceFile, damaged, empty_file, headers_not_found
from credit_tier.errors import DataError

if TYPE_CHECKING:
    import polars as pl

PEEKED = 1 << 20
"""Bytes of text from the top of a file in which its headers are looked for."""

_CHINESE_UTF8 = re.compile(rb"(?<![\x80-\xff])(?:[\xe4-\xe9][\x80-\xbf]{2}){3,}(?![\x80-\xff])")
"""A word of three or more Chinese characters in UTF-8; in GB18030 the same bytes are six or more rare characters in a row."""

MAX_EXPANSION, ALWAYS_TAKEN = 200, 1 << 28
"""A compressed file may unpack to this many times its size, or to this many bytes if that is more."""


def read_csv(file: SourceFile) -> pl.DataFrame:
    """Return a CSV file, compressed or not, as text columns under its own headers; empty lines are left out.

    Raises
    ------
    DataError : CT-DATA-001 empty, 004 encoding, 005 malformed, 006 damaged, 007 one header twice, 013 no headers.
    """
    import polars as pl

    raw = _as_utf8(_unpacked(file), file)
    if not raw.strip():
        raise empty_file(file)
    found = _find_headers(raw, file)
    end = _end_of_line(raw, found.position, file)
    frame = _parsed(raw, end, distinct_headers(found.cells, file.spec, where=file.name), file)
    return frame.filter(~pl.all_horizontal(pl.all().is_null()))


def layout_of_csv(file: SourceFile) -> Layout:
    """Return where the headers of a CSV file stand, judged by its first bytes; a file that cannot be read is left to `read_csv`."""
    try:
        with file.path.open("rb") as stream:
            head = stream.read(PEEKED)
        if file.name.endswith(".gz"):
            head = zlib.decompressobj(31).decompress(head, PEEKED)
        found = _find_headers(_head_as_utf8(head), file)
    except (DataError, OSError, zlib.error):
        return Layout()
    return Layout(header_row=found.position + 1)


def _head_as_utf8(head: bytes) -> bytes:
    """Return the first bytes of a text as UTF-8; a character that was cut off at the end is left out."""
    body = head.removeprefix(codecs.BOM_UTF8)
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(body).encode()
    except UnicodeDecodeError:
        return codecs.getincrementaldecoder("gb18030")("replace").decode(body).encode()


def _unpacked(file: SourceFile) -> bytes:
    packed = file.path.read_bytes()
    if not file.name.endswith(".gz"):
        return packed
    limit = max(ALWAYS_TAKEN, MAX_EXPANSION * len(packed))
    parts: list[bytes] = []
    size = 0
    try:
        while packed:
            inflate = zlib.decompressobj(31)
            parts.append(inflate.decompress(packed, limit - size + 1))
            size += len(parts[-1])
            if size > limit:
                raise damaged(file, "the compressed file unpacks to far more than a table holds.")
            if not inflate.eof:
                raise damaged(file, "the compressed file is damaged.")
            packed = inflate.unused_data.lstrip(b"\x00")
    except zlib.error as error:
        raise damaged(file, "the compressed file is damaged.") from error
    return b"".join(parts)


def _parsed(raw: bytes, start: int, headers: list[str], file: SourceFile) -> pl.DataFrame:
    """Return the lines from a place on as text columns.

    Arrow's reader, because it counts the fields of each line; others fill a line that was cut short with nulls in silence.
    """
    import polars as pl
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    if not raw[start:].strip():
        return pl.DataFrame(schema=dict.fromkeys(headers, pl.String))
    uneven = 0

    def count(_row: object) -> str:
        nonlocal uneven
        uneven += 1
        return "skip"

    try:
        table = arrow_csv.read_csv(
            pa.py_buffer(memoryview(raw)[start:]),
            read_options=arrow_csv.ReadOptions(column_names=headers, block_size=1 << 24),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=count),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(headers, pa.large_string()),
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                null_values=[""],
            ),
        )
    except pa.ArrowInvalid as error:
        raise _malformed(file, "the lines do not form a table.") from error
    if uneven:
        raise _malformed(file, f"{uneven} line(s) have another number of fields than the header has ({len(headers)}).")
    frame = pl.from_arrow(table)
    if not isinstance(frame, pl.DataFrame):
        raise _malformed(file, "the lines do not form a table.")
    return frame


def _malformed(file: SourceFile, what: str) -> DataError:
    return DataError.of(
        "CT-DATA-005",
        where=file.name,
        what=what,
        advice="Separate fields by commas, close every quotation mark, put values that hold commas in double quotes, and send it again.",
    )


def _as_utf8(raw: bytes, file: SourceFile) -> bytes:
    """Return CSV bytes as UTF-8 without byte-order mark; GB18030 is taken only if every byte of the file decodes."""
    fault = DataError.of(
        "CT-DATA-004",
        where=file.name,
        what="the text is neither UTF-8 nor GB18030 throughout.",
        advice="Save it as UTF-8 (in Excel: 'CSV UTF-8') and send it again.",
    )
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise fault
    body = raw.removeprefix(codecs.BOM_UTF8)
    if _decodes(body, "utf-8"):
        result = body
    else:
        try:
            result = raw.decode("gb18030").encode("utf-8")
        except UnicodeDecodeError as error:
            raise fault from error
        if _CHINESE_UTF8.search(raw):
            raise fault
    if b"\x00" in result:
        raise fault
    return result if b"\n" in result else result.replace(b"\r", b"\n")


def _decodes(raw: bytes, encoding: str, *, step: int = 1 << 20) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    view = memoryview(raw)
    try:
        for start in range(0, len(raw), step):
            decoder.decode(view[start : start + step])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _find_headers(raw: bytes, file: SourceFile) -> HeaderLine:
    """Return the headers among the first lines."""
    found = header_line(list(islice(_lines_until_fault(raw), LINES_SEARCHED)), file.spec)
    if not found.named:
        raise headers_not_found(file)
    return found


def _lines_until_fault(raw: bytes) -> Iterator[list[str]]:
    try:
        yield from csv.reader(_text_lines(raw, [0]))
    except csv.Error:
        return


def _end_of_line(raw: bytes, position: int, file: SourceFile) -> int:
    """Return the place where the line after a line of cells begins."""
    consumed = [0]
    try:
        next(islice(csv.reader(_text_lines(raw, consumed)), position, None), [])
    except csv.Error as error:
        raise _malformed(file, "the lines do not form a table.") from error
    return consumed[0]


def _text_lines(raw: bytes, consumed: list[int]) -> Iterator[str]:
    """Yield the physical lines of a text and keep in `consumed[0]` where the next one begins."""
    while consumed[0] < len(raw):
        start = consumed[0]
        consumed[0] = raw.find(b"\n", start) + 1 or len(raw)
        yield raw[start : consumed[0]].decode("utf-8", "replace")
