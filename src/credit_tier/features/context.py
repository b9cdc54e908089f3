"""Context features: figures of a group (district, kind of check, everybody …) at each as_of, by one sweep over the records.

A version of a record counts from the day after it happened and was known until it leaves the window or is superseded.
So it adds its value at the first as_of of that span and takes it back at the first one after it: the running sum over the as_of dates
is the group's total at each of them, whatever their number. Totals are whole numbers: the order of records does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from credit_tier.errors import FeatureError
from credit_tier.features.conditions import AS_OF
from credit_tier.features.groups import EVERY, Groups, Places
from credit_tier.features.kernel import spread
from credit_tier.features.own import selections_of
from credit_tier.features.prepare import SUBJECTS_AT_ONCE, Prepared, Selection, Value
from credit_tier.features.values import scale_of
from credit_tier.specs.feature import FeatureSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import narwhals as nw
    from numpy.typing import NDArray

    from credit_tier.data.lake import Lake


CELLS = 1 << 24
"""Groups × as_of days for which totals are held in full; of more, only those that the spine's rows ask for."""


@dataclass(frozen=True)
class Measure:
    """A total: how many records of a table are selected, or the sum of a column over them, or how many have that column."""

    table: str
    group: tuple[str, ...]
    selection: Selection
    column: str | None = None
    is_count_of_column: bool = False


def measures_of(feature: FeatureSpec, group: tuple[str, ...]) -> tuple[Measure, Measure]:
    """Return the totals behind a feature in a group: numerator and denominator."""
    main, narrower = selections_of(feature)
    number = Measure(feature.source, group, main)
    match feature.aggregate:
        case "share":
            return Measure(feature.source, group, narrower), number
        case "mean":
            valued = (feature.source, group, main, feature.column)
            return Measure(*valued), Measure(*valued, is_count_of_column=True)
        case "sum":
            return Measure(feature.source, group, main, feature.column), number
        case _:
            return number, number


def groups_of(feature: FeatureSpec) -> list[tuple[str, ...]]:
    """Return the groups whose totals a feature needs: its own, if it is about a group, and the one towards which it leans."""
    own = [] if feature.group_by is None else [feature.group_by]
    return own + ([feature.shrink.towards] if feature.shrink else [])


