"""Dirt on request: rows as careless departments send them, with a list of what was planted.

Most faults must be set aside by the ingestion under one rule, which the list names; some must be read all the same.
The first version of an enterprise in the register stays clean, so that no fault of one row makes another row homeless.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from credit_tier.data.city.chance import Index, stream
from credit_tier.data.city.codes import credit_codes
from credit_tier.specs.dataset import Column, DatasetSpec
from credit_tier.types import USCC_ALPHABET

if TYPE_CHECKING:
    import polars as pl

MOST_DIRT: Final = 0.5
STRANGERS: Final = 1000
"""How many different valid codes of nobody in the register are used."""

ABSENT_WORD: Final = "未列入代码表"
_NEXT_LETTER: Final = dict(zip(USCC_ALPHABET, USCC_ALPHABET[1:] + USCC_ALPHABET[0], strict=True))
_COPIED: Final = ("conflicting_duplicate", "identical_duplicate")
_TOO_FINE: Final = {"元": "0.001", "万元": "0.0000001"}


@dataclass(frozen=True)
class Spoiler:
    """A way to spoil one column of some rows.

    Attributes
    ----------
    fault : what it is called in the list.
    column : the column that changes.
    rule : rule id under which the ingestion sets such a row aside; empty if it must read the row all the same.
    spoil : new text for the rows' column, from the rows as text.
    """

    fault: str
    column: str
    rule: str
    spoil: Callable[[pl.DataFrame], pl.Series]


class Dirt:
    """Spoils tables one by one and remembers what it planted.

    Parameters
    ----------
    specs : the contracts whose rules are broken.
    share : of each table's rows, 0 to `MOST_DIRT`; somewhat fewer where a fault falls on an empty value.
    enterprises, seed : those of the city.
    """

    def __init__(self, specs: Mapping[str, DatasetSpec], *, share: float, enterprises: int, seed: int) -> None:
        import polars as pl

        self._specs = specs
        self._share = share
        self._seed = seed
        self._strangers = pl.Series(credit_codes(enterprises + STRANGERS, seed=seed)[enterprises:])
        self._planted: list[pl.DataFrame] = []

    def soil(self, table: str, frame: pl.DataFrame) -> pl.DataFrame:
        """Return a table with all values as text and some rows spoiled; copies of rows are appended at the end."""
        import polars as pl

        result, planted = _soil_table(
            frame.cast(pl.String),
            self._specs[table],
            stream(self._seed, f"dirt {table}"),
            share=self._share,
            strangers=self._strangers,
        )
        self._planted.append(planted)
        return result

    def planted(self) -> pl.DataFrame:
        """Return the list: table, row (from 1, in the delivered file), record (what identifies it), fault, rule.

        Both rows of a conflicting pair have a line; an identical copy has one.
        """
        import polars as pl

        return pl.concat(self._planted).sort("table", "row")


def _soil_table(
    frame: pl.DataFrame, spec: DatasetSpec, rng: np.random.Generator, *, share: float, strangers: pl.Series
) -> tuple[pl.DataFrame, pl.DataFrame]:
    import polars as pl

    candidates = np.arange(frame.height)
    if spec.kind == "entity" and spec.key is not None:
        candidates = np.flatnonzero(~frame[spec.key].is_first_distinct().to_numpy())
    count = min(round(share * len(candidates)), len(candidates) // 2)
    chosen = rng.permutation(candidates)[:count]
    ways = [*_spoilers(spec, strangers, rng), *_copies(spec)]
    way_of = rng.integers(0, len(ways), count)
    result, plants, copies = frame, [], []
    rows_at = frame.height
    for number, way in enumerate(ways):
        rows = np.sort(chosen[way_of == number])
        rows = rows[frame[way.column].is_not_null().to_numpy()[rows]]
        if not len(rows):
            continue
        changed = way.spoil(frame[rows])
        if way.fault in _COPIED:
            copies.append(frame[rows].with_columns(changed.alias(way.column)))
            plants.append(_planted(frame, spec, way, rows, np.arange(rows_at + 1, rows_at + len(rows) + 1)))
            rows_at += len(rows)
            if way.rule:
                plants.append(_planted(frame, spec, way, rows, rows + 1))
        else:
            result = result.with_columns(result[way.column].scatter(rows, changed))
            plants.append(_planted(frame, spec, way, rows, rows + 1))
    listed = pl.concat(plants) if plants else _planted(frame, spec, ways[0], candidates[:0], candidates[:0])
    return pl.concat([result, *copies]), listed.sort("row")


def _planted(frame: pl.DataFrame, spec: DatasetSpec, way: Spoiler, rows: Index, delivered: Index) -> pl.DataFrame:
    """Return lines of the list; `rows` are positions in the clean table, `delivered` rows of the file from 1."""
    import polars as pl

    return frame[rows].select(
        pl.lit(spec.table).alias("table"),
        pl.Series("row", delivered.astype(np.uint32)),
        pl.concat_str(*spec.record_id.columns, separator=" ").alias("record"),
        pl.lit(way.fault).alias("fault"),
        pl.lit(way.rule).alias("rule"),
    )


def _identity(spec: DatasetSpec) -> set[str]:
    return {*spec.record_id.columns, *filter(None, [spec.key, spec.known_at.column])}


def _spoilers(spec: DatasetSpec, strangers: pl.Series, rng: np.random.Generator) -> Iterator[Spoiler]:
    """Yield ways to change one value, each breaking exactly one rule or none."""
    identity, table, key = _identity(spec), spec.table, spec.key
    if key is not None:
        yield Spoiler("check_digit", key, f"{table}.{key}.check_digit", lambda rows: _wrong_check(rows[key]))
    if key is not None and spec.kind != "entity":
        yield Spoiler(
            "not_in_register",
            key,
            f"{table}.{key}.not_in_register",
            lambda rows: strangers[rng.integers(0, len(strangers), rows.height)],
        )
    for name, column in spec.columns.items():
        if name in identity:
            continue
        rule = f"{table}.{name}"
        if not column.nullable:
            yield Spoiler("missing", name, f"{rule}.missing", lambda rows: _all(rows, None))
        if column.type == "date":
            yield Spoiler("impossible_date", name, f"{rule}.impossible_date", _thirtieth_of_february(name))
            yield Spoiler("unreadable_date", name, f"{rule}.unreadable_date", lambda rows: _all(rows, "不详"))
        if name == spec.event_on and spec.known_at.column is not None:
            yield Spoiler("after_known", name, f"{rule}.after_known", _month_after(spec.known_at.column))
        if column.type == "code" and column.vocabulary is not None:
            yield Spoiler("unknown_code", name, f"{rule}.vocabulary", lambda rows: _all(rows, ABSENT_WORD))
        if column.type == "money":
            yield from _amounts(name, column, rule)


def _amounts(name: str, column: Column, rule: str) -> Iterator[Spoiler]:
    unit = column.unit or "元"
    yield Spoiler("amount_with_unit", name, "", lambda rows: rows[name] + unit)
    yield Spoiler("amount_in_words", name, f"{rule}.unreadable_amount", lambda rows: "约" + rows[name] + unit)
    yield Spoiler("amount_too_fine", name, f"{rule}.not_whole_fen", lambda rows: _all(rows, _TOO_FINE[unit]))


def _copies(spec: DatasetSpec) -> Iterator[Spoiler]:
    """Yield ways to send a row twice: once more as it is, and once more with another value."""
    named = spec.record_id.columns[0]
    yield Spoiler("identical_duplicate", named, "", lambda rows: rows[named])
    identity = _identity(spec)
    for name, column in spec.columns.items():
        if name not in identity and column.type == "code" and column.vocabulary is not None:
            words = list(column.vocabulary)
            other = dict(zip(words, [*words[1:], words[0]], strict=True))
            rule = f"{spec.table}.record_id.duplicate"
            yield Spoiler("conflicting_duplicate", name, rule, _another_word(name, other))
            return


def _wrong_check(codes: pl.Series) -> pl.Series:
    return codes.str.slice(0, 17) + codes.str.slice(17).replace_strict(_NEXT_LETTER)


def _another_word(name: str, other: Mapping[str, str]) -> Callable[[pl.DataFrame], pl.Series]:
    return lambda rows: rows[name].replace_strict(other)


def _thirtieth_of_february(name: str) -> Callable[[pl.DataFrame], pl.Series]:
    return lambda rows: rows[name].str.slice(0, 4) + "-02-30"


def _month_after(known: str) -> Callable[[pl.DataFrame], pl.Series]:
    def later(rows: pl.DataFrame) -> pl.Series:
        import polars as pl

        return (rows[known].str.to_date() + timedelta(days=30)).cast(pl.String)

    return later


def _all(rows: pl.DataFrame, text: str | None) -> pl.Series:
    import polars as pl

    return pl.Series([text], dtype=pl.String).new_from_index(0, rows.height)
