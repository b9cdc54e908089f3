"""From catalogue, lake and spine to the feature frame: float32, one row per spine row, deterministic order."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from credit_tier.canonical import digest_of
from credit_tier.data import engines
from credit_tier.errors import FeatureError
from credit_tier.features.conditions import AS_OF
from credit_tier.features.context import Context
from credit_tier.features.groups import EVERY
from credit_tier.features.kernel import Rows
from credit_tier.features.own import Reader, TablePass
from credit_tier.features.prepare import SUBJECTS_AT_ONCE
from credit_tier.features.values import from_spine
from credit_tier.specs.feature import FeatureSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import narwhals as nw
    from numpy.typing import NDArray

    from credit_tier.data.lake import Lake
    from credit_tier.features.groups import Places
    from credit_tier.specs.dataset import DatasetSpec


ROWS_AT_ONCE = 32_768
"""Rows filled, or turned into columns, at a time: they stay in the processor's cache."""


@dataclass(frozen=True)
class FeatureFrame:
    """Features of a spine.

    Attributes
    ----------
    enterprise_no, as_of_day : int32, one per row, in spine order.
    values : float32 array of shape (features, rows), NaN where a value is unknown; in memory, row stands by row.
    features : their specs, in order.
    digest : SHA-256 over the features' declarations and the lake's digest.
    """

    enterprise_no: NDArray[np.int32]
    as_of_day: NDArray[np.int32]
    values: NDArray[np.float32]
    features: tuple[FeatureSpec, ...]
    digest: str

    def __len__(self) -> int:
        return len(self.enterprise_no)

    @cached_property
    def frame(self) -> nw.DataFrame[Any]:
        """Return a Narwhals frame: `enterprise_no`, `as_of_day`, then one Float32 column per feature, null where unknown."""
        return engines.frame({"enterprise_no": self.enterprise_no, **self.columns()}, nan_is_null=True)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return `as_of_day` and the features as arrays by name, each contiguous."""
        result = np.empty(self.values.shape, np.float32)

        def turn(low: int) -> None:
            result[:, low : low + ROWS_AT_ONCE] = self.values[:, low : low + ROWS_AT_ONCE]

        _in_threads(turn, range(0, len(self), ROWS_AT_ONCE))
        return {AS_OF: self.as_of_day, **dict(zip((f.id for f in self.features), result, strict=True))}

    def matrix(self) -> NDArray[np.float32]:
        """Return the values as a float32 array of shape (rows, features), as learning wants them; nothing is copied."""
        return self.values.T


def catalogue_digest(features: tuple[FeatureSpec, ...]) -> str:
    """Return the SHA-256 of the features' declarations, in order."""
    return digest_of([feature.model_dump_json() for feature in features])


def frame_digest(lake: Lake, features: tuple[FeatureSpec, ...]) -> str:
    """Return the SHA-256 that a feature frame carries: over the features' declarations and the lake's digest."""
    return digest_of([catalogue_digest(features), lake.digest])


def build(
    lake: Lake,
    features: tuple[FeatureSpec, ...],
    spine: nw.DataFrame[Any],
) -> FeatureFrame:
    """Compute features for every spine row from records known before its as_of.

    Parameters
    ----------
    lake : the lake to read.
    features : specs in the wanted column order.
    spine : Narwhals frame with `row`, `enterprise_no`, `as_of_day` and attributes, from :mod:`credit_tier.features.spine`.

    Raises
    ------
    FeatureError : a feature that names a table, column or attribute that is not there.

    Source: DESIGN sections 2 and 5; `reference/performance.md` lessons 1 to 4.
    """
    spine = _in_order(spine)
    work = _Work(lake, features, spine)
    subject, as_of = (spine[name].to_numpy().astype(np.int32) for name in ("enterprise_no", AS_OF))
    values = work.filled(len(subject))
    work.run([(rows, rows.place) for rows in _ranges(spine)], values)
    work.add_others(spine, EVERY, values)
    return FeatureFrame(subject, as_of, values.T, features, work.digest)


def blocks(lake: Lake, features: tuple[FeatureSpec, ...], spine: nw.DataFrame[Any]) -> Iterator[FeatureFrame]:
    """Yield the features of a spine range of subjects by range of subjects, sorted by subject and as_of.

    Only one range is in memory, so that a city larger than memory is worked through; the figures are those of :func:`build`.
    """
    spine = _in_order(spine)
    work = _Work(lake, features, spine)
    for rows in _ranges(spine):
        values = work.filled(len(rows.subject))
        work.run([(rows._replace(place=np.arange(len(rows.subject))), rows.place)], values)
        work.add_others(spine, rows.place, values)
        yield FeatureFrame(rows.subject, rows.as_of, values.T, features, work.digest)