class Context:
    """What features need to know of groups, at the rows of a spine; nothing is read if no feature asks.

    Raises
    ------
    FeatureError : CT-FEAT-001 a group column that neither the records, the spine nor the register have.
    """

    def __init__(self, lake: Lake, features: Iterable[FeatureSpec], spine: nw.DataFrame[Any]) -> None:
        features = tuple(features)
        self.lake = lake
        wanted = dict.fromkeys(m for f in features for group in groups_of(f) for m in measures_of(f, group))
        if not wanted:
            return
        self.groups = Groups(lake, spine, list(dict.fromkeys(name for m in wanted for name in m.group)))
        self.days, self.day = np.unique(spine[AS_OF].to_numpy(), return_inverse=True)
        self.cells: dict[tuple[str, ...], tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        for group in dict.fromkeys(m.group for m in wanted):
            if self.groups.size(group) * len(self.days) > CELLS:
                number = self.groups.of_rows(group, EVERY) * len(self.days) + self.day
                keys, place = np.unique(number, return_inverse=True)
                self.cells[group] = keys, place.astype(np.int64)
        self.totals: dict[Measure, NDArray[np.int64]] = {}
        for table in dict.fromkeys(m.table for m in wanted):
            self._sweep(table, [m for m in wanted if m.table == table])

    def figures(self, feature: FeatureSpec, rows: Places) -> NDArray[np.float64]:
        """Return a group feature at rows of the spine, NaN where the group has no record in the window."""
        top, bottom = self.sides(feature, feature.group_by or (), rows)
        if feature.aggregate in {"count", "sum"}:
            return np.where(bottom > 0, top, np.nan)
        if feature.shrink is None:
            return _ratio(top, bottom)
        weight = feature.shrink.weight
        leaning: NDArray[np.float64] = (top + weight * self.wider(feature, rows)) / (bottom + weight)
        return leaning

    def wider(self, feature: FeatureSpec, rows: Places) -> NDArray[np.float64]:
        """Return the mean or share of the group towards which a shrunken feature leans, NaN where it has no record."""
        return _ratio(*self.sides(feature, feature.shrink.towards if feature.shrink else (), rows))

    def sides(
        self, feature: FeatureSpec, group: tuple[str, ...], rows: Places
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return numerator, in the column's own unit, and denominator of a feature in the groups of rows of the spine."""
        if group in self.cells:
            cell = self.cells[group][1][rows]
        else:
            cell = self.groups.of_rows(group, rows) * len(self.days) + self.day[rows]
        top, bottom = (self.totals[m][cell].astype(np.float64) for m in measures_of(feature, group))
        return top * (scale_of(feature.column, self.lake.spec(feature.source)) if feature.column else 1.0), bottom

    def _sweep(self, table: str, measures: list[Measure]) -> None:
        """Compute the totals of a table's measures, one per group and as_of."""
        selections = list(dict.fromkeys(m.selection for m in measures))
        values = list(dict.fromkeys(Value(m.column) for m in measures if m.column is not None))
        prepared = Prepared(self.lake.spec(table), selections, values)
        named = dict.fromkeys(name for m in measures for name in m.group)
        kept = [name for name in named if name in prepared.spec.columns and name != prepared.spec.key]
        for m in measures:
            every = self.groups.size(m.group) * len(self.days)
            self.totals[m] = np.zeros(1 + (len(self.cells[m.group][0]) if m.group in self.cells else every), np.int64)
        for low in range(0, self.lake.enterprises, SUBJECTS_AT_ONCE):
            frame = prepared.between(self.lake, low, low + SUBJECTS_AT_ONCE, *kept)
            records = prepared.arrays(frame)
            first = np.maximum(records.event, records.known) + np.int32(1)
            codes = self.groups.codes_of_records(list(named), frame, records.subject, first)
            for group in dict.fromkeys(m.group for m in measures):
                number = self.groups.of_records(group, codes, len(first))
                for m in (m for m in measures if m.group == group):
                    spread(
                        number,
                        records,
                        tests=prepared.tests,
                        test=selections.index(m.selection),
                        value=-1 if m.column is None else values.index(Value(m.column)),
                        only_counts=m.is_count_of_column,
                        days=self.days,
                        keys=self.cells[group][0] if group in self.cells else np.empty(0, np.int64),
                        out=self.totals[m],
                    )
        for m in measures:
            np.cumsum(self.totals[m], out=self.totals[m])


@dataclass(frozen=True)
class GroupFigures:
    """Figures of all groups at one as_of, for questions about single subjects: what :class:`Context` would compute from the lake.

    Attributes
    ----------
    totals : feature id and group (columns) to the group's values (as text) to numerator and denominator.
    """

    as_of_day: int
    totals: Mapping[tuple[str, tuple[str, ...]], Mapping[tuple[str, ...], tuple[float, float]]]

    @classmethod
    def of(cls, lake: Lake, features: Iterable[FeatureSpec], spine: nw.DataFrame[Any]) -> GroupFigures:
        """Return the figures of all groups to which rows of a spine belong; the spine has one as_of.

        Raises
        ------
        FeatureError (CT-FEAT-012) if the spine has several as_of dates.
        """
        features = tuple(features)
        days = spine[AS_OF].unique().to_list()
        if len(days) != 1:
            raise FeatureError.of(
                "CT-FEAT-012", what="figures of groups are kept for one as_of.", advice="Give a spine of one date."
            )
        context = Context(lake, features, spine)
        totals = {}
        for feature in features:
            for group in groups_of(feature):
                numbers, first = np.unique(context.groups.of_rows(group, EVERY), return_index=True)
                top, bottom = (side.tolist() for side in context.sides(feature, group, first))
                values = context.groups.texts(group, numbers)
                totals[feature.id, group] = dict(zip(values, zip(top, bottom, strict=True), strict=True))
        return cls(int(days[0]), totals)


class KnownContext(Context):
    """The context of one row, whose figures are given.

    Parameters
    ----------
    known : figures of groups. texts : the row's value of each column that forms groups.
    """

    def __init__(self, known: GroupFigures, texts: Mapping[str, str]) -> None:
        self.known, self.texts = known, texts

    def sides(
        self, feature: FeatureSpec, group: tuple[str, ...], rows: Places
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the given figures of the row's group, 0 and 0 if nobody was in it."""
        del rows  # there is one
        values = tuple(self.texts[name] for name in group)
        top, bottom = self.known.totals[feature.id, group].get(values, (0.0, 0.0))
        return np.array([top]), np.array([bottom])


def _ratio(top: NDArray[np.float64], bottom: NDArray[np.float64]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)
    return result
