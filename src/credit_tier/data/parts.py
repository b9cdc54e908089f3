"""Parts: a table is merged and written one range of enterprise numbers at a time, and only the ranges that a delivery touches.

Peak memory is that of one part; what versions mean is in `versions`, how files are written in `writer`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from credit_tier.data.batches import Spill, Spilled
from credit_tier.data.lake import FileEntry
from credit_tier.data.versions import in_order, merge_versions
from credit_tier.data.writer import LakeWriter
from credit_tier.specs.dataset import DatasetSpec

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Incoming:
    """Rows of a delivery in the columns of the lake, put aside by range of enterprise numbers.

    Attributes
    ----------
    ranges : number of the range to the frames of its rows, in order of delivery.
    empty : a frame without rows that has the columns.
    """

    ranges: Mapping[int, tuple[Spilled, ...]]
    empty: pl.DataFrame

    def load(self, number: int) -> pl.DataFrame:
        """Return the rows of one range."""
        import polars as pl

        return pl.concat([self.empty, *(waiting.load() for waiting in self.ranges.get(number, ()))])


@dataclass(frozen=True)
class MergedParts:
    """A table after a delivery: its files, how many rows were added, and the last known_day of the parts written anew."""

    files: tuple[FileEntry, ...]
    added: int
    last_known_day: int | None


def arranged(frames: Iterable[pl.DataFrame], spill: Spill, *, per_part: int, empty: pl.DataFrame) -> Incoming:
    """Put frames with `enterprise_no` aside by range: range n holds the numbers from ``n * per_part`` on."""
    import polars as pl

    ranges: dict[int, list[Spilled]] = {}
    for frame in frames:
        pieces = frame.with_columns((pl.col("enterprise_no") // per_part).alias("_range")).partition_by(
            "_range", as_dict=True, include_key=False
        )
        for (number,), piece in pieces.items():
            ranges.setdefault(number, []).append(spill.put(piece))
    return Incoming({number: tuple(ranges[number]) for number in sorted(ranges)}, empty)


def merge_parts(
    writer: LakeWriter, spec: DatasetSpec, old: tuple[FileEntry, ...], incoming: Incoming, *, per_part: int
) -> MergedParts:
    """Merge a delivery's rows into a table's parts and write those that change."""
    run = _Parts(writer, spec.table, old, incoming, per_part)
    wanderers = None if _stays(spec) else run.wanderers()
    return run.plain() if wanderers is None else run.with_wanderers(wanderers)


def _stays(spec: DatasetSpec) -> bool:
    """Return whether a record can never pass to another subject, because the subject is part of its id or there is none."""
    return spec.key is None or spec.key == spec.record_id.column or spec.key in spec.record_id.of


class _Parts:
    def __init__(
        self, writer: LakeWriter, table: str, old: tuple[FileEntry, ...], incoming: Incoming, per_part: int
    ) -> None:
        self.writer = writer
        self.table = table
        self.incoming = incoming
        self.per_part = per_part
        self.old = old
        self.parts = {self._range_of(item): item for item in old if item.rows}
        self.added = 0
        self.last: int | None = None

    def _range_of(self, item: FileEntry) -> int:
        import polars as pl

        first = pl.scan_parquet(self.writer.path / item.name, glob=False).select("enterprise_no").head(1).collect()
        return int(first.item()) // self.per_part

    def _read(self, number: int) -> pl.DataFrame | None:
        import polars as pl

        item = self.parts.get(number)
        return None if item is None else pl.read_parquet(self.writer.path / item.name, glob=False)

    def plain(self) -> MergedParts:
        """Merge range by range."""
        for number in self.incoming.ranges:
            merged = merge_versions(self._read(number), self.incoming.load(number))
            self.added += merged.added
            if merged.added:
                self._write(number, merged.table)
        return self._done()

    def wanderers(self) -> pl.Series | None:
        """Return hashes of the ids of delivered records that have versions in several ranges; None if there are none.

        Hashes that collide only make a record wander that does not, which changes no result.
        """
        import polars as pl

        if len(self.parts.keys() | self.incoming.ranges.keys()) < 2:
            return None
        places = [
            pl.DataFrame(
                {"id": pl.concat([waiting.load(["record_id"])["record_id"].hash() for waiting in frames]).unique()}
            ).with_columns(pl.lit(number, pl.Int32).alias("range"))
            for number, frames in self.incoming.ranges.items()
        ]
        delivered = pl.concat([frame["id"] for frame in places]).unique().implode() if places else None
        for number, item in self.parts.items():
            if delivered is None:
                break
            ids = pl.read_parquet(self.writer.path / item.name, columns=["record_id"], glob=False)["record_id"].hash()
            there = pl.DataFrame({"id": ids.filter(ids.is_in(delivered)).unique()})
            places.append(there.with_columns(pl.lit(number, pl.Int32).alias("range")))
        if not places:
            return None
        several = pl.concat(places).unique().group_by("id").len().filter(pl.col("len") > 1)["id"]
        return several if len(several) else None

    def with_wanderers(self, ids: pl.Series) -> MergedParts:
        """Merge the records that wander across ranges by themselves, and the others range by range."""
        import polars as pl

        chosen = ids.implode()

        def split(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
            wander = frame["record_id"].hash().is_in(chosen)
            return frame.filter(~wander), frame.filter(wander)

        numbers = sorted(self.parts.keys() | self.incoming.ranges.keys())
        before = [split(part)[1] for number in numbers if (part := self._read(number)) is not None]
        wandering = merge_versions(
            pl.concat(before) if before else None, pl.concat([split(self.incoming.load(n))[1] for n in numbers])
        )
        home = wandering.table["enterprise_no"] // self.per_part
        for number in numbers:
            part = self._read(number)
            merged = merge_versions(None if part is None else split(part)[0], split(self.incoming.load(number))[0])
            self.added += merged.added
            mine = wandering.table.filter(home == number)
            if merged.added or (wandering.added and mine.height):
                self._write(number, in_order(merged.table, mine))
        self.added += wandering.added
        return self._done()

    def _write(self, number: int, table: pl.DataFrame) -> None:
        last = table["known_day"].max()
        if isinstance(last, int):
            self.last = last if self.last is None else max(self.last, last)
        self.parts[number] = self.writer.put_part(self.table, table)

    def _done(self) -> MergedParts:
        if self.parts:
            files = tuple(self.parts[number] for number in sorted(self.parts))
        else:
            files = self.old or (self.writer.put_part(self.table, merge_versions(None, self.incoming.empty).table),)
        return MergedParts(files, self.added, self.last)
