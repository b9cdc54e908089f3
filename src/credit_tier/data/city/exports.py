"""Records as departments export them: GB18030 text under a title, official headers, Chinese words, each office in its own way.

Offices differ in the lines above the headers, in the spelling of headers, in how they write days, in 元 or 万元, and in what they write for "no end".
What the ingestion makes of such a file is the same as of the plain one, to the last byte of the lake.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeVar

from credit_tier.specs.dataset import JOINT, DatasetSpec, folded

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")
ENCODING: Final = "gb18030"

_ISO: Final = r"^([0-9]{4})-0?([0-9]{1,2})-0?([0-9]{1,2})$"
_WAYS_TO_WRITE_A_DAY: Final = ("$0", "${1}/${2}/${3}", "${1}.${2}.${3}", "${1}年${2}月${3}日")
_LINES_ABOVE: Final = (("{title}", "填报单位:{office}"), ("{title}",), ("{title}", "", "填报单位:{office}"))
_AMOUNT: Final = r"^[0-9]+(\.[0-9]+)?$"
_OTHER_UNIT: Final = {"元": ("万元", 4), "万元": ("元", -4)}
"""Unit: the other unit, and by how many places the decimal point moves to the left."""


def export_text(table: pl.DataFrame, spec: DatasetSpec, *, office: str) -> str:
    """Return the text of a table's file: lines above the headers, the headers, the rows, numbered.

    Parameters
    ----------
    table : columns named as in the contract, of any type; values that are no value of their column stay as they are.
    office : who sends it; most offices say so above the headers.
    """
    import polars as pl

    columns = [pl.Series("序号", range(1, table.height + 1), dtype=pl.Int64)]
    for name in spec.columns:
        columns.append(_written(table[name].cast(pl.String), name, spec).alias(header_of(name, spec)))
    body = pl.DataFrame(columns)
    padding = "," * (body.width - 1)
    above = [line.format(title=spec.title_zh, office=office) + padding for line in _habit(spec, "above", _LINES_ABOVE)]
    return "\n".join([*above, body.write_csv()])


def header_of(name: str, spec: DatasetSpec) -> str:
    """Return the header of a column in the office's spelling: the official code where there is one, an alias, or its name."""
    column = spec.columns[name]
    aliases = [alias for alias in column.aliases if "(" not in alias]
    if not aliases:
        header = name
    elif aliases[0].isascii():
        header = aliases[0]
    else:
        header = _habit(spec, name, aliases)
    unit = _unit_written(name, spec)
    return f"{header}({unit})" if unit != (column.unit or "元") else header


def _habit(spec: DatasetSpec, about: str, ways: Sequence[T]) -> T:
    """Return the way to which the office of a table is used, always the same."""
    return ways[zlib.crc32(f"{spec.table} {about}".encode()) % len(ways)]


def _unit_written(name: str, spec: DatasetSpec) -> str:
    """Return the unit in which an office writes an amount; no unit for other columns is the one of the contract."""
    column = spec.columns[name]
    unit = column.unit or "元"
    if column.type != "money" or any(alias.isascii() for alias in column.aliases):
        return unit
    return _habit(spec, f"unit of {name}", (unit, _OTHER_UNIT[unit][0]))


def _written(text: pl.Series, name: str, spec: DatasetSpec) -> pl.Series:
    """Return a column's texts as an office writes them."""
    column = spec.columns[name]
    if column.type == "date":
        day = text.str.replace(_ISO, _habit(spec, "days", _WAYS_TO_WRITE_A_DAY))
        return day.fill_null(_habit(spec, f"no {name}", column.empty_values)) if column.empty_values else day
    if column.type == "money":
        unit = column.unit or "元"
        return text if _unit_written(name, spec) == unit else _moved(text, _OTHER_UNIT[unit][1])
    if column.type == "boolean":
        return text.replace({"true": "是", "false": "否"})
    if column.vocabulary is None:
        return text
    spellings = column.spellings()
    words = {word: meaning for word, meaning in column.vocabulary.items() if spellings.get(folded(meaning)) == word}
    if column.type == "code":
        return text.replace(words)
    return text.str.split(JOINT).list.eval(_in_words(words)).list.join("、")


def _in_words(words: dict[str, str]) -> pl.Expr:
    import polars as pl

    return pl.element().replace(words)


def _moved(text: pl.Series, places: int) -> pl.Series:
    """Return amounts with the decimal point moved to the left; what is no plain amount stays."""
    plain = {amount: shifted(amount, places) for amount in text.drop_nulls().unique() if re.match(_AMOUNT, amount)}
    return text.replace(plain)


def shifted(amount: str, places: int) -> str:
    """Return a plain amount with the decimal point so many places to the left, exactly.

    >>> shifted("1110000", 4), shifted("50.0125", -4), shifted("0.001", 4)
    ('111', '500125', '0.0000001')
    """
    moved = Decimal(amount).scaleb(-places)
    return f"{moved:f}".rstrip("0").rstrip(".") if moved % 1 else f"{moved:.0f}"
