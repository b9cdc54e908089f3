"""One question answered in full: decision, reasons with references, papers, time limits, and a trace of every fact read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from credit_tier.rules.compile import Law, Reason, Window
from credit_tier.rules.facts import Fact, Facts, Recorder, checked
from credit_tier.rules.judge import Verdict
from credit_tier.rules.resolve import RulePack
from credit_tier.specs.rulepack import Channel, Clock, Paper
from credit_tier.temporal import AsOf, WorkingCalendar


@dataclass(frozen=True)
class Publicity:
    """The publicity period (公示期) of a record.

    Attributes
    ----------
    basis : what starts the clock: decision, publication or document.
    min_end_on : first day after the minimum, None if publicity cannot be ended early.
    max_end_on : day on which the maximum has passed.
    pack : id of the pack whose period this is; may be an earlier one than the pack that governs the rest.
    """

    class_id: str
    class_zh: str
    class_en: str
    basis: str
    start_on: date
    min_end_on: date | None
    max_end_on: date
    pack: str


@dataclass(frozen=True)
class Deadline:
    """A time limit of the authority.

    Attributes
    ----------
    start_on : day of the event that starts it; None if that is not known, then `due_on` is None too.
    is_assumed : the start was not given; the first day on which one can apply was taken.
    is_covered : the holiday table covers every year between start and end; otherwise the day may be wrong.
    """

    reason: Reason
    working_days: int
    start_on: date | None
    due_on: date | None
    is_assumed: bool
    is_covered: bool


@dataclass(frozen=True)
class Decision:
    """What the rules say about one adverse record; the decision itself is the authority's.

    Attributes
    ----------
    verdict : eligible, not_yet, not_repairable, expired, not_published, repaired or needs_human.
    first_possible_on : first day on which one can apply; if papers are missing, provided that they come in time.
    until : that day if it lies after as_of, else None.
    papers, missing_papers : all papers of an application; those that prove requirements not met yet.
    confirm : a person must confirm which pack's period governs.
    unverified : codes of rules and values the answer rests on that nobody compared with the official text.
    trace : every fact that was read, with its value; None means that it was not given.
    pack, digest : the pack that governs, and SHA-256 over its files.
    """

    as_of: date
    verdict: Verdict
    publicity: Publicity | None
    first_possible_on: date | None
    reasons: tuple[Reason, ...]
    papers: tuple[Paper, ...]
    missing_papers: tuple[Paper, ...]
    channel: Channel | None
    deadlines: tuple[Deadline, ...]
    confirm: bool
    unverified: tuple[str, ...]
    trace: tuple[tuple[str, Fact], ...]
    pack: str
    digest: str

    @property
    def until(self) -> date | None:
        """Return the day to wait for, or None if there is nothing to wait for."""
        first = self.first_possible_on
        return first if first is not None and first > self.as_of else None


def evaluate(
    pack: RulePack, facts: Mapping[str, object], as_of: AsOf, *, calendar: WorkingCalendar | None = None
) -> Decision:
    """Return what the rules say about one adverse record.

    Parameters
    ----------
    pack : from `resolve`, for the day of the application.
    facts : fact -> datetime.date, code, collection of codes (or one text joined by `;`), int (money: fen), bool, or None.
    as_of : the day of the question.
    calendar : the State Council's holiday table; without it Monday to Friday are counted and the deadlines say so.

    Raises
    ------
    RuleError : CT-RULE-020 undeclared fact, 021 wrong type, 022 code outside the vocabulary.
    """
    given = Recorder(checked(pack.facts, facts))
    on = as_of.on
    outcome = pack.judge(given, on)
    law = pack.law
    applies = outcome.verdict in {Verdict.ELIGIBLE, Verdict.NOT_YET}
    papers = _papers(law, outcome.window, given, on) if applies else {}
    proving = [paper for condition in law.conditions if condition.id in outcome.unmet for paper in condition.papers]
    channel = law.channel(given, on) if applies else None
    start = max(outcome.first_possible_on or on, on)
    deadlines = tuple(
        _deadline(law, clock, given, start, calendar or WorkingCalendar()) for clock in law.spec.clocks if applies
    )
    extra = [item.reason.code for item in deadlines if not item.reason.verified]
    if deadlines:
        lengths = [law.reasons[f"values.{clock.length}"] for clock in law.spec.clocks]
        extra.extend(reason.code for reason in lengths if not reason.verified)
    if channel is not None and not channel.verified:
        extra.append(f"channels.{channel.id}")
    return Decision(
        as_of=on,
        verdict=outcome.verdict,
        publicity=_publicity(outcome.window),
        first_possible_on=outcome.first_possible_on,
        reasons=outcome.reasons,
        papers=tuple(papers.values()),
        missing_papers=tuple(papers[name] for name in dict.fromkeys(proving)),
        channel=channel,
        deadlines=deadlines,
        confirm=outcome.confirm,
        unverified=tuple(dict.fromkeys((*outcome.unverified, *extra))),
        trace=tuple(given.trace()),
        pack=pack.id,
        digest=pack.digest,
    )


def _publicity(window: Window | None) -> Publicity | None:
    if window is None:
        return None
    start = window.law.spec.clock_start
    return Publicity(
        window.kind.id,
        window.kind.reason.text_zh,
        window.kind.reason.text_en,
        start.basis if start is not None else "",
        window.start_on,
        window.min_end_on,
        window.max_end_on,
        window.law.id,
    )


def _papers(law: Law, window: Window | None, facts: Facts, on: date) -> dict[str, Paper]:
    present = law.window(facts, on) or window
    names = list(law.spec.apply_with)
    for condition in law.conditions:
        if condition.kinds and (present is None or present.kind.id not in condition.kinds):
            continue
        if condition.applies is None or condition.applies(facts, on):
            names.extend(condition.papers)
    return {name: law.spec.papers[name] for name in dict.fromkeys(names)}


def _deadline(law: Law, clock: Clock, facts: Facts, assumed: date, calendar: WorkingCalendar) -> Deadline:
    period = law.spec.values[clock.length].period
    days = (period.working_days if period is not None else None) or 0
    given = facts.get(clock.start)
    start = given if isinstance(given, date) else assumed if clock.starts_at_as_of else None
    due = calendar.add(start, days) if start is not None else None
    covered = start is not None and due is not None and all(map(calendar.covers, range(start.year, due.year + 1)))
    reason = law.reasons[f"clocks.{clock.id}"]
    return Deadline(reason, days, start, due, is_assumed=not isinstance(given, date), is_covered=covered)
