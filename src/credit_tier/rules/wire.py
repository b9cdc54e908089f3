"""Answers as plain JSON values, for the command line and other doors."""

from __future__ import annotations

from datetime import date

from credit_tier.canonical import Json
from credit_tier.rules.applications import Limit
from credit_tier.rules.compare import Comparison, Group
from credit_tier.rules.compile import Reason
from credit_tier.rules.evaluate import Deadline, Decision, Publicity
from credit_tier.rules.facts import Fact
from credit_tier.rules.measures import Standing
from credit_tier.rules.repair import RepairAssessment
from credit_tier.rules.words import Difference, Text
from credit_tier.specs.rulepack import Paper


def _day(value: date | None) -> str | None:
    return value.isoformat() if value is not None else None


def _fact(value: Fact) -> Json:
    if isinstance(value, date):
        return value.isoformat()
    return sorted(value) if isinstance(value, frozenset) else value


def _paper(paper: Paper) -> Json:
    return {"zh": paper.title_zh, "en": paper.title_en}


def reason_json(reason: Reason) -> dict[str, Json]:
    """Return a reason with its legal reference; `reference` is null where the reason is not one of law."""
    citation = reason.citation
    return {
        "code": reason.code,
        "zh": reason.text_zh,
        "en": reason.text_en,
        "verified": reason.verified,
        "reference": None
        if citation is None
        else {
            "instrument": citation.instrument,
            "title_zh": citation.title_zh,
            "article": citation.article,
            "source": citation.source,
            "grade": citation.grade,
            "note": citation.note,
            "url": citation.url,
        },
    }


def _publicity(item: Publicity) -> Json:
    return {
        "class": item.class_id,
        "class_zh": item.class_zh,
        "class_en": item.class_en,
        "clock_start": item.basis,
        "start_on": _day(item.start_on),
        "min_end_on": _day(item.min_end_on),
        "max_end_on": _day(item.max_end_on),
        "pack": item.pack,
    }


def _deadline(item: Deadline) -> Json:
    return {
        **reason_json(item.reason),
        "working_days": item.working_days,
        "start_on": _day(item.start_on),
        "due_on": _day(item.due_on),
        "start_is_assumed": item.is_assumed,
        "holiday_table_covers": item.is_covered,
    }


def limit_json(item: Limit) -> dict[str, Json]:
    """Return a time limit of an application."""
    return {
        **reason_json(item.reason),
        "working_days": item.working_days,
        "start_on": _day(item.start_on),
        "due_on": _day(item.due_on),
        "ended_on": _day(item.ended_on),
        "pace": item.pace.name.lower(),
        "working_days_left": item.days,
        "holiday_table_covers": item.is_covered,
    }


def decision_json(decision: Decision) -> dict[str, Json]:
    """Return the full answer; every date is ISO text, every absent value null."""
    channel = decision.channel
    return {
        "as_of": _day(decision.as_of),
        "decision": decision.verdict.value,
        "decision_zh": decision.verdict.label_zh,
        "until": _day(decision.until),
        "first_possible_on": _day(decision.first_possible_on),
        "publicity": None if decision.publicity is None else _publicity(decision.publicity),
        "reasons": [reason_json(reason) for reason in decision.reasons],
        "papers": [_paper(paper) for paper in decision.papers],
        "missing_papers": [_paper(paper) for paper in decision.missing_papers],
        "channel": None
        if channel is None
        else {"id": channel.id, "zh": channel.title_zh, "en": channel.title_en, "url": channel.url},
        "deadlines": [_deadline(item) for item in decision.deadlines],
        "needs_confirmation": decision.confirm,
        "unverified": list(decision.unverified),
        "trace": {name: _fact(value) for name, value in decision.trace},
        "pack": decision.pack,
        "pack_digest": decision.digest,
    }


def assessment_json(item: RepairAssessment) -> dict[str, Json]:
    """Return one line of a worklist."""
    return {
        "code": item.subject,
        "record_id": item.record_id,
        "step": int(item.step),
        "step_zh": item.step.label_zh,
        "decision": item.verdict.value,
        "class": item.class_id,
        "first_possible_on": _day(item.first_possible_on),
        "max_end_on": _day(item.max_end_on),
        "days_saved": item.days_saved,
        "unmet": list(item.unmet),
        "reasons": [reason.code for reason in item.reasons],
        "needs_confirmation": item.confirm,
        "unverified": list(item.unverified),
        "pack": item.pack,
        "period_pack": item.period_pack,
    }


def _text(value: Text | None) -> Json:
    return None if value is None else {"zh": value.zh, "en": value.en}


def difference_json(item: Difference) -> dict[str, Json]:
    """Return one entry that differs between two packs."""
    return {
        "code": item.code,
        "kind": item.kind,
        "before": _text(item.before),
        "after": _text(item.after),
        "changes": [
            {"field": change.field, "zh": change.label_zh, "before": _text(change.before), "after": _text(change.after)}
            for change in item.changes
        ],
    }


def _group(item: Group) -> Json:
    return {
        "direction": item.direction.name.lower(),
        "before": {"decision": item.before.value, "class": item.before_class},
        "after": {"decision": item.after.value, "class": item.after_class},
        "only_before": [reason_json(reason) for reason in item.only_before],
        "only_after": [reason_json(reason) for reason in item.only_after],
        "records": item.size,
        "record_ids": list(item.records),
    }


def comparison_json(item: Comparison) -> dict[str, Json]:
    """Return how a caseload fares under two packs: counts, groups with their reasons, and the ids of records that fare otherwise."""
    return {
        "as_of": _day(item.as_of),
        "records": {way.name.lower(): number for way, number in item.records.items()},
        "enterprises": {way.name.lower(): number for way, number in item.enterprises.items()},
        "groups": [_group(group) for group in item.groups],
    }


def standing_json(item: Standing) -> dict[str, Json]:
    """Return a measure that applies, with the record it follows from."""
    measure = item.measure
    return {
        **reason_json(item.reason),
        "effect": measure.effect,
        "table": measure.records.table,
        "record_id": item.record_id,
        "since": _day(item.since),
        "ends_on": _day(item.ends_on),
        "ends_on_repair": measure.ends_on_repair,
        "unverified": list(item.unverified),
    }
