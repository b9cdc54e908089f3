"""One enterprise at a time: features from plain records, in milliseconds.

The records that count and what is made of them come from the compiled catalogue and the kernel that serve a whole city; only the
conditions and values are read from Python values instead of a frame, for which a few records are too little work.
A service keeps an :class:`Online` per catalogue and as_of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from credit_tier.canonical import digest_of
from credit_tier.data.plain import Columns, PlainRecords, Records
from credit_tier.errors import FeatureError
from credit_tier.features import kernel
from credit_tier.features.build import FeatureFrame, catalogue_digest, check_sources, passes
from credit_tier.features.conditions import literal_of
from credit_tier.features.context import GroupFigures, KnownContext, groups_of
from credit_tier.features.groups import EVERY
from credit_tier.features.own import TablePass
from credit_tier.features.prepare import Value, words_of
from credit_tier.features.visible import NUMBER_SCALE
from credit_tier.specs.condition import Condition
from credit_tier.specs.dataset import JOINT, DatasetSpec
from credit_tier.specs.feature import FeatureSpec, Related
from credit_tier.temporal import FOREVER, AsOf

if TYPE_CHECKING:
    from numpy.typing import NDArray

Span = tuple[int, int, int]
"""A record that counts: its place in the table, and the days `from` < as_of <= `until` between which it does."""


class Online:
    """What questions have in common: contracts, features, and the figures of groups at their as_of.

    Attributes
    ----------
    columns : the columns that features read, by table.

    Parameters
    ----------
    specs : the contracts by table.
    groups : figures of groups at the as_of of the questions, from :meth:`credit_tier.features.context.GroupFigures.of`; needed if any
        feature is about a group or leans towards one.

    Raises
    ------
    FeatureError : CT-FEAT-013 if figures of groups are needed and not given, otherwise as :func:`credit_tier.features.build.build`.
    """

    def __init__(
        self, specs: Mapping[str, DatasetSpec], features: tuple[FeatureSpec, ...], groups: GroupFigures | None = None
    ) -> None:
        grouped = [f for f in features if groups_of(f)]
        if grouped and groups is None:
            raise FeatureError.of(
                "CT-FEAT-013",
                where=grouped[0].id,
                what="the feature rests on figures of a group, which the records of one enterprise do not tell.",
                advice="Give the figures of the groups, computed from the lake at the same as_of.",
            )
        check_sources(tuple(f for f in features if f.source != "spine"), specs, ())
        self.specs, self.features = specs, features
        self.groups = groups or GroupFigures(0, {})
        self.group_columns = dict.fromkeys(name for f in grouped for group in groups_of(f) for name in group)
        self.register = next(spec for spec in specs.values() if spec.kind == "entity")
        self._passes = [_PlainPass(item) for item in passes(features, specs.__getitem__)]
        self._edges = {via: _Tests(via.filter, specs[via.table]) for f in features if (via := f.via) is not None}
        self.columns = self._columns_needed()
        self._digest = digest_of([catalogue_digest(features), ""])  # of no lake
        fills = [np.nan if f.missing.fill is None else f.missing.fill for f in features]
        self._unknown = np.array([fills], np.float32)

    def _columns_needed(self) -> dict[str, set[str]]:
        """Return the columns that features read, by table."""
        needed: dict[str, set[str]] = {self.register.table: set(self.group_columns)}
        for f in self.features:
            named = {f.column, *(c.column for c in (*f.filter, *f.numerator))}
            needed.setdefault(f.source, set()).update(name for name in named if name)
            if f.via is not None:
                needed.setdefault(f.via.table, set()).update({f.via.column, *(c.column for c in f.via.filter)})
        return needed

    def for_one(
        self, code: str, records: Records, as_of: AsOf, attributes: Mapping[str, str] | None = None
    ) -> FeatureFrame:
        """Return the features of one enterprise, one row.

        Parameters
        ----------
        code : the enterprise; records of related enterprises are given beside its own, each under its own code.
        records : table to records with the columns of the contract: all versions that are known; what became known on or after as_of
            does not count.
        attributes : what is planned and known before as_of, if features come from the spine.

        Raises
        ------
        DataError : a record that an ingestion would not take; see :class:`credit_tier.data.plain.PlainRecords`.
        FeatureError : CT-FEAT-005 an attribute is lacking, CT-FEAT-012 the figures of groups are those of another as_of,
            CT-FEAT-014 no record names the enterprise.
        """
        return self.for_read(code, PlainRecords.read(self.specs, records, self.columns), as_of, attributes)

    def for_read(
        self, code: str, read: PlainRecords, as_of: AsOf, attributes: Mapping[str, str] | None = None
    ) -> FeatureFrame:
        """Return the same from records that are read already and have :attr:`columns`.

        Raises
        ------
        FeatureError : see :meth:`for_one`.
        """
        attributes = attributes or {}
        check_sources(tuple(f for f in self.features if f.source == "spine"), self.specs, attributes)
        number = read.numbers.get(code)
        if number is None:
            raise FeatureError.of(
                "CT-FEAT-014",
                where="records",
                what="no record names the enterprise that is asked for.",
                advice="Give at least its record of the register.",
            )
        if self.group_columns and self.groups.as_of_day != as_of.day:
            raise FeatureError.of(
                "CT-FEAT-012",
                what="the figures of groups are those of another as_of.",
                advice="Compute them for the as_of of the question.",
            )
        lake = _Plain(read)
        texts = {
            name: self._group_value(name, code, number, lake=lake, day=as_of.day, attributes=attributes)
            for name in self.group_columns
        }
        context = KnownContext(self.groups, texts)
        day = np.array([as_of.day], np.int32)
        rows = kernel.Rows(np.zeros(1, np.int32), day, np.zeros(1, np.int64))
        values = self._unknown.copy()
        for item in self._passes:
            via = item.whole.via
            edges = None if via is None else (via, self._edges[via])
            item.run(lake, number, edges, rows=rows, context=context, out=values)
        for place, f in enumerate(self.features):
            figure = np.nan
            if f.group_by is not None:
                figure = context.figures(f, EVERY)[0]
            elif f.source == "spine":
                meets = all(attributes[c.column] in c.values() for c in f.filter)
                figure = float(attributes[f.column or ""] if f.aggregate == "attribute" else meets)
            if not np.isnan(figure):
                values[0, place] = figure
        return FeatureFrame(np.array([number], np.int32), day, values.T, self.features, self._digest)

    def _group_value(
        self, name: str, code: str, number: int, *, lake: _Plain, day: int, attributes: Mapping[str, str]
    ) -> str:
        """Return the enterprise's value of a column that forms groups: planned, its code, or that of the register as known at as_of."""
        if name in attributes:
            return attributes[name]
        if name == self.register.key:
            return code
        value = None
        table = lake.tables.get(self.register.table, {})
        for r in lake.rows_of(self.register.table, number):
            if table["known_day"][r] < day <= table["superseded_day"][r]:
                value = table[name][r]
        return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


