"""The judgement of one record under compiled law: cheap, exact, the same for one enterprise and for a city.

Order: grounds on which nothing is left to repair, required facts, class and period (also under an earlier pack if the transition says so),
end of publicity, bars, minimum period, requirements.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from credit_tier.rules.compile import Condition, Law, Reason, Rule, Window
from credit_tier.rules.facts import Facts


class Verdict(StrEnum):
    """What the rules say; the decision itself is the authority's."""

    ELIGIBLE = "eligible"
    NOT_YET = "not_yet"
    NOT_REPAIRABLE = "not_repairable"
    EXPIRED = "expired"
    NOT_PUBLISHED = "not_published"
    REPAIRED = "repaired"
    NEEDS_HUMAN = "needs_human"

    @property
    def label_zh(self) -> str:
        """Return the Chinese label."""
        return {
            "eligible": "可以申请修复",
            "not_yet": "尚不能申请",
            "not_repairable": "不能提前修复",
            "expired": "公示期已满",
            "not_published": "不予公示",
            "repaired": "已修复",
            "needs_human": "须人工判定",
        }[self.value]


class Outcome(NamedTuple):
    """One judgement.

    Attributes
    ----------
    verdict : what the rules say.
    window : class and publicity period, None if none could be found.
    first_possible_on : first day on which repair can be applied for; if requirements are unmet, provided that they are met by then.
    unmet : ids of requirements that are not met.
    reasons : why, most general first.
    unverified : codes of entries the answer rests on that nobody compared with the official text.
    confirm : a person must confirm which pack's period governs.
    """

    verdict: Verdict
    window: Window | None
    first_possible_on: date | None
    unmet: tuple[str, ...]
    reasons: tuple[Reason, ...]
    unverified: tuple[str, ...]
    confirm: bool


def _engine(code: str, text_zh: str, text_en: str) -> Reason:
    return Reason(f"question.{code}", text_zh, text_en, None, verified=True)


DATED_LATER = _engine("dated_after_as_of", "记录日期晚于截止时点", "The record is dated after the as-of day.")
NO_START = _engine("no_start", "公示期起算日期缺失", "The date from which publicity runs is not given.")
NO_CLASS = _engine("no_class", "规则包未涵盖此类处罚,无法分类", "No class of the rule pack fits this record.")
NO_END = _engine(
    "no_end_by_itself", "最长公示期已满,但不自动终止", "The maximum has passed, but publicity does not end by itself."
)
NO_EARLY_END = _engine("no_early_end", "该类信息不能提前终止公示", "Publicity of this class cannot be ended early.")
NO_EARLIER_PACK = _engine(
    "no_earlier_pack",
    "作出决定时没有可查的规则包,仅按现行规则计算",
    "No pack is known for the day of the decision; the rules in force alone were used.",
)
INCOMPARABLE = _engine(
    "incomparable",
    "新旧规则的公示期互有长短,须人工选择",
    "Neither the earlier nor the present period is better for the party at both ends; a person must choose.",
)

Earlier = Callable[[date], "Judge | None"]
"""Day to the judge by the rules of the same jurisdiction and topic in force then, or None."""

_OVER = {Verdict.EXPIRED, Verdict.NOT_PUBLISHED}