class _Work:
    """What is to be computed, once for all ranges of subjects: passes over tables and figures of groups."""

    def __init__(
        self,
        lake: Lake,
        features: tuple[FeatureSpec, ...],
        spine: nw.DataFrame[Any],
    ) -> None:
        check_sources(features, {name: lake.spec(name) for name in lake.tables}, spine.columns)
        self.features = features
        self.digest = frame_digest(lake, features)
        self.reader = Reader(lake)
        grouped = [f for f in features if f.group_by is not None or f.shrink is not None]
        self.context = Context(lake, grouped, spine)
        self.passes = [item for item in passes(features, lake.spec) if item.has_work(lake)]

    def filled(self, rows: int) -> NDArray[np.float32]:
        """Return the result with the declared value where none is known."""
        values = np.empty((rows, len(self.features)), np.float32)
        fills = [np.nan if f.missing.fill is None else f.missing.fill for f in self.features]
        known = np.array(fills, np.float32)

        def fill(low: int) -> None:
            values[low : low + ROWS_AT_ONCE] = known

        _in_threads(fill, range(0, rows, ROWS_AT_ONCE))
        return values

    def run(self, ranges: list[tuple[Rows, NDArray[np.int64]]], values: NDArray[np.float32]) -> None:
        """Compute features of the subject's own and related records; reading and arithmetic of several tables overlap."""

        def one(task: tuple[TablePass, Rows, NDArray[np.int64]]) -> None:
            item, rows, origin = task
            item.run(self.reader, rows, origin, context=self.context, out=values)

        tasks = [(item, rows, origin) for rows, origin in ranges for item in self.passes]
        _in_threads(one, tasks)

    def add_others(self, spine: nw.DataFrame[Any], rows: Places, values: NDArray[np.float32]) -> None:
        """Compute features of groups and of the spine itself."""
        for place, f in enumerate(self.features):
            if f.group_by is not None:
                values[:, place] = _filled(self.context.figures(f, rows), f)
            elif f.source == "spine":
                values[:, place] = _filled(spine.select(from_spine(f).alias(f.id))[f.id].to_numpy()[rows], f)


def passes(features: tuple[FeatureSpec, ...], spec_of: Callable[[str], DatasetSpec]) -> list[TablePass]:
    """Return one pass per table, and per table reached over one kind of edge, for the features of single subjects.

    Raises
    ------
    FeatureError : a feature that names a column that its table does not have, or one that has no numbers.
    """
    place = {f.id: number for number, f in enumerate(features)}
    own = [f for f in features if f.source != "spine" and f.group_by is None]
    ways = dict.fromkeys((f.source, f.via) for f in own)
    return [
        TablePass(spec_of(table), via, tuple(f for f in own if (f.source, f.via) == (table, via)), place)
        for table, via in ways
    ]


def _in_threads(work: Callable[[Any], None], parts: Sequence[Any]) -> None:
    """Do work on several parts at a time; it lets go of the interpreter's lock while it counts, reads or copies."""
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for _ in pool.map(work, parts):
            pass


def _in_order(spine: nw.DataFrame[Any]) -> nw.DataFrame[Any]:
    """Return the spine sorted by row; to look is much quicker than to sort."""
    row = spine["row"].to_numpy()
    return spine if (row[1:] > row[:-1]).all() else spine.sort("row")


def _ranges(spine: nw.DataFrame[Any]) -> Iterator[Rows]:
    """Yield the spine's rows in ascending order of subject, in ranges of subjects."""
    subject = spine["enterprise_no"].to_numpy()
    order = np.argsort(subject, kind="stable")
    subject, as_of = subject[order], spine[AS_OF].to_numpy()[order]
    start = 0
    while start < len(subject):
        high = (int(subject[start]) // SUBJECTS_AT_ONCE + 1) * SUBJECTS_AT_ONCE
        end = int(np.searchsorted(subject, high))
        yield Rows(subject[start:end], as_of[start:end], order[start:end])
        start = end


def _filled(values: NDArray[np.float64], feature: FeatureSpec) -> NDArray[np.float64]:
    """Put the declared value where none is known."""

    fill = feature.missing.fill
    return values if fill is None else np.where(np.isnan(values), fill, values)


def check_sources(
    features: tuple[FeatureSpec, ...], tables: Mapping[str, DatasetSpec], attributes: Iterable[str]
) -> None:
    """Check that what features are made from is there.

    Raises
    ------
    FeatureError : CT-FEAT-005 an attribute of the spine, 006 a table, 015 a table about no subject.
    """
    there = f"Ingest it; there are: {', '.join(tables)}."
    for feature in features:
        if feature.source == "spine":
            named = [feature.column] if feature.column else [c.column for c in feature.filter]
            for name in named:
                if name not in attributes:
                    raise FeatureError.of(
                        "CT-FEAT-005",
                        where=feature.id,
                        what=f"the spine has no attribute '{name}'.",
                        advice="Declare it in the model's cohort, or leave the feature out of the model.",
                    )
            continue
        for table in (feature.source, *([feature.via.table] if feature.via else [])):
            if table not in tables:
                raise FeatureError.of(
                    "CT-FEAT-006", where=feature.id, what=f"the lake has no table '{table}'.", advice=there
                )
        if tables[feature.source].key is None:
            raise FeatureError.of(
                "CT-FEAT-015",
                where=feature.id,
                what=f"the table '{feature.source}' is about no subject.",
                advice="A feature comes from a table with a key.",
            )
