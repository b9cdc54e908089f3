"""Risk classes set by law beside the model (直接判定): which records make an override hold, and what becomes of a class.

Rows come as plain mappings with the columns that the rule pack names. Only records are looked at, never everybody.
Nothing here knows a table, a column or a legal value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import NamedTuple

from credit_tier.content import Content
from credit_tier.errors import RuleError
from credit_tier.rules.compile import Predicate, Reason, compile_when, reason_of
from credit_tier.rules.facts import Fact, row_reader
from credit_tier.rules.resolve import RulePack, Shelf
from credit_tier.specs.rulepack import FactSpec, Override, Records
from credit_tier.types import RiskClass

TOPIC = "classification"


class Bound(NamedTuple):
    """What an override makes of a class.

    Attributes
    ----------
    least, most : ranks, 0 for A to 3 for D, between which the class then lies.
    """

    id: str
    least: int
    most: int
    reason: Reason


class Hit(NamedTuple):
    """A record by which an override holds an enterprise."""

    code: str
    rule: str
    table: str
    record_id: str
    row: Mapping[str, object]


class _Rule(NamedTuple):
    id: str
    records: Records
    holds: Predicate


@dataclass
class _Table:
    """The overrides that read one table."""

    rules: list[_Rule] = field(default_factory=list)
    facts: dict[str, FactSpec] = field(default_factory=dict)
    columns: dict[str, None] = field(default_factory=dict)

    @cached_property
    def read(self) -> Callable[[Mapping[str, object]], dict[str, Fact]]:
        """Return what turns a row into facts; asked for once all overrides of the table are known."""
        return row_reader(self.facts)


class Overrides:
    """The overrides of a pack, ready to be asked about a day.

    Attributes
    ----------
    bounds : override -> what it makes of a class, in the order of the pack.

    Raises
    ------
    RuleError (CT-RULE-007) if the pack holds none.
    """

    def __init__(self, pack: RulePack) -> None:
        spec = pack.spec
        if not spec.overrides:
            raise RuleError.of(
                "CT-RULE-007",
                where=pack.id,
                what="the pack holds no overrides of risk classes.",
                advice="Add overrides, or move it to another topic.",
            )
        self.pack = pack
        self.bounds: dict[str, Bound] = {}
        self._tables: dict[str, _Table] = {}
        for item in spec.overrides:
            self.bounds[item.id] = _bound(item, reason_of(spec, f"overrides.{item.id}", item))
            table = self._tables.setdefault(item.records.table, _Table())
            table.rules.append(_Rule(item.id, item.records, compile_when(item.when, spec.facts, spec.values)))
            table.facts |= {name: spec.facts[name] for _, test in item.when.walk() if (name := test.fact) is not None}
            named = [fact.column for fact in table.facts.values() if fact.column is not None]
            table.columns |= dict.fromkeys((item.records.subject, item.records.record_id, *named))

    @property
    def tables(self) -> tuple[str, ...]:
        """Return the tables whose records the overrides read."""
        return tuple(self._tables)

    def columns(self, table: str) -> tuple[str, ...]:
        """Return the columns that a row of a table needs; an absent one counts as empty."""
        return tuple(self._tables[table].columns)

    def hits(self, table: str, rows: Iterable[Mapping[str, object]], on: date) -> Iterator[Hit]:
        """Yield each record of a table that makes an override hold on a day, once for each override.

        Raises
        ------
        RuleError (CT-RULE-021) if a column holds another type than the fact; the message names the column only.
        """
        known = self._tables[table]
        for row in rows:
            facts = known.read(row)
            for rule in known.rules:
                if rule.holds(facts, on):
                    yield Hit(str(row[rule.records.subject]), rule.id, table, str(row[rule.records.record_id]), row)

    def settle(self, rank: int, rules: Iterable[str]) -> tuple[int, str]:
        """Return the rank of an enterprise whom overrides hold, and the override that gives it, empty if its class is its own.

        Limits from below prevail over limits from above; of several overrides with one limit the first of the pack is named.
        The order of the overrides, and how often one holds, do not matter.
        """
        held = set(rules)
        bounds = [bound for name, bound in self.bounds.items() if name in held]
        floor = max(bounds, key=lambda bound: bound.least, default=None)
        cap = min(bounds, key=lambda bound: bound.most, default=None)
        if floor is None or cap is None:
            return rank, ""
        own = min(rank, cap.most)
        if floor.least >= max(own, 1):
            return floor.least, floor.id
        return own, cap.id if own < rank else ""


def _bound(item: Override, reason: Reason) -> Bound:
    least = 0 if item.at_least is None else RiskClass(item.at_least).rank
    most = 3 if item.at_most is None else RiskClass(item.at_most).rank
    return Bound(item.id, least, most, reason)


def overrides_on(content: Content, jurisdiction: str, day: date) -> tuple[Overrides | None, str]:
    """Return the overrides in force in a jurisdiction on a day, None if there are none, and then why.

    Overrides only change what the model says, so a day on which none was in force has the model's classes; it is told, not guessed.

    Returns
    -------
    overrides and an empty text, or None and `no_pack` (the content has none of the topic) or `not_in_force`.

    Raises
    ------
    RuleError, ContentError if a pack is wrong.
    """
    shelf = Shelf(content, jurisdiction, TOPIC)
    pack = shelf.on(day)
    if pack is not None:
        return Overrides(pack), ""
    return None, "not_in_force" if any(True for _ in shelf.held()) else "no_pack"
