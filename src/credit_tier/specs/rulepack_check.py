"""What the parts of a rule pack say of each other, and packs of tables and of other packs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from itertools import pairwise

from credit_tier.errors import Fault
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.specs.rulepack import FactSpec, Records, RulePackSpec, Value
from credit_tier.specs.when import OPERATORS, When

Place = tuple[str | int, ...]

_COLUMN_TYPES = {
    "date": {"date"},
    "code": {"code", "text"},
    "codes": {"code", "codes", "text"},
    "money": {"money"},
    "integer": {"integer"},
    "boolean": {"boolean"},
}


_DECIDING = ("records", "clock_start", "ending", "transition")
"""What a pack that decides about records cannot do without."""

_DECIDES = (*_DECIDING, "settled", "classes", "bars", "requirements", "clocks", "channels")


def faults(pack: RulePackSpec) -> Iterator[tuple[Place, str]]:
    """Yield place and text of everything that does not fit together inside one whole pack."""
    for section in () if _attached(pack) else _DECIDING:
        if getattr(pack, section) is None:
            yield (section,), f"a whole pack needs {section}; add it, or write extends: true to change a wider pack"
    for section in ("facts",) if _attached(pack) else ("facts", "classes"):
        if not getattr(pack, section):
            yield (section,), f"a whole pack needs at least one entry in {section}"
    yield from _attachments(pack)
    yield from _entries(pack)
    for place, condition in pack.conditions():
        yield from _condition(pack, place, condition)
    yield from _names(pack)
    yield from _values(pack)


def _attached(pack: RulePackSpec) -> bool:
    """Return whether the pack attaches classes or measures to records and decides about none."""
    return bool(pack.overrides or pack.measures)


def _attachments(pack: RulePackSpec) -> Iterator[tuple[Place, str]]:
    for section in _DECIDES if _attached(pack) else ():
        if getattr(pack, section):
            held = "overrides" if pack.overrides else "measures"
            yield (section,), f"a pack of {held} decides about no record; move {section} to a pack of another topic"
    for section, kind in (("overrides", "an override"), ("measures", "a measure")):
        for index, item in enumerate(getattr(pack, section)):
            for place, test in item.when.walk((section, index, "when")):
                yield from _given((*place, "fact"), pack.facts.get(test.fact or ""), test.fact or "", kind)
    dates = [name for name, fact in pack.facts.items() if fact.type == "date"]
    for index, measure in enumerate(pack.measures):
        for role in ("since", "ends_on"):
            name = getattr(measure, role)
            yield from _known(("measures", index, role), "date fact", name, dates)
            yield from _given(("measures", index, role), pack.facts.get(name or ""), name or "", "a measure")


def _given(place: Place, fact: FactSpec | None, name: str, kind: str) -> Iterator[tuple[Place, str]]:
    if fact is not None and fact.column is None:
        yield place, f"nobody gives the fact '{name}' of {kind}; name the column of its table"


def _entries(pack: RulePackSpec) -> Iterator[tuple[Place, str]]:
    seen: set[str] = set()
    for place, code, item in pack.entries():
        if code in seen:
            yield place, f"the id {code} stands twice; give each entry its own"
        seen.add(code)
        reference = item.reference
        yield from _known((*place, "reference", "instrument"), "instrument", reference.instrument, pack.instruments)
        yield from _known((*place, "reference", "source"), "source", reference.source, pack.sources)
        source = pack.sources.get(reference.source)
        if item.verified and source is not None and source.grade != "P":
            yield (
                (*place, "verified"),
                f"only a source of grade P (full primary text) verifies, this one has {source.grade}; write verified: false",
            )


def _known(place: Place, kind: str, name: str | None, known: Iterable[str]) -> Iterator[tuple[Place, str]]:
    if name is not None and name not in known:
        yield place, f"there is no {kind} '{name}'; declared are {', '.join(known) or 'none'}"


def _condition(pack: RulePackSpec, place: Place, condition: When) -> Iterator[tuple[Place, str]]:
    for below, test in condition.walk(place):
        fact = pack.facts.get(test.fact or "")
        if fact is None:
            yield from _known((*below, "fact"), "fact", test.fact, pack.facts)
            continue
        takes = OPERATORS[test.operator]
        if fact.type not in takes:
            yield (
                (*below, test.operator),
                f"{test.operator} cannot be asked of a {fact.type} fact; it takes {', '.join(takes)}",
            )
            continue
        for code in test.codes():
            if fact.vocabulary is not None and code not in fact.vocabulary:
                yield (
                    (*below, test.operator),
                    f"'{code}' is no code of {test.fact}; codes are {', '.join(fact.vocabulary)}",
                )
            if fact.type == "integer" and not code.lstrip("-").isdigit():
                yield (*below, test.operator), f"'{code}' is no whole number"
        for operator in ("at_least", "at_most"):
            name = getattr(test, operator)
            yield from _known((*below, operator), "value", name, pack.values)
            value = pack.values.get(name or "")
            if value is not None and not value.unknown and _kind(value) != fact.type:
                yield (*below, operator), f"{name} is a {_kind(value)} and cannot be compared with a {fact.type} fact"


def _kind(value: Value) -> str:
    if value.period is not None:
        return "period"
    return "money" if value.amount is not None else "integer" if value.count is not None else "date"


def _names(pack: RulePackSpec) -> Iterator[tuple[Place, str]]:
    dates = [name for name, fact in pack.facts.items() if fact.type == "date"]
    for section in ("clock_start", "transition"):
        item = getattr(pack, section)
        if item is not None:
            yield from _known((section, "fact"), "date fact", item.fact, dates)
    for index, kind in enumerate(pack.classes):
        yield from _known(("classes", index, "max_extends_to"), "date fact", kind.max_extends_to, dates)
    for index, requirement in enumerate(pack.requirements):
        for name in requirement.met_on:
            yield from _known(("requirements", index, "met_on"), "date fact", name, dates)
        for name in requirement.classes:
            yield from _known(("requirements", index, "classes"), "class", name, [item.id for item in pack.classes])
        for name in requirement.papers:
            yield from _known(("requirements", index, "papers"), "paper", name, pack.papers)
    for name in pack.apply_with:
        yield from _known(("apply_with",), "paper", name, pack.papers)
    for index, clock in enumerate(pack.clocks):
        yield from _known(("clocks", index, "start"), "date fact", clock.start, dates)
        for place, name in enumerate(clock.until):
            yield from _known(("clocks", index, "until", place), "date fact", name, dates)


def _values(pack: RulePackSpec) -> Iterator[tuple[Place, str]]:
    used = {name for _, condition in pack.conditions() for name in condition.limits()}
    for index, kind in enumerate(pack.classes):
        for role in ("min", "max"):
            name = getattr(kind, role)
            yield from _length(pack, ("classes", index, role), name, working=False)
            used.add(name or "")
        low, high = (pack.values.get(name or "") for name in (kind.min, kind.max))
        lengths = [v.period.total_months for v in (low, high) if v is not None and v.period is not None]
        if len(lengths) == 2 and None not in lengths and (lengths[0] or 0) > (lengths[1] or 0):
            yield ("classes", index, "min"), "the minimum is longer than the maximum; swap them or correct the values"
    for index, clock in enumerate(pack.clocks):
        yield from _length(pack, ("clocks", index, "length"), clock.length, working=True)
        used.add(clock.length)
    for index, measure in enumerate(pack.measures):
        yield from _length(pack, ("measures", index, "term"), measure.term, working=False)
        used.add(measure.term or "")
    for name in pack.values:
        if name not in used:
            yield ("values", name), "no rule uses this value; remove it or use it"


def _length(pack: RulePackSpec, place: Place, name: str | None, *, working: bool) -> Iterator[tuple[Place, str]]:
    yield from _known(place, "value", name, pack.values)
    value = pack.values.get(name or "")
    if value is None:
        return
    if value.period is None:
        yield place, f"{name} is no period; write for example period: {{months: 3}}"
    elif (value.period.working_days is not None) != working:
        unit = "working_days" if working else "months or years"
        yield place, f"{name} must be a period in {unit}"


def together(packs: Mapping[str, RulePackSpec], tables: Mapping[str, DatasetSpec]) -> Iterator[Fault]:
    """Yield what packs (by file label) say wrongly of their place, of tables, and of the times they are in force.

    Codes: CT-RULE-010 place, 011 overlap, 012 table, 013 column, 014 repeal of nothing.
    """
    for label, pack in packs.items():
        if label != f"rule_packs/{pack.pack}.yaml":
            yield Fault(
                "CT-RULE-010", label, f"the file holds pack '{pack.pack}'.", f"Move it to rule_packs/{pack.pack}.yaml."
            )
        yield from _table(label, pack, tables)
    yield from overlaps(packs)


def overlaps(packs: Mapping[str, RulePackSpec]) -> Iterator[Fault]:
    """Yield packs of one jurisdiction and topic that are in force on the same day, and repeals of unknown packs."""
    ends = ends_of(packs.values())
    order = sorted(packs.items(), key=lambda item: (item[1].jurisdiction, item[1].topic, item[1].effective_from))
    for (first_label, first), (label, second) in pairwise(order):
        if (first.jurisdiction, first.topic) != (second.jurisdiction, second.topic):
            continue
        end = ends[first.pack]
        if end is None or end > second.effective_from:
            yield Fault(
                "CT-RULE-011",
                label,
                f"it is in force together with {first_label}.",
                f"Give the older pack effective_to: {second.effective_from}, or write 'repeals: [{first.pack}]' in this one.",
            )
    known = {pack.pack for pack in packs.values()}
    for label, pack in packs.items():
        for name in pack.repeals:
            if name not in known or name.rpartition("/")[0] != pack.pack.rpartition("/")[0]:
                yield Fault(
                    "CT-RULE-014",
                    label,
                    f"it repeals '{name}', which is no pack of this jurisdiction and topic.",
                    "Correct the name.",
                )


def ends_of(packs: Iterable[RulePackSpec]) -> dict[str, date | None]:
    """Return pack -> first day on which it is no longer in force, by its own words or by a later pack's repeal."""
    listed = sorted(packs, key=lambda pack: pack.effective_from)
    ends = {pack.pack: pack.effective_to for pack in listed}
    for pack in listed:
        for name in pack.repeals:
            if name in ends and ends[name] is None:
                ends[name] = pack.effective_from
    return ends