class _Plain:
    """Plain records with their places by subject."""

    def __init__(self, read: PlainRecords) -> None:
        self.tables, self.numbers = read.tables, read.numbers
        self._places: dict[str, dict[int, list[int]]] = {}

    def rows_of(self, table: str, number: int) -> list[int]:
        """Return the places of a subject's records, in the order of the lake."""
        if table not in self.tables:
            return []
        if table not in self._places:
            found: dict[int, list[int]] = {}
            for place, subject in enumerate(self.tables[table]["enterprise_no"]):
                found.setdefault(subject, []).append(place)
            self._places[table] = found
        return self._places[table].get(number, [])

    def spans(self, table: str, number: int) -> list[Span]:
        """Return a subject's records."""
        columns = self.tables.get(table, {})
        return [(r, columns["known_day"][r], columns["superseded_day"][r]) for r in self.rows_of(table, number)]

    def related(self, table: str, number: int, via: Related, tests: _Tests, day: int) -> list[Span]:
        """Return the records of related subjects, from when an edge to their subject is known and holds."""
        edges, found = self.tables.get(via.table, {}), []
        for edge, known, until in self.spans(via.table, number):
            other = self.numbers.get(edges[via.column][edge])
            start = max(known, _event_day(edges, edge))
            if other is None or other == number or not start < day <= until or not tests.hold(edges, edge, day):
                continue
            found += [(r, max(a, start), min(b, until)) for r, a, b in self.spans(table, other)]
        return found


def _event_day(columns: Columns, row: int) -> int:
    event = columns["event_day"][row]
    return int(columns["known_day"][row] if event is None else event)


