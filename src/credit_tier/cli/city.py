"""`credit-tier city`: a synthetic city to try the system on, with its truth kept aside."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from credit_tier.cli.shell import JsonFlag, Steps, emit, table


class RecordFormat(StrEnum):
    """Format of the delivered records."""

    PARQUET = "parquet"
    CSV = "csv"


class RecordStyle(StrEnum):
    """How the delivered records are written."""

    CONTRACTS = "contracts"
    EXPORTS = "exports"


def city(
    out: Annotated[Path, typer.Argument(help="新文件夹 · a folder that does not exist yet")],
    *,
    enterprises: Annotated[int, typer.Option("--enterprises", help="企业数 · how many enterprises")],
    seed: Annotated[int, typer.Option("--seed", help="随机种子,同种子同结果 · the same seed gives the same city")],
    first: Annotated[str, typer.Option("--first", help="起始月首日 · first day of the first month")] = "2021-01-01",
    cutoff: Annotated[
        str, typer.Option("--cutoff", help="数据截止日(不含) · nothing received from this day on")
    ] = "2026-01-01",
    record_format: Annotated[
        RecordFormat | None, typer.Option("--format", help="记录格式(默认 parquet)· format of the records")
    ] = None,
    style: Annotated[
        RecordStyle,
        typer.Option("--as", help="exports:部门导出样式(GB18030、官方表头、中文取值)· as departments export them"),
    ] = RecordStyle.CONTRACTS,
    dirty: Annotated[
        float,
        typer.Option(
            "--dirty", help="脏数据比例,如 0.02;清单在 truth/dirty.parquet · share of spoiled rows, listed there"
        ),
    ] = 0.0,
    as_json: JsonFlag = False,
) -> None:
    """合成城市:生成部门记录与真值 · Write a synthetic city: OUT/records (delivered) and OUT/truth (hidden)."""
    from credit_tier.data.city import generate
    from credit_tier.temporal import parse_date

    steps = Steps(quiet=as_json)
    with steps.step("生成合成城市 · building the city"):
        summary = generate(
            out,
            enterprises=enterprises,
            seed=seed,
            first=parse_date(first, where="--first"),
            cutoff=parse_date(cutoff, where="--cutoff"),
            format=record_format.value if record_format else None,
            style=style.value,
            dirty=dirty,
        )
    emit(
        summary.to_json(),
        as_json=as_json,
        lines=[
            *table(
                f"合成城市 synthetic city: {out}",
                ["表 table", "行 rows"],
                [[name, f"{count:,}"] for name, count in summary.rows.items()],
            ),
            f"真实违规率(月均) true rate {summary.true_rate:.2%} · 检查发现率 found at inspections {summary.found_rate:.2%}",
            *([f"脏数据 planted faults: {summary.planted:,} → {out / 'truth' / 'dirty.parquet'}"] if dirty else []),
            f"下一步 next: credit-tier ingest {out / 'records'} LAKE",
        ],
    )
