"""Records as departments export them: GB18030 text under a title, official headers, Chinese words, dates in each office's own way.

What the ingestion makes of such a file is the same as of the plain one, to the last byte of the lake.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from credit_tier.specs.dataset import JOINT, Column, DatasetSpec, folded

if TYPE_CHECKING:
    import polars as pl

ENCODING: Final = "gb18030"

_ISO: Final = r"^([0-9]{4})-0?([0-9]{1,2})-0?([0-9]{1,2})$"
_WAYS_TO_WRITE_A_DAY: Final = ("$0", "${1}/${2}/${3}", "${1}.${2}.${3}", "${1}年${2}月${3}日")


def export_text(table: pl.DataFrame, spec: DatasetSpec, *, office: str) -> str:
    """Return the text of a table's file.

    A title, a line that says who filled it in, the headers (of each column its first alias, the official one), the rows, numbered.

    Parameters
    ----------
    table : columns named as in the contract, of any type; values that are no value of their column stay as they are.
    office : who sends it; stands in the second line.
    """
    import polars as pl

    way = _WAYS_TO_WRITE_A_DAY[zlib.crc32(spec.table.encode()) % len(_WAYS_TO_WRITE_A_DAY)]
    columns = [pl.Series("序号", range(1, table.height + 1), dtype=pl.Int64)]
    for name, column in spec.columns.items():
        columns.append(_written(table[name].cast(pl.String), column, way).alias(header_of(name, column)))
    body = pl.DataFrame(columns)
    padding = "," * (body.width - 1)
    return f"{spec.title_zh}{padding}\n填报单位:{office}{padding}\n{body.write_csv()}"


def header_of(name: str, column: Column) -> str:
    """Return the header of a column: its first alias, or its name if it has none."""
    return column.aliases[0] if column.aliases else name


def _written(text: pl.Series, column: Column, way: str) -> pl.Series:
    """Return a column's texts as an office writes them."""
    if column.type == "date":
        return text.str.replace(_ISO, way)
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
