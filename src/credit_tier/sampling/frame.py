"""The sampling frame (抽样框): one canonical line per enterprise, sealed in a salted Merkle tree.

Row order and columns that the plan does not read have no effect.
The tree is that of RFC 6962 over leaves SHA-256(0x00, salt, line); each salt is an HMAC of the code under the leaf secret, so that
one row can be opened to its enterprise while every other row stays hidden, although codes are public and classes are few.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import pairwise
from math import isnan
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from credit_tier.canonical import sha256_hex
from credit_tier.errors import DrawError, Fault, VerificationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Cell = str | int | None

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True)
class Frame:
    """Units in canonical order: sorted by code, columns sorted by name, cells texts, whole numbers or empty.

    Attributes
    ----------
    columns : column name -> cells, all of one length; `code` is among them and holds no duplicate.
    """

    columns: Mapping[str, tuple[Cell, ...]]

    @property
    def codes(self) -> tuple[str, ...]:
        """Return the codes, ascending."""
        return self.columns["code"]  # type: ignore[return-value]

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def _data(self) -> bytes:
        parts: list[list[str]] = []
        for name, cells in self.columns.items():
            head = _encode(name) + ":"
            if name == "code":
                texts = [f'{head}"{code}"' if code.isalnum() else head + _encode(code) for code in self.codes]
            else:
                known = {cell: head + _encode(cell) for cell in set(cells)}
                texts = list(map(known.__getitem__, cells))
            parts.append(texts)
        return ("{" + "}\n{".join(map(",".join, zip(*parts, strict=True))) + "}\n").encode("utf-8")

    @property
    def lines(self) -> list[bytes]:
        """Return the line of every unit, without line ends."""
        return self._data.removesuffix(b"\n").split(b"\n")

    @cached_property
    def digest(self) -> str:
        """Return the SHA-256 of `frame.jsonl`."""
        return sha256_hex(self._data)

    def to_bytes(self) -> bytes:
        """Return the bytes of `frame.jsonl`: the canonical JSON line of every unit."""
        return self._data

    def coded(self, name: str) -> tuple[list[Cell], NDArray[np.int64]]:
        """Return the different cells of a column, empty first, then ascending, and for each unit the place of its own among them."""
        if name not in self._coded:
            import numpy as np

            column = self.columns[name]
            cells = sorted(set(column), key=lambda cell: (cell is not None, cell))
            place = {cell: i for i, cell in enumerate(cells)}
            self._coded[name] = cells, np.fromiter(map(place.__getitem__, column), np.int64, len(column))
        return self._coded[name]

    @cached_property
    def _coded(self) -> dict[str, tuple[list[Cell], NDArray[np.int64]]]:
        return {}

    def leaves(self, leaf_secret: bytes) -> list[bytes]:
        """Return the leaf hash of every unit, 32 bytes each, in the frame's order."""
        return [leaf_of(leaf_secret, code, line) for code, line in zip(self.codes, self.lines, strict=True)]


def build_frame(
    columns: Mapping[str, Sequence[object]], *, types: Mapping[str, str], required: frozenset[str]
) -> Frame:
    """Return the canonical frame of some columns.

    Parameters
    ----------
    columns : column name -> cells in any order of rows; columns not in `types` are ignored.
    types : column name -> `text` or `integer`. A text column takes texts, whole numbers, booleans (``true``, ``false``)
        and dates; an integer column takes whole numbers and texts of digits. None and the empty text mean empty.
    required : columns that may not be empty.

    Raises
    ------
    DrawError : all faults at once; CT-DRAW-001 missing column, 002 code twice, 003 cells that do not fit or are empty, 006 no unit.
    """
    missing = sorted(set(types) - set(columns))
    if missing:
        raise DrawError.of(
            "CT-DRAW-001",
            where="units",
            what=f"缺少列 · these columns are missing: {', '.join(missing)}.",
            advice=f"The plan reads {', '.join(types)}.",
        )
    faults: list[Fault] = []
    cells: dict[str, list[Cell]] = {}
    for name, kind in types.items():
        raw: Sequence[Any] = columns[name]
        if kind == "text" and _are_plain(raw):
            cells[name] = list(raw)
            continue
        # 1, 1.0 and True are equal but not the same cell: where types mix, the type belongs to the key
        keys = raw if len(set(map(type, raw))) < 2 else list(zip(map(type, raw), raw, strict=True))
        known: dict[Any, Cell] = {}
        bad = 0
        for key, cell in dict(zip(keys, raw, strict=True)).items():
            try:
                known[key] = _cell(cell, kind)
            except (TypeError, ValueError):
                known[key] = None
                bad += 1
        column = list(map(known.__getitem__, keys))
        cells[name] = column
        if bad:
            faults.append(
                Fault("CT-DRAW-003", f"units.{name}", f"{bad} different values are no {kind}.", "Correct the column.")
            )
        empty = column.count(None)
        if name in required and empty and not bad:
            faults.append(
                Fault("CT-DRAW-003", f"units.{name}", f"{empty} cells are empty.", "Every unit needs a value here.")
            )
    if not faults:
        codes = cells["code"]
        twice = len(codes) - len(set(codes))
        if twice:
            faults.append(
                Fault(
                    "CT-DRAW-002",
                    "units.code",
                    f"{twice} codes stand twice.",
                    "Each enterprise stands once in a frame.",
                )
            )
        if not codes:
            faults.append(Fault("CT-DRAW-006", "units", "the frame is empty.", "Give at least one enterprise."))
    if faults:
        raise DrawError(*faults)
    order = sorted(range(len(cells["code"])), key=cells["code"].__getitem__)  # type: ignore[arg-type]
    ordered = itemgetter(*order) if len(order) > 1 else tuple
    return Frame({name: ordered(column) for name, column in sorted(cells.items())})


