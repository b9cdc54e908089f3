"""A table as arrays for the kernel: conditions become bits of a word per record, values whole numbers.

The conditions and values are the same expressions that frame engines compute features with; only what is done with them differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from credit_tier.features.conditions import bind, split
from credit_tier.features.kernel import NONE, WORD, Records, Tests, mark
from credit_tier.features.values import numeric
from credit_tier.features.visible import event_day
from credit_tier.specs.condition import Condition
from credit_tier.temporal import FOREVER

if TYPE_CHECKING:
    import narwhals as nw
    from numpy.typing import NDArray

    from credit_tier.data.lake import Lake
    from credit_tier.specs.dataset import DatasetSpec

SUBJECTS_AT_ONCE = 500_000
"""Subjects whose records are read together: bounds the memory; a part of the lake holds as many."""


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
        self.selections = tuple(selections)
        self.values = tuple(values)
        parts = {s.conditions: split(s.conditions, self.spec) for s in selections}
        self.fixed = list(dict.fromkeys(fixed for fixed, _ in parts.values() if fixed))
        bounded = [conditions for conditions, (_, bounds) in parts.items() if bounds is not None]
        self.bounds = [bounds for _, bounds in parts.values() if bounds is not None]
        bound = [bounded.index(s.conditions) if s.conditions in bounded else -1 for s in selections]
        self.tests = bits_of_tests([s.days for s in selections], bound)
        fixed = [parts[s.conditions][0] for s in selections]
        self.bits = {wanted: words_of([wanted == given for given in fixed]) for wanted in dict.fromkeys([(), *fixed])}
        self.takes_all = () in fixed
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
        if value.is_distinct and not self.is_numbered(value):
            return nw.col(value.column)
        return numeric(value.column, self.spec).fill_null(NONE)

    def is_numbered(self, value: Value) -> bool:
        """Return whether a column's values are few whole numbers by themselves."""
        column = self.spec.columns[value.column]
        return column.type == "boolean" or (column.type == "code" and column.vocabulary is not None)

    def arrays(self, frame: nw.DataFrame[Any]) -> Records:
        """Return a collected frame as the kernel's arrays; differing values are numbered from 1."""
        import narwhals as nw

        height = len(frame)
        flags = np.empty((self.tests.within.shape[1], height), np.int64)
        flags[:] = self.bits[()][:, None]
        for place, conditions in enumerate(self.fixed):
            holds = frame[f"c{place}"].to_numpy()
            for word, bits in enumerate(self.bits[conditions]):
                if bits:
                    mark(flags[word], holds, bits)
        values = np.empty((len(self.values), height), np.int64)
        for place, value in enumerate(self.values):
            column = frame[f"v{place}"]
            if value.is_distinct and not self.is_numbered(value):
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


def bits_of_tests(days: list[int | None], bound: list[int]) -> Tests:
    """Return the kernel's tests, given the window of each (None: all history) and its row of the bounds or -1.

    >>> bits_of_tests([2, None], [-1, 0]).within[:, 0].tolist(), bits_of_tests([2, None], [-1, 0]).unbound.tolist()
    ([3, 3, 3, 2], [[1]])
    """
    ages = max((window for window in days if window is not None), default=0) + 2
    bounds = max(bound, default=-1) + 1
    return Tests(
        bound=np.array(bound, np.int64),
        days=np.array([2 * FOREVER if window is None else window for window in days], np.int32),
        within=np.array([words_of([window is None or age <= window for window in days]) for age in range(ages)]),
        unbound=np.array([words_of([row != other for other in bound]) for row in range(bounds)], np.int64).reshape(
            bounds, len(days) // WORD + 1
        ),
    )


def words_of(tests: list[bool]) -> NDArray[np.int64]:
    """Return the bits of the tests that hold, of all tests, as words."""
    words = np.zeros(len(tests) // WORD + 1, np.int64)
    for test, holds in enumerate(tests):
        words[test // WORD] |= int(holds) << test % WORD
    return words
