"""Plain records of a few subjects as a lake in memory: read, checked and versioned by the same functions as a delivery.

For code that is handed records instead of a lake, such as a service that scores one enterprise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from credit_tier.data import engines
from credit_tier.data.cells import cell_text
from credit_tier.data.columns import read_column
from credit_tier.data.contracts import EARLIEST, LATEST, column_rules
from credit_tier.data.ingest import NO_SUBJECT, record_digest
from credit_tier.data.lake import SYSTEM_COLUMNS, Lake
from credit_tier.errors import DataError, Fault
from credit_tier.specs.dataset import Column, DatasetSpec
from credit_tier.temporal import FOREVER, day_number
from credit_tier.types import Uscc

if TYPE_CHECKING:
    import narwhals as nw
    import polars as pl

Records = Mapping[str, Sequence[Mapping[str, object]]]
"""Table to its records (all versions known, in order of arrival): column of the contract to value, as a careful person would type it."""


class PlainLake(Lake):
    """A lake of plain records; it has every table of the contracts, most of them empty.

    Parameters
    ----------
    specs : the contracts by table. records : see :data:`Records`; a column that is left out counts as not given.
    columns : the columns that are wanted of each table; others are not read. Keys, ids and days always are.
    empty : tables without rows, from :func:`empty_tables`, made once for many questions.

    Raises
    ------
    DataError : CT-DATA-201 an unknown table, 202 an unknown column, and one fault per rule that a record breaks, with table, column
        and the records' places, never their values.
    """

    def __init__(
        self,
        specs: Mapping[str, DatasetSpec],
        records: Records,
        columns: Mapping[str, Iterable[str]],
        empty: Mapping[str, pl.DataFrame],
    ) -> None:
        self._specs = specs
        self._register_table = next(spec.table for spec in specs.values() if spec.kind == "entity")
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
        self._numbers = {code: number for number, code in enumerate(sorted(codes))}
        self._frames = {
            **empty,
            **{table: _versions(specs[table], rows, self._numbers) for table, rows in typed.items()},
        }

    @property
    def path(self) -> Path:  # type: ignore[override]
        """Return the folder that messages name: there is none."""
        return Path()

    @property
    def tables(self) -> tuple[str, ...]:
        """Return the names of all declared tables."""
        return tuple(sorted(self._specs))

    @property
    def register(self) -> str:
        """Return the name of the entity table."""
        return self._register_table

    @property
    def enterprises(self) -> int:
        """Return how many subjects the records are about."""
        return len(self._numbers)

    @property
    def digest(self) -> str:
        """Return the empty text: plain records have no digest of their own."""
        return ""

    def spec(self, table: str) -> DatasetSpec:
        """Return a table's contract."""
        return self._specs[table]

    def rows(self, table: str) -> int:
        """Return how many versions of records a table has."""
        return self._frames[table].height

    def frame(self, table: str) -> nw.LazyFrame[Any]:
        """Return a table's versions as the lake would hold them, in the columns that were asked for."""
        import narwhals as nw

        return nw.from_native(self._frames[table].lazy())

    def code_frame(self) -> nw.LazyFrame[Any]:
        """Return the codes as a lazy frame."""
        codes = {"enterprise_no": np.arange(len(self._numbers), dtype=np.int32), "code": list(self._numbers)}
        return engines.frame(codes).lazy()

    def number_of(self, code: str) -> int | None:
        """Return the number of a code, or None if no record names it."""
        return self._numbers.get(code)


def empty_tables(specs: Mapping[str, DatasetSpec]) -> dict[str, pl.DataFrame]:
    """Return every table of the contracts without rows, in the columns of the lake."""
    return {table: _versions(spec, {name: [] for name in spec.columns}, {}) for table, spec in specs.items()}


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
            values = [row.get(name) for row in rows]
            sound = [_sound(value, spec.columns[name]) for value in values]
            result[name] = _read(spec, name, values, faults) if _ODD in sound else sound
    return result


_ODD: Final[Any] = object()
"""Stands for a value that has to be read, not only taken."""


def _sound(value: object, column: Column) -> Any:
    """Return the lake's form of a value that already is what the contract says, `_ODD` for all others."""
    if value is None:
        return None if column.nullable else _ODD
    if column.empty_values or column.pattern is not None:
        return _ODD
    match column.type:
        case "date":
            if type(value) is date and EARLIEST <= value <= LATEST:
                return day_number(value)
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


def _versions(spec: DatasetSpec, columns: Mapping[str, list[Any]], numbers: Mapping[str, int]) -> pl.DataFrame:
    """Return records in the columns and the order of the lake, each version until the next one of its record."""
    import polars as pl

    count = len(next(iter(columns.values()), []))
    known = spec.known_at
    days = (
        [day_number(known.fixed)] * count
        if known.fixed
        else [d + known.delay_days for d in columns[known.column or ""]]
    )
    events = columns[spec.event_on] if spec.event_on else [None] * count
    named = [columns[name] for name in spec.record_id.columns]
    ids = [str(parts[0]) if spec.record_id.column else record_digest(parts) for parts in zip(*named, strict=True)]
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
    schema: dict[str, Any] = {name: pl.String if name == "record_id" else pl.Int32 for name in system}
    dtypes = {"date": pl.Int32, "money": pl.Int64, "integer": pl.Int64, "number": pl.Float64, "boolean": pl.Boolean}
    schema |= {name: dtypes.get(spec.columns[name].type, pl.String) for name in kept if name not in system}
    return pl.DataFrame({name: [values[r] for r in order] for name, values in kept.items()}, schema=schema)
