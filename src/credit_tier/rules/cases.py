"""Cases: facts and the answer a lawyer expects, as YAML; run against the packs in force on the day of the question."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import product
from pathlib import Path

from pydantic import Field

from credit_tier.content import Content, Flag, Spec, parse
from credit_tier.errors import ContentError
from credit_tier.rules.evaluate import Decision, evaluate
from credit_tier.rules.facts import from_texts
from credit_tier.rules.judge import Verdict
from credit_tier.rules.resolve import RulePack, Shelf, resolve
from credit_tier.temporal import AsOf, WorkingCalendar


class Expected(Spec):
    """What the answer must be; only what is written is compared."""

    decision: Verdict
    class_: str | None = Field(default=None, alias="class")
    until: date | None = None
    first_possible_on: date | None = None
    min_end_on: date | None = None
    max_end_on: date | None = None
    basis: str | None = None
    """What starts the publicity period: decision, publication or document."""
    reasons: tuple[str, ...] = ()
    """Codes that must be among the reasons."""
    papers: tuple[str, ...] | None = None
    """Chinese titles of exactly the papers that an application needs."""
    missing_papers: tuple[str, ...] | None = None
    """Chinese titles of exactly the papers that are missing."""
    channel: str | None = None
    working_days: dict[str, int] = Field(default_factory=dict)
    """Time limit -> length in working days."""
    due_on: dict[str, date | None] = Field(default_factory=dict)
    """Time limit -> its last day by the file's holiday table; empty: no day, because its start is not known."""
    pack: str | None = None
    period_pack: str | None = None
    confirm: Flag | None = None


class Case(Spec):
    """One case."""

    case: str
    as_of: date
    facts: dict[str, str | None]
    for_each: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Fact -> values: the same must follow for each value, and for each combination where several facts are named."""
    expect: Expected
    reference: str

    def questions(self) -> Iterator[Case]:
        """Yield the case once for each combination of the values in `for_each`, itself if there are none."""
        if not self.for_each:
            yield self
            return
        for values in product(*self.for_each.values()):
            given = dict(zip(self.for_each, values, strict=True))
            name = f"{self.case} ({', '.join(values)})"
            yield self.model_copy(update={"case": name, "facts": {**self.facts, **given}, "for_each": {}})


class CaseFile(Spec):
    """Cases of one topic and jurisdiction."""

    title_zh: str
    jurisdiction: str
    topic: str
    holidays: tuple[date, ...] = ()
    """Days off of the State Council's table, by which `due_on` is counted."""
    makeup_days: tuple[date, ...] = ()
    """Saturdays and Sundays that are worked."""
    cases: tuple[Case, ...] = Field(min_length=1)

    @property
    def calendar(self) -> WorkingCalendar:
        """Return the working days by which `due_on` is counted."""
        return WorkingCalendar.of(holidays=self.holidays, makeup_days=self.makeup_days)


@dataclass(frozen=True)
class CaseResult:
    """One case that was run.

    Attributes
    ----------
    differences : one line per expectation that was not met; empty if the case holds.
    """

    case: Case
    decision: Decision
    differences: tuple[str, ...]


def read_cases(path: Path) -> CaseFile:
    """Return the cases of a YAML file, strictly read.

    Raises
    ------
    ContentError : all faults of the file at once.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ContentError.of(
            "CT-RULE-040", where=str(path), what="the cases cannot be read.", advice="Give a UTF-8 YAML file."
        ) from error
    return parse(text, CaseFile, where=str(path))


def run_cases(content: Content, file: CaseFile) -> list[CaseResult]:
    """Return what the packs say to each case, in order; a case with `for_each` gives one result for each combination.

    Raises
    ------
    RuleError if a case asks about a day without a pack or gives a fact that no pack declares.
    """
    shelf = Shelf(content, file.jurisdiction, file.topic)
    results = []
    for case in (question for written in file.cases for question in written.questions()):
        pack = shelf.on(case.as_of) or resolve(content, file.jurisdiction, file.topic, case.as_of)
        results.append(run_case(pack, case, file.calendar))
    return results


def run_case(pack: RulePack, case: Case, calendar: WorkingCalendar) -> CaseResult:
    """Return what a pack says to one case.

    Raises
    ------
    RuleError : CT-RULE-020, 021, 022 if the case gives wrong facts.
    """
    decision = evaluate(pack, from_texts(pack.facts, case.facts), AsOf(case.as_of), calendar=calendar)
    return CaseResult(case, decision, tuple(_differences(case.expect, decision)))


def _differences(expect: Expected, decision: Decision) -> list[str]:
    publicity = decision.publicity
    pairs: list[tuple[str, object, object]] = [
        ("decision", expect.decision, decision.verdict),
        ("class", expect.class_, publicity and publicity.class_id),
        ("until", expect.until, decision.until),
        ("first_possible_on", expect.first_possible_on, decision.first_possible_on),
        ("min_end_on", expect.min_end_on, publicity and publicity.min_end_on),
        ("max_end_on", expect.max_end_on, publicity and publicity.max_end_on),
        ("basis", expect.basis, publicity and publicity.basis),
        ("papers", expect.papers, tuple(paper.title_zh for paper in decision.papers)),
        ("missing_papers", expect.missing_papers, tuple(paper.title_zh for paper in decision.missing_papers)),
        ("channel", expect.channel, decision.channel and decision.channel.id),
        ("pack", expect.pack, decision.pack),
        ("period_pack", expect.period_pack, publicity and publicity.pack),
        ("confirm", expect.confirm, decision.confirm),
    ]
    limits = {item.reason.code.removeprefix("clocks."): item.working_days for item in decision.deadlines}
    pairs.extend((f"working_days.{name}", days, limits.get(name)) for name, days in expect.working_days.items())
    due = {item.reason.code.removeprefix("clocks."): item.due_on for item in decision.deadlines}
    found = [
        f"due_on.{name}: expected {day}, got {due.get(name)}"
        for name, day in expect.due_on.items()
        if due.get(name) != day
    ]
    found += [f"{name}: expected {want}, got {got}" for name, want, got in pairs if want is not None and want != got]
    codes = [reason.code for reason in decision.reasons]
    found.extend(f"reasons: {code} is not among {', '.join(codes)}" for code in expect.reasons if code not in codes)
    return found
