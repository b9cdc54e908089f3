"""Headers: which line of a file holds them, and which of them carries which column of a contract.

A header is known by the column's own name, an alias or the Chinese title; how it is written in width, case, spaces and kinds of brackets does not count.
What is read into a header beyond that (a star before it, 必填 behind it) is called guessed and reported as such.
Spellings belong into the contract's `aliases`; this module knows none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, zip_longest
from typing import Literal, NamedTuple

from credit_tier.errors import DataError, Fault
from credit_tier.specs.dataset import DatasetSpec, folded

Match = Literal["name", "alias", "title", "guessed", "received"]
"""How a column was found: by its own name, an alias, the Chinese title, by reading past marks, or not in the file but as the day of receipt."""

LINES_SEARCHED = 20
"""Lines from the top of a file among which the headers are looked for."""

_BRACKETS = str.maketrans("[]{}【】〔〕〖〗「」『』<>《》〈〉", "()" * 10)
_UNIT = re.compile(r"\((?:单位:?)?(?:人民币)?((?:千|万|百万|千万|亿)?元)\)$")
_ADORNED = re.compile(r"^[*★☆#]+|^\(?[0-9]{1,2}[.、)]|[:*★☆]+$")
_HOW_TO_FILL_IN = re.compile(
    r"\((?:(?:必|选|可)[填录选]项?|可空|非空|不可?为空|文本|日期|日期格式|年-?/?月-?/?日|yyyy[-/.]?mm[-/.]?dd|格式:?yyyy[-/.]?mm[-/.]?dd|1?[0-9]位)\)$"
)


@dataclass(frozen=True)
class HeaderMap:
    """Which header carries which column of the contract.

    Attributes
    ----------
    headers : column name to header.
    units : money column to the unit that its header says.
    unmapped : headers that no column asks for.
    absent : optional columns that the file does not have.
    how : column name to how its header was recognised.
    received : column that the file does not have and that holds the day of receipt instead, or None.
    """

    headers: Mapping[str, str]
    units: Mapping[str, str]
    unmapped: tuple[str, ...]
    absent: tuple[str, ...]
    how: Mapping[str, Match]
    received: str | None = None


@dataclass(frozen=True)
class Found:
    """A header that stands for a column."""

    column: str
    how: Match
    unit: str | None


class KnownHeaders:
    """The headers that a contract knows, ready for look-ups."""

    def __init__(self, spec: DatasetSpec) -> None:
        self._money = {name for name, column in spec.columns.items() if column.type == "money"}
        titles = Counter(_plain(column.title_zh) for column in spec.columns.values())
        self._names: dict[str, tuple[str, Match]] = {_plain(name): (name, "name") for name in spec.columns}
        for name, column in spec.columns.items():
            for alias in column.aliases:
                self._names.setdefault(_plain(alias), (name, "alias"))
        for name, column in spec.columns.items():
            if titles[_plain(column.title_zh)] == 1:
                self._names.setdefault(_plain(column.title_zh), (name, "title"))

    def find(self, header: str) -> Found | None:
        """Return which column a header stands for, or None."""
        plain = _plain(header)
        found = self._of_plain(plain)
        if found is not None:
            return found
        bare = _HOW_TO_FILL_IN.sub("", _ADORNED.sub("", plain))
        if bare == plain or (found := self._of_plain(_ADORNED.sub("", bare))) is None:
            return None
        return Found(found.column, "guessed", found.unit)

    def _of_plain(self, plain: str) -> Found | None:
        unit = _UNIT.search(plain)
        known = self._names.get(plain)
        if known is None and unit is not None:
            known = self._names.get(plain[: unit.start()])
            if known is not None and known[0] not in self._money:
                return None
        if known is None:
            return None
        name, how = known
        return Found(name, how, unit.group(1) if unit is not None and name in self._money else None)

    def count(self, cells: Iterable[str]) -> int:
        """Return how many columns of the contract a line names."""
        return len({found.column for cell in cells if (found := self.find(cell)) is not None})


class HeaderLine(NamedTuple):
    """Position of the last line of the headers, how many columns of the contract they name, and the headers."""

    position: int
    named: int
    cells: list[str]


def header_line(lines: Sequence[Sequence[str]], spec: DatasetSpec) -> HeaderLine:
    """Return the line that names most columns of the contract, the first of several.

    Headers may stand in two lines, a group above its columns: a column without a name in the lower line has that of the upper. The
    two are taken together where they name more columns than any line alone.

    >>> from credit_tier.specs.dataset import Column, DatasetSpec, KnownAt, RecordId
    >>> columns = {"no": Column(type="text", title_zh="编号"), "day": Column(type="date", title_zh="日期")}
    >>> spec = DatasetSpec(
    ...     table="t", title_zh="表", kind="event", key="no", record_id=RecordId(column="no"), event_on="day",
    ...     known_at=KnownAt(column="day"), columns=columns, source="", legal_basis="",
    ... )
    >>> header_line([["某局公示表"], ["序号", "编号", "日期"], ["1", "A", "2024-01-01"]], spec)
    HeaderLine(position=1, named=2, cells=['序号', '编号', '日期'])
    >>> header_line([["编号", "处罚", ""], ["", "日期", "金额"], ["A", "2024-01-01", "5"]], spec)
    HeaderLine(position=1, named=2, cells=['编号', '日期', '金额'])
    """
    known = KnownHeaders(spec)
    top = lines[:LINES_SEARCHED]
    best = HeaderLine(0, 0, [])
    for position, cells in enumerate(top):
        if (named := known.count(cells)) > best.named:
            best = HeaderLine(position, named, list(cells))
    for position, (upper, lower) in enumerate(pairwise(top), start=1):
        joined = [below if below.strip() else above for above, below in zip_longest(upper, lower, fillvalue="")]
        if (named := known.count(joined)) > best.named:
            best = HeaderLine(position, named, joined)
    return best


def distinct_headers(cells: Sequence[str], spec: DatasetSpec, *, where: str) -> list[str]:
    """Return the headers of a file, each once: empty ones get a name, repeated ones that no column asks for a number.

    Raises
    ------
    DataError (CT-DATA-007) if a header that stands for a column occurs twice.
    """
    known = KnownHeaders(spec)
    headers = [cell.strip() or f"_unnamed_{number}" for number, cell in enumerate(cells, start=1)]
    counts = Counter(headers)
    twice = sorted(header for header, count in counts.items() if count > 1 and known.find(header) is not None)
    if twice:
        raise DataError.of(
            "CT-DATA-007",
            where=where,
            what=f"{len(twice)} header(s) stand twice: {', '.join(twice)}.",
            advice="Give every column a header of its own.",
        )
    taken: set[str] = set()
    result = []
    for header in headers:
        name, number = header, 1
        while name in taken:
            number += 1
            name = f"{header}_{number}"
        taken.add(name)
        result.append(name)
    return result


def match_headers(headers: Sequence[str], spec: DatasetSpec) -> tuple[HeaderMap, dict[str, list[str]]]:
    """Return which header carries which column, and the columns for which several headers stand."""
    known = KnownHeaders(spec)
    matches = {header: known.find(header) for header in headers}
    found: dict[str, list[str]] = {}
    for header, match in matches.items():
        if match is not None:
            found.setdefault(match.column, []).append(header)
    first = {name: matches[found[name][0]] for name in spec.columns if name in found}
    mapped = HeaderMap(
        headers={name: found[name][0] for name in first},
        units={name: match.unit for name, match in first.items() if match is not None and match.unit is not None},
        unmapped=tuple(header for header, match in matches.items() if match is None),
        absent=tuple(name for name in spec.columns if name not in found),
        how={name: match.how for name, match in first.items() if match is not None},
    )
    return mapped, {name: several for name, several in found.items() if len(several) > 1}


def required_columns(spec: DatasetSpec) -> set[str]:
    """Return the columns without which a file cannot be used."""
    key = [] if spec.key is None else [spec.key]
    names = {*key, *spec.record_id.of, *(name for name, column in spec.columns.items() if not column.nullable)}
    return {name for name in names if spec.columns[name].constant is None}


def map_headers(headers: Sequence[str], spec: DatasetSpec, *, where: str, has_receipt: bool = False) -> HeaderMap:
    """Match a file's headers with a contract.

    With `has_receipt`, the day of receipt is known, and the column that says when records became known may be absent.

    Raises
    ------
    DataError : CT-DATA-008 per required column without header, 009 per column with several headers.
    """
    mapped, several = match_headers(headers, spec)
    known = spec.known_at.column
    receipt = None if known in {spec.event_on, spec.key, *spec.record_id.of} else known
    if has_receipt and receipt is not None and receipt in mapped.absent:
        absent = tuple(name for name in mapped.absent if name != receipt)
        mapped = replace(mapped, absent=absent, received=receipt)
    required = required_columns(spec)
    faults = [
        Fault(
            "CT-DATA-008",
            where,
            f"the required column {spec.table}.{name} ({spec.columns[name].title_zh}) is missing.",
            f"Add it under one of these headers: {', '.join((name, *spec.columns[name].aliases))}."
            + (" Or give the day of receipt: --received-on." if name == receipt else ""),
        )
        for name in mapped.absent
        if name in required
    ]
    faults += [
        Fault(
            "CT-DATA-009",
            where,
            f"{len(names)} headers stand for {spec.table}.{name}: {', '.join(names)}.",
            "Keep one of them.",
        )
        for name, names in sorted(several.items())
    ]
    if faults:
        raise DataError(*faults)
    return mapped


def _plain(header: str) -> str:
    return folded(header).translate(_BRACKETS)
