"""`credit-tier demo`: a synthetic city through the whole loop, from records to a verified draw and a repair worklist."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from credit_tier.cli.shell import JsonFlag, Steps, emit, table

if TYPE_CHECKING:
    from credit_tier.data.quality import Validation
    from credit_tier.data.report import IngestReport
    from credit_tier.reports.round import Round
    from credit_tier.temporal import AsOf
    from credit_tier.training import Training

MODEL = "violation_risk"
DIRTY = 0.02
"""Share of spoiled rows, so that quarantine and the validation report have something to show."""

SPELLINGS = {"name": "列名 name", "alias": "别名 alias", "title": "名称 title", "guessed": "推测 guessed"}
"""How a header was recognised; the demo delivers all days of receipt in columns of their own."""

BEACON = "demo: no public beacon, for trying out only"


def demo(
    out: Annotated[Path, typer.Argument(help="输出目录(新的或空的)· output folder, new or empty")],
    enterprises: Annotated[
        int, typer.Option("--enterprises", min=5000, help="户数 · enterprises of the city")
    ] = 20_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="随机种子 · seed")] = 1,
    threads: Annotated[int, typer.Option("--threads", min=1, help="线程数 · threads")] = 2,
    as_json: JsonFlag = False,
) -> None:
    """合成城市走完全流程 · A synthetic city through the whole loop: lake, model, scores, draw, repair worklist, one page."""
    from credit_tier.errors import UsageError

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError.of(
            "CT-CLI-002",
            where=str(out),
            what="the folder is not empty.",
            advice="Give a new folder, or remove this one.",
        )
    steps = Steps(quiet=as_json)
    found, report, validation = _play(out, enterprises, seed, threads, steps)
    commands = found.commands[1:]
    total = sum(steps.seconds.values())
    lines = [
        *table("得到 made", ["结果 result", "位置 where", "概要 summary"], _made(out, found, report, validation)),
        "",
        *table(
            f"用时 time {total:.1f} s",
            ["步骤 step", "秒 s"],
            [[name, f"{seconds:.1f}"] for name, seconds in steps.seconds.items()],
        ),
        "",
        "接着试 next:",
        *(f"  {command}" for command in commands),
    ]
    result = {
        "out": str(out),
        "seconds": steps.seconds,
        "columns": _recognised(report),
        "quarantined": _quarantined(report),
        "validation": validation.verdict,
        "metrics": found.training.evaluation.metrics(),
        "scores": found.scores.summary,
        "draw": {"visits": found.record.visits, "record": found.record.digest, "verified": found.verdict.holds},
        "repair": found.worklist.verdicts,
        "bundle": found.training.bundle.digest,
        "next": list(commands),
    }
    emit(result, as_json=as_json, lines=lines)
    if not found.verdict.holds:
        raise typer.Exit(5)


def _play(out: Path, enterprises: int, seed: int, threads: int, steps: Steps) -> tuple[Round, IngestReport, Validation]:
    """Run the loop and write everything; the same arguments give the same bytes."""
    from credit_tier import draws, profiles, training
    from credit_tier.canonical import sha256_hex
    from credit_tier.cli.repair import csv_bytes
    from credit_tier.content import Content
    from credit_tier.data.city import generate
    from credit_tier.data.ingest import ingest
    from credit_tier.data.lake import Lake
    from credit_tier.data.quality import validate
    from credit_tier.files import write_bytes
    from credit_tier.repairs import repair_worklist
    from credit_tier.reports import page
    from credit_tier.reports.round import Round
    from credit_tier.reports.round import page as round_page
    from credit_tier.reports.validation import page as validation_page
    from credit_tier.specs.feature import CatalogueSpec
    from credit_tier.temporal import AsOf, parse_date

    content = Content.shipped()
    with steps.step("合成城市 city"):
        city = generate(out / "city", enterprises=enterprises, seed=seed, style="exports", dirty=DIRTY)
    with steps.step("入湖 ingest"):
        report = ingest(out / "lake", out / "city" / "records", content)
        lake = Lake.open(out / "lake")
    with steps.step("校验 validate"):
        validation = validate(lake)
        page.write(out / "validation.html", validation_page(validation, lake="lake"))
    as_of = AsOf(parse_date(str(city.cutoff)))
    with steps.step("训练、启用 train, promote"):
        trained = training.train(MODEL, lake, content, store=out / "mlflow", seed=seed, threads=threads)
        _publish(out, trained, as_of)
    with steps.step("评分 score"):
        spec = draws.load_spec(content=content)
        keep = draws.columns_to_keep(spec)
        scores = profiles.score(lake, content, trained.bundle, as_of, keep=keep, threads=threads)
        scores.save(out / "scores")
    with steps.step("抽取 draw"):
        plan = draws.plan(scores.to_pandas(), spec)
        # A real round takes its secret from a generator and keeps it; the demo must give the same bytes again.
        draws.commit(plan, out / "draw", secret=sha256_hex(f"credit_tier/demo/{seed}".encode()))
        record = draws.run(out / "draw", beacon=BEACON)
    with steps.step("核验 verify"):
        verdict = draws.verify(out / "draw")
    with steps.step("修复清单 repair worklist"):
        worklist = repair_worklist(lake, content, as_of)
        write_bytes(out / "repair_worklist.csv", csv_bytes(worklist.items))
    with steps.step("网页 page"):
        riskiest = str(scores.scores.sort("probability", "code", descending=[True, False])["code"][0])
        dimensions = content.load("pipelines", "features.yaml", CatalogueSpec).dimensions
        bad = {item.table: item.quarantined for item in report.tables}
        found = Round(
            tables=[(name, lake.spec(name).title_zh, lake.rows(name), bad.get(name, 0)) for name in lake.tables],
            training=trained,
            scores=scores,
            profile=profiles.profile(out / "scores", riskiest),
            dimension_titles={item.id: item.title_zh for item in dimensions}
            | {item.id: item.title_zh for item in trained.observations.spec.trees.bridges},
            plan=plan,
            record=record,
            verdict=verdict,
            worklist=worklist,
            commands=[
                f"{_bin()}credit-tier demo {out} --enterprises {enterprises} --seed {seed}",
                f"{_bin()}credit-tier profile {out / 'scores'} {riskiest}",
                f"{_bin()}python -m credit_tier.sampling.verify {out / 'draw'}",
                f"{_bin()}mlflow ui --backend-store-uri sqlite:///{out / 'mlflow' / 'mlflow.db'}",
            ],
            is_synthetic=True,
        )
        page.write(out / "index.html", round_page(found))
    return found, report, validation


def _publish(out: Path, trained: Training, as_of: AsOf) -> None:
    """Write the page of the training, and make its model the champion unless it failed a gate.

    The time of the decision is the city's, so that the same bytes come again.
    """
    from credit_tier import training
    from credit_tier.files import write_bytes
    from credit_tier.reports.training import publish

    write_bytes(out / "training.html", publish(trained, out / "mlflow").read_bytes())
    if not trained.failed_gates:
        at = datetime.combine(as_of.on, time(), UTC)
        training.promote(out / "mlflow", MODEL, who="credit-tier demo", why="演示 · demo", at=at)


def _bin() -> str:
    """Return what a person must write before a command: nothing in an activated environment, else its folder."""
    import os
    import shutil
    import sys

    folder = Path(sys.executable).parent
    if Path(shutil.which("credit-tier") or "").parent == folder:
        return ""
    return f"{os.path.relpath(folder)}/"


def _made(out: Path, found: Round, report: IngestReport, validation: Validation) -> list[list[str]]:
    from credit_tier.reports.validation import verdict

    evaluation, summary = found.training.evaluation, found.scores.summary
    interval = evaluation.auc_interval
    classes = " ".join(f"{name} {count:,}" for name, count in summary["classes"].items())
    verified = "核验成立 verified" if found.verdict.holds else "核验失败 NOT VERIFIED"
    return [
        ["数据湖 lake", str(out / "lake"), f"{sum(rows for _, _, rows, _ in found.tables):,} 行 rows"],
        ["送达 delivery", str(out / "city" / "records"), _spellings(report)],
        ["隔离 quarantine", str(out / "lake" / "_quarantine"), f"{_quarantined(report):,} 行 rows"],
        ["校验 validation", str(out / "validation.html"), " ".join(verdict(validation))],
        ["模型 model", str(out / "mlflow"), f"AUC {evaluation.auc:.3f} ({interval.low:.3f}–{interval.high:.3f})"],
        [
            "训练报告 training report",
            str(out / "training.html"),
            f"{(out / 'training.html').stat().st_size // 1024} KB",
        ],
        ["评分 scores", str(out / "scores"), f"{summary['enterprises']:,} 户: {classes}"],
        ["抽取 draw", str(out / "draw"), f"{found.record.visits:,} 户 visits · {verified}"],
        ["修复 repair", str(out / "repair_worklist.csv"), f"{len(found.worklist.items):,} 条 items"],
        ["网页 page", str(out / "index.html"), f"{(out / 'index.html').stat().st_size // 1024} KB"],
    ]


def _recognised(report: IngestReport) -> dict[str, int]:
    """Return how many columns of the files were recognised, by the spelling of their header: name, alias, title, guessed."""
    ways = Counter(column.how for table in report.tables for file in table.files for column in file.columns)
    return {str(way): count for way, count in sorted(ways.items())}


def _spellings(report: IngestReport) -> str:
    counted = _recognised(report)
    ways = "、".join(f"{SPELLINGS[way]} {count}" for way, count in counted.items())
    return f"{sum(counted.values())} 列已识别 columns recognised: {ways}"


def _quarantined(report: IngestReport) -> int:
    return sum(table.quarantined for table in report.tables)
