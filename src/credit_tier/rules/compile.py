"""A rule pack turned into closures once, so that judging a record is a few comparisons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from credit_tier.rules.facts import Facts
from credit_tier.specs.rulepack import Channel, FactSpec, Legal, PublicityClass, Requirement, RulePackSpec, Value
from credit_tier.specs.when import When
from credit_tier.temporal import add_months

Predicate = Callable[[Facts, date], bool]
"""Facts and as_of to yes or no."""

later = lru_cache(maxsize=200_000)(add_months)
"""`temporal.add_months`, remembered: a city's records share a few thousand dates."""


@dataclass(frozen=True, slots=True)
class Citation:
    """The legal reference of a reason in words and in parts."""

    instrument: str
    title_zh: str
    article: str
    source: str
    grade: str
    note: str
    url: str | None

    def __str__(self) -> str:
        return f"{self.title_zh}({self.instrument}){self.article}"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: a stable code, both languages, the law, and whether somebody compared it with the official text.

    `citation` is None for reasons that come from the question and not from the law, such as a missing fact.
    """

    code: str
    text_zh: str
    text_en: str
    citation: Citation | None
    verified: bool

    def __hash__(self) -> int:
        return hash(self.code)


def reason_of(spec: RulePackSpec, code: str, item: Legal) -> Reason:
    """Return an entry of a pack as a reason, under its code such as ``classes.general``."""
    reference = item.reference
    instrument = spec.instruments[reference.instrument]
    source = spec.sources[reference.source]
    return Reason(
        code,
        item.title_zh,
        item.title_en,
        Citation(
            instrument.number,
            instrument.title_zh,
            reference.article,
            reference.source,
            source.grade,
            reference.note,
            instrument.url or source.url,
        ),
        item.verified,
    )


def compile_when(when: When | None, facts: Mapping[str, FactSpec], values: Mapping[str, Value]) -> Predicate:
    """Return a condition as a function; no condition always holds.

    A fact that is not given fails every test but is_missing; so does a limit that is declared unknown.
    """
    if when is None:
        return lambda _facts, _on: True
    if when.all is not None:
        return _all(tuple(compile_when(item, facts, values) for item in when.all))
    if when.any is not None:
        return _any(tuple(compile_when(item, facts, values) for item in when.any))
    if when.not_ is not None:
        part = compile_when(when.not_, facts, values)
        return lambda given, on: not part(given, on)
    return _test(when, facts, values)


def _all(parts: tuple[Predicate, ...]) -> Predicate:
    def holds(given: Facts, on: date) -> bool:
        for part in parts:  # noqa: SIM110 (a generator costs twice as much, and this runs for every record)
            if not part(given, on):
                return False
        return True

    return holds


def _any(parts: tuple[Predicate, ...]) -> Predicate:
    def holds(given: Facts, on: date) -> bool:
        for part in parts:  # noqa: SIM110 (see _all)
            if part(given, on):
                return True
        return False

    return holds


def _test(when: When, facts: Mapping[str, FactSpec], values: Mapping[str, Value]) -> Predicate:
    name = when.fact or ""
    if when.equals is not None:
        single = int(when.equals) if facts[name].type == "integer" else when.equals
        return lambda given, _on: given.get(name) == single
    if when.one_of is not None:
        wanted = frozenset(when.one_of)
        return lambda given, _on: given.get(name) in wanted
    if when.includes is not None:
        some = frozenset(when.includes)
        return lambda given, _on: not some.isdisjoint(given.get(name) or ())  # type: ignore[arg-type]
    if when.only is not None:
        allowed = frozenset(when.only)
        return lambda given, _on: bool(found := given.get(name)) and allowed.issuperset(found)  # type: ignore[arg-type]
    if when.is_missing is not None:
        missing = when.is_missing
        return lambda given, _on: (given.get(name) is None) == missing
    if when.is_true is not None:
        wanted_flag = when.is_true
        return lambda given, _on: given.get(name) is wanted_flag
    if when.has_happened is not None:
        happened = when.has_happened
        return lambda given, on: ((day := given.get(name)) is not None and day <= on) == happened  # type: ignore[operator]
    limit = values[when.at_least or when.at_most or ""].limit
    if limit is None:

        def never(given: Facts, _on: date) -> bool:
            given.get(name)  # read, so that the trace shows what the unknown limit would be compared with
            return False

        return never
    if when.at_least is not None:
        return lambda given, _on: (value := given.get(name)) is not None and value >= limit  # type: ignore[operator]
    return lambda given, _on: (value := given.get(name)) is not None and value <= limit  # type: ignore[operator]


class Rule(NamedTuple):
    """A ground (settled or bar) ready to be asked."""

    holds: Predicate
    decision: str
    reason: Reason
    unverified: tuple[str, ...]


class Kind(NamedTuple):
    """A publicity class ready to be asked."""

    id: str
    holds: Predicate
    min_months: int | None
    max_months: int
    max_extends_to: str | None
    reason: Reason
    min_reason: Reason | None
    max_reason: Reason
    unverified: tuple[str, ...]


class Condition(NamedTuple):
    """A requirement ready to be asked."""

    id: str
    kinds: frozenset[str]
    applies: Predicate | None
    met_on: tuple[str, ...]
    met: Predicate | None
    papers: tuple[str, ...]
    reason: Reason


class Window(NamedTuple):
    """The publicity period of one record under one law."""

    law: Law
    kind: Kind
    start_on: date
    min_end_on: date | None
    max_end_on: date


class Law:
    """One effective pack as closures.

    Attributes
    ----------
    id : pack id, of the nearest jurisdiction.
    since : first day on which exactly these rules are in force.
    """

    def __init__(self, spec: RulePackSpec, *, since: date) -> None:
        if spec.clock_start is None or spec.ending is None or spec.transition is None:
            raise ValueError("only a whole pack can be compiled")
        self.id = spec.pack
        self.since = since
        self.spec = spec
        self.reasons = {code: reason_of(spec, code, item) for _, code, item in spec.entries()}
        self.required = tuple(name for name, fact in spec.facts.items() if fact.required)
        self.start = spec.clock_start.fact
        self.transition = spec.transition
        self.ends = self._predicate(spec.ending.when)
        self.settled = tuple(
            Rule(
                self._predicate(item.when),
                item.decision,
                self.reasons[f"settled.{item.id}"],
                self._open(f"settled.{item.id}", limits=item.when.limits()),
            )
            for item in spec.settled
        )
        self.bars = tuple(
            Rule(
                self._predicate(item.when),
                item.decision,
                self.reasons[f"bars.{item.id}"],
                self._open(f"bars.{item.id}", limits=item.when.limits()),
            )
            for item in spec.bars
        )
        earlier: tuple[str, ...] = ()
        kinds = []
        for item in spec.classes:
            earlier = (*earlier, *item.when.limits())
            kinds.append(self._kind(item, earlier))
        self.kinds = tuple(kinds)
        self.conditions = tuple(self._condition(item) for item in spec.requirements)
        self._channels = tuple((self._predicate(item.when), item) for item in spec.channels)

    def _predicate(self, when: When | None) -> Predicate:
        return compile_when(when, self.spec.facts, self.spec.values)

    def _open(self, *codes: str, limits: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return those of the codes, and of the limits compared with, that nobody has verified; each once, in order."""
        asked = (*codes, *(f"values.{name}" for name in limits))
        return tuple(dict.fromkeys(code for code in asked if not self.reasons[code].verified))

    def _kind(self, item: PublicityClass, limits: tuple[str, ...]) -> Kind:
        months = {
            name: value.period.total_months for name, value in self.spec.values.items() if value.period is not None
        }
        lengths = (item.max,) if item.min is None else (item.min, item.max)
        return Kind(
            item.id,
            self._predicate(item.when),
            None if item.min is None else months[item.min],
            months[item.max] or 0,
            item.max_extends_to,
            self.reasons[f"classes.{item.id}"],
            None if item.min is None else self.reasons[f"values.{item.min}"],
            self.reasons[f"values.{item.max}"],
            self._open(f"classes.{item.id}", "clock_start", limits=(*lengths, *limits)),
        )

    def _condition(self, item: Requirement) -> Condition:
        return Condition(
            item.id,
            frozenset(item.classes),
            None if item.when is None else self._predicate(item.when),
            item.met_on,
            None if item.met_when is None else self._predicate(item.met_when),
            item.papers,
            self.reasons[f"requirements.{item.id}"],
        )

    def settle(self, facts: Facts, on: date) -> Rule | None:
        """Return the first ground on which there is nothing to repair, or None."""
        for rule in self.settled:
            if rule.holds(facts, on):
                return rule
        return None

    def bar(self, facts: Facts, on: date) -> Rule | None:
        """Return the first ground against repair, or None."""
        for rule in self.bars:
            if rule.holds(facts, on):
                return rule
        return None

    def channel(self, facts: Facts, on: date) -> Channel | None:
        """Return where to apply, or None if the pack does not say."""
        for holds, channel in self._channels:
            if holds(facts, on):
                return channel
        return None

    def window(self, facts: Facts, on: date) -> Window | None:
        """Return the publicity period of a record, or None if no class holds or the clock has not started."""
        start = facts.get(self.start)
        if not isinstance(start, date):
            return None
        for kind in self.kinds:
            if kind.holds(facts, on):
                end = later(start, kind.max_months)
                if kind.max_extends_to is not None:
                    until = facts.get(kind.max_extends_to)
                    end = max(end, until) if isinstance(until, date) else end
                least = None if kind.min_months is None else later(start, kind.min_months)
                return Window(self, kind, start, least, end)
        return None