class _PlainPass:
    """A pass over a table whose conditions and values are read from Python values."""

    def __init__(self, whole: TablePass) -> None:
        self.whole, table = whole, whole.table
        self.spec = table.spec
        known = dict.fromkeys(s.conditions for s in table.selections)
        words = table.tests.within.shape[1]
        self.conditions = [
            (_Tests(conditions, self.spec), words_of([conditions == s.conditions for s in table.selections]))
            for conditions in known
        ]
        self.values = [
            (value, _number_of(value, self.spec, is_numbered=table.is_numbered(value))) for value in table.values
        ]
        # Conditions on the as_of are met or not at the as_of of the question: there are no bounds.
        self.tests = table.tests._replace(
            bound=np.full_like(table.tests.bound, -1), unbound=np.empty((0, words), np.int64)
        )

    def run(
        self,
        lake: _Plain,
        number: int,
        edges: tuple[Related, _Tests] | None,
        *,
        rows: kernel.Rows,
        context: KnownContext,
        out: NDArray[np.float32],
    ) -> None:
        """Compute the features of the subject `number` into the row `out`."""
        table, day = self.spec.table, int(rows.as_of[0])
        spans = lake.spans(table, number) if edges is None else lake.related(table, number, *edges, day)
        spans = [span for span in spans if span[1] < day <= span[2]]
        if not spans and not self.whole.shrunken:
            return
        n, columns = len(spans), lake.tables.get(table, {})
        flags = np.zeros((self.tests.within.shape[1], n), np.int64)
        for place, (r, _, _) in enumerate(spans):
            for tests, bits in self.conditions:
                if tests.hold(columns, r, day):
                    flags[:, place] |= bits
        values = np.empty((len(self.values), n), np.int64)
        for row, (value, number_of) in enumerate(self.values):
            cells = columns.get("enterprise_no" if value.column == self.spec.key else value.column, [])
            if number_of is None:  # different values, whatever they are
                numbers: dict[object, int] = {None: kernel.NONE}
                values[row] = [numbers.setdefault(cells[r], len(numbers)) for r, _, _ in spans]
            else:
                values[row] = [kernel.NONE if cells[r] is None else number_of(cells[r]) for r, _, _ in spans]
        found = kernel.Records(
            subject=np.zeros(n, np.int32),
            event=np.array([_event_day(columns, r) for r, _, _ in spans], np.int32),
            known=np.array([known for _, known, _ in spans], np.int32),
            until=np.array([until for _, _, until in spans], np.int32),
            flags=flags,
            lower=np.empty((0, n), np.int32),
            upper=np.empty((0, n), np.int32),
            values=values,
        )
        self.whole.fold(rows, rows.place, found, self.tests, context=context, out=out)


class _Tests:
    """Conditions on a record's Python values; what they mean is said in :mod:`credit_tier.features.conditions`."""

    def __init__(self, conditions: tuple[Condition, ...], spec: DatasetSpec) -> None:
        self._tests = [(c.column, _test(c, spec)) for c in conditions]

    def hold(self, columns: Columns, row: int, day: int) -> bool:
        """Return whether a record meets all of them at an as_of."""
        return all(test(columns[name][row], day) for name, test in self._tests)


def _test(condition: Condition, spec: DatasetSpec) -> Callable[[Any, int], bool]:
    """Return the test of one condition, of a value and the as_of."""
    column = spec.columns[condition.column]
    if condition.is_null is not None:
        return lambda value, _: (value is None) == condition.is_null
    if condition.one_of is not None or condition.not_one_of is not None:
        wanted = {literal_of(text, condition.column, spec) for text in condition.values()}
        meets = condition.one_of is not None
        if column.type == "codes":
            return lambda value, _: value is not None and wanted.isdisjoint(value.split(JOINT)) != meets
        return lambda value, _: value is not None and (value in wanted) == meets
    (text,) = condition.values()
    is_as_of = text == "as_of" and column.type == "date"
    limit: Any = FOREVER if is_as_of else literal_of(text, condition.column, spec)

    def at(day: int) -> Any:
        return day if is_as_of else limit

    if condition.equals is not None:
        return lambda value, day: value is not None and value == at(day)
    if condition.at_least is not None:
        return lambda value, day: value is not None and value >= at(day)
    return lambda value, day: value is not None and value <= at(day)


def _number_of(value: Value, spec: DatasetSpec, *, is_numbered: bool) -> Callable[[Any], int] | None:
    """Return how a value becomes a whole number, as :func:`credit_tier.features.values.numeric` does; None if only differences matter."""
    if value.column == spec.key:
        return int
    if value.is_distinct and not is_numbered:
        return None
    column = spec.columns[value.column]
    if column.type == "code" and column.vocabulary is not None:
        places = {word: place for place, word in enumerate(column.vocabulary)}
        return lambda cell: places.get(cell, kernel.NONE)
    if column.type == "number":
        return lambda cell: round(cell * NUMBER_SCALE)
    return int
