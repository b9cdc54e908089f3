"""Bridge to the frame engines: how Parquet is scanned, how frames are made, how pandas frames come in and go out.

The only module that opens an engine session; everything above works on Narwhals frames.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from credit_tier.errors import MachineError

if TYPE_CHECKING:
    import narwhals as nw
    import pandas as pd
    import polars as pl
    from pyspark.sql import SparkSession


def scan(paths: Sequence[Path]) -> nw.LazyFrame[pl.LazyFrame]:
    """Return a lazy frame over Parquet files of one schema, rows in the order of the files.

    Raises
    ------
    ValueError if there is no file: an empty table still has one file with its columns.
    """
    import narwhals as nw
    import polars as pl

    if not paths:
        raise ValueError("a table has at least one file")
    return nw.from_native(pl.scan_parquet([str(path) for path in paths], glob=False))


def spark_session(*, memory: str = "2g", partitions: int = 8) -> SparkSession:
    """Return a Spark session on this machine, or the one that is already running, which is left as it is set.

    Parameters
    ----------
    memory : heap of the driver, in which local mode does its work. partitions : parts into which joins and aggregations are cut.

    Raises
    ------
    MachineError (CT-ENGINE-001) without PySpark or Java.
    """
    import shutil

    try:
        from pyspark.sql import SparkSession as Sessions
    except ImportError as error:
        raise MachineError.of(
            "CT-ENGINE-001",
            what="PySpark is not installed.",
            advice="Install the extra: pip install 'credit-tier[spark]'.",
        ) from error
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        raise MachineError.of(
            "CT-ENGINE-001", what="Spark needs Java 17, which is not there.", advice="Install it: make system-deps."
        )
    settings = {
        "spark.driver.memory": memory,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(partitions),
        "spark.buffer.pageSize": "1m",  # many small sorters share a task's memory
    }
    builder = Sessions.builder.master("local[*]").appName("credit_tier")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session: SparkSession = builder.getOrCreate()
    return session


def scan_spark(session: SparkSession, paths: Sequence[Path]) -> nw.LazyFrame[Any]:
    """Return a lazy frame of a Spark session over Parquet files of one schema."""
    import narwhals as nw

    found: nw.LazyFrame[Any] = nw.from_native(session.read.parquet(*(str(path.absolute()) for path in paths)))
    return found


def to_spark(session: SparkSession, table: nw.DataFrame[Any]) -> nw.LazyFrame[Any]:
    """Return an embedded frame as a lazy frame of a Spark session."""
    import narwhals as nw

    moved: nw.LazyFrame[Any] = nw.from_native(session.createDataFrame(table.to_arrow()))
    return moved


def frame(columns: Mapping[str, object], *, nan_is_null: bool = False) -> nw.DataFrame[pl.DataFrame]:
    """Return columns (sequences or arrays of one length) as a frame; `nan_is_null` makes NaN in arrays an empty value.

    >>> frame({"enterprise_no": [0, 1], "code": ["a", "b"]}).shape
    (2, 2)
    """
    import narwhals as nw
    import polars as pl

    return nw.from_native(pl.DataFrame(dict(columns), nan_to_null=nan_is_null), eager_only=True)


def from_pandas(table: pd.DataFrame) -> nw.DataFrame[pl.DataFrame]:
    """Return a pandas frame as an engine frame; the index is left out, missing values become null.

    Aggregations on pandas frames fall back to Python loops, so pandas is converted at the border.
    """
    import narwhals as nw
    import polars as pl

    return nw.from_native(pl.from_pandas(table, nan_to_null=True), eager_only=True)


def to_pandas(table: nw.DataFrame[pl.DataFrame]) -> pd.DataFrame:
    """Return an engine frame as a pandas frame: integers and booleans with nulls keep their type (nullable dtypes)."""
    import pandas as pd
    import polars as pl

    native = table.to_native()
    result: dict[str, object] = {}
    for name, dtype in native.schema.items():
        series = native[name]
        if series.null_count() and dtype.is_integer():
            result[name] = pd.arrays.IntegerArray(series.fill_null(0).to_numpy(), series.is_null().to_numpy())
        elif series.null_count() and dtype == pl.Boolean:
            result[name] = pd.arrays.BooleanArray(series.fill_null(False).to_numpy(), series.is_null().to_numpy())
        else:
            result[name] = series.to_pandas()
    return pd.DataFrame(result)


def write_parquet_blocks(
    path: Path, blocks: Iterable[nw.DataFrame[pl.DataFrame]], metadata: Mapping[str, str] | None = None
) -> int:
    """Write frames of one schema, one after the other, as one Parquet file, whole or not at all; return how many rows it has.

    Raises
    ------
    ValueError if there is no frame: a file has columns.
    """
    import pyarrow.parquet

    from credit_tier import files

    rows, writer = 0, None
    with files.replacing(path) as temporary:
        try:
            for block in blocks:
                table = block.to_native().to_arrow(compat_level=None)
                if writer is None:
                    facts = {key.encode(): value.encode() for key, value in (metadata or {}).items()}
                    schema = table.schema.with_metadata(facts)
                    writer = pyarrow.parquet.ParquetWriter(temporary, schema, compression="zstd")
                writer.write_table(table.replace_schema_metadata(writer.schema.metadata))
                rows += table.num_rows
        finally:
            if writer is not None:
                writer.close()
        if writer is None:
            raise ValueError("a file has at least one block")
    return rows


def write_parquet(path: Path, table: nw.DataFrame[pl.DataFrame], metadata: Mapping[str, str] | None = None) -> None:
    """Write a frame as Parquet, whole or not at all; equal frames and metadata give equal bytes."""
    from io import BytesIO

    from credit_tier import files

    buffer = BytesIO()
    table.to_native().write_parquet(buffer, compression="zstd", statistics=False, metadata=dict(metadata or {}))
    files.write_bytes(path, buffer.getvalue())


def read_parquet(path: Path) -> nw.DataFrame[pl.DataFrame]:
    """Read a Parquet file as a frame."""
    import narwhals as nw
    import polars as pl

    return nw.from_native(pl.read_parquet(path, glob=False), eager_only=True)
