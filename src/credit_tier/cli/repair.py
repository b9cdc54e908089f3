"""`credit-tier repair`: what the dated rules say about adverse records, for one enterprise and for a city."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from credit_tier.cli.model import BundleOption, ChampionOption, open_bundle
from credit_tier.cli.registry import TrustOption
from credit_tier.cli.shell import AsOfOption, ContentOption, JsonFlag, Steps, emit, table

if TYPE_CHECKING:
    from credit_tier.content import Content
    from credit_tier.data.lake import Lake
    from credit_tier.following import Followed
    from credit_tier.repairs import AfterRepair, Gain
    from credit_tier.rules.applications import Limit
    from credit_tier.rules.evaluate import Decision
    from credit_tier.rules.repair import RecordDecision, RepairAssessment
    from credit_tier.rules.resolve import RulePack
    from credit_tier.temporal import AsOf

app = typer.Typer(help="信用修复 · repair eligibility by dated rules", no_args_is_help=True)

LakeArgument = Annotated[Path, typer.Argument(help="数据湖目录 · lake folder")]
JurisdictionOption = Annotated[
    str, typer.Option("--jurisdiction", help="法域,如 cn、cn-32、cn-3205 · nation, province, city")
]
TopicOption = Annotated[str, typer.Option("--topic", help="规则主题 · topic of the rule packs")]
HolidaysOption = Annotated[
    Path | None,
    typer.Option("--holidays", help="节假日安排 CSV(day,kind=holiday|makeup) · the State Council's holiday table"),
]

ScoresOption = Annotated[
    Path | None,
    typer.Option(
        "--scores", help="同一截止时点的评分目录 · scores of the same as_of, so that not everybody is scored again"
    ),
]

COLUMNS = (
    ("办理", "step_zh"),
    ("统一社会信用代码", "code"),
    ("文号", "record_id"),
    ("失信程度", "class"),
    ("最早可申请日", "first_possible_on"),
    ("最长公示期满日", "max_end_on"),
    ("可缩短公示天数", "days_saved"),
    ("理由", "reasons"),
    ("依据", "references"),
    ("须人工确认适用规定", "needs_confirmation"),
    ("未经核对的依据", "unverified"),
    ("规则包", "pack"),
    ("期限所据规则包", "period_pack"),
    ("结论", "decision"),
)
"""Headers and fields of the worklist."""

GAIN_COLUMNS = (
    ("信用分(现)", "points_now"),
    ("信用分(修复后)", "points_after"),
    ("信用风险类别(现,内部参考)", "class_now"),
    ("信用风险类别(修复后,内部参考)", "class_after"),
)
"""What stands behind them if a model is given."""

_ACTIVE = ("=", "+", "-", "@", "\t", "\r", "\n")


@app.command()
def assess(
    lake: LakeArgument,
    code: Annotated[str, typer.Argument(help="统一社会信用代码 · code of the enterprise")],
    as_of: AsOfOption,
    jurisdiction: JurisdictionOption = "cn",
    topic: TopicOption = "repair",
    holidays: HolidaysOption = None,
    bundle: BundleOption = None,
    store: ChampionOption = None,
    scores: ScoresOption = None,
    trust: TrustOption = None,
    content: ContentOption = None,
    as_json: JsonFlag = False,
) -> None:
    """一户企业的修复条件审查 · Say for each adverse record of one enterprise what the rules in force at as_of say.

    With a model, points and class now and after each repair are told; they are guidance, never a ground.
    """
    from credit_tier.content import Content
    from credit_tier.data.lake import Lake
    from credit_tier.errors import UsageError
    from credit_tier.features.records import visible_rows
    from credit_tier.repairs import Record
    from credit_tier.rules.holidays import read_holidays
    from credit_tier.rules.repair import Assessor, decide_each
    from credit_tier.rules.resolve import resolve
    from credit_tier.rules.wire import decision_json
    from credit_tier.temporal import AsOf

    opened, day, files = Lake.open(lake), AsOf.parse(as_of), Content.resolve(*(content or ()))
    pack = resolve(files, jurisdiction, topic, day.on)
    if opened.number_of(code) is None:
        raise UsageError.of(
            "CT-REPAIR-001",
            where=str(lake),
            what="the register of this lake does not hold the code.",
            advice="Compare it with the licence, or ingest a newer delivery.",
        )
    reader = Assessor(pack, day)
    rows = visible_rows(opened, reader.table, reader.columns, day, code=code)
    calendar = read_holidays(holidays) if holidays is not None else None
    found = decide_each(rows, day, pack, calendar=calendar)
    gains: dict[str, Gain] = {}
    if bundle is not None or store is not None:
        after = _after(opened, files, day, (bundle, store, trust or []), scores=scores, jurisdiction=jurisdiction)
        told = after(Record(code, reader.table, item.record_id) for item in found)
        gains = {gain.record_id: gain for gain in told if gain is not None}
    emit(
        {
            "code": code,
            "as_of": str(day),
            "pack": pack.id,
            "pack_digest": pack.digest,
            "lake_digest": opened.digest,
            "data_cutoff": opened.cutoff.isoformat(),
            "records": [
                {"record_id": item.record_id, **decision_json(item.decision), **_gain_json(gains.get(item.record_id))}
                for item in found
            ],
        },
        as_json=as_json,
        lines=list(_lines(code, pack, found, gains)),
    )


@app.command()
def worklist(
    lake: LakeArgument,
    as_of: AsOfOption,
    out: Annotated[Path | None, typer.Option("--out", help="输出 CSV · output file")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where", help="只列登记列等于某值者,如 district=320506 · only COLUMN=VALUE of the register, repeatable"
        ),
    ] = None,
    jurisdiction: JurisdictionOption = "cn",
    topic: TopicOption = "repair",
    bundle: BundleOption = None,
    store: ChampionOption = None,
    scores: ScoresOption = None,
    trust: TrustOption = None,
    content: ContentOption = None,
    as_json: JsonFlag = False,
) -> None:
    """修复工作清单:现在可办、补齐可办、等待、人工 · Who can be helped now, who next and when.

    With a model each step is sorted by the points that a repair gains; they are guidance, never a ground.
    """
    from credit_tier.content import Content
    from credit_tier.data.lake import Lake
    from credit_tier.errors import UsageError
    from credit_tier.files import write_bytes
    from credit_tier.repairs import repair_worklist
    from credit_tier.rules.repair import Step
    from credit_tier.rules.wire import assessment_json
    from credit_tier.temporal import AsOf

    if out is None and not as_json:
        raise UsageError.of(
            "CT-REPAIR-002", where="--out", what="no output is named.", advice="Give --out worklist.csv, or --json."
        )
    opened, day, files = Lake.open(lake), AsOf.parse(as_of), Content.resolve(*(content or ()))
    parts = _where(where or [])
    with Steps(quiet=as_json).step("审查 assess"):
        after = None
        if bundle is not None or store is not None:
            after = _after(opened, files, day, (bundle, store, trust or []), scores=scores, jurisdiction=jurisdiction)
        found = repair_worklist(opened, files, day, jurisdiction=jurisdiction, topic=topic, where=parts, after=after)
    items, pack = found.items, found.pack
    gains = None if after is None else found.gains
    if out is not None:
        write_bytes(out, csv_bytes(items, gains))
    steps = Counter(item.step for item in items)
    summary = {
        "as_of": str(day),
        "pack": pack.id,
        "pack_digest": pack.digest,
        "lake_digest": opened.digest,
        "data_cutoff": opened.cutoff.isoformat(),
        "records": sum(found.verdicts.values()),
        "decisions": found.verdicts,
        "steps": {step.name.lower(): steps[step] for step in Step if step is not Step.NOTHING},
        "enterprises": len({item.subject for item in items}),
        "out": None if out is None else str(out),
    }
    lines = [
        *table(
            f"{pack.id} · {day} · {summary['records']} 条记录 records",
            ["办理 step", "条 records"],
            [[f"{step.label_zh} {step.name.lower()}", str(steps[step])] for step in Step if step is not Step.NOTHING],
        ),
        f"清单 worklist {out}",
        _unverified_line({name for item in items for name in item.unverified}),
    ]
    if as_json:
        summary["worklist"] = [
            {**assessment_json(item), **_gain_json(found.gains.get((item.subject, item.record_id)))} for item in items
        ]
    emit(summary, as_json=as_json, lines=[line for line in lines if line])


@app.command()
def applications(
    lake: LakeArgument,
    as_of: AsOfOption,
    out: Annotated[Path | None, typer.Option("--out", help="输出 CSV · output file")] = None,
    every: Annotated[bool, typer.Option("--all", help="包括已按期办结的 · those done in time as well")] = False,
    jurisdiction: JurisdictionOption = "cn",
    topic: TopicOption = "repair",
    holidays: HolidaysOption = None,
    content: ContentOption = None,
    as_json: JsonFlag = False,
) -> None:
    """修复申请办理进度与超期预警 · Where applications for repair stand, and which time limits are overdue (exit 1)."""
    from credit_tier.content import Content
    from credit_tier.data.lake import Lake
    from credit_tier.files import write_bytes
    from credit_tier.following import follow_applications
    from credit_tier.rules.applications import Pace
    from credit_tier.rules.holidays import read_holidays
    from credit_tier.rules.wire import limit_json
    from credit_tier.temporal import AsOf

    opened, day, files = Lake.open(lake), AsOf.parse(as_of), Content.resolve(*(content or ()))
    calendar = read_holidays(holidays) if holidays is not None else None
    found = follow_applications(opened, files, day, jurisdiction=jurisdiction, topic=topic, calendar=calendar)
    listed = [item for item in found if every or item.pace in {Pace.OVERDUE, Pace.RUNNING, Pace.LATE}]
    paces = Counter(item.pace for item in found)
    limits = [limit for item in found for limit in item.limits]
    summary: dict[str, Any] = {
        "as_of": str(day),
        "lake_digest": opened.digest,
        "applications": len(found),
        "paces": {pace.name.lower(): paces[pace] for pace in Pace},
        "without_limits": paces[None],
        "unverified": sorted({limit.reason.code for limit in limits if not limit.reason.verified}),
        "holidays_missing": sum(not limit.is_covered for limit in limits),
        "out": None if out is None else str(out),
    }
    rows = [
        {
            "code": item.subject,
            "application": item.application_id,
            **item.about,
            "applied_on": None if item.applied_on is None else item.applied_on.isoformat(),
            "stage_zh": item.stage_zh,
            "stage": item.stage_en,
            "pace": None if item.pace is None else item.pace.name.lower(),
            "pack": item.pack,
            "limits": [limit_json(limit) for limit in item.limits],
        }
        for item in listed
    ]
    if out is not None:
        write_bytes(out, _applications_csv(listed))
    lines = [
        *table(
            f"{day} · {len(found)} 件申请 applications",
            ["办理 pace", "件 applications"],
            [[f"{pace.label_zh} {pace.name.lower()}", str(paces[pace])] for pace in Pace],
        ),
        *([f"清单 list {out}"] if out is not None else []),
        _unverified_line(set(summary["unverified"])) if summary["unverified"] else "",
        "节假日安排未覆盖,工作日按周一至周五计 · no holiday table for these years: Monday to Friday counted"
        if summary["holidays_missing"]
        else "",
    ]
    emit({**summary, "list": rows} if as_json else summary, as_json=as_json, lines=[line for line in lines if line])
    if paces[Pace.OVERDUE]:
        raise typer.Exit(1)


LIMIT_COLUMNS = (
    "状态", "统一社会信用代码", "申请编号", "申请日期", "办理阶段", "时限事项", "工作日数", "起算日", "到期日", "完成日", "剩余工作日",
    "依据", "规则包",
)  # fmt: skip
"""Headers of the list of time limits."""


def _applications_csv(items: Iterable[Followed]) -> bytes:
    """Return one line per time limit, most urgent applications first, safe for spreadsheets."""
    return _sheet(LIMIT_COLUMNS, (_limit_cells(item, limit) for item in items for limit in item.limits))


def _limit_cells(item: Followed, limit: Limit) -> list[str | int]:
    days = (item.applied_on, limit.start_on, limit.due_on, limit.ended_on)
    applied, start, due, ended = ("" if day is None else day.isoformat() for day in days)
    return [
        limit.pace.label_zh, item.subject, item.application_id, applied, item.stage_zh, limit.reason.text_zh,
        limit.working_days, start, due, ended, limit.days, str(limit.reason.citation or ""), item.pack,
    ]  # fmt: skip


def _after(
    lake: Lake,
    content: Content,
    as_of: AsOf,
    model: tuple[Path | None, Path | None, list[Path]],
    *,
    scores: Path | None,
    jurisdiction: str,
) -> AfterRepair:
    """Return what answers for points and class after a repair, by the model of a bundle or store."""
    from credit_tier.repairs import AfterRepair

    opened = open_bundle(*model, content)
    return AfterRepair(lake, content, opened, as_of, scores=scores, jurisdiction=jurisdiction)


def _where(texts: list[str]) -> dict[str, str]:
    """Return COLUMN=VALUE as a mapping."""
    from credit_tier.errors import UsageError

    parts = dict(text.partition("=")[::2] for text in texts)
    if not all(name and value for name, value in parts.items()):
        raise UsageError.of(
            "CT-REPAIR-003",
            where="--where",
            what="this is not COLUMN=VALUE.",
            advice="Write for example --where district=320506.",
        )
    return parts


def _gain_json(gain: Gain | None) -> dict[str, Any]:
    """Return points and class now and after a repair; nothing without a model, or for an enterprise that it does not score."""
    if gain is None:
        return {}
    return {
        "after_repair": {
            "points_now": round(gain.now.points, 1),
            "points_after": round(gain.after.points, 1),
            "points_gained": round(gain.points, 1),
            "dimensions_gained": {name: round(points, 1) for name, points in gain.dimensions.items() if points},
            "class_now": str(gain.now.risk_class),
            "class_after": str(gain.after.risk_class),
        }
    }


def csv_bytes(items: Iterable[RepairAssessment], gains: Mapping[tuple[str, str], Gain] | None = None) -> bytes:
    """Return the worklist as CSV for spreadsheets (UTF-8 with mark); no cell can start a formula.

    With gains, points and class now and after the repair stand behind the other columns, empty for who is not scored.

    A cell that starts with = + - @ tab or a line end gets an apostrophe in front.
    """
    from credit_tier.rules.wire import assessment_json

    columns = COLUMNS if gains is None else (*COLUMNS, *GAIN_COLUMNS)

    def cells(item: RepairAssessment) -> list[str | int]:
        row = assessment_json(item)
        row["reasons"] = "；".join(reason.text_zh for reason in item.reasons)
        row["references"] = "；".join(dict.fromkeys(str(r.citation) for r in item.reasons if r.citation is not None))
        row["unverified"] = " ".join(item.unverified)
        row["needs_confirmation"] = "是" if item.confirm else ""
        row["decision"] = item.verdict.label_zh
        row |= _gain_json((gains or {}).get((item.subject, item.record_id))).get("after_repair", {})
        return ["" if (cell := row.get(name)) is None else str(cell) for _, name in columns]

    return _sheet([header for header, _ in columns], map(cells, items))


def _sheet(header: Sequence[str], rows: Iterable[Sequence[str | int]]) -> bytes:
    """Return CSV for spreadsheets (UTF-8 with mark); no text can start a formula, whole numbers stand as they are."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([cell if isinstance(cell, int) else safe_cell(cell) for cell in row] for row in rows)
    return ("\ufeff" + stream.getvalue()).encode("utf-8")


