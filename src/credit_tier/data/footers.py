"""Footers: the lines below a table, such as a total or who drew it up, which are no records.

A line is taken for a footer only where it could not be a record: it begins with one of a few words, stands at the very end,
and holds nothing else where the subject, the record's number or a date belongs. All others go on as rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from credit_tier.data.headers import match_headers
from credit_tier.specs.dataset import DatasetSpec, folded

if TYPE_CHECKING:
    import polars as pl

FOOTER_LINES = 8
"""Most lines below a table that are looked at."""

_FOOTER = re.compile(
    r"(合计|总计|小计|共计|(?:制表|填表|填报|审核|复核|经办|负责|联系)人|(?:制表|填表|填报)(?:单位|日期|时间)|联系电话)(?::.*|[0-9]+[条户件家笔]?)?$"
)


def without_footer(frames: Iterable[pl.DataFrame], spec: DatasetSpec, words: list[str]) -> Iterator[pl.DataFrame]:
    """Yield the frames of a file without the footer of the last one; the words its lines begin with are added to `words`."""
    import polars as pl

    held: pl.DataFrame | None = None
    for frame in frames:
        if held is None:
            held = frame
        elif frame.height < FOOTER_LINES:
            held = pl.concat([held, frame])
        else:
            yield held
            held = frame
    if held is not None:
        found = footer_words(held, spec)
        words += found
        yield held.head(held.height - len(found))


def footer_words(frame: pl.DataFrame, spec: DatasetSpec) -> list[str]:
    """Return the word that each line of a frame's footer begins with; empty if there is no footer.

    Parameters
    ----------
    frame : columns of text under the headers of the file.

    >>> import polars as pl
    >>> from credit_tier.specs.dataset import Column, DatasetSpec, KnownAt, RecordId
    >>> columns = {"no": Column(type="text", title_zh="编号"), "day": Column(type="date", title_zh="日期")}
    >>> spec = DatasetSpec(
    ...     table="t", title_zh="表", kind="event", key="no", record_id=RecordId(column="no"), event_on="day",
    ...     known_at=KnownAt(column="day"), columns=columns, source="", legal_basis="",
    ... )
    >>> footer_words(pl.DataFrame({"编号": ["A", "合 计"], "日期": ["2024-01-01", None], "金额": ["1", "1"]}), spec)
    ['合计']
    """
    headers = match_headers(frame.columns, spec)[0].headers
    telling = [
        header
        for name, header in headers.items()
        if name in {spec.key, spec.record_id.column, *spec.record_id.of} or spec.columns[name].type == "date"
    ]
    words: list[str] = []
    for row in frame.tail(FOOTER_LINES).reverse().iter_rows(named=True):
        word = _word(row, telling)
        if word is None:
            break
        words.insert(0, word)
    return words


def _word(row: Mapping[str, str | None], telling: Sequence[str]) -> str | None:
    """Return the word that a line begins with if it can only belong to a footer."""
    cells = {header: folded(cell) for header, cell in row.items() if cell is not None and folded(cell)}
    first = _FOOTER.match(next(iter(cells.values()), ""))
    if first is None or any(header in cells and not _FOOTER.match(cells[header]) for header in telling):
        return None
    return first.group(1)
