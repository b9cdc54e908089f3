"""`credit-tier monitor`: is the model in use still what it was?"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from credit_tier.cli.registry import StoreOption, TrustOption
from credit_tier.cli.shell import AsOfOption, JsonFlag, Steps, emit, table

VERDICTS = {"none": "", "moderate": "中 moderate", "large": "大 large"}


def monitor(
    model: Annotated[str, typer.Argument(help="模型名 · folder under models/")],
    lake: Annotated[Path, typer.Argument(help="数据湖目录 · lake folder")],
    store: StoreOption,
    as_of: AsOfOption,
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            help="对比日 YYYY-MM-DD,默认检验期内最近的同月同日 · day to compare with, by default the same day of the year within the test",
        ),
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="线程数 · threads")] = 1,
    trust: TrustOption = None,
    as_json: JsonFlag = False,
) -> None:
    """监测现役模型:总体漂移、预测水平、排序能力;需处理时退出码 1 · Watch the model in use; exit 1 if somebody should act."""
    from credit_tier import monitoring, training
    from credit_tier.data.lake import Lake
    from credit_tier.temporal import AsOf, parse_date

    steps = Steps(quiet=as_json)
    with steps.step(f"监测 monitor {model}"):
        champion = training.champion(store, model, trust=trust or [])
        day: date | None = parse_date(reference) if reference else None
        found = monitoring.monitor(Lake.open(lake), champion, AsOf.parse(as_of), reference=day, threads=threads)
    watch = found.watch
    drifts = (watch.score, *watch.features)
    moved = sorted((item for item in drifts if item.distance > item.limit), key=lambda item: -item.distance)
    rows = [
        [
            item.name,
            f"{item.distance:.3f}",
            f"{item.limit:.3f}",
            f"{item.mean_before:.4g} → {item.mean_now:.4g}",
            f"{item.missing_before:.1%} → {item.missing_now:.1%}",
            f"{item.effect:+.1f}",
            VERDICTS[item.verdict],
        ]
        for item in moved
    ]
    headers = [
        "指标 id",
        "移动 moved (sd)",
        "偶然界限 limit",
        "均值 mean",
        "缺失 missing",
        "影响 points",
        "变化 change",
    ]
    title = f"{found.reference} → {found.as_of} · {found.enterprises[0]:,} → {found.enterprises[1]:,} · 超出偶然 beyond chance {len(moved)} / {len(drifts)}"
    lines = [*table(title, headers, rows)] if rows else [title]
    if watch.outcomes is not None:
        seen = watch.outcomes
        auc = (
            ""
            if seen.auc is None or seen.auc_interval is None
            else f" · AUC {seen.auc:.3f} ({seen.auc_interval.low:.3f}–{seen.auc_interval.high:.3f})"
        )
        lines.append(
            f"{found.since} 之后已满表现期 matured since: {seen.rows:,} · 正例 positive {seen.positives:,} · 预测 predicted {seen.predicted:.2%}"
            f" · 实际 observed {seen.observed:.2%} ({seen.low:.2%}–{seen.high:.2%}){auc}"
        )
    lines += [
        f"{'需处理 act' if item.is_alarm else '提示 note'} · {item.subject}: {item.what_zh} · {item.what_en}"
        for item in watch.findings
    ]
    emit({**found.to_dict(), "seconds": steps.seconds}, as_json=as_json, lines=lines)
    if watch.has_alarm:
        raise typer.Exit(1)
