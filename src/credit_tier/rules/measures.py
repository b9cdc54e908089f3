"""Joint rewards and restrictions (联合奖惩一张单): which measures apply to an enterprise on a day, by which law, until when.

Rows come as plain mappings with the columns that the rule pack names.
Nothing here knows a table, a column or a legal value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import NamedTuple

from credit_tier.errors import RuleError
from credit_tier.rules.compile import Predicate, Reason, compile_when, later, reason_of
from credit_tier.rules.facts import Fact, Facts, row_reader
from credit_tier.rules.resolve import RulePack
from credit_tier.specs.rulepack import Measure

TOPIC = "measures"

EFFECTS_ZH = {"reward": "激励", "sanction": "惩戒", "supervision": "管理"}
"""Effect of a measure -> Chinese label."""


class Standing(NamedTuple):
    """A measure that applies, and the record that it follows from.

    Attributes
    ----------
    since, ends_on : the day from which it applies; the first day on which it no longer does, None while open.
    unverified : codes of entries it rests on that nobody compared with the official text.
    """

    measure: Measure
    reason: Reason
    record_id: str
    since: date
    ends_on: date | None
    unverified: tuple[str, ...]


class _Ready(NamedTuple):
    measure: Measure
    reason: Reason
    read: Callable[[Mapping[str, object]], dict[str, Fact]]
    holds: Predicate
    months: int | None
    unverified: tuple[str, ...]
    columns: tuple[str, ...]


class Measures:
    """The measures of a pack, ready to be asked about a day.

    Raises
    ------
    RuleError (CT-RULE-008) if the pack holds none.
    """

    def __init__(self, pack: RulePack) -> None:
        if not pack.spec.measures:
            raise RuleError.of(
                "CT-RULE-008",
                where=pack.id,
                what="the pack holds no measures.",
                advice="Add measures, or name the topic that holds them.",
            )
        self.pack = pack
        self._ready = tuple(_made_ready(pack, item) for item in pack.spec.measures)

    @property
    def tables(self) -> dict[str, tuple[str, ...]]:
        """Return each table whose records the measures read, with the columns that its rows need."""
        found: dict[str, tuple[str, ...]] = {}
        for item in self._ready:
            name = item.measure.records.table
            found[name] = tuple(dict.fromkeys((*found.get(name, ()), *item.columns)))
        return found

    def standing(self, rows: Mapping[str, Iterable[Mapping[str, object]]], on: date) -> list[Standing]:
        """Return the measures that apply to an enterprise on a day, in the order of the pack, then by record.

        Parameters
        ----------
        rows : table -> the enterprise's records that are known on that day.

        Raises
        ------
        RuleError (CT-RULE-021) if a column holds another type than the fact; the message names the column only.
        """
        known = {table: list(records) for table, records in rows.items()}
        found: list[Standing] = []
        for item in self._ready:
            found.extend(sorted(_of(item, known.get(item.measure.records.table, ()), on), key=_by_record))
        return found


def _by_record(item: Standing) -> tuple[str, date]:
    return item.record_id, item.since


def _of(item: _Ready, rows: Iterable[Mapping[str, object]], on: date) -> Iterator[Standing]:
    for row in rows:
        facts = item.read(row)
        since = facts.get(item.measure.since)
        if not isinstance(since, date) or not item.holds(facts, on):
            continue
        end = _end(item, facts, since)
        if end is None or on < end:
            name = str(row[item.measure.records.record_id])
            yield Standing(item.measure, item.reason, name, since, end, item.unverified)


def _end(item: _Ready, facts: Facts, since: date) -> date | None:
    ends = [later(since, item.months)] if item.months is not None else []
    told = facts.get(item.measure.ends_on or "")
    if isinstance(told, date):
        ends.append(told)
    return min(ends, default=None)


def _made_ready(pack: RulePack, item: Measure) -> _Ready:
    spec = pack.spec
    reason = reason_of(spec, f"measures.{item.id}", item)
    names = (*(test.fact for _, test in item.when.walk()), item.since, item.ends_on)
    facts = {name: spec.facts[name] for name in names if name is not None}
    columns = [fact.column for fact in facts.values() if fact.column is not None]
    limits = (*item.when.limits(), *((item.term,) if item.term is not None else ()))
    rested = {reason.code: item.verified, **{f"values.{name}": spec.values[name].verified for name in limits}}
    term = spec.values[item.term].period if item.term is not None else None
    return _Ready(
        item,
        reason,
        row_reader(facts),
        compile_when(item.when, spec.facts, spec.values),
        term.total_months if term is not None else None,
        tuple(code for code, verified in rested.items() if not verified),
        (item.records.subject, item.records.record_id, *columns),
    )
