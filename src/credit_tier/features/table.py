"""The feature table of a register at one as_of, written with the enterprises' codes.

Embedded, one Parquet file in the register's order, a range of subjects in memory at a time; by Spark, a folder of parts in any order.
The values are equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from credit_tier.data import engines
from credit_tier.errors import UsageError
from credit_tier.features import build, frames
from credit_tier.features.conditions import AS_OF
from credit_tier.features.spine import grid
from credit_tier.features.visible import is_visible
from credit_tier.specs.feature import FeatureSpec

if TYPE_CHECKING:
    from credit_tier.data.lake import Lake
    from credit_tier.temporal import AsOf


@dataclass(frozen=True)
class FeatureTable:
    """A written feature table.

    Attributes
    ----------
    rows : enterprises; `features` in column order; `left_out` : ids of features whose tables the lake does not have.
    digest : SHA-256 over the features' declarations and the lake.
    """

    rows: int
    features: tuple[FeatureSpec, ...]
    left_out: tuple[str, ...]
    digest: str


def write(
    lake: Lake, wanted: tuple[FeatureSpec, ...], as_of: AsOf, out: Path, facts: Mapping[str, str]
) -> FeatureTable:
    """Write the table as one file; `facts` and the digests of lake and features go into its metadata."""
    features, left_out = possible(lake, wanted)
    digest = build.frame_digest(lake, features)
    codes = lake.codes().to_native()["code"]
    blocks = (
        engines.frame({"code": codes.gather(block.enterprise_no), **block.columns()}, nan_is_null=True)
        for block in build.blocks(lake, features, grid(lake, (), [as_of.on]))
    )
    rows = engines.write_parquet_blocks(out, blocks, {**facts, "lake": lake.digest, "features": digest})
    return FeatureTable(rows, features, left_out, digest)


def write_by_spark(
    lake: Lake, wanted: tuple[FeatureSpec, ...], as_of: AsOf, out: Path, facts: Mapping[str, str]
) -> FeatureTable:
    """Write the table as a new folder of parts, whole or not at all; the digests stand in the result only.

    Raises
    ------
    UsageError (CT-FEAT-016) if the folder exists. MachineError (CT-ENGINE-001) without PySpark or Java.
    """
    import narwhals as nw

    if out.exists():
        raise UsageError.of("CT-FEAT-016", where=str(out), what="it exists already.", advice="Name a new folder.")
    features, left_out = possible(lake, wanted)
    there = lake.on_spark(engines.spark_session())
    known = there.frame(lake.register).filter(is_visible(nw.lit(as_of.day))).select("enterprise_no").unique()
    rows = known.with_columns(nw.lit(as_of.day).cast(nw.Int32).alias(AS_OF))
    named = frames.compute(there, features, rows).join(there.code_frame(), on="enterprise_no", how="left")
    temporary = out.with_name(f".tmp-{out.name}")
    table = named.select("code", AS_OF, *(f.id for f in features)).to_native()
    table.write.mode("overwrite").parquet(str(temporary.absolute()))
    temporary.rename(out)
    count = int(known.select(nw.len()).collect("polars").item())
    return FeatureTable(count, features, left_out, build.frame_digest(lake, features))


def possible(lake: Lake, wanted: tuple[FeatureSpec, ...]) -> tuple[tuple[FeatureSpec, ...], tuple[str, ...]]:
    """Return the features whose tables the lake has, and the ids of the others."""
    there = set(lake.tables)
    features = tuple(f for f in wanted if f.source in there and (f.via is None or f.via.table in there))
    return features, tuple(f.id for f in wanted if f not in features)
