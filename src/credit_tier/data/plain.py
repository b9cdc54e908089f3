"""Plain records of a few subjects as a lake in memory: read, checked and versioned by the same functions as a delivery.

For code that is handed records instead of a lake, such as a service that scores one enterprise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from credit_tier.data.cells import cell_text
from credit_tier.data.columns import read_column
from credit_tier.data.contracts import column_rules
from credit_tier.data.ingest import lake_rows
from credit_tier.data.lake import Lake
from credit_tier.data.register import Register
from credit_tier.data.staging import FILE
from credit_tier.data.versions import merge_versions
from credit_tier.errors import DataError, Fault
from credit_tier.specs.dataset import DatasetSpec

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
        typed: dict[str, pl.DataFrame] = {}
        for table, rows in records.items():
            if table in specs and rows:
                typed[table] = _typed(specs[table], rows, columns.get(table, ()), faults)
        if faults:
            raise DataError(*faults)
        import polars as pl

        keys = [rows[key].cast(pl.String).alias("code") for table, rows in typed.items() if (key := specs[table].key)]
        codes = Register.empty()
        self._register_codes = codes.with_codes(pl.concat(keys)) if keys else codes
        self._frames = {**empty}
        for table, frame in typed.items():
            incoming = lake_rows(frame, specs[table], self._register_codes, seen=[False])
            self._frames[table] = merge_versions(None, incoming).table

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
        return self._register_codes.size

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
        import narwhals as nw

        return nw.from_native(self._register_codes.codes.lazy())

    def number_of(self, code: str) -> int | None:
        """Return the number of a code, or None if no record names it."""
        codes = self._register_codes.codes
        found = codes.filter(codes["code"] == code)["enterprise_no"]
        return int(found[0]) if len(found) else None


def empty_tables(specs: Mapping[str, DatasetSpec]) -> dict[str, pl.DataFrame]:
    """Return every table of the contracts without rows, in the columns of the lake."""
    codes = Register.empty()
    faults: list[Fault] = []
    empty = {table: _typed(spec, [], spec.columns, faults) for table, spec in specs.items()}
    return {
        table: merge_versions(None, lake_rows(rows, specs[table], codes, seen=[False])).table
        for table, rows in empty.items()
    }


def _typed(
    spec: DatasetSpec, rows: Sequence[Mapping[str, object]], columns: Iterable[str], faults: list[Fault]
) -> pl.DataFrame:
    """Return the wanted columns of a table's records in the types of the contract; what is wrong with them is added to `faults`."""
    import polars as pl

    given = {name for row in rows for name in row}
    for name in sorted(given - set(spec.columns)):
        advice = f"Columns are: {', '.join(spec.columns)}."
        faults.append(Fault("CT-DATA-202", f"{spec.table}.{name}", "the contract has no such column.", advice))
    identity = [spec.record_id.column] if spec.record_id.column else [*spec.record_id.of]
    always = {spec.key, *identity, spec.event_on, spec.known_at.column}
    wanted = [name for name in spec.columns if name in always or name in set(columns)]
    series = []
    for name in wanted:
        column = spec.columns[name]
        cells = pl.Series(name, [cell_text(row.get(name)) for row in rows], dtype=pl.String)
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
                faults.append(
                    Fault("CT-DATA-203", where, f"the rule {rule_name} does not hold.", "Correct the record.")
                )
        series.append(read.values.alias(name))
    others = {name: pl.Series(name, [None] * len(rows), dtype=pl.Null) for name in spec.columns if name not in wanted}
    frame = pl.DataFrame(series).with_columns(others.values()) if series else pl.DataFrame()
    return frame.select(*spec.columns, pl.lit(0, pl.UInt16).alias(FILE))
