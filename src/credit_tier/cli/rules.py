"""`credit-tier rules`: which law is in force, what a pack says, what differs between two, whether packs are sound, and cases run against them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from credit_tier.cli.shell import AsOfOption, ContentOption, JsonFlag, emit, table

if TYPE_CHECKING:
    from credit_tier.content import Content
    from credit_tier.errors import Fault
    from credit_tier.rules.cases import CaseResult
    from credit_tier.rules.compare import Comparison
    from credit_tier.rules.measures import Standing
    from credit_tier.rules.resolve import RulePack
    from credit_tier.rules.words import Difference
    from credit_tier.specs.rulepack import RulePackSpec, Value

app = typer.Typer(help="规则包 · law as dated data", no_args_is_help=True)


@app.command("list")
def list_(content: ContentOption = None, as_json: JsonFlag = False) -> None:
    """列出规则包及施行期间 · List the packs, when they are in force, and how much of them was verified."""
    from credit_tier.content import Content
    from credit_tier.rules.resolve import Shelf, topics
    from credit_tier.specs.rulepack import RulePackSpec

    found = Content.resolve(*(content or ()))
    packs = []
    for place, topic in topics(found):
        for name, start, end in Shelf(found, place, topic).held():
            if not name.startswith(f"{place}/"):
                continue
            spec = found.load("rule_packs", f"{name}.yaml", RulePackSpec)
            entries = [item.verified for _, _, item in spec.entries()]
            packs.append((name, spec, start, end, sum(entries), len(entries)))
    emit(
        {
            "packs": [
                {
                    "pack": name,
                    "title_zh": spec.title_zh,
                    "effective_from": str(start),
                    "effective_to": None if end is None else str(end),
                    "verified": checked,
                    "entries": total,
                    "digest": found.file("rule_packs", f"{name}.yaml").digest,
                }
                for name, spec, start, end, checked, total in packs
            ]
        },
        as_json=as_json,
        lines=table(
            "规则包 rule packs",
            ["规则包 pack", "名称 title", "施行 from", "废止 to (不含 exclusive)", "已核对 verified"],
            [
                [name, spec.title_zh, str(start), str(end or "—"), f"{checked}/{total}"]
                for name, spec, start, end, checked, total in packs
            ],
        ),
    )


@app.command()
def show(
    jurisdiction: Annotated[str, typer.Argument(help="法域 · cn, cn-32, cn-3205")],
    topic: Annotated[str, typer.Argument(help="主题 · topic, for example repair")],
    on: Annotated[str, typer.Option("--on", help="日期 YYYY-MM-DD · day whose law is wanted")],
    content: ContentOption = None,
    as_json: JsonFlag = False,
) -> None:
    """显示某日施行的规则 · Show the rules in force on a day, after inheritance, with references."""
    from credit_tier.content import Content
    from credit_tier.rules.resolve import resolve
    from credit_tier.temporal import parse_date

    pack = resolve(Content.resolve(*(content or ())), jurisdiction, topic, parse_date(on, where="--on"))
    emit(
        {
            "pack": pack.id,
            "since": str(pack.since),
            "until": None if pack.until is None else str(pack.until),
            "files": list(pack.labels),
            "digest": pack.digest,
            "rules": pack.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
        },
        as_json=as_json,
        lines=[
            f"{pack.id} {pack.spec.title_zh} · {pack.spec.title_en}",
            f"施行 in force {pack.since} – {pack.until or '—'} · {', '.join(pack.labels)} · sha256:{pack.digest[:16]}",
            pack.spec.note_zh,
            pack.spec.note_en,
            "",
            *_entries(pack.spec),
        ],
    )


@app.command()
def lint(content: ContentOption = None, as_json: JsonFlag = False) -> None:
    """检查全部规则包 · Check all packs: form, references, times in force, and the tables they read."""
    from credit_tier.content import Content
    from credit_tier.errors import ContentError
    from credit_tier.specs.dataset import DatasetSpec
    from credit_tier.specs.rulepack import RulePackSpec
    from credit_tier.specs.rulepack_check import together

    found = Content.resolve(*(content or ()))
    faults: list[Fault] = []
    packs: dict[str, RulePackSpec] = {}
    for item in found.files("rule_packs"):
        try:
            packs[item.label] = found.load("rule_packs", item.name, RulePackSpec)
        except ContentError as error:
            faults.extend(error.faults)
    tables = {}
    for item in found.files("data_schemas"):
        spec = found.load("data_schemas", item.name, DatasetSpec)
        tables[spec.table] = spec
    faults.extend(together(packs, tables))
    faults.extend(_unresolvable(found, packs) if not faults else ())
    if faults:
        raise ContentError(*faults)
    emit(
        {"packs": len(packs), "faults": 0},
        as_json=as_json,
        lines=[f"{len(packs)} 个规则包,没有问题 · {len(packs)} rule packs, no fault"],
    )


@app.command("test")
def run(
    cases: Annotated[list[Path], typer.Argument(help="案例 YAML · case files")],
    content: ContentOption = None,
    as_json: JsonFlag = False,
) -> None:
    """用案例检验规则包 · Run cases (facts and the expected answer) against the packs; exit 1 if one fails."""
    from credit_tier.content import Content
    from credit_tier.rules.cases import read_cases, run_cases

    found = Content.resolve(*(content or ()))
    failed: list[tuple[Path, CaseResult]] = []
    total = 0
    for path in cases:
        results = run_cases(found, read_cases(path))
        total += len(results)
        failed.extend((path, result) for result in results if result.differences)
    emit(
        {
            "cases": total,
            "failed": [
                {"file": str(path), "case": result.case.case, "differences": list(result.differences)}
                for path, result in failed
            ],
        },
        as_json=as_json,
        lines=[
            *(
                f"✗ {path.name} {result.case.case}: {'; '.join(result.differences)} 〔{result.case.reference}〕"
                for path, result in failed
            ),
            f"{total} 个案例,{len(failed)} 个不符 · {total} cases, {len(failed)} failed",
        ],
    )
    if failed:
        raise typer.Exit(1)


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="法域/主题/日期,如 cn-3205/repair/2026-03-31 · jurisdiction/topic/day")],
    after: Annotated[str, typer.Argument(help="另一个 · the other one")],
    lake: Annotated[
        Path | None,
        typer.Option("--lake", help="用此数据湖的全部记录试算两次 · assess the records of this lake under both"),
    ] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="试算的截止时点 · as-of of the trial, with --lake")
    ] = None,
    content: ContentOption = None,
    as_json: JsonFlag = False,
) -> None:
    """比较两个规则包,逐条;可试算谁更有利 · What differs between two packs, rule by rule; with --lake who fares better or worse."""
    from credit_tier.content import Content
    from credit_tier.errors import UsageError
    from credit_tier.rules.wire import comparison_json, difference_json
    from credit_tier.rules.words import differences

    if (lake is None) != (as_of is None):
        raise UsageError.of(
            "CT-RULE-051",
            where="--lake, --as-of",
            what="a trial needs both.",
            advice="Give --lake LAKE --as-of YYYY-MM-DD, or neither.",
        )
    found = Content.resolve(*(content or ()))
    old, new = _pack_of(found, before), _pack_of(found, after)
    entries = differences(old.spec, new.spec)
    result = {
        "before": {"pack": old.id, "digest": old.digest},
        "after": {"pack": new.id, "digest": new.digest},
        "differences": [difference_json(item) for item in entries],
    }
    lines = [f"{old.id} → {new.id}", *_difference_lines(entries)]
    if lake is not None and as_of is not None:
        trial = _trial(lake, as_of, old, new)
        result["caseload"] = comparison_json(trial)
        lines += ["", *_comparison_lines(trial)]
    emit(result, as_json=as_json, lines=lines)


@app.command()
def measures(
    lake: Annotated[Path, typer.Argument(help="数据湖目录 · lake folder")],
    code: Annotated[str, typer.Argument(help="统一社会信用代码 · code of the enterprise")],
    as_of: AsOfOption,
    jurisdiction: Annotated[str, typer.Option("--jurisdiction", help="法域 · cn, cn-32, cn-3205")] = "cn",
    content: ContentOption = None,
    as_json: JsonFlag = False,
) -> None:
    """联合奖惩一张单:现行措施、依据、终止日期、修复即止与否 · Measures that apply to an enterprise, by which law, until when."""
    from credit_tier.content import Content
    from credit_tier.data.lake import Lake
    from credit_tier.errors import UsageError
    from credit_tier.features.records import visible_rows
    from credit_tier.rules.measures import TOPIC, Measures
    from credit_tier.rules.resolve import resolve
    from credit_tier.rules.wire import standing_json
    from credit_tier.temporal import AsOf

    opened, day = Lake.open(lake), AsOf.parse(as_of)
    if opened.number_of(code) is None:
        raise UsageError.of(
            "CT-RULE-053",
            where=str(lake),
            what="the register of this lake does not hold the code.",
            advice="Compare it with the licence, or ingest a newer delivery.",
        )
    known = Measures(resolve(Content.resolve(*(content or ())), jurisdiction, TOPIC, day.on))
    missing = [table for table in known.tables if table not in opened.tables]
    rows = {
        table: visible_rows(opened, table, columns, day, code=code)
        for table, columns in known.tables.items()
        if table not in missing
    }
    found = known.standing(rows, day.on)
    emit(
        {
            "code": code,
            "as_of": str(day),
            "pack": known.pack.id,
            "pack_digest": known.pack.digest,
            "lake_digest": opened.digest,
            "tables_missing": missing,
            "measures": [standing_json(item) for item in found],
        },
        as_json=as_json,
        lines=list(_standing_lines(code, known.pack, found, missing)),
    )


def _standing_lines(code: str, pack: RulePack, found: list[Standing], missing: list[str]) -> Iterator[str]:
    from credit_tier.rules.measures import EFFECTS_ZH

    yield f"{code} · {pack.id} {pack.spec.title_zh} · {len(found)} 项措施 measures"
    for item in found:
        measure = item.measure
        repair = "修复即止 ends on repair" if measure.ends_on_repair else "修复不影响 not ended by repair"
        yield ""
        yield f"〔{EFFECTS_ZH[measure.effect]} {measure.effect}〕{measure.title_zh} · {measure.title_en}"
        yield f"    {item.since} → {item.ends_on or '未定 open'} · {repair} · 记录 record {item.record_id}"
        yield f"    依据 basis {item.reason.citation}{' (未核对 unverified)' if item.unverified else ''}"
    if missing:
        yield ""
        yield f"数据湖缺表,相关措施未查 · tables not in this lake, their measures were not looked up: {', '.join(missing)}"


def _pack_of(found: Content, text: str) -> RulePack:
    from credit_tier.errors import UsageError
    from credit_tier.rules.resolve import resolve
    from credit_tier.temporal import parse_date

    parts = text.split("/")
    if len(parts) != 3:
        raise UsageError.of(
            "CT-RULE-052",
            where=text,
            what="this names no pack.",
            advice="Write jurisdiction/topic/day, for example cn-3205/repair/2026-04-01.",
        )
    return resolve(found, parts[0], parts[1], parse_date(parts[2], where=text))


def _trial(lake: Path, as_of: str, old: RulePack, new: RulePack) -> Comparison:
    from credit_tier.data.lake import Lake
    from credit_tier.features.records import visible_rows
    from credit_tier.rules.compare import compare
    from credit_tier.rules.repair import Assessor
    from credit_tier.temporal import AsOf

    day = AsOf.parse(as_of)
    readers = [Assessor(pack, day) for pack in (old, new)]
    columns = [name for reader in readers for name in reader.columns]
    return compare(visible_rows(Lake.open(lake), readers[0].table, columns, day), old, new, day)


_KINDS = {"added": "＋新增", "removed": "－删除", "changed": "≠变更", "cited": "≈仅措辞或依据变更"}


def _difference_lines(entries: tuple[Difference, ...]) -> Iterator[str]:
    if not entries:
        yield "没有不同 · no difference"
    for item in entries:
        title = item.after or item.before
        yield ""
        yield f"{_KINDS[item.kind]} {item.kind}  {item.code}  {title.zh if title else ''} · {title.en if title else ''}"
        for change in item.changes:
            for language, label in ((0, change.label_zh), (1, change.field)):
                was, now = (side[language] if side is not None else "—" for side in (change.before, change.after))
                yield f"    {label}: {was} → {now}"


def _comparison_lines(trial: Comparison) -> Iterator[str]:
    from credit_tier.rules.compare import Direction

    yield from table(
        f"试算 trial {trial.before.id} → {trial.after.id} · {trial.as_of}",
        ["结果 result", "条 records", "户 enterprises"],
        [
            [f"{way.label_zh} {way.name.lower()}", str(trial.records[way]), str(trial.enterprises[way])]
            for way in Direction
        ],
    )
    for group in trial.groups:
        yield ""
        was = f"{group.before.label_zh} {group.before.value}" + (
            f" ({group.before_class})" if group.before_class else ""
        )
        now = f"{group.after.label_zh} {group.after.value}" + (f" ({group.after_class})" if group.after_class else "")
        yield f"{group.direction.label_zh} {group.direction.name.lower()} · {group.size} 条 records: {was} → {now}"
        for sign, reasons in (("原 before", group.only_before), ("新 after", group.only_after)):
            yield from (f"    {sign}: {reason.text_zh} {reason.text_en}" for reason in reasons)


def _entries(spec: RulePackSpec) -> list[str]:
    rows = []
    for _, code, item in spec.entries():
        instrument = spec.instruments[item.reference.instrument]
        grade = spec.sources[item.reference.source].grade
        value = _value(spec.values[code.removeprefix("values.")]) if code.startswith("values.") else ""
        rows.append(
            [
                code,
                value,
                item.title_zh,
                f"{instrument.number}{item.reference.article}",
                "是 yes" if item.verified else f"否 no ({item.reference.source}, {grade})",
            ]
        )
    return table("条目 entries", ["条目 entry", "值 value", "内容 title", "依据 reference", "已核对 verified"], rows)


def _value(value: Value) -> str:
    if value.period is not None:
        return " ".join(f"{n} {unit}" for unit, n in value.period.model_dump().items() if n is not None)
    return "未知 unknown" if value.unknown else str(value.amount or value.limit)


def _unresolvable(found: Content, packs: dict[str, RulePackSpec]) -> list[Fault]:
    """Return the packs that extend a wider pack and do not fit it, or find none in force on their first day."""
    from credit_tier.errors import ContentError, RuleError
    from credit_tier.rules.resolve import resolve

    faults: list[Fault] = []
    for spec in packs.values():
        try:
            resolve(found, spec.jurisdiction, spec.topic, spec.effective_from)
        except (RuleError, ContentError) as error:
            faults.extend(error.faults)
    return faults
