"""`credit-tier validate`: is this lake fit to rest classes and draws on?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from credit_tier.cli.shell import JsonFlag, Steps, emit, table

if TYPE_CHECKING:
    from credit_tier.data.quality import Validation


def validate(
    lake: Annotated[Path, typer.Argument(help="数据湖目录 · lake folder")],
    *,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            help="截止时点 YYYY-MM-DD,默认最后一条记录的次日 · by default the day after the lake's last record",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            help="对比日 YYYY-MM-DD,默认早一个更新周期 · date to compare with, by default one cadence earlier",
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="写出报告页 .html · write the report as one page")
    ] = None,
    content: Annotated[
        list[Path] | None,
        typer.Option(
            "--content",
            help="改用此内容目录的契约(可重复),默认入湖时的契约 · contracts of this folder, repeatable; by default those at ingestion",
        ),
    ] = None,
    allow_warnings: Annotated[
        bool, typer.Option("--allow-warnings", help="只有提示时以 0 结束 · end with 0 if there are warnings only")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """校验数据湖:逐表逐条计数、趋势、时效、隔离 · Check a lake: counts by table and rule, trend, freshness, quarantine.

    Exit code 1 if a rule warns or fails. Counts only: no value of a row is shown.
    """
    from credit_tier.content import Content
    from credit_tier.data.ingest import load_specs
    from credit_tier.data.lake import Lake
    from credit_tier.data.quality import validate as ask
    from credit_tier.reports.page import write
    from credit_tier.reports.validation import as_json as plain
    from credit_tier.reports.validation import page
    from credit_tier.specs.quality import Outcome
    from credit_tier.temporal import parse_date

    until = None if as_of is None else parse_date(as_of, where="--as-of")
    before = None if since is None else parse_date(since, where="--since")
    contracts = load_specs(Content.resolve(*content)) if content else None
    with Steps(quiet=as_json).step("校验 validate"):
        found = ask(Lake.open(lake), as_of=until, since=before, contracts=contracts)
    written = None if report is None else str(write(report, page(found, lake=str(lake))))
    emit({**plain(found), "report": written}, as_json=as_json, lines=_lines(found, written))
    if found.verdict == Outcome.FAILED or (found.verdict == Outcome.WARNED and not allow_warnings):
        raise typer.Exit(1)


def _lines(found: Validation, report: str | None) -> list[str]:
    from credit_tier.reports.validation import OUTCOMES, TRENDS, broken, lines, verdict

    headers = [
        "表 table",
        "名称 title",
        "最近可知 last known",
        "天 age",
        "送达 delivered",
        "隔离 quarantined",
        "通过 pass",
        "提示 warn",
        "不合格 fail",
    ]
    result = table(f"校验 validation · 截止 as of {found.as_of}", headers, lines(found))
    rows = [
        [
            OUTCOMES[item.outcome],
            item.rule,
            f"{item.count.failed:,} / {item.count.tested:,}",
            TRENDS[item.trend],
            item.words.title_zh,
        ]
        for item in broken(found)
    ]
    if rows:
        columns = ["结果 outcome", "规则 rule", "未通过/检验 failed/tested", "趋势 trend", "含义 meaning"]
        result += ["", *table("待处理 open points", columns, rows)]
        result += sorted(
            {f"→ {item.words.title_zh}:{item.words.advice_zh} {item.words.advice_en}" for item in broken(found)}
        )
    result += ["", *verdict(found), f"摘要 digest {found.lake_digest}"]
    return result if report is None else [*result, f"→ {report}"]
