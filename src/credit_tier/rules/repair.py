"""Adverse records of one enterprise or of a city: who can be helped now, who next and when (失信修复, 应修尽修).

Rows come as plain mappings with the columns that the rule pack names.
Nothing here knows a table, a column or a legal value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from typing import NamedTuple

from credit_tier.content import Content
from credit_tier.errors import RuleError
from credit_tier.rules.compile import Reason
from credit_tier.rules.evaluate import Decision, evaluate
from credit_tier.rules.facts import row_reader
from credit_tier.rules.judge import Verdict
from credit_tier.rules.resolve import RulePack, resolve
from credit_tier.specs.rulepack import Records
from credit_tier.temporal import AsOf, WorkingCalendar

TOPIC = "repair"


class Step(IntEnum):
    """What somebody can do about a record, most urgent first."""

    APPLY = 1
    BRING_PAPERS = 2
    WAIT = 3
    ASK_PERSON = 4
    NOTHING = 5

    @property
    def label_zh(self) -> str:
        """Return the Chinese label."""
        return ("现在可申请", "补齐条件即可申请", "等待期满", "人工判定", "无需办理")[self - 1]


class RepairAssessment(NamedTuple):
    """One adverse record under the rules of a day.

    Attributes
    ----------
    step : what can be done about it.
    class_id : publicity class, None if none was found.
    first_possible_on : first day on which one can apply; with unmet requirements, provided that they are met by then.
    max_end_on : day on which the maximum publicity period has passed.
    days_saved : days of publicity that a repair on the first possible day saves; 0 if nothing can be repaired.
    unmet : ids of requirements not met; their titles stand in `reasons`.
    reasons, unverified, confirm : as in `Decision`.
    pack, period_pack : the pack that governs, and the one whose period was taken.
    """

    subject: str
    record_id: str
    verdict: Verdict
    step: Step
    class_id: str | None
    first_possible_on: date | None
    max_end_on: date | None
    days_saved: int
    unmet: tuple[str, ...]
    reasons: tuple[Reason, ...]
    unverified: tuple[str, ...]
    confirm: bool
    pack: str
    period_pack: str | None


class Assessor:
    """Assesses rows under one pack; built once, then a few microseconds a row.

    Attributes
    ----------
    table : table that holds the records.
    columns : columns that a row needs, subject and record id included; an absent one counts as empty.
    """

    def __init__(self, pack: RulePack, as_of: AsOf) -> None:
        self.pack = pack
        self.records = records_of(pack)
        self.table = self.records.table
        named = [fact.column for fact in pack.facts.values() if fact.column is not None]
        self.columns = tuple(dict.fromkeys((self.records.subject, self.records.record_id, *named)))
        self._on = as_of.on
        self._read = row_reader(pack.facts)
        self._judge = pack.judge

    def __call__(self, row: Mapping[str, object]) -> RepairAssessment:
        """Return the assessment of one row.

        Raises
        ------
        RuleError (CT-RULE-021) if a column holds another type than the fact; the message names the column only.
        """
        outcome = self._judge(self._read(row), self._on)
        window, first, on = outcome.window, outcome.first_possible_on, self._on
        saved = 0
        step = Step.NOTHING
        if outcome.verdict is Verdict.ELIGIBLE:
            step = Step.APPLY
        elif outcome.verdict is Verdict.NOT_YET:
            step = Step.WAIT if first is not None and first > on else Step.BRING_PAPERS
        elif outcome.verdict is Verdict.NEEDS_HUMAN:
            step = Step.ASK_PERSON
        if first is not None and window is not None:
            saved = max(0, (window.max_end_on - max(first, on)).days)
        return RepairAssessment(
            str(row.get(self.records.subject, "")),
            str(row.get(self.records.record_id, "")),
            outcome.verdict,
            step,
            window.kind.id if window is not None else None,
            first,
            window.max_end_on if window is not None else None,
            saved,
            outcome.unmet,
            outcome.reasons,
            outcome.unverified,
            outcome.confirm,
            self.pack.id,
            window.law.id if window is not None else None,
        )


def records_of(pack: RulePack) -> Records:
    """Return which table and columns a pack takes its records from."""
    if pack.spec.records is None:
        raise RuleError.of(
            "CT-RULE-005", where=pack.id, what="the pack names no table of records.", advice="Add records."
        )
    return pack.spec.records


def assess_each(
    records: Iterable[Mapping[str, object]], as_of: AsOf, content: Content, jurisdiction: str, *, topic: str = TOPIC
) -> Iterator[RepairAssessment]:
    """Yield the assessment of each record, in the order given; for tables that do not fit into memory."""
    yield from map(Assessor(resolve(content, jurisdiction, topic, as_of.on), as_of), records)


def assess(
    records: Iterable[Mapping[str, object]], as_of: AsOf, content: Content, jurisdiction: str, *, topic: str = TOPIC
) -> list[RepairAssessment]:
    """Return the assessment of each adverse record, in the order given.

    Parameters
    ----------
    records : rows with the columns that the pack names; dates are datetime.date, money is integer fen.
    as_of : the day of the question; its law governs.
    jurisdiction : cn, cn-32, cn-3205 or cn-320505.

    Raises
    ------
    RuleError : CT-RULE-001 no pack in force, 021 a column of the wrong type.
    """
    return list(assess_each(records, as_of, content, jurisdiction, topic=topic))


def worklist(assessments: Iterable[RepairAssessment]) -> list[RepairAssessment]:
    """Return the records about which something can be done: by step, then date, then days saved, then identity.

    Records that are repaired, expired, unpublished or not repairable are left out.
    """
    kept = [item for item in assessments if item.step is not Step.NOTHING]
    kept.sort(
        key=lambda item: (
            item.step,
            item.first_possible_on or date.max,
            -item.days_saved,
            item.subject,
            item.record_id,
        )
    )
    return kept


@dataclass(frozen=True)
class RecordDecision:
    """The full answer for one record of an enterprise."""

    record_id: str
    decision: Decision


def decide_each(
    records: Iterable[Mapping[str, object]], as_of: AsOf, pack: RulePack, *, calendar: WorkingCalendar | None = None
) -> list[RecordDecision]:
    """Return the full answer for each record of an enterprise, sorted by record id.

    The same judgement as `assess`, with papers, time limits and a trace of every fact that was read.
    """
    read = row_reader(pack.facts)
    name = records_of(pack).record_id
    found = [
        RecordDecision(str(row.get(name, "")), evaluate(pack, read(row), as_of, calendar=calendar)) for row in records
    ]
    return sorted(found, key=lambda item: item.record_id)
