"""Batches: files read some hundred thousand rows at a time, and typed rows put aside on disk until their table is complete.

Peak memory is that of a batch, whatever the size of a file; what the rows mean is the business of `staging`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from credit_tier.data.delivery import read_source
from credit_tier.data.sources import SourceFile, damaged

if TYPE_CHECKING:
    import polars as pl

ROWS_PER_BATCH = 250_000
"""Rows of a batch; results do not depend on it."""


def batches(file: SourceFile) -> Iterator[pl.DataFrame]:
    """Yield the rows of a file in order, at most `ROWS_PER_BATCH` at a time; a file without rows gives one empty batch.

    Parquet is read by row groups; text is read whole, because its encoding and its lines are judged as a whole.

    Raises
    ------
    DataError as :func:`credit_tier.data.delivery.read_source`.
    """
    if file.is_text or file.path.stat().st_size == 0:
        yield from _slices(read_source(file))
        return
    for start, rows in _row_groups(file):
        yield from _slices(_read_rows(file, start, rows))


def _slices(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    for start in range(0, max(frame.height, 1), ROWS_PER_BATCH):
        yield frame.slice(start, ROWS_PER_BATCH)


def _row_groups(file: SourceFile) -> list[tuple[int, int]]:
    """Return start and length of runs of whole row groups, each as long as a batch if the groups are no longer."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file.path) as parquet:
            sizes = [parquet.metadata.row_group(number).num_rows for number in range(parquet.metadata.num_row_groups)]
    except (pa.ArrowException, OSError) as error:
        raise damaged(file, "this is not a readable Parquet file.") from error
    runs = [(0, 0)]
    for size in sizes:
        start, rows = runs[-1]
        if rows and rows + size > ROWS_PER_BATCH:
            runs.append((start + rows, size))
        else:
            runs[-1] = (start, rows + size)
    return runs


def _read_rows(file: SourceFile, start: int, rows: int) -> pl.DataFrame:
    import polars as pl

    try:
        return pl.scan_parquet(file.path, glob=False, hive_partitioning=False).slice(start, rows).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise damaged(file, "this is not a readable Parquet file.") from error


@dataclass(frozen=True)
class Spilled:
    """A frame put aside in a file of its own."""

    path: Path
    rows: int

    def load(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Return the frame, or some of its columns."""
        import polars as pl

        return pl.read_ipc(self.path, columns=None if columns is None else list(columns))

    def discard(self) -> None:
        """Delete the file."""
        self.path.unlink()


class Spill:
    """A folder for frames that wait; whoever gave the folder deletes it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def put(self, frame: pl.DataFrame) -> Spilled:
        """Put a frame aside."""
        path = self._folder / f"{self._count}.arrow"
        self._count += 1
        frame.write_ipc(path, compression="lz4")
        return Spilled(path, frame.height)
