"""Archives: how large a zip file becomes when it is unpacked, found out by unpacking it piece by piece and keeping nothing.

Sizes that an archive states about itself are not believed.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

MAX_ENTRIES = 5_000
MAX_UNPACKED = 1 << 30
"""Bytes of all entries together."""

MAX_EXPANSION, ALWAYS_TAKEN = 200, 1 << 26
"""An archive may unpack to this many times its size, or to this many bytes if that is more."""

MAX_COLUMNS, MAX_ROWS = 2_000, 1_048_576
"""Reach of a sheet: readers lay out every cell up to the last one, however few are filled."""

_PIECE = 1 << 20
_LOCAL_HEADER = 30
_STORED, _DEFLATED = 0, 8
_REFERENCE = re.compile(rb"[\s\"'](?:r|ref)\s*=\s*[\"'](?:[A-Z]+[0-9]*:)?([A-Z]{1,7})[0-9]{1,9}[\"']")


class UnsafeArchiveError(Exception):
    """The archive is damaged, or unpacks to more than it may; the text says which, and quotes nothing of the archive."""


def require_safe_workbook(stream: BinaryIO, size: int) -> None:
    """Unpack an .xlsx file to nowhere and check how much it is.

    Parameters
    ----------
    stream : the file, opened for reading at any place.
    size : its length in bytes.

    Raises
    ------
    UnsafeArchiveError
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, EOFError) as error:
        raise UnsafeArchiveError("this is not a readable Excel file.") from error
    if len(entries) > MAX_ENTRIES:
        raise UnsafeArchiveError("the workbook has far more parts than a workbook has.")
    if "xl/workbook.xml" not in {entry.filename for entry in entries}:
        raise UnsafeArchiveError("this is not an Excel workbook (.xlsx).")
    limit = min(MAX_UNPACKED, max(ALWAYS_TAKEN, MAX_EXPANSION * size))
    unpacked = 0
    for entry in entries:
        last = b""
        for piece in _pieces(stream, entry, size):
            unpacked += len(piece)
            if unpacked > limit:
                raise UnsafeArchiveError("the workbook unpacks to far more than a table holds.")
            if entry.filename.startswith("xl/worksheets/"):
                _require_near(last + piece)
                last = piece[-64:]


def _require_near(xml: bytes) -> None:
    """Refuse cells far to the right: a sheet of 16,384 columns with two filled cells would fill the memory."""
    columns = {bytes(letters) for letters in _REFERENCE.findall(xml)}
    if any(_number(letters) > MAX_COLUMNS for letters in columns):
        raise UnsafeArchiveError(f"the sheet has cells beyond column {MAX_COLUMNS:,}.")


def _number(letters: bytes) -> int:
    result = 0
    for letter in letters:
        result = result * 26 + letter - 64
    return result


def _pieces(stream: BinaryIO, entry: zipfile.ZipInfo, size: int) -> Iterator[bytes]:
    """Yield what an entry unpacks to, by its compressed bytes alone."""
    if entry.compress_type not in {_STORED, _DEFLATED} or entry.flag_bits & 1:
        raise UnsafeArchiveError("the workbook is encrypted or packed in an unusual way.")
    stream.seek(entry.header_offset)
    header = stream.read(_LOCAL_HEADER)
    if len(header) < _LOCAL_HEADER or not header.startswith(b"PK\x03\x04"):
        raise UnsafeArchiveError("this is not a readable Excel file.")
    skipped = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    start = entry.header_offset + _LOCAL_HEADER + skipped
    if start + entry.compress_size > size:
        raise UnsafeArchiveError("this is not a readable Excel file.")
    stream.seek(start)
    packed = stream.read(entry.compress_size)
    if entry.compress_type == _STORED:
        yield packed
        return
    inflate = zlib.decompressobj(-15)
    try:
        while packed and not inflate.eof:
            yield inflate.decompress(packed, _PIECE)
            packed = inflate.unconsumed_tail
    except zlib.error as error:
        raise UnsafeArchiveError("this is not a readable Excel file.") from error
    if not inflate.eof:
        raise UnsafeArchiveError("this is not a readable Excel file.")
