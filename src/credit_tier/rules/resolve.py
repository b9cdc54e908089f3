"""Which rules are in force: jurisdiction, topic and date to one effective pack; nation, then province, then city.

The nearest jurisdiction with a pack in force decides.
A pack with `extends: true` lays its entries over the wider jurisdiction's pack, name by name.
"No pack in force" is an error, never a silent default.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

from credit_tier.canonical import combined_digest
from credit_tier.content import Content, ContentFile
from credit_tier.errors import Fault, RuleError, UsageError
from credit_tier.rules.compile import Law
from credit_tier.rules.judge import Judge
from credit_tier.specs.rulepack import FactSpec, RulePackSpec
from credit_tier.specs.rulepack_check import ends_of, faults, overlaps

_DICTS = ("instruments", "sources", "facts", "values", "papers")
_LISTS = ("settled", "classes", "bars", "requirements", "clocks", "channels", "overrides", "measures")
_SINGLES = ("records", "clock_start", "ending", "transition")


def chain(jurisdiction: str) -> tuple[str, ...]:
    """Return a jurisdiction and all that contain it, nearest first.

    Raises
    ------
    UsageError (CT-RULE-002) if it is not written as a GB/T 2260 prefix.

    >>> chain("cn-3205")
    ('cn-3205', 'cn-32', 'cn')
    """
    match = re.fullmatch(r"([a-z]{2})(?:-((?:\d{2}){1,3}))?", jurisdiction)
    if match is None:
        raise UsageError.of(
            "CT-RULE-002",
            where="jurisdiction",
            what="this is no jurisdiction.",
            advice="Write cn, cn-32 (province), cn-3205 (city) or cn-320505 (district).",
        )
    nation, digits = match.group(1), match.group(2) or ""
    return (*(f"{nation}-{digits[:end]}" for end in range(len(digits), 0, -2)), nation)


@dataclass(frozen=True)
class RulePack:
    """The effective pack of a jurisdiction, topic and date.

    Attributes
    ----------
    spec : the rules after inheritance.
    since : first day on which exactly these rules are in force.
    until : first day on which they no longer are, None while open.
    labels : files it consists of, nearest jurisdiction first.
    digest : SHA-256 over those files.
    """

    spec: RulePackSpec
    since: date
    until: date | None
    labels: tuple[str, ...]
    digest: str
    shelf: Shelf = field(repr=False, compare=False)

    @cached_property
    def law(self) -> Law:
        """Return the rules ready to judge records.

        Raises
        ------
        RuleError (CT-RULE-006) if the pack holds overrides of risk classes or measures and decides about no record.
        """
        if self.spec.overrides or self.spec.measures:
            raise RuleError.of(
                "CT-RULE-006",
                where=self.id,
                what="the pack changes risk classes or names measures, and decides about no record.",
                advice="Score with it (credit-tier score), or name a topic such as repair.",
            )
        return Law(self.spec, since=self.since)

    @cached_property
    def judge(self) -> Judge:
        """Return the judge of records under these rules, with the earlier packs of the jurisdiction at hand."""

        def earlier(day: date) -> Judge | None:
            found = self.shelf.on(day)
            return found.judge if found is not None else None

        return Judge(self.law, earlier)

    @property
    def id(self) -> str:
        """Return the id of the nearest pack, for example cn/repair/2026-04-01."""
        return self.spec.pack

    @property
    def facts(self) -> dict[str, FactSpec]:
        """Return every fact that this pack, or an earlier one that may govern a period, can read."""
        return self.shelf.facts


class Shelf:
    """All packs of one topic that can reach a jurisdiction, read once.

    Raises
    ------
    ContentError if a pack is wrong; RuleError : CT-RULE-010 misplaced file, 011 overlap, 014 repeal of nothing, 015 two packs
    disagree about a fact.
    """

    def __init__(self, content: Content, jurisdiction: str, topic: str) -> None:
        self.jurisdiction = jurisdiction
        self.topic = topic
        self._chain = chain(jurisdiction)
        self._files: dict[str, ContentFile] = {}
        self._specs: dict[str, RulePackSpec] = {}
        for place in self._chain:
            for item in content.files("rule_packs", under=f"{place}/{topic}"):
                spec = content.load("rule_packs", item.name, RulePackSpec)
                if item.name != f"{spec.pack}.yaml":
                    raise RuleError.of(
                        "CT-RULE-010",
                        where=item.label,
                        what=f"the file holds pack '{spec.pack}'.",
                        advice=f"Move it to rule_packs/{spec.pack}.yaml.",
                    )
                self._files[spec.pack] = item
                self._specs[spec.pack] = spec
        found = list(overlaps({self._files[name].label: spec for name, spec in self._specs.items()}))
        if found:
            raise RuleError(*found)
        self._ends = ends_of(self._specs.values())
        self._made: dict[tuple[str, ...], RulePack] = {}
        self._days: dict[date, RulePack | None] = {}
        self.facts = self._facts()

    def _facts(self) -> dict[str, FactSpec]:
        facts: dict[str, FactSpec] = {}
        for name in sorted(self._specs, key=lambda key: self._specs[key].effective_from):
            for fact, spec in self._specs[name].facts.items():
                old = facts.setdefault(fact, spec)
                if (old.type, old.column) != (spec.type, spec.column):
                    raise RuleError.of(
                        "CT-RULE-015",
                        where=self._files[name].label,
                        what=f"the fact '{fact}' has another type or column than in an earlier pack.",
                        advice="Give it another name; a question may need both packs.",
                    )
                vocabulary = {**(old.vocabulary or {}), **(spec.vocabulary or {})}
                facts[fact] = spec.model_copy(update={"vocabulary": vocabulary or None})
        return facts

    def held(self) -> Iterator[tuple[str, date, date | None]]:
        """Yield id, first day and exclusive last day of every pack on the shelf, sorted by id."""
        for name, spec in sorted(self._specs.items()):
            yield name, spec.effective_from, self._ends[name]

    def on(self, day: date) -> RulePack | None:
        """Return the effective pack of a day, or None if none is in force."""
        if day not in self._days:
            self._days[day] = self._effective(day)
        return self._days[day]

    def _effective(self, day: date) -> RulePack | None:
        layers: list[str] = []
        for place in self._chain:
            name = self._in_force(place, day)
            if name is None:
                continue
            layers.append(name)
            if not self._specs[name].extends:
                key = tuple(layers)
                if key not in self._made:
                    self._made[key] = self._make(key)
                return self._made[key]
        if layers:
            raise RuleError.of(
                "CT-RULE-003",
                where=self._files[layers[0]].label,
                what=f"it extends a pack of a wider jurisdiction, but none is in force on {day}.",
                advice="Add that pack, or remove extends and make this one whole.",
            )
        return None

    def _in_force(self, place: str, day: date) -> str | None:
        for name, spec in self._specs.items():
            end = self._ends[name]
            if spec.jurisdiction == place and spec.effective_from <= day and (end is None or day < end):
                return name
        return None

    def _make(self, layers: tuple[str, ...]) -> RulePack:
        spec = self._specs[layers[-1]]
        for name in reversed(layers[:-1]):
            spec = laid_over(spec, self._specs[name], where=self._files[name].label)
        since = max(self._specs[name].effective_from for name in layers)
        ends = [end for name in layers if (end := self._ends[name]) is not None]
        digest = combined_digest((self._files[name].label, self._files[name].digest) for name in layers)
        labels = tuple(self._files[name].label for name in layers)
        return RulePack(spec, since, min(ends, default=None), labels, digest, self)


def laid_over(wide: RulePackSpec, near: RulePackSpec, *, where: str) -> RulePackSpec:
    """Return the wider pack with the nearer pack's entries laid over it.

    Entries of the same name are replaced in place; new rules are asked before the wider pack's.

    Raises
    ------
    RuleError (CT-RULE-004) if the result does not fit together.
    """
    update: dict[str, object] = {}
    for section in _DICTS:
        update[section] = {**getattr(wide, section), **getattr(near, section)}
    for section in _LISTS:
        mine = {item.id: item for item in getattr(near, section)}
        kept = [mine.get(item.id, item) for item in getattr(wide, section)]
        old = {item.id for item in getattr(wide, section)}
        update[section] = (*(item for name, item in mine.items() if name not in old), *kept)
    for section in _SINGLES:
        update[section] = getattr(near, section) or getattr(wide, section)
    update["apply_with"] = tuple(dict.fromkeys((*wide.apply_with, *near.apply_with)))
    whole = near.model_copy(update=update)
    found = [
        Fault("CT-RULE-004", where, f"'{'.'.join(str(part) for part in place)}': {text}.", "")
        for place, text in faults(whole)
    ]
    if found:
        raise RuleError(*found)
    return whole


def topics(content: Content) -> tuple[tuple[str, str], ...]:
    """Return jurisdiction and topic of all packs in the content, sorted."""
    found = {tuple(item.name.split("/")[:2]) for item in content.files("rule_packs") if item.name.count("/") == 2}
    return tuple(sorted((place, topic) for place, topic in found))


def resolve(content: Content, jurisdiction: str, topic: str, on: date) -> RulePack:
    """Return the rules in force in a jurisdiction on a day.

    Parameters
    ----------
    jurisdiction : cn, cn-32, cn-3205 or cn-320505.
    topic : for example repair.
    on : the day whose law is wanted.

    Raises
    ------
    RuleError (CT-RULE-001) if no pack is in force; the message says which packs exist.
    """
    shelf = Shelf(content, jurisdiction, topic)
    pack = shelf.on(on)
    if pack is None:
        held = [f"{name} ({start} – {end or 'open'})" for name, start, end in shelf.held()]
        if held:
            advice = f"Packs are: {', '.join(held)}."
        else:
            others = ", ".join(f"{place}/{name}" for place, name in topics(content)) or "none"
            advice = f"There is no pack of topic '{topic}' for it; the content holds: {others}."
        raise RuleError.of(
            "CT-RULE-001", where=f"{jurisdiction}/{topic}", what=f"no rule pack is in force on {on}.", advice=advice
        )
    return pack
