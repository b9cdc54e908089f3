"""The agency's door to applications for repair: how far each has come, and which time limits are overdue."""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from credit_tier.content import Content
from credit_tier.data.lake import Lake
from credit_tier.errors import UsageError
from credit_tier.rules.applications import Limit, Pace, limits_of
from credit_tier.rules.resolve import Shelf
from credit_tier.specs.repairs import RepairsSpec
from credit_tier.temporal import AsOf, WorkingCalendar


class Followed(NamedTuple):
    """An application for repair and its time limits.

    Attributes
    ----------
    about : columns that tell which record it is about, as the content declares.
    stage_zh, stage_en : how far it has come.
    limits : by the pack in force on the day of application; `pack` is its id, empty if none was.
    """

    subject: str
    application_id: str
    about: dict[str, str]
    applied_on: date | None
    stage_zh: str
    stage_en: str
    pack: str
    limits: tuple[Limit, ...]

    @property
    def pace(self) -> Pace | None:
        """Return the most urgent pace of its limits, None without any."""
        return min((item.pace for item in self.limits), default=None)


def follow_applications(
    lake: Lake,
    content: Content,
    as_of: AsOf,
    *,
    jurisdiction: str = "cn",
    topic: str = "repair",
    calendar: WorkingCalendar | None = None,
) -> list[Followed]:
    """Return all applications known at an as_of with their time limits, overdue ones first, longest overdue first.

    Parameters
    ----------
    topic : of the packs whose clocks run. calendar : working days; Monday to Friday without it.

    Raises
    ------
    UsageError (CT-REPAIR-012) if the content declares no applications; LakeError if their table is not in the lake.
    """
    from credit_tier.features.records import visible_rows

    declared = content.load("pipelines", "repairs.yaml", RepairsSpec).applications
    if declared is None:
        raise UsageError.of(
            "CT-REPAIR-012",
            where="pipelines/repairs.yaml",
            what="no table of applications is declared.",
            advice="Add `applications`.",
        )
    table = lake.spec(declared.table)
    key, own = table.key or "", table.record_id.column or ""
    shelf, days, on = Shelf(content, jurisdiction, topic), calendar or WorkingCalendar(), as_of.on - timedelta(days=1)
    found = []
    for row in visible_rows(lake, declared.table, (key, own, *declared.columns()), as_of):
        dates = declared.dates(row)
        applied = row[declared.milestones[0].column]
        pack = shelf.on(applied) if isinstance(applied, date) else None
        stage = declared.stage(row)
        found.append(
            Followed(
                str(row[key]),
                str(row[own]),
                {name: str(row[name]) for name in declared.about if row[name] is not None},
                applied if isinstance(applied, date) else None,
                stage.stage_zh,
                stage.stage_en,
                "" if pack is None else pack.id,
                () if pack is None else limits_of(pack, dates, on, days),
            )
        )
    return sorted(found, key=_urgency)


def _urgency(item: Followed) -> tuple[int, int, date, str]:
    """Return overdue before running before done, the longest overdue or the least time left first."""
    pace = item.pace
    left = min((limit.days for limit in item.limits if limit.pace == pace), default=0)
    return (9 if pace is None else int(pace), left, item.applied_on or date.max, item.application_id)
