"""Databases: tables and views named like ours are copied out, read-only and in pieces, and go on as files of a delivery.

Only columns that a contract asks for leave the database. Nobody writes a query, and nothing is written there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from credit_tier.canonical import file_digest
from credit_tier.data.cells import cell_text
from credit_tier.data.headers import match_headers
from credit_tier.data.sources import SourceFile
from credit_tier.errors import DataError, UsageError
from credit_tier.specs.dataset import DatasetSpec

if TYPE_CHECKING:
    import sqlalchemy as sa

ROWS_PER_PIECE = 50_000

_SNAPSHOT: Mapping[str, Mapping[str, object]] = {
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
    "mysql": {"isolation_level": "REPEATABLE READ"},
    "mariadb": {"isolation_level": "REPEATABLE READ"},
}
"""How a connection sees one state of all tables."""


@dataclass(frozen=True)
class Database:
    """A database that delivers.

    Attributes
    ----------
    url : SQLAlchemy URL, for example ``postgresql://reader@host/city``; it may hold a password and is never shown.
    schema : schema of its tables; None for the default one.
    names : table of ours to the table or view there, where the names differ.
    """

    url: str = field(repr=False)
    schema: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)


def is_database_url(text: str) -> bool:
    """Return whether a text is a database URL rather than a folder.

    >>> [is_database_url(text) for text in ("postgresql+psycopg://h/d", "sqlite:///a.db", "delivery/2024")]
    [True, True, False]
    """
    return "://" in text


def copied_tables(database: Database, specs: Mapping[str, DatasetSpec], folder: Path) -> tuple[SourceFile, ...]:
    """Copy the tables that contracts ask for into Parquet files of text columns in a folder, sorted by their rows.

    Columns that no contract asks for are named in the files, and empty.

    Raises
    ------
    UsageError : CT-DATA-020 no usable URL or driver, 021 `names` names what is not there.
    DataError : CT-DATA-022 the database cannot be read, 003 nothing in it is named like a table of ours.
    """
    unknown = sorted(set(database.names) - set(specs))
    if unknown:
        raise UsageError.of(
            "CT-DATA-021",
            where="--table",
            what=f"there is no contract for {', '.join(unknown)}.",
            advice=f"Tables are: {', '.join(sorted(specs))}.",
        )
    with _connection(database) as (connection, where):
        there = _tables_there(connection, database)
        chosen = {table: there.get(database.names.get(table, table).lower()) for table in sorted(specs)}
        absent = [name for table, name in sorted(database.names.items()) if chosen[table] is None]
        if absent:
            raise UsageError.of(
                "CT-DATA-021",
                where=where,
                what=f"there is no table or view {', '.join(absent)}.",
                advice="Give names as they stand in the database, and --schema if it is not the default one.",
            )
        found = {table: name for table, name in chosen.items() if name is not None}
        if not found:
            raise DataError.of(
                "CT-DATA-003",
                where=where,
                what="no table or view here is named like a known table.",
                advice=f"Name views like our tables, or give --table OURS=THEIRS; tables are {', '.join(sorted(specs))}.",
            )
        return tuple(_copied(connection, database, specs[table], name, folder) for table, name in found.items())


@contextmanager
def _connection(database: Database) -> Iterator[tuple[sa.Connection, str]]:
    """Connect, read-only where the database knows that; the text beside the connection names it without secrets."""
    import sqlalchemy as sa

    try:
        url = sa.make_url(database.url)
        engine = sa.create_engine(_read_only(url), poolclass=sa.NullPool)
    except (sa.exc.ArgumentError, ImportError, ValueError) as error:
        raise UsageError.of(
            "CT-DATA-020",
            where="database URL",
            what="this is no usable database URL, or the driver for it is not installed.",
            advice="Write for example postgresql://reader@host/city or sqlite:////data/city.db; drivers are the extras postgres and mysql.",
        ) from error
    where = f"{url.get_backend_name()}://{url.host or ''}/{url.database or ''}"
    try:
        with engine.connect() as connection:
            if url.get_backend_name() == "sqlite":
                connection.exec_driver_sql("BEGIN")
            if url.get_backend_name() in {"mysql", "mariadb"}:
                connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
                connection.rollback()  # it holds from the next transaction on
            yield connection.execution_options(**_SNAPSHOT.get(url.get_backend_name(), {})), where
    except sa.exc.SQLAlchemyError as error:
        raise DataError.of(
            "CT-DATA-022",
            where=where,
            what=f"the database cannot be read ({type(error).__name__}).",
            advice="Check host, name, account and its right to read; keep passwords in ~/.pgpass, not in the URL.",
        ) from error
    finally:
        engine.dispose()


def _read_only(url: sa.URL) -> sa.URL:
    """Return an SQLite URL that neither makes nor changes a file; others as they are."""
    if url.get_backend_name() != "sqlite" or not url.database:
        return url
    return url.set(database=f"file:{quote(url.database)}", query={"mode": "ro", "uri": "true"})


def _tables_there(connection: sa.Connection, database: Database) -> dict[str, str]:
    """Return lower-case name to name of all tables and views."""
    import sqlalchemy as sa

    inspector = sa.inspect(connection)
    names = [*inspector.get_view_names(database.schema), *inspector.get_table_names(database.schema)]
    if connection.dialect.name == "postgresql":
        names += inspector.get_materialized_view_names(database.schema)
    return {name.lower(): name for name in sorted(names)}


def _copied(connection: sa.Connection, database: Database, spec: DatasetSpec, name: str, folder: Path) -> SourceFile:
    import polars as pl
    import sqlalchemy as sa

    headers = [str(column["name"]) for column in sa.inspect(connection).get_columns(name, database.schema)]
    mapped, several = match_headers(headers, spec)
    wanted = [*mapped.headers.values(), *(header for names in several.values() for header in names[1:])]
    raw, path = folder / f"{spec.table}.raw.parquet", folder / f"{spec.table}.parquet"
    label = f"{name} (SQL)"
    _stream(connection, sa.table(name, *map(sa.column, wanted), schema=database.schema), wanted, raw, label)
    rows = pl.scan_parquet(raw, glob=False).sort(wanted) if wanted else pl.scan_parquet(raw, glob=False)
    unread = (pl.lit(None, pl.String).alias(header) for header in headers if header not in wanted)
    rows.with_columns(*unread).sink_parquet(path)
    raw.unlink()
    return SourceFile(path, spec.table, file_digest(path), spec, label=label)


def _stream(connection: sa.Connection, source: sa.TableClause, wanted: Sequence[str], path: Path, label: str) -> None:
    """Copy columns of a table into a Parquet file of texts, a piece at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import sqlalchemy as sa

    schema = pa.schema([(header, pa.large_string()) for header in wanted])
    with pq.ParquetWriter(path, schema) as writer:
        if not wanted:
            return
        found = connection.execution_options(yield_per=ROWS_PER_PIECE).execute(sa.select(*source.columns))
        for piece in found.partitions():
            columns = [
                pa.array(_texts(values, label, header), pa.large_string())
                for header, values in zip(wanted, zip(*piece, strict=True), strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _texts(values: Sequence[object], label: str, header: str) -> list[str | None]:
    if any(isinstance(value, bytes | bytearray | memoryview) for value in values):
        raise DataError.of(
            "CT-DATA-023",
            where=label,
            what=f"the column {header} holds binary values.",
            advice="Give a view in which it is text.",
        )
    return [cell_text(value) for value in values]