def _table(label: str, pack: RulePackSpec, tables: Mapping[str, DatasetSpec]) -> Iterator[Fault]:
    if pack.records is not None:
        yield from _columns(label, pack.records, pack.facts, tables)
    for item in pack.overrides:
        read = {name: pack.facts[name] for _, test in item.when.walk() if (name := test.fact or "") in pack.facts}
        yield from _columns(f"{label} overrides.{item.id}", item.records, read, tables)
    for measure in pack.measures:
        names = (*(test.fact for _, test in measure.when.walk()), measure.since, measure.ends_on)
        read = {name: pack.facts[name] for name in names if name is not None and name in pack.facts}
        yield from _columns(f"{label} measures.{measure.id}", measure.records, read, tables)


def _columns(
    label: str, records: Records, facts: Mapping[str, FactSpec], tables: Mapping[str, DatasetSpec]
) -> Iterator[Fault]:
    """Yield what a table lacks of the records and facts that a pack takes from it."""
    table = tables.get(records.table)
    if table is None:
        yield Fault(
            "CT-RULE-012",
            label,
            f"there is no table '{records.table}'.",
            f"Tables are: {', '.join(tables) or 'none'}.",
        )
        return
    wanted = {"records.subject": records.subject, "records.record_id": records.record_id}
    wanted |= {f"facts.{name}": fact.column for name, fact in facts.items() if fact.column is not None}
    for role, name in wanted.items():
        column = table.columns.get(name)
        if column is None:
            yield Fault(
                "CT-RULE-013",
                f"{label} {role}",
                f"the table '{table.table}' has no column '{name}'.",
                f"Columns are: {', '.join(table.columns)}.",
            )
            continue
        fact = facts.get(role.removeprefix("facts."))
        if fact is None:
            continue
        if column.type not in _COLUMN_TYPES[fact.type]:
            yield Fault(
                "CT-RULE-013",
                f"{label} {role}",
                f"the column '{name}' is of type {column.type}, the fact of type {fact.type}.",
                "Make them agree.",
            )
        strange = sorted(set(column.vocabulary or ()) - set(fact.vocabulary or ()))
        if fact.type in {"code", "codes"} and strange:
            yield Fault(
                "CT-RULE-013",
                f"{label} {role}",
                f"the fact does not know the codes {', '.join(strange)} of the column.",
                "Add them to its vocabulary.",
            )
