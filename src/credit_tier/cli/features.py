"""`credit-tier features`: the catalogue, one feature explained, its coverage, the leak guard, and a feature table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from credit_tier.cli.shell import AsOfOption, ContentOption, JsonFlag, Steps, emit, table

if TYPE_CHECKING:
    from credit_tier.content import Content
    from credit_tier.features.explain import Explained
    from credit_tier.specs.dataset import DatasetSpec

app = typer.Typer(help="指标 · the feature catalogue", no_args_is_help=True)

LakeArgument = Annotated[Path, typer.Argument(help="数据湖目录 · lake folder")]


@app.command("list")
def list_(content: ContentOption = None, as_json: JsonFlag = False) -> None:
    """列出指标目录 · List the catalogue."""
    catalogue = _catalogue(content)
    titles = {item.id: item.title_zh for item in catalogue.dimensions}
    rows = [
        [f.id, titles[f.dimension], f.title_zh, f.source, f.aggregate, f"{f.direction:+d}"] for f in catalogue.features
    ]
    lines = table(f"{catalogue.title_zh} · {len(rows)}", ["指标 id", "维度", "名称", "来源", "算法", "方向"], rows)
    emit({"features": [f.model_dump(mode="json") for f in catalogue.features]}, as_json=as_json, lines=lines)


@app.command()
def explain(
    feature: Annotated[str, typer.Argument(help="指标 id")],
    enterprise: Annotated[str | None, typer.Option("--enterprise", help="统一社会信用代码 · credit code")] = None,
    lake: Annotated[Path | None, typer.Option("--lake", help="数据湖目录 · lake folder")] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="截止时点 YYYY-MM-DD · day of the question")] = None,
    planned: Annotated[
        list[str] | None,
        typer.Option("--planned", help="计划的事件的属性 名称=值(可重复) · attribute of the planned event, NAME=VALUE"),
    ] = None,
    content: ContentOption = None,
    as_json: JsonFlag = False,
) -> None:
    """说明一个指标:定义、依据、SQL,对一户列出计入的记录和同组合计 · Explain one feature: definition, law, SQL; for one enterprise its records and the totals of its group."""
    from dataclasses import asdict

    from credit_tier.content import Content
    from credit_tier.data.lake import Lake
    from credit_tier.errors import UsageError
    from credit_tier.features.explain import records_behind
    from credit_tier.features.plan import sql
    from credit_tier.temporal import AsOf

    found = {f.id: f for f in _catalogue(content).features}
    if feature not in found:
        raise UsageError.of(
            "CT-FEAT-020",
            where=feature,
            what="the catalogue has no such feature.",
            advice="See credit-tier features list.",
        )
    if enterprise is not None and (lake is None or as_of is None):
        raise UsageError.of(
            "CT-FEAT-023",
            where="--enterprise",
            what="its records lie in a lake and are known at a day.",
            advice="Give --lake and --as-of as well.",
        )
    event = _planned(planned or [])
    spec, day = found[feature], AsOf.parse(as_of) if as_of is not None else None
    opened = Lake.open(lake) if lake is not None else None
    specs = _specs(Content.resolve(*(content or ())))
    register = next(name for name, table_ in specs.items() if table_.kind == "entity")
    if opened is not None:
        specs, register = {name: opened.spec(name) for name in opened.tables}, opened.register
    plan = None if spec.source == "spine" else sql(spec, specs, register, day, planned=event)
    result: dict[str, Any] = {**spec.model_dump(mode="json"), "sql": plan}
    lines = [f"{key:12} {value}" for key, value in spec.model_dump(mode="json").items()]
    lines += ["", plan or "取自计划的事件,无表可查 · an attribute of the planned event, no table holds it"]
    if enterprise is not None and opened is not None and day is not None:
        told = records_behind(opened, spec, enterprise, day, planned=event)
        result |= asdict(told)
        note = "(同组的数,仅列本户记录 · a figure of the group, own records only)" if told.is_of_group else ""
        headers = list(told.records[0]) if told.records else ["record_id"]
        rows = [["" if cell is None else str(cell) for cell in row.values()] for row in told.records]
        title = f"值 value {'未知 unknown' if told.value is None else f'{told.value:.7g}'} · 记录 records {len(rows)} {note}"
        lines += ["", *table(title, headers, rows), *_of_group(told)]
    emit(result, as_json=as_json, lines=lines)


@app.command()
def lint(
    lake: Annotated[Path | None, typer.Option("--lake", help="数据湖目录 · hold windows against its history")] = None,
    content: ContentOption = None,
    as_json: JsonFlag = False,
) -> None:
    """检查指标目录 · Check the catalogue: references, doublets, idle conditions, windows; exit 1 with findings."""
    from credit_tier.content import Content
    from credit_tier.data.lake import Lake
    from credit_tier.errors import ContentError
    from credit_tier.features import lint as checks
    from credit_tier.specs.together import check

    room = Content.resolve(*(content or ()))
    faults = [fault for fault in check(room)[0] if fault.where.startswith("pipelines/features.yaml")]
    if not faults:
        faults = checks.lint(_catalogue(content), _specs(room), Lake.open(lake) if lake is not None else None)
    if faults:
        raise ContentError(*faults)
    emit({"faults": 0}, as_json=as_json, lines=["没有问题 · no fault"])


@app.command()
def coverage(
    lake: LakeArgument,
    as_of: AsOfOption,
    by: Annotated[str | None, typer.Option("--by", help="按登记列分组 · by a column of the register")] = None,
    content: ContentOption = None,
    as_json: JsonFlag = False,
) -> None:
    """指标覆盖率 · How well each feature is filled at one as_of: known, filled in, zero, minimum, median, maximum."""
    from dataclasses import asdict

    from credit_tier.data.lake import Lake
    from credit_tier.features import coverage as measured
    from credit_tier.features.table import possible
    from credit_tier.temporal import AsOf

    opened = Lake.open(lake)
    features, left_out = possible(opened, tuple(f for f in _catalogue(content).features if f.source != "spine"))
    found = measured.coverage(opened, features, AsOf.parse(as_of), by=by)
    flagged = [item for item in found if item.flag]
    rows = [
        [
            item.feature,
            *([] if by is None else [item.group or ""]),
            f"{item.rows:,}",
            f"{item.known_share:.1%}",
            f"{item.filled:.1%}",
            f"{item.zeros:,}",
            *("" if value is None else f"{value:g}" for value in (item.minimum, item.median, item.maximum)),
            f"{item.distinct:,}",
            {"constant": "常数 constant", "almost_empty": "几乎为空 almost empty"}.get(item.flag, ""),
        ]
        for item in found
    ]
    headers = ["指标 id", *([] if by is None else [by]), "户 rows", "已知 known", "填补 filled", "零 zeros"]
    headers += ["最小 min", "中位 median", "最大 max", "不同值 distinct", "提示 flag"]
    measured_features = [{**asdict(item), "known_share": item.known_share} for item in found]
    title = f"覆盖率 coverage · {as_of} · {len(features)} · 提示 flagged {len(flagged)}"
    emit(
        {"as_of": as_of, "features": measured_features, "left_out": list(left_out)},
        as_json=as_json,
        lines=[*table(title, headers, rows), *_left_out(left_out)],
    )


@app.command()
def audit(
    model: Annotated[str, typer.Argument(help="模型名 · folder under models/")],
    lake: LakeArgument,
    content: ContentOption = None,
    as_json: JsonFlag = False,
) -> None:
    """查找预知未来的指标 · Search a model's observations for features that know the future; exit 1 naming them."""
    from dataclasses import asdict

    from credit_tier import training
    from credit_tier.content import Content
    from credit_tier.data.lake import Lake

    steps = Steps(quiet=as_json)
    opened = Lake.open(lake)
    with steps.step(f"泄漏检查 audit {model}"):
        seen = training.observe(model, opened, Content.resolve(*(content or ())))
        found = training.audit(seen, opened)
    leaks = sum(item.is_leak for item in found)
    title = f"{model} · {len(seen.features)} × {len(seen.frame):,} · 泄漏 leaks {leaks} · 提醒 warnings {len(found) - leaks}"
    rows = [
        ["泄漏 leak" if item.is_leak else "提醒 warning", item.feature, item.reason, item.what_zh, item.what_en]
        for item in found
    ]
    headers = ["", "指标 id", "原因 reason", "说明", "finding"]
    emit(
        {"model": model, "leaks": leaks, "findings": [asdict(item) for item in found], "seconds": steps.seconds},
        as_json=as_json,
        lines=table(title, headers, rows) if rows else [title],
    )
    if leaks:
        raise typer.Exit(1)


