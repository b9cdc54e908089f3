"""A pack's entries in words, and what differs between two packs, rule by rule. Nothing here judges a record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from credit_tier.rules.judge import Verdict
from credit_tier.specs.rulepack import FactSpec, Legal, RulePackSpec, Value
from credit_tier.specs.when import When

_SKIPPED = {"id", "title_zh", "title_en", "reference", "verified", "checked_on"}
_LABELS = {
    "when": "条件",
    "met_when": "视为具备的条件",
    "met_on": "具备之日",
    "min": "最短公示期",
    "max": "最长公示期",
    "max_extends_to": "至少公示至",
    "decision": "结论",
    "papers": "材料",
    "classes": "适用的失信程度",
    "fact": "所依日期",
    "basis": "起算",
    "start": "起算日期",
    "starts_at_as_of": "未给出时自询问之日推算",
    "length": "期限",
    "until": "办结日期",
    "effect": "性质",
    "since": "起始日期",
    "term": "期限",
    "ends_on": "终止日期",
    "ends_on_repair": "修复即止",
    "url": "网址",
    "period": "新旧衔接",
    "value": "数值",
    "at_least": "不低于",
    "at_most": "不高于",
}
"""Field of an entry -> Chinese label."""


_DECISIONS = {verdict.value: verdict.label_zh for verdict in Verdict}


class Text(NamedTuple):
    """The same in both languages."""

    zh: str
    en: str


class Change(NamedTuple):
    """One field of an entry before and after; None where the entry has no such field."""

    field: str
    label_zh: str
    before: Text | None
    after: Text | None


class Difference(NamedTuple):
    """One entry that differs between two packs.

    Attributes
    ----------
    code : section and id, for example ``values.min_general``.
    kind : added, removed, changed in substance, or cited: only wording, reference or verification differ.
    """

    code: str
    kind: str
    before: Text | None
    after: Text | None
    changes: tuple[Change, ...]


def value_words(value: Value) -> Text:
    """Return a legal value in words.

    >>> value_words(Value.model_validate({"title_zh": "一", "title_en": "a", "verified": "false", "period": {"months": "3"},
    ...                                  "reference": {"instrument": "x", "source": "y"}}))
    Text(zh='3个月', en='3 months')
    """
    if value.period is not None:
        for number, zh, en in (
            (value.period.months, "个月", "months"),
            (value.period.years, "年", "years"),
            (value.period.working_days, "个工作日", "working days"),
        ):
            if number is not None:
                return Text(f"{number}{zh}", f"{number} {en.removesuffix('s') if number == 1 else en}")
    if value.unknown:
        return Text("标准未见", "not seen")
    text = value.amount or str(value.limit)
    return Text(text, text)


def condition_words(when: When, pack: RulePackSpec) -> Text:
    """Return a condition in words."""
    for join, zh, en in ((when.all, "且", "and"), (when.any, "或", "or")):
        if join is not None:
            parts = [condition_words(part, pack) for part in join]
            return Text(
                f"（{f' {zh} '.join(part.zh for part in parts)}）", f"({f' {en} '.join(part.en for part in parts)})"
            )
    if when.not_ is not None:
        part = condition_words(when.not_, pack)
        return Text(f"并非 {part.zh}", f"not {part.en}")
    name = when.fact or ""
    fact = pack.facts.get(name)
    title = fact.title_zh if fact is not None else name
    zh, en = _test_words(when, fact, pack)
    return Text(f"{title}{zh}", f"{name} {en}")


def _test_words(when: When, fact: FactSpec | None, pack: RulePackSpec) -> Text:
    for operator, zh, en in (
        ("equals", "为", "is"),
        ("one_of", "属于", "is one of"),
        ("includes", "含", "includes"),
        ("only", "仅含", "is only"),
    ):
        if getattr(when, operator) is not None:
            codes = when.codes()
            known = (fact.vocabulary if fact is not None else None) or {}
            return Text(f"{zh}{'、'.join(known.get(code, code) for code in codes)}", f"{en} {', '.join(codes)}")
    for flag, yes, no in (
        (when.is_missing, Text("未给出", "is missing"), Text("已给出", "is given")),
        (when.is_true, Text("为是", "is true"), Text("为否", "is false")),
        (when.has_happened, Text("已到", "has happened"), Text("未到", "has not happened")),
    ):
        if flag is not None:
            return yes if flag else no
    name = when.at_least or when.at_most or ""
    value = pack.values.get(name)
    limit = value_words(value) if value is not None else Text(name, name)
    zh, en = ("不低于", "at least") if when.at_least is not None else ("不高于", "at most")
    return Text(f"{zh}{limit.zh}", f"{en} {limit.en}")


def entry_fields(item: Legal, pack: RulePackSpec) -> dict[str, Text]:
    """Return the substance of an entry, field by field, in words; wording, reference and verification are left out."""
    if isinstance(item, Value):
        return {"value": value_words(item)}
    found = {}
    for name in type(item).model_fields:
        value = getattr(item, name)
        if name in _SKIPPED or value is None or value == () or value is False:
            continue
        found[name] = _field_words(name, value, pack)
    return found


def _field_words(name: str, value: object, pack: RulePackSpec) -> Text:
    if isinstance(value, When):
        return condition_words(value, pack)
    if name in {"min", "max", "length", "term"} and str(value) in pack.values:
        return value_words(pack.values[str(value)])
    if isinstance(value, tuple):
        titles = [_title(str(part), pack) for part in value]
        return Text("、".join(titles), ", ".join(str(part) for part in value))
    if value is True:
        return Text("是", "yes")
    text = str(value)
    return Text(_DECISIONS.get(text) or _title(text, pack), text)


def _title(name: str, pack: RulePackSpec) -> str:
    for known in (pack.papers, pack.facts):
        if name in known:
            return known[name].title_zh
    return next((item.title_zh for item in pack.classes if item.id == name), name)


def differences(old: RulePackSpec, new: RulePackSpec) -> tuple[Difference, ...]:
    """Return every entry that differs between two whole packs, in the order of the old one, additions last.

    Facts are compared by name, type, column and codes under ``facts.<name>``.
    """
    before = {code: item for _, code, item in old.entries()}
    after = {code: item for _, code, item in new.entries()}
    found = []
    for code in dict.fromkeys((*before, *after)):
        difference = _entry(code, before.get(code), after.get(code), old, new)
        if difference is not None:
            found.append(difference)
    found.extend(_facts(old, new))
    return tuple(found)


def _entry(code: str, was: Legal | None, now: Legal | None, old: RulePackSpec, new: RulePackSpec) -> Difference | None:
    first = entry_fields(was, old) if was is not None else {}
    second = entry_fields(now, new) if now is not None else {}
    changes = tuple(
        Change(name, _LABELS.get(name, name), first.get(name), second.get(name))
        for name in dict.fromkeys((*first, *second))
        if first.get(name) != second.get(name)
    )
    title_was = Text(was.title_zh, was.title_en) if was is not None else None
    title_now = Text(now.title_zh, now.title_en) if now is not None else None
    if was is None or now is None:
        return Difference(code, "added" if was is None else "removed", title_was, title_now, changes)
    if changes:
        return Difference(code, "changed", title_was, title_now, changes)
    cited_was, cited_now = _cited(was, old), _cited(now, new)
    if title_was == title_now and cited_was == cited_now:
        return None
    return Difference(code, "cited", title_was, title_now, (Change("reference", "依据", cited_was, cited_now),))


def _cited(item: Legal, pack: RulePackSpec) -> Text:
    instrument = pack.instruments[item.reference.instrument]
    checked = ("已核对", "verified") if item.verified else ("未核对", "unverified")
    place = f"{instrument.number}{item.reference.article}"
    return Text(f"{place}（{checked[0]}）", f"{place} ({checked[1]})")


def _facts(old: RulePackSpec, new: RulePackSpec) -> Iterator[Difference]:
    for name in dict.fromkeys((*old.facts, *new.facts)):
        was, now = old.facts.get(name), new.facts.get(name)
        first, second = _fact_words(was), _fact_words(now)
        if first == second:
            continue
        kind = "added" if was is None else "removed" if now is None else "changed"
        title_was = Text(was.title_zh, was.title_en or name) if was is not None else None
        title_now = Text(now.title_zh, now.title_en or name) if now is not None else None
        yield Difference(f"facts.{name}", kind, title_was, title_now, (Change("fact", "事实", first, second),))


def _fact_words(fact: FactSpec | None) -> Text | None:
    if fact is None:
        return None
    codes = fact.vocabulary or {}
    column = f"; {fact.column}" if fact.column is not None else ""
    needed = ("；必要", "; required") if fact.required else ("", "")
    return Text(
        f"{fact.type}{column}{needed[0]}{'：' if codes else ''}{'、'.join(codes.values())}",
        f"{fact.type}{column}{needed[1]}{': ' if codes else ''}{', '.join(codes)}",
    )
