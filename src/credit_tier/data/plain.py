"""Plain records of a few subjects, read, checked and versioned by the same rules as a delivery, but held as Python lists.

For code that is handed records instead of a lake, such as a service that scores one enterprise.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from math import isfinite
from typing import Any, Final

from credit_tier.data.cells import cell_text
from credit_tier.data.columns import FEN_DECIMALS, read_column
from credit_tier.data.contracts import EARLIEST, LATEST, column_rules
from credit_tier.data.ingest import NO_SUBJECT, record_digest
from credit_tier.data.lake import SYSTEM_COLUMNS
from credit_tier.errors import DataError, Fault
from credit_tier.specs.dataset import Column, DatasetSpec
from credit_tier.temporal import FOREVER, day_number
from credit_tier.types import Uscc

Records = Mapping[str, Sequence[Mapping[str, object]]]
"""Table to its records (all versions known, in order of arrival): column of the contract to value, as a careful person would type it."""

Columns = Mapping[str, list[Any]]


@dataclass(frozen=True)
class PlainRecords:
    """Versions of records as the lake would hold them.

    Attributes
    ----------
    tables : table to column to values, in the columns and the order of the lake; only tables with records.
    numbers : code to the number that stands for it in `enterprise_no`.
    """

    tables: Mapping[str, Columns]
    numbers: Mapping[str, int]

    @classmethod
    def read(
        cls, specs: Mapping[str, DatasetSpec], records: Records, columns: Mapping[str, Iterable[str]]
    ) -> PlainRecords:
        """Read and check records.

        Parameters
        ----------
        specs : the contracts by table. records : see :data:`Records`; a column that is left out counts as not given.
        columns : the columns that are wanted of each table; others are not read. Keys, ids and days always are.

        Raises
        ------
        DataError : CT-DATA-201 an unknown table, 202 an unknown column, and one fault per rule that a record breaks, with table,
            column and the records' places, never their values.
        """
        faults = [
            Fault("CT-DATA-201", table, "no contract declares this table.", f"Tables are: {', '.join(sorted(specs))}.")
            for table in records
            if table not in specs
        ]
        typed: dict[str, dict[str, list[Any]]] = {}
        for table, rows in records.items():
            if table in specs and rows:
                typed[table] = _typed(specs[table], rows, columns.get(table, ()), faults)
        if faults:
            raise DataError(*faults)
        codes = {str(code) for table, rows in typed.items() if (key := specs[table].key) for code in rows[key]}
        numbers = {code: number for number, code in enumerate(sorted(codes))}
        return cls({table: _versions(specs[table], rows, numbers) for table, rows in typed.items()}, numbers)


def _typed(
    spec: DatasetSpec, rows: Sequence[Mapping[str, object]], columns: Iterable[str], faults: list[Fault]
) -> dict[str, list[Any]]:
    """Return the wanted columns of a table's records in the lake's form; what is wrong with them is added to `faults`."""
    given = {name for row in rows for name in row}
    for name in sorted(given - set(spec.columns)):
        advice = f"Columns are: {', '.join(spec.columns)}."
        faults.append(Fault("CT-DATA-202", f"{spec.table}.{name}", "the contract has no such column.", advice))
    always = {spec.key, *spec.record_id.columns, spec.event_on, spec.known_at.column}
    result = {}
    for name in spec.columns:
        if name in always or name in set(columns):
            values = [row.get(name, spec.columns[name].constant) for row in rows]
            sound = [_sound(value, spec.columns[name]) for value in values]
            result[name] = _read(spec, name, values, faults) if _ODD in sound else sound
    return result


_ODD: Final[Any] = object()
"""Stands for a value that has to be read, not only taken."""

_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_PLAIN_AMOUNT = re.compile(r"-?\d{1,15}(\.\d{1,9})?", re.ASCII)
MAX_SOUND_FEN = 10**14
"""Up to which a float says its whole number of fen in the 15 digits that count."""


def _sound(value: object, column: Column) -> Any:
    """Return the lake's form of a value that already is what the contract says, `_ODD` for all others."""
    if value is None:
        return None if column.nullable else _ODD
    if column.type == "date":
        return _sound_day(value, column)
    if column.empty_values or column.pattern is not None:
        return _ODD
    match column.type:
        case "money":
            return _sound_money(value, column)
        case "boolean":
            if isinstance(value, bool):
                return value
        case "integer" if type(value) is int and _within(value, column):
            return value
        case "number" if isinstance(value, int | float) and not isinstance(value, bool) and _within(value, column):
            return float(value)
        case "code" | "codes" if column.vocabulary is not None:
            if value in column.vocabulary:
                return value
        case "text":
            if isinstance(value, str) and value and value.strip() == value and value.isprintable():
                return value
        case "uscc":
            if isinstance(value, str) and Uscc.is_valid(value):
                return value
    return _ODD


