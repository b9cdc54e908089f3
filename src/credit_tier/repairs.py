"""The agency's door to credit repair: who can be helped, in which order, and what it would do to points and class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from credit_tier.content import Content
from credit_tier.data.lake import Lake
from credit_tier.temporal import AsOf

if TYPE_CHECKING:
    from credit_tier.rules.repair import RepairAssessment
    from credit_tier.rules.resolve import RulePack


@dataclass(frozen=True)
class Worklist:
    """Adverse records of a city under the rules of one day.

    Attributes
    ----------
    items : what somebody can do something about, most urgent first.
    verdicts : verdict -> records, over all records, also those that need nothing.
    pack : the rule pack in force.
    """

    items: list[RepairAssessment]
    verdicts: dict[str, int]
    pack: RulePack


def repair_worklist(
    lake: Lake, content: Content, as_of: AsOf, *, jurisdiction: str = "cn", topic: str = "repair"
) -> Worklist:
    """Assess every adverse record known at an as_of: who can be helped now, who next and when (信用修复工作清单).

    Raises
    ------
    RuleError if no pack is in force that day; LakeError if the pack's table is not in the lake.
    """
    from collections import Counter

    from credit_tier.features.records import visible_rows
    from credit_tier.rules.repair import Assessor, worklist
    from credit_tier.rules.resolve import resolve

    pack = resolve(content, jurisdiction, topic, as_of.on)
    judge = Assessor(pack, as_of)
    verdicts: Counter[str] = Counter()

    def counted() -> Iterator[RepairAssessment]:
        for row in visible_rows(lake, judge.table, judge.columns, as_of):
            found = judge(row)
            verdicts[found.verdict.value] += 1
            yield found

    return Worklist(worklist(counted()), dict(sorted(verdicts.items())), pack)
