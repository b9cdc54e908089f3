"""`credit-tier draw`: plan, commit, run, verify, proof, assign."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from credit_tier.cli.shell import ContentOption, JsonFlag, Steps, emit, remark, table

if TYPE_CHECKING:
    from credit_tier.sampling.roster import Roster
    from credit_tier.specs.teams import TeamsSpec
    from credit_tier.temporal import AsOf

app = typer.Typer(help="双随机抽取 · verifiable draws", no_args_is_help=True)

FolderArgument = Annotated[Path, typer.Argument(help="抽取目录 · folder of the draw")]


@app.command()
def plan(
    scores: Annotated[
        Path, typer.Argument(help="分类结果 .parquet/.csv · table with code, risk_class and strata columns")
    ],
    *,
    out: Annotated[Path, typer.Option("--out", help="抽取目录 · folder to write plan and frame into")],
    plan_file: Annotated[
        Path | None, typer.Option("--plan", help="抽查计划,默认 pipelines/inspection_round.yaml · sampling plan")
    ] = None,
    period: Annotated[str | None, typer.Option("--period", help="期次,如 2026Q4 · replaces the plan's period")] = None,
    lake: Annotated[
        Path | None, typer.Option("--lake", help="数据湖:按计划所写统计历史列 · lake for the plan's history columns")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="历史列、名录截止时点 YYYY-MM-DD · only what was known before this day"),
    ] = None,
    roster: Annotated[
        Path | None,
        typer.Option("--roster", help="名录目录或数据湖,用于测算人均任务 · folder of CSV files or lake, to tell loads"),
    ] = None,
    teams: Annotated[
        Path | None, typer.Option("--teams", help="组队规则,默认 pipelines/inspection_teams.yaml · rules for teams")
    ] = None,
    content: ContentOption = None,
    as_json: JsonFlag = False,
) -> None:
    """制定抽查计划:各层数量与入样概率,尚不抽取 · Plan a round: exact sizes and chances, nothing is drawn yet."""
    from credit_tier import draws
    from credit_tier.cli.draw_plan import loads, plan_lines, read_scores, report_lines, with_history
    from credit_tier.content import Content
    from credit_tier.errors import UsageError
    from credit_tier.temporal import AsOf

    steps = Steps(quiet=as_json)
    with steps.step("读取 · read"):
        rooms = Content.resolve(*(content or ()))
        spec = draws.load_spec(plan_file, content=rooms, period=period)
        if (as_of is None) != (lake is None and roster is None):
            raise UsageError.of(
                "CT-DRAW-023",
                where="--as-of",
                what="--as-of 须与 --lake 或 --roster 同时给出 · --as-of goes with --lake or --roster.",
                advice="Give both, or neither.",
            )
        units = read_scores(scores)
        if lake is not None and as_of is not None:
            units = with_history(units, spec, lake, AsOf.parse(as_of))
    with steps.step("计划 · plan"):
        made = draws.plan(units, spec)
        made.save(out)
    with steps.step("测算 · price"):
        found = made.report()
        if roster is not None and as_of is not None:
            found["loads"] = loads(made, roster, draws.load_teams(teams, content=rooms), AsOf.parse(as_of))
    unverified = [item.department for item in spec.departments if not item.verified]
    if unverified:
        remark(f"抽查比例未经核对 · rates not checked against an official text: {', '.join(unverified)}")
    emit(
        {
            "folder": str(out),
            "draw_id": made.draw_id,
            "units": made.units,
            "expected_visits": str(made.expected_visits),
            "factors": {name: str(factor) for name, factor in made.factors.items()},
            "excluded": made.excluded,
            "design_gap": round(made.design_gap(), 6),
            "unverified": unverified,
            "strata": made.frame().to_dict("records"),
            "report": found,
        },
        as_json=as_json,
        lines=[*plan_lines(made, out), *report_lines(found)],
    )


@app.command()
def commit(
    folder: FolderArgument,
    previous: Annotated[
        Path | None, typer.Option("--previous", help="上次抽取目录 · folder of the draw before")
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option("--secret", help="密值(仅供演示复现) · hexadecimal secret, for reproducible demos only"),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """承诺:封存抽样框与规则,生成须先公布的承诺值 · Seal frame and rules; publish the commitment before the beacon exists."""
    from secrets import token_hex

    from credit_tier.sampling.folder import COMMITMENT, SECRET, commit_folder

    kept = (folder / SECRET).exists() or (previous is not None and (previous / SECRET).exists())
    made = commit_folder(folder, secret=secret or (None if kept else token_hex(32)), previous=previous)
    emit(
        {**made.document(), "folder": str(folder)},
        as_json=as_json,
        lines=[
            f"承诺值 commitment {made.digest}",
            f"公布 publish {folder / COMMITMENT},早于信标 · before the beacon",
            f"信标 beacon: {made.beacon_source} — {made.beacon_rule}",
            f"下一步 next: credit-tier draw run {folder} --beacon TEXT",
        ],
    )


@app.command()
def run(
    folder: FolderArgument,
    beacon: Annotated[str, typer.Option("--beacon", help="信标结果,按规则书写 · outcome of the public event")],
    as_json: JsonFlag = False,
) -> None:
    """抽取(每个承诺只能抽一次) · Draw; a commitment is drawn once."""
    from credit_tier import draws
    from credit_tier.sampling.folder import PUBLIC, RECORD

    steps = Steps(quiet=as_json)
    with steps.step("抽取 · draw"):
        made = draws.run(folder, beacon=beacon)
    emit(
        {
            "folder": str(folder),
            "draw_id": made.document["draw_id"],
            "seed": made.seed,
            "visits": made.visits,
            "record_digest": made.digest,
        },
        as_json=as_json,
        lines=[
            f"抽中 drawn {made.visits:,} · {folder / RECORD}(内部 internal)",
            f"种子 seed {made.seed}",
            f"检查前公布 publish before the visits: 记录摘要 record digest {made.digest}",
            f"检查后公布 publish after the visits: {folder / PUBLIC}",
            f"核验 verify: python -m credit_tier.sampling.verify {folder}",
        ],
    )


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="抽取目录、public.json 或证明 · folder, public.json or proof")],
    public: Annotated[
        Path | None, typer.Option("--public", help="与证明对照的 public.json · to check a proof against")
    ] = None,
    commitment: Annotated[str | None, typer.Option("--commitment", help="已公布的承诺值 · as published")] = None,
    beacon: Annotated[str | None, typer.Option("--beacon", help="已公布的信标 · as published")] = None,
    as_json: JsonFlag = False,
) -> None:
    """核验抽取,与 python -m credit_tier.sampling.verify 相同 · Verify a draw, by the same independent script."""
    from credit_tier.sampling.verify import main

    options = [("--public", public), ("--commitment", commitment), ("--beacon", beacon)]
    given = [f"{name}={value}" for name, value in options if value is not None]
    raise typer.Exit(main([str(path), *given, *(["--json"] if as_json else [])]))


@app.command()
def proof(
    folder: FolderArgument,
    code: Annotated[str, typer.Argument(help="统一社会信用代码 · the enterprise's code")],
    out: Annotated[
        Path | None, typer.Option("--out", help="写入文件,默认标准输出 · file; default standard output")
    ] = None,
) -> None:
    """出具本行证明:企业自行核对是否在框中、是否公平 · Hand one enterprise the proof of its own row."""
    from credit_tier import draws
    from credit_tier.sampling.record import to_bytes

    data = to_bytes(draws.proof(folder, code))
    if out is None:
        sys.stdout.write(data.decode("utf-8"))
    else:
        out.write_bytes(data)
        remark(f"核验 verify: python -m credit_tier.sampling.verify {out}")


class Solver(StrEnum):
    """Who computes the teams; they are the same."""

    EXCHANGE = "exchange"
    NETWORKX = "networkx"
    ORTOOLS = "ortools"


@app.command()
def assign(
    folder: FolderArgument,
    *,
    first: Annotated[str, typer.Option("--from", help="检查期首日 YYYY-MM-DD · first day of the visits")],
    last: Annotated[str, typer.Option("--to", help="检查期末日 YYYY-MM-DD · last day of the visits")],
    roster: Annotated[
        Path | None, typer.Option("--roster", help="名录目录(inspectors.csv 等)· folder of CSV files")
    ] = None,
    lake: Annotated[
        Path | None, typer.Option("--lake", help="数据湖:按规则所写的表与列读取名录 · read the roster from a lake")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="名录截止时点,默认检查期首日 · only what was known before; default: --from"),
    ] = None,
    previous: Annotated[
        list[Path] | None,
        typer.Option(
            "--previous", help="上次抽取目录,用于轮换(可重复)· earlier draws with teams, for rotation; repeatable"
        ),
    ] = None,
    rules: Annotated[
        Path | None, typer.Option("--teams", help="组队规则,默认 pipelines/inspection_teams.yaml · rules for teams")
    ] = None,
    solver: Annotated[
        Solver, typer.Option("--solver", help="求解方法,结果相同 · same teams whichever")
    ] = Solver.EXCHANGE,
    content: ContentOption = None,
    as_json: JsonFlag = False,
) -> None:
    """抽派检查人员与日程:随机、回避、轮换、任务均衡 · Draw teams and days: at random, with recusal, rotation and even loads."""
    from credit_tier import draws
    from credit_tier.content import Content
    from credit_tier.rosters import after
    from credit_tier.sampling.folder import TEAMS, TEAMS_PUBLIC
    from credit_tier.temporal import AsOf, parse_date

    steps = Steps(quiet=as_json)
    begin, end = parse_date(first, where="--from"), parse_date(last, where="--to")
    with steps.step("读取名录 · read the roster"):
        spec = draws.load_teams(rules, content=Content.resolve(*(content or ())))
        people = _roster(roster, lake, spec, AsOf.parse(as_of) if as_of is not None else AsOf(begin))
        for earlier in previous or ():
            people = after(people, earlier)
    with steps.step("组队 · teams"):
        made = draws.assign(folder, people, spec, first=begin, last=end, solver=solver.value)
    unverified = [item.department for item in spec.departments if not item.verified]
    if unverified:
        remark(f"组队规则未经核对 · rules not checked against an official text: {', '.join(unverified)}")
    if not made["days_known"]:
        remark("没有工作日历,按周一至周五计 · no calendar given: Monday to Friday are worked")
    names = ("draw_id", "roster_root", "teams_digest", "loads", "first", "last")
    loads = cast("list[dict[str, object]]", made["loads"])
    visits, days = cast("list[object]", made["visits"]), cast("list[object]", made["days"])
    headers = ["部门 department", "席位 seats", "可派 eligible", "最少 least", "最多 most"]
    rows = [[str(item[key] or "合计 all") for key in ("department", "seats", "eligible")] for item in loads]
    emit(
        {
            **{name: made[name] for name in names},
            "folder": str(folder),
            "visits": len(visits),
            "working_days": len(days),
            "unverified": unverified,
        },
        as_json=as_json,
        lines=[
            *table(
                f"检查组 teams {made['draw_id']}",
                headers,
                [[*row, str(item["least"]), str(item["most"])] for row, item in zip(rows, loads, strict=True)],
            ),
            f"检查 visits {len(visits):,},工作日 working days {len(days)} · {folder / TEAMS}(内部 internal)",
            f"检查前公布 publish before the visits: 名录根 roster root {made['roster_root']}",
            f"检查组摘要 teams digest {made['teams_digest']}",
            f"检查后公布 publish after the visits: {folder / TEAMS_PUBLIC}",
        ],
    )


def _roster(folder: Path | None, lake: Path | None, spec: TeamsSpec, as_of: AsOf) -> Roster:
    from credit_tier.errors import UsageError
    from credit_tier.rosters import read_folder, read_lake

    if folder is not None and lake is None:
        return read_folder(folder, as_of=as_of)
    if lake is not None and folder is None and spec.sources is not None:
        from credit_tier.data.lake import Lake

        return read_lake(Lake.open(lake), spec.sources, as_of=as_of)
    raise UsageError.of(
        "CT-DRAW-039",
        where="--roster, --lake",
        what="名录须来自 --roster 或 --lake 之一,后者需规则写明 sources · the roster comes from one of --roster and --lake, the latter with 'sources' in the rules.",
        advice="Give one of them.",
    )
