"""A table as arrays for the kernel: conditions become bits of a word per record, values whole numbers.

The conditions and values are the same expressions that frame engines compute features with; only what is done with them differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from credit_tier.features.conditions import bind, split
from credit_tier.features.kernel import NONE, Records, Tests
from credit_tier.features.values import numeric
from credit_tier.features.visible import event_day
from credit_tier.specs.condition import Condition
from credit_tier.temporal import FOREVER

if TYPE_CHECKING:
    import narwhals as nw
    from numpy.typing import NDArray

    from credit_tier.data.lake import Lake
    from credit_tier.specs.dataset import DatasetSpec

SUBJECTS_AT_ONCE = 250_000
"""Subjects whose records are read together: bounds the memory, and divides the parts in which the lake is written."""

WORD = 63
"""Conditions that fit into one word of flags; bit 0 of the first word is always set, for tests without conditions."""


@dataclass(frozen=True)
class Selection:
    """Which records count: conditions and days of the window (None: all history)."""

    conditions: tuple[Condition, ...]
    days: int | None


@dataclass(frozen=True)
class Value:
    """A column whose whole numbers are aggregated, or of which only differing values matter."""

    column: str
    is_distinct: bool = False


class Prepared:
    """A table, bound to the selections and values that are wanted of it.

    Attributes
    ----------
    tests : one per selection, for the kernel.

    Raises
    ------
    FeatureError : a column that the table does not have, or one that has no numbers.
    """

    def __init__(self, spec: DatasetSpec, selections: Sequence[Selection], values: Sequence[Value]) -> None:
        self.spec = spec
        self.values = tuple(values)
        parts = {s.conditions: split(s.conditions, self.spec) for s in selections}
        self.fixed = list(dict.fromkeys(fixed for fixed, _ in parts.values() if fixed))
        bounded = [conditions for conditions, (_, bounds) in parts.items() if bounds is not None]
        self.bounds = [bounds for _, bounds in parts.values() if bounds is not None]
        fixed = [parts[s.conditions][0] for s in selections]
        bits = [1 + self.fixed.index(conditions) if conditions else 0 for conditions in fixed]
        self.tests = Tests(
            word=np.array([bit // WORD for bit in bits], np.int64),
            bit=np.array([1 << (bit % WORD) for bit in bits], np.int64),
            bound=np.array(
                [bounded.index(s.conditions) if s.conditions in bounded else -1 for s in selections], np.int64
            ),
            days=np.array([2 * FOREVER if s.days is None else s.days for s in selections], np.int32),
        )
        self.takes_all = 0 in bits
        """Whether some selection has no condition that is known without the as_of."""

        self._columns = self._expressions()

    def _expressions(self) -> dict[str, nw.Expr]:
        flags = {f"c{i}": bind(fixed, self.spec, knows_as_of=False) for i, fixed in enumerate(self.fixed)}
        lower = {f"l{i}": item.lower for i, item in enumerate(self.bounds)}
        upper = {f"u{i}": item.upper for i, item in enumerate(self.bounds)}
        values = {f"v{i}": self._value(value) for i, value in enumerate(self.values)}
        return {**flags, **lower, **upper, **values}

    def frame(self, lake: Lake, *kept: str) -> nw.LazyFrame[Any]:
        """Return subject, days, one boolean per set of conditions (`c`), bounds (`l`, `u`), values (`v`), and kept columns."""
        days = event_day().alias("event_day"), "known_day", "superseded_day"
        return lake.frame(self.spec.table).select("enterprise_no", *days, *kept, **self._columns)

    def between(self, lake: Lake, low: int, high: int, *kept: str) -> nw.DataFrame[Any]:
        """Return the frame of the subjects low to high - 1."""
        import narwhals as nw

        subject = nw.col("enterprise_no")
        return self.frame(lake, *kept).filter(subject >= low, subject < high).collect()

    def _value(self, value: Value) -> nw.Expr:
        import narwhals as nw

        if value.column == self.spec.key:
            return nw.col("enterprise_no").cast(nw.Int64)
        if value.is_distinct and not self._is_numbered(value):
            return nw.col(value.column)
        return numeric(value.column, self.spec).fill_null(NONE)

    def _is_numbered(self, value: Value) -> bool:
        """Return whether a column's values are few whole numbers by themselves."""
        column = self.spec.columns[value.column]
        return column.type == "boolean" or (column.type == "code" and column.vocabulary is not None)

    def arrays(self, frame: nw.DataFrame[Any]) -> Records:
        """Return a collected frame as the kernel's arrays; differing values are numbered from 1."""
        import narwhals as nw

        height = len(frame)
        flags = np.zeros((len(self.fixed) // WORD + 1, height), np.int64)
        flags[0] = 1
        for place in range(len(self.fixed)):
            word, bit = divmod(place + 1, WORD)
            flags[word] |= frame[f"c{place}"].to_numpy().astype(np.int64) << bit
        values = np.empty((len(self.values), height), np.int64)
        for place, value in enumerate(self.values):
            column = frame[f"v{place}"]
            if value.is_distinct and not self._is_numbered(value):
                column = column.rank("dense").cast(nw.Int64).fill_null(NONE)
            values[place] = column.to_numpy()
        return Records(
            subject=frame["enterprise_no"].to_numpy(),
            event=frame["event_day"].to_numpy(),
            known=frame["known_day"].to_numpy(),
            until=frame["superseded_day"].to_numpy(),
            flags=flags,
            lower=self._bounds(frame, "l"),
            upper=self._bounds(frame, "u"),
            values=values,
        )

    def _bounds(self, frame: nw.DataFrame[Any], side: str) -> NDArray[np.int32]:
        result = np.empty((len(self.bounds), len(frame)), np.int32)
        for place in range(len(self.bounds)):
            result[place] = frame[f"{side}{place}"].to_numpy()
        return result
