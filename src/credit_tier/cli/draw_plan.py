"""What `credit-tier draw plan` reads and says."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from credit_tier.cli.shell import table

if TYPE_CHECKING:
    import polars as pl

    from credit_tier.draws import Plan
    from credit_tier.specs.plan import PlanSpec
    from credit_tier.specs.teams import TeamsSpec
    from credit_tier.temporal import AsOf


def read_scores(path: Path) -> pl.DataFrame:
    """Return the table of risk classes."""
    import polars as pl

    from credit_tier.errors import UsageError

    readers: dict[str, Callable[[Path], pl.DataFrame]] = {
        ".parquet": pl.read_parquet,
        ".csv": lambda item: pl.read_csv(item, infer_schema=False),
    }
    if path.suffix not in readers or not path.is_file():
        raise UsageError.of(
            "CT-DRAW-021",
            where=str(path),
            what="需要 .parquet 或 .csv 文件 · a .parquet or .csv file is needed.",
            advice="Give the table of risk classes, with code, risk_class and the strata columns.",
        )
    try:
        return readers[path.suffix](path)
    except pl.exceptions.PolarsError as error:
        raise UsageError.of(
            "CT-DRAW-021",
            where=str(path),
            what=f"文件无法读取 · the file cannot be read ({type(error).__name__}).",
            advice="Check that it is complete; CSV in UTF-8 with a header line.",
        ) from error


def with_history(units: pl.DataFrame, spec: PlanSpec, lake: Path, as_of: AsOf) -> pl.DataFrame:
    """Return the table with the columns that the plan counts from a lake."""
    import narwhals as nw

    from credit_tier.data.lake import Lake
    from credit_tier.histories import add_history

    made: pl.DataFrame = add_history(nw.from_native(units, eager_only=True), spec, Lake.open(lake), as_of).to_native()
    return made


def loads(made: Plan, roster: Path, teams: TeamsSpec, as_of: AsOf) -> list[dict[str, object]]:
    """Return each department's expected load, with a roster from a folder of CSV files or a lake."""
    from credit_tier.data.lake import Lake
    from credit_tier.rosters import read_folder, read_lake
    from credit_tier.sampling import price

    if teams.sources is not None and (roster / "manifest.json").exists():
        people = read_lake(Lake.open(roster), teams.sources, as_of=as_of)
    else:
        people = read_folder(roster, as_of=as_of)
    return [vars(item) for item in price.loads(made.planned, people, teams)]


def report_lines(found: dict[str, Any]) -> list[str]:
    """Return the report's lines: chances, prices, loads."""
    chances = [
        [
            item["department"],
            item["risk_class"],
            f"{item['units']:,}",
            *(f"{item[name]:.3%}" for name in ("least", "median", "most")),
        ]
        for item in found["chances"]
    ]
    lifted = [
        [
            item["department"],
            item["constraint"],
            *("-" if item[name] is None else f"{item[name]:,.1f}" for name in ("visits", "visits_without")),
            *("-" if item[name] is None else f"{item[name]:.3%}" for name in ("error", "error_without")),
        ]
        for item in found["prices"]
    ]
    shares = [
        f"任务 load {item['department']}: {item['seats']:,.1f} 席 seats / {item['eligible']:,} 人 inspectors"
        + ("" if item["each"] is None else f" = {item['each']:,.1f}")
        for item in found.get("loads", ())
    ]
    return [
        *table(
            "入样概率 chances",
            ["部门 department", "类别 class", "对象 units", "最小 least", "中位 median", "最大 most"],
            chances,
        ),
        *(
            table(
                "约束的代价(逐一解除)price of each constraint, lifted alone",
                [
                    "部门 department",
                    "约束 constraint",
                    "检查 visits",
                    "解除后 without",
                    "标准误 s.e.",
                    "解除后 without",
                ],
                lifted,
            )
            if lifted
            else []
        ),
        *shares,
        f"最小概率 smallest chance {found['smallest_chance']:.4%},预计合并检查 visits expected to coincide {found['visits_saved']:,.1f}",
    ]


def plan_lines(made: Plan, out: Path) -> list[str]:
    """Return the plan's lines: strata, factors, what comes next."""
    rows = [
        [
            item.department,
            "/".join(item.stratum),
            f"{item.units:,}",
            _decimal(item.size),
            f"{float(item.chance):.2%}",
            {
                "rate": "比例 rate",
                "optimum": "最优 optimum",
                "floor": "下限 floor",
                "cap": "上限 cap",
                "certainty": "必查 certain",
            }[item.binding],
        ]
        for item in made.strata
    ]
    headers = ["部门 department", "层 stratum", "对象 units", "期望 expected", "概率 chance", "依据 set by"]
    factors = [
        f"预算系数 budget factor {name}: {factor} (≈ {float(factor):.4f})"
        for name, factor in made.factors.items()
        if factor != 1
    ]
    gap = made.design_gap()
    gaps = [f"小层概率最大偏差 largest gap of a designed chance in small strata: {gap:.2%}"] if gap else []
    return [
        *table(f"抽查计划 plan {made.draw_id}", headers, rows),
        *factors,
        *gaps,
        f"对象 units {made.units:,},期望检查 expected visits {_decimal(made.expected_visits)}",
        f"下一步 next: credit-tier draw commit {out}",
    ]


def _decimal(value: Fraction) -> str:
    return str(value) if value.denominator == 1 else f"{float(value):,.2f}"
