"""What-if: the same adverse records under two packs; who is better or worse off, and why. Rows are plain mappings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from typing import NamedTuple

from credit_tier.errors import RuleError
from credit_tier.rules.compile import Reason
from credit_tier.rules.judge import Verdict
from credit_tier.rules.repair import Assessor, RepairAssessment
from credit_tier.rules.resolve import RulePack
from credit_tier.temporal import AsOf

_OVER = {Verdict.EXPIRED, Verdict.NOT_PUBLISHED, Verdict.REPAIRED}


class Direction(IntEnum):
    """How a record fares under the second pack compared with the first."""

    BETTER = 1
    WORSE = 2
    OPEN = 3
    SAME = 4

    @property
    def label_zh(self) -> str:
        """Return the Chinese label."""
        return ("更有利", "更不利", "须人工判定", "相同")[self - 1]


class _Why(NamedTuple):
    direction: Direction
    before: Verdict
    before_class: str | None
    after: Verdict
    after_class: str | None
    only_before: tuple[Reason, ...]
    only_after: tuple[Reason, ...]


class Group(NamedTuple):
    """Records that fare alike for the same reasons.

    Attributes
    ----------
    before, after : verdicts under the first and the second pack, with the publicity class or None.
    only_before, only_after : reasons that stand under one of the two only.
    records : ids, sorted; empty for records that fare the same.
    size : how many records.
    """

    direction: Direction
    before: Verdict
    before_class: str | None
    after: Verdict
    after_class: str | None
    only_before: tuple[Reason, ...]
    only_after: tuple[Reason, ...]
    records: tuple[str, ...]
    size: int


@dataclass(frozen=True)
class Comparison:
    """A caseload under two packs.

    Attributes
    ----------
    groups : by direction, the largest first.
    records : direction -> number of records.
    enterprises : direction -> enterprises; better: some record fares better and none worse; worse: the other way round;
        open: some of both, or a person decides about some; same: all the rest.
    """

    before: RulePack
    after: RulePack
    as_of: date
    groups: tuple[Group, ...]
    records: dict[Direction, int]
    enterprises: dict[Direction, int]


def compare(records: Iterable[Mapping[str, object]], before: RulePack, after: RulePack, as_of: AsOf) -> Comparison:
    """Return how each adverse record fares under two packs on one day.

    A record fares better the sooner its publicity can be over: it is over, or one can apply now, or from a later day on; then the
    sooner it ends by itself; then the fewer requirements are unmet. Where one of the packs leaves the decision to a person it is open.

    Parameters
    ----------
    records : rows with the columns of both packs, as in `repair.assess`.

    Raises
    ------
    RuleError (CT-RULE-050) if the packs take their records from different tables; CT-RULE-021 a column of the wrong type.
    """
    first, second = Assessor(before, as_of), Assessor(after, as_of)
    if first.records != second.records:
        raise RuleError.of(
            "CT-RULE-050",
            where=f"{before.id}, {after.id}",
            what="the packs take their records from different tables.",
            advice="Compare two packs of one topic.",
        )
    found: dict[_Why, list[str]] = {}
    same: dict[_Why, int] = {}
    seen: dict[str, set[Direction]] = {}
    for row in records:
        old, new = first(row), second(row)
        why = _why(old, new, as_of.on)
        seen.setdefault(old.subject, set()).add(why.direction)
        if why.direction is Direction.SAME:
            same[why] = same.get(why, 0) + 1
        else:
            found.setdefault(why, []).append(old.record_id)
    groups = [Group(*why, tuple(sorted(ids)), len(ids)) for why, ids in found.items()]
    groups += [Group(*why, (), count) for why, count in same.items()]
    groups.sort(key=_order)
    enterprises = [_together(directions) for directions in seen.values()]
    return Comparison(
        before,
        after,
        as_of.on,
        tuple(groups),
        {way: sum(group.size for group in groups if group.direction is way) for way in Direction},
        {way: enterprises.count(way) for way in Direction},
    )


def _order(group: Group) -> tuple[object, ...]:
    codes = tuple(reason.code for reason in (*group.only_before, *group.only_after))
    classes = (group.before_class or "", group.after_class or "")
    return (group.direction, -group.size, group.before.value, group.after.value, classes, codes, group.records)


def _together(directions: set[Direction]) -> Direction:
    moved = directions - {Direction.SAME}
    if not moved:
        return Direction.SAME
    return moved.pop() if len(moved) == 1 else Direction.OPEN


def _why(old: RepairAssessment, new: RepairAssessment, on: date) -> _Why:
    old_codes, new_codes = {reason.code for reason in old.reasons}, {reason.code for reason in new.reasons}
    return _Why(
        _direction(old, new, on),
        old.verdict,
        old.class_id,
        new.verdict,
        new.class_id,
        tuple(reason for reason in old.reasons if reason.code not in new_codes),
        tuple(reason for reason in new.reasons if reason.code not in old_codes),
    )


def _direction(old: RepairAssessment, new: RepairAssessment, on: date) -> Direction:
    open_to = [item.verdict is Verdict.NEEDS_HUMAN for item in (old, new)]
    if any(open_to):
        return Direction.SAME if all(open_to) else Direction.OPEN
    first, second = _fate(old, on), _fate(new, on)
    return Direction.SAME if first == second else Direction.BETTER if second < first else Direction.WORSE


def _fate(item: RepairAssessment, on: date) -> tuple[date, date, int]:
    """Return the first day on which publicity can be over, the day on which it is over by itself, and what is missing."""
    if item.verdict in _OVER:
        return date.min, date.min, 0
    end = item.max_end_on or date.max
    if item.first_possible_on is None:
        return end, end, 0
    return max(item.first_possible_on, on), end, len(item.unmet)