def _sound_day(value: object, column: Column) -> Any:
    if isinstance(value, str) and _ISO_DAY.fullmatch(value):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            return _ODD
    if type(value) is not date or not EARLIEST <= value <= LATEST:
        return _ODD
    day = day_number(value)
    return _ODD if column.empty_values and day in _days_of(column.empty_values) else day


@cache
def _days_of(texts: tuple[str, ...]) -> frozenset[int]:
    """Return the days that stand for "not given"."""
    import polars as pl

    read = read_column(pl.Series("", texts, dtype=pl.String), Column(type="date", title_zh="空值"))
    return frozenset(read.values.to_physical().drop_nulls().to_list())


def _sound_money(value: object, column: Column) -> Any:
    places = 10 ** FEN_DECIMALS[column.unit or "元"]
    amount: Any = Decimal(value) if isinstance(value, str) and _PLAIN_AMOUNT.fullmatch(value) else value
    if not isinstance(amount, int | float | Decimal) or isinstance(amount, bool) or not isfinite(amount):
        return _ODD
    fen = round(amount * places)
    is_exact = abs(fen) < MAX_SOUND_FEN and (fen == amount * places or fen / places == amount)
    return fen if is_exact and _within(fen / places, column) else _ODD


def _within(value: float, column: Column) -> bool:
    low, high = column.minimum, column.maximum
    return isfinite(value) and (low is None or value >= low) and (high is None or value <= high)


def _read(spec: DatasetSpec, name: str, values: list[object], faults: list[Fault]) -> list[Any]:
    """Return a column in the lake's form, read and checked as a delivered one."""
    import polars as pl

    column = spec.columns[name]
    cells = pl.Series(name, [cell_text(value) for value in values], dtype=pl.String)
    read = read_column(cells, column)
    broken = {f"{spec.table}.{name}.{rule}": mask for rule, mask in read.failures.items()}
    if not column.nullable:
        broken[f"{spec.table}.{name}.missing"] = read.values.is_null() & cells.is_null()
    for rule in column_rules(spec, name):
        broken[rule.name] = (~rule.holds(read.values)) & read.values.is_not_null()
    for rule_name, mask in broken.items():
        places = (mask.arg_true() + 1).to_list()
        if places:
            where = f"{spec.table}.{name}, record {', '.join(map(str, places[:5]))}"
            faults.append(Fault("CT-DATA-203", where, f"the rule {rule_name} does not hold.", "Correct the record."))
    typed = read.values.to_physical() if column.type == "date" else read.values
    return typed.to_list()


def _ids(spec: DatasetSpec, told: Sequence[tuple[Any, ...]], days: Sequence[int]) -> list[str]:
    """Return the ids of records by what tells them apart and, for those that may repeat each other, the days they were known."""
    if spec.record_id.column is not None:
        return [str(parts[0]) for parts in told]
    if not spec.record_id.repeats:
        return [record_digest(parts) for parts in told]
    met: Counter[tuple[tuple[Any, ...], int]] = Counter()
    ids = []
    for version in zip(told, days, strict=True):
        ids.append(record_digest(version[0], met[version]))
        met[version] += 1
    return ids


def _versions(spec: DatasetSpec, columns: Mapping[str, list[Any]], numbers: Mapping[str, int]) -> Columns:
    """Return records in the columns and the order of the lake, each version until the next one of its record."""
    count = len(next(iter(columns.values()), []))
    known = spec.known_at
    days = (
        [day_number(known.fixed)] * count
        if known.fixed
        else [d + known.delay_days for d in columns[known.column or ""]]
    )
    events = columns[spec.event_on] if spec.event_on else [None] * count
    named = [columns[name] for name in spec.record_id.columns]
    ids = _ids(spec, list(zip(*named, strict=True)), days)
    subjects = [numbers[str(code)] for code in columns[spec.key]] if spec.key else [NO_SUBJECT] * count
    until = [FOREVER] * count
    following: dict[str, int] = {}
    for row in sorted(range(count), key=lambda r: (days[r], r), reverse=True):
        until[row] = following.get(ids[row], FOREVER)
        following[ids[row]] = days[row]
    order = sorted(
        range(count),
        key=lambda r: (subjects[r], -FOREVER if events[r] is None else events[r], ids[r], days[r], until[r]),
    )
    system = dict(zip(SYSTEM_COLUMNS, (subjects, ids, events, days, until), strict=True))
    kept = {**system, **{name: values for name, values in columns.items() if name != spec.key}}
    return {name: [values[r] for r in order] for name, values in kept.items()}