class Judge:
    """Judges records under one law, with the judges by the laws before it at hand."""

    def __init__(self, law: Law, earlier: Earlier) -> None:
        self.law = law
        self._earlier = earlier
        self._eve = law.since - timedelta(1)
        self._missing = {
            name: _engine(
                f"missing.{name}",
                f"缺少事实:{law.spec.facts[name].title_zh}",
                f"A required fact is not given: {law.spec.facts[name].title_en or name}.",
            )
            for name in law.required
        }
        self._ready: dict[tuple[str, str, str, tuple[str, ...]], tuple[tuple[Reason, ...], tuple[str, ...]]] = {}

    def __call__(self, facts: Facts, on: date) -> Outcome:
        """Return the judgement on facts as they were known before `on`."""
        law = self.law
        case_day = facts.get(law.transition.fact)
        if isinstance(case_day, date) and case_day > on:
            return _human(None, (DATED_LATER,))
        rule = law.settle(facts, on)
        if rule is not None:
            return _settled(rule)
        for name in law.required:
            if facts.get(name) is None:
                return _human(None, (self._missing[name],))
        window = present = law.window(facts, on)
        notes: tuple[Reason, ...] = ()
        if law.transition.period == "more_favourable" and isinstance(case_day, date) and case_day < law.since:
            chosen = self._across(present, facts, on, case_day)
            if isinstance(chosen, Outcome):
                return chosen
            window, notes = chosen
        if window is None or (present is None and on < window.max_end_on):
            bar = law.bar(facts, on)
            if bar is not None:
                return _barred(bar, None, notes)
            return _human(None, (*notes, NO_CLASS if facts.get(law.start) is not None else NO_START))
        if on >= window.max_end_on:
            return self._after_the_end(window, facts, on, notes)
        bar = law.bar(facts, on)
        if bar is not None:
            return _barred(bar, window, notes)
        return self._requirements(window, (present or window).kind.id, facts, on, notes)

    def _across(
        self, window: Window | None, facts: Facts, on: date, case_day: date
    ) -> Outcome | tuple[Window | None, tuple[Reason, ...]]:
        """Choose between the period in force and the one of the day of the case; see `specs.rulepack.Transition`."""
        then = self._earlier(case_day)
        if then is None:
            return self._ended_between(None, facts) or (window, (NO_EARLIER_PACK,))
        old_law = then.law
        note = self.law.reasons["transition"]
        rule = old_law.settle(facts, on)
        if rule is not None and rule.decision == "not_published":
            return _settled(rule, note)
        old = old_law.window(facts, on)
        if old is not None and old.max_end_on <= self.law.since and old_law.ends(facts, on):
            return old, ()  # publicity was over before the rules in force began
        ended = self._ended_between(then, facts)
        if ended is not None:
            return ended
        if old is None or window is None:
            if old is window:
                return None, ()
            return _human(old or window, (note, NO_CLASS))
        old_least, least = old.min_end_on or old.max_end_on, window.min_end_on or window.max_end_on
        if (old_least, old.max_end_on) == (least, window.max_end_on):
            return window, ()
        if old_least <= least and old.max_end_on <= window.max_end_on:
            return old, (note,)
        if least <= old_least and window.max_end_on <= old.max_end_on:
            return window, (note,)
        return _human(None, (old.kind.reason, window.kind.reason, note, INCOMPARABLE), confirm=True)

    def _ended_between(self, then: Judge | None, facts: Facts) -> Outcome | None:
        """Return why publicity was over on the eve of this law by a law later than that of the case, or None."""
        last = self._earlier(self._eve)
        if last is None or last is then:
            return None
        found = last(facts, self._eve)
        return found if found.verdict in _OVER else None

    def _after_the_end(self, window: Window, facts: Facts, on: date, notes: tuple[Reason, ...]) -> Outcome:
        """Publicity ended by itself, if the law of the period says so, and the law in force at the end where it is another."""
        laws = (
            (window.law,) if window.law is self.law or window.max_end_on <= self.law.since else (window.law, self.law)
        )
        reasons = (window.kind.reason, window.kind.max_reason, *notes)
        for law in laws:
            if not law.ends(facts, on):
                return _outcome(Verdict.NEEDS_HUMAN, window, (*reasons, law.reasons["ending"], NO_END))
        return _outcome(Verdict.EXPIRED, window, (*reasons, *(law.reasons["ending"] for law in laws)))

    def _requirements(self, window: Window, kind: str, facts: Facts, on: date, notes: tuple[Reason, ...]) -> Outcome:
        if window.min_end_on is None:
            reasons = (window.kind.reason, window.kind.max_reason, *notes, NO_EARLY_END)
            return _outcome(Verdict.NOT_REPAIRABLE, window, reasons)
        first = window.min_end_on
        asked: tuple[str, ...] = ()
        unmet: tuple[str, ...] = ()
        for condition in self.law.conditions:
            if condition.kinds and kind not in condition.kinds:
                continue
            if condition.applies is not None and not condition.applies(facts, on):
                continue
            asked = (*asked, condition.id)
            day = _met_on(condition, facts, on)
            if day is None:
                unmet = (*unmet, condition.id)
            elif day > first:
                first = day
        verdict = Verdict.NOT_YET if unmet or first > on else Verdict.ELIGIBLE
        key = (window.law.id, window.kind.id, notes[0].code if notes else "", unmet or asked)
        ready = self._ready.get(key)
        if ready is None:
            ready = self._ready[key] = self._why(window, unmet or asked, notes)
        reasons, unverified = ready
        return Outcome(verdict, window, max(first, on) if unmet else first, unmet, reasons, unverified, bool(notes))

    def _why(
        self, window: Window, asked: tuple[str, ...], notes: tuple[Reason, ...]
    ) -> tuple[tuple[Reason, ...], tuple[str, ...]]:
        kind = window.kind
        conditions = [condition.reason for condition in self.law.conditions if condition.id in asked]
        reasons = (kind.reason, *((kind.min_reason,) if kind.min_reason else ()), *notes, *conditions)
        return reasons, _unverified(reasons, kind.unverified)


def _met_on(condition: Condition, facts: Facts, on: date) -> date | None:
    """Return the day on which a requirement was met, or None; a requirement met by a fact without date counts as met before."""
    if condition.met is not None:
        return date.min if condition.met(facts, on) else None
    days = [day for name in condition.met_on if isinstance(day := facts.get(name), date)]
    return min(days) if days else None


@lru_cache(maxsize=10_000)
def _unverified(reasons: tuple[Reason, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*(reason.code for reason in reasons if not reason.verified), *more)))


def _outcome(verdict: Verdict, window: Window | None, reasons: tuple[Reason, ...]) -> Outcome:
    more = window.kind.unverified if window is not None else ()
    confirm = any(reason is NO_EARLIER_PACK or reason.code == "transition" for reason in reasons)
    return Outcome(verdict, window, None, (), reasons, _unverified(reasons, more), confirm)


def _human(window: Window | None, reasons: tuple[Reason, ...], *, confirm: bool = False) -> Outcome:
    found = _outcome(Verdict.NEEDS_HUMAN, window, reasons)
    return found._replace(confirm=True) if confirm else found


def _settled(rule: Rule, *notes: Reason) -> Outcome:
    found = _outcome(Verdict(rule.decision), None, (rule.reason, *notes))
    return found._replace(unverified=tuple(dict.fromkeys((*found.unverified, *rule.unverified))))


def _barred(rule: Rule, window: Window | None, notes: tuple[Reason, ...]) -> Outcome:
    reasons = ((window.kind.reason,) if window is not None else ()) + (rule.reason, *notes)
    found = _outcome(Verdict(rule.decision), window, reasons)
    return found._replace(unverified=tuple(dict.fromkeys((*found.unverified, *rule.unverified))))