def safe_cell(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula.

    >>> safe_cell("=1+1"), safe_cell("苏市监罚〔2026〕1号")
    ("'=1+1", '苏市监罚〔2026〕1号')
    """
    return f"'{text}" if text.startswith(_ACTIVE) else text


def _lines(code: str, pack: RulePack, found: list[RecordDecision], gains: Mapping[str, Gain]) -> Iterator[str]:
    yield f"{code} · {pack.id} {pack.spec.title_zh} · {len(found)} 条记录 records"
    for item in found:
        yield ""
        yield from _record(item.record_id, item.decision)
        if item.record_id in gains:
            yield f"  {_gain_line(gains[item.record_id])}"
    open_entries = {name for item in found for name in item.decision.unverified}
    if open_entries:
        yield ""
        yield _unverified_line(open_entries)


def _gain_line(gain: Gain) -> str:
    now, after = gain.now, gain.after
    return (
        f"修复后 after repair: 信用分 points {now.points:.1f} → {after.points:.1f} ({gain.points:+.1f}),"
        f"类别 class {now.risk_class} → {after.risk_class} (供参考,不作为决定依据 guidance, never a ground)"
    )


def _record(record_id: str, decision: Decision) -> Iterator[str]:
    yield f"{record_id}: {decision.verdict.label_zh} {decision.verdict.value}"
    publicity = decision.publicity
    if publicity is not None:
        yield f"  {publicity.class_zh} · {publicity.class_en}"
        least = publicity.min_end_on.isoformat() if publicity.min_end_on else "—"
        yield f"  公示期 publicity {publicity.start_on} → 最短 min {least} → 最长 max {publicity.max_end_on}"
    if decision.first_possible_on is not None:
        yield f"  最早可申请 first possible {decision.first_possible_on}"
    for reason in decision.reasons:
        source = f" 〔{reason.citation}〕" if reason.citation is not None else ""
        yield f"  · {reason.text_zh} {reason.text_en}{source}{'' if reason.verified else ' (未核对 unverified)'}"
    for paper in decision.missing_papers:
        yield f"  缺 missing: {paper.title_zh} {paper.title_en}"
    if decision.channel is not None:
        yield f"  渠道 channel: {decision.channel.title_zh}"
    for limit in decision.deadlines:
        if limit.due_on is not None:
            doubt = "" if limit.is_covered else " (节假日表未覆盖该年 holiday table does not cover the year)"
            yield f"  时限 time limit: {limit.reason.text_zh} {limit.working_days} 个工作日 → {limit.due_on}{doubt}"
    if decision.confirm:
        yield "  须由人工确认适用哪一规定 · a person must confirm which rules govern the period"


def _unverified_line(names: set[str]) -> str:
    if not names:
        return ""
    return f"所依据的条目有 {len(names)} 处未与官方文本核对 · not compared with the official text: {', '.join(sorted(names))}"
