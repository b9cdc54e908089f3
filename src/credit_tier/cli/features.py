"""`credit-tier features`: the catalogue, one feature explained, and a feature table built from a lake."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from credit_tier.cli.shell import AsOfOption, ContentOption, JsonFlag, Steps, emit, table

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
    feature: Annotated[str, typer.Argument(help="指标 id")], content: ContentOption = None, as_json: JsonFlag = False
) -> None:
    """说明一个指标 · Explain one feature: definition, source, missing policy, direction, law."""
    from credit_tier.errors import UsageError

    found = {f.id: f for f in _catalogue(content).features}
    if feature not in found:
        raise UsageError.of(
            "CT-FEAT-020",
            where=feature,
            what="the catalogue has no such feature.",
            advice="See credit-tier features list.",
        )
    spec = found[feature]
    emit(
        spec.model_dump(mode="json"),
        as_json=as_json,
        lines=[f"{key:12} {value}" for key, value in spec.model_dump(mode="json").items()],
    )


@app.command()
def build(
    lake: LakeArgument,
    as_of: AsOfOption,
    out: Annotated[Path, typer.Option("--out", help="输出 Parquet · output file")],
    content: ContentOption = None,
    as_json: JsonFlag = False,
) -> None:
    """按截止时点计算全部指标 · Compute all features of every subject of the register at one as_of."""
    from credit_tier.content import Content
    from credit_tier.data.lake import Lake
    from credit_tier.profiles import feature_table
    from credit_tier.temporal import AsOf

    steps = Steps(quiet=as_json)
    with steps.step("指标 features"):
        frame = feature_table(Lake.open(lake), Content.resolve(*(content or ())), AsOf.parse(as_of), out)
    emit(
        {
            "rows": frame.rows,
            "features": len(frame.features),
            "digest": frame.digest,
            "file": str(out),
            "seconds": steps.seconds,
        },
        as_json=as_json,
        lines=[f"{frame.rows} × {len(frame.features)} → {out}", f"摘要 digest {frame.digest}"],
    )


def _catalogue(content: list[Path] | None) -> Any:
    from credit_tier.content import Content
    from credit_tier.specs.feature import CatalogueSpec

    return Content.resolve(*(content or ())).load("pipelines", "features.yaml", CatalogueSpec)
