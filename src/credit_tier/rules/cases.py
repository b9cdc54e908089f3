"""Cases: facts and the answer a lawyer expects, as YAML; run against the packs in force on the day of the question."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import Field

from credit_tier.content import Content, Flag, Spec, parse
from credit_tier.errors import ContentError
from credit_tier.rules.evaluate import Decision, evaluate
from credit_tier.rules.facts import from_texts
from credit_tier.rules.judge import Verdict
from credit_tier.rules.resolve import Shelf, resolve
from credit_tier.temporal import AsOf


class Expected(Spec):
    """What the answer must be; only what is written is compared."""

    decision: Verdict
    class_: str | None = Field(default=None, alias="class")
    until: date | None = None
    first_possible_on: date | None = None
    min_end_on: date | None = None
    max_end_on: date | None = None
    reasons: tuple[str, ...] = ()
    """Codes that must be among the reasons."""
    missing_papers: tuple[str, ...] | None = None
    """Chinese titles of exactly these papers."""
    channel: str | None = None
    working_days: dict[str, int] = Field(default_factory=dict)
    """Time limit -> length in working days."""
    pack: str | None = None
    period_pack: str | None = None
    confirm: Flag | None = None


class Case(Spec):
    """One case."""

    case: str
    as_of: date
    facts: dict[str, str | None]
    expect: Expected
    reference: str


class CaseFile(Spec):
    """Cases of one topic and jurisdiction."""

    title_zh: str
    jurisdiction: str
    topic: str
    cases: tuple[Case, ...] = Field(min_length=1)


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
    """Return what the packs say to each case, in order.

    Raises
    ------
    RuleError if a case asks about a day without a pack or gives a fact that no pack declares.
    """
    shelf = Shelf(content, file.jurisdiction, file.topic)
    results = []
    for case in file.cases:
        pack = shelf.on(case.as_of) or resolve(content, file.jurisdiction, file.topic, case.as_of)
        decision = evaluate(pack, from_texts(pack.facts, case.facts), AsOf(case.as_of))
        results.append(CaseResult(case, decision, tuple(_differences(case.expect, decision))))
    return results


def _differences(expect: Expected, decision: Decision) -> list[str]:
    publicity = decision.publicity
    pairs: list[tuple[str, object, object]] = [
        ("decision", expect.decision, decision.verdict),
        ("class", expect.class_, publicity and publicity.class_id),
        ("until", expect.until, decision.until),
        ("first_possible_on", expect.first_possible_on, decision.first_possible_on),
        ("min_end_on", expect.min_end_on, publicity and publicity.min_end_on),
        ("max_end_on", expect.max_end_on, publicity and publicity.max_end_on),
        ("missing_papers", expect.missing_papers, tuple(paper.title_zh for paper in decision.missing_papers)),
        ("channel", expect.channel, decision.channel and decision.channel.id),
        ("pack", expect.pack, decision.pack),
        ("period_pack", expect.period_pack, publicity and publicity.pack),
        ("confirm", expect.confirm, decision.confirm),
    ]
    limits = {item.reason.code.removeprefix("clocks."): item.working_days for item in decision.deadlines}
    pairs.extend((f"working_days.{name}", days, limits.get(name)) for name, days in expect.working_days.items())
    found = [f"{name}: expected {want}, got {got}" for name, want, got in pairs if want is not None and want != got]
    codes = [reason.code for reason in decision.reasons]
    found.extend(f"reasons: {code} is not among {', '.join(codes)}" for code in expect.reasons if code not in codes)
    return found