@app.command()
def build(
    lake: LakeArgument,
    as_of: AsOfOption,
    out: Annotated[Path, typer.Option("--out", help="输出 Parquet · output file, or folder with Spark")],
    content: ContentOption = None,
    spark: Annotated[
        bool, typer.Option("--spark", help="用 Spark 计算 · compute by Spark instead of embedded")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """按截止时点计算全部指标 · Compute all features of every subject of the register at one as_of."""
    from credit_tier.content import Content
    from credit_tier.data.lake import Lake
    from credit_tier.profiles import feature_table
    from credit_tier.temporal import AsOf

    steps = Steps(quiet=as_json)
    with steps.step("指标 features"):
        engine: Literal["embedded", "spark"] = "spark" if spark else "embedded"
        frame = feature_table(Lake.open(lake), Content.resolve(*(content or ())), AsOf.parse(as_of), out, engine=engine)
    emit(
        {
            "rows": frame.rows,
            "features": len(frame.features),
            "left_out": list(frame.left_out),
            "digest": frame.digest,
            "file": str(out),
            "seconds": steps.seconds,
        },
        as_json=as_json,
        lines=[
            f"{frame.rows} × {len(frame.features)} → {out}",
            *_left_out(frame.left_out),
            f"摘要 digest {frame.digest}",
        ],
    )


def _planned(words: list[str]) -> dict[str, str]:
    """Return attributes written as NAME=VALUE.

    Raises
    ------
    UsageError (CT-FEAT-026) if one is not written so.
    """
    from credit_tier.errors import UsageError

    pairs = [word.partition("=") for word in words]
    if not all(name and sign for name, sign, _ in pairs):
        raise UsageError.of(
            "CT-FEAT-026", where="--planned", what="an attribute has no name or no value.", advice="Write NAME=VALUE."
        )
    return {name: value for name, _, value in pairs}


def _left_out(ids: tuple[str, ...]) -> list[str]:
    return [f"数据湖缺表,未计算 tables missing, left out: {', '.join(ids)}"] if ids else []


def _of_group(told: Explained) -> list[str]:
    """Return the totals behind a figure of a group as a table and, where it leans, the sum that anybody can do again."""
    if told.group is None:
        return []
    rows = [
        [
            label,
            ", ".join(f"{name}={'(不显示 not shown)' if value is None else value}" for name, value in group.of.items())
            or "全部 everybody",
            f"{group.records:,}",
            f"{group.total:.15g}",
            "" if group.figure is None else f"{group.figure:.7g}",
        ]
        for label, group in (("组 group", told.group), ("上级组 wider", told.wider))
        if group is not None
    ]
    lines = ["", *table("合计 totals", ["", "组内 of", "记录 records", "合计 total", "均值或占比 figure"], rows)]
    if told.wider is None or told.wider.figure is None:
        return lines
    own, wider = told.group, told.wider
    drawn = f"{told.weight:g} × {wider.total:.15g} / {wider.records}"
    again = f"({own.total:.15g} + {drawn}) / ({own.records} + {told.weight:g})"
    return [*lines, f"收缩 shrunken: {again} = {told.value:.7g}"]


def _specs(content: Content) -> dict[str, DatasetSpec]:
    from credit_tier.specs.dataset import DatasetSpec

    files = content.files("data_schemas")
    return {spec.table: spec for spec in (content.load(f.room, f.name, DatasetSpec) for f in files)}


def _catalogue(content: list[Path] | None) -> Any:
    from credit_tier.content import Content
    from credit_tier.specs.feature import CatalogueSpec

    return Content.resolve(*(content or ())).load("pipelines", "features.yaml", CatalogueSpec)