def _cell(raw: object, kind: str) -> Cell:
    if raw is None or raw == "" or (isinstance(raw, float) and isnan(raw)):
        return None
    if kind == "integer":
        if isinstance(raw, bool) or (isinstance(raw, float) and not raw.is_integer()):
            raise TypeError
        number = int(raw) if isinstance(raw, int | float) else int(_text(raw), 10)
        if abs(number) >= 10**18:
            raise ValueError
        return number
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, float):
        if not raw.is_integer():
            raise TypeError
        return str(int(raw))
    return str(raw) if isinstance(raw, int) else raw.isoformat() if isinstance(raw, date) else _text(raw)


def _are_plain(column: Sequence[Any]) -> bool:
    """Return whether all cells are ASCII letters and digits, which are their own canonical form; quick for a million codes."""
    if set(map(type, column)) != {str}:
        return False
    lengths, joined = set(map(len, column)), "".join(column)
    return min(lengths) > 0 and max(lengths) <= 200 and joined.isascii() and joined.isalnum()


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise TypeError
    text = unicodedata.normalize("NFC", raw)
    if not text.isprintable() or text != text.strip() or len(text) > 200:
        raise ValueError
    return text


def parse_frame(data: bytes, *, where: str) -> Frame:
    """Return the frame of `frame.jsonl`.

    Raises
    ------
    VerificationError (CT-DRAW-014) if the bytes are not exactly those that the frame would be written as.
    """
    try:
        rows = json.loads(b"[" + data.removesuffix(b"\n").replace(b"\n", b",") + b"]")
        names = sorted(rows[0])
        columns = {name: tuple(row[name] for row in rows) for name in names}
        frame = Frame(columns)
        codes = frame.codes
        sound = all(a < b for a, b in pairwise(codes)) and frame.to_bytes() == data
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        sound = False
    if not sound:
        raise VerificationError.of(
            "CT-DRAW-014",
            where=where,
            what="抽样框文件已被改动 · the frame is not as it was written.",
            advice="Restore the file, or plan anew in another folder.",
        )
    return frame


def salt_of(leaf_secret: bytes, code: str) -> bytes:
    """Return the salt of one unit's leaf, 32 bytes; it says nothing about any other salt."""
    return hmac.digest(leaf_secret, code.encode("utf-8"), "sha256")


def leaf_of(leaf_secret: bytes, code: str, line: bytes) -> bytes:
    """Return the salted leaf hash of one unit's line, 32 bytes."""
    return hashlib.sha256(b"\x00" + salt_of(leaf_secret, code) + line).digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes. Source: RFC 6962 section 2.1.

    Raises
    ------
    ValueError if there is no leaf.
    """
    if not leaves:
        raise ValueError("a tree needs a leaf")
    level = list(leaves)
    while len(level) > 1:
        level = _parents(level)
    return level[0]


def merkle_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the sibling hashes from a leaf up to the root. Source: RFC 6962 section 2.1.1."""
    path = []
    level = list(leaves)
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        level = _parents(level)
        index //= 2
    return path


def root_from_path(leaf: bytes, index: int, size: int, path: Iterable[bytes]) -> bytes | None:
    """Return the root that a leaf and its path lead to, or None if the path does not fit the place.

    Source: RFC 9162 section 2.1.3.2.
    """
    node, last, rest = leaf, size - 1, list(path)
    if not 0 <= index < size:
        return None
    while last > 0:
        if index % 2 or index < last:
            if not rest:
                return None
            sibling = rest.pop(0)
            node = _node(sibling, node) if index % 2 else _node(node, sibling)
        index //= 2
        last //= 2
    return None if rest else node


def _parents(level: list[bytes]) -> list[bytes]:
    sha256 = hashlib.sha256
    above = [sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)]
    if len(level) % 2:
        above.append(level[-1])
    return above


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
