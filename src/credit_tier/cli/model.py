"""`credit-tier train`, `recalibrate`, `score`, `profile`: models, scores and the credit profile of one enterprise."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from credit_tier.cli.registry import KeyOption, StoreOption, TrustOption
from credit_tier.cli.shell import AsOfOption, ContentOption, JsonFlag, Steps, emit, table

if TYPE_CHECKING:
    from credit_tier.content import Content
    from credit_tier.learning.bundle import Bundle
    from credit_tier.learning.search import Searched
    from credit_tier.training import Training

LakeArgument = Annotated[Path, typer.Argument(help="数据湖目录 · lake folder")]
ThreadsOption = Annotated[int, typer.Option("--threads", min=1, help="线程数 · threads")]
BundleOption = Annotated[Path | None, typer.Option("--bundle", help="模型包目录 · bundle folder")]
ChampionOption = Annotated[
    Path | None, typer.Option("--store", help="从 MLflow 取现役模型 · take the champion from this MLflow store")
]
JurisdictionOption = Annotated[
    str, typer.Option("--jurisdiction", help="法域,如 cn、cn-32、cn-3205 · whose overrides are asked")
]
NEWEST = 5
"""Records shown behind a reason or an override."""
CORES = min(os.cpu_count() or 1, 8)


def train(
    model: Annotated[str, typer.Argument(help="模型名 · folder under models/")],
    lake: LakeArgument,
    store: StoreOption,
    seed: Annotated[int, typer.Option("--seed", min=0, help="随机种子 · seed")] = 1,
    threads: ThreadsOption = CORES,
    key: KeyOption = None,
    search: Annotated[
        int | None,
        typer.Option(
            "--search",
            min=0,
            max=500,
            help="试多少组参数,0 不搜索;缺省按声明 · settings to try, 0: none; default: as declared",
        ),
    ] = None,
    ebm: Annotated[
        bool,
        typer.Option(
            "--ebm", help="加训一个可解释提升机作标尺,较慢 · an explainable boosting machine as yardstick: slow"
        ),
    ] = False,
    optbinning: Annotated[
        bool, typer.Option("--optbinning", help="评分卡标尺用 optbinning 分箱 · bins of the scorecard by optbinning")
    ] = False,
    content: ContentOption = None,
    as_json: JsonFlag = False,
) -> None:
    """训练、校准、检验并登记模型 · Train, calibrate, test and record a model; exit 1 if a gate fails."""
    from credit_tier import training
    from credit_tier.content import Content
    from credit_tier.data.lake import Lake

    steps = Steps(quiet=as_json)
    with steps.step(f"训练 train {model}"):
        done = training.train(
            model,
            Lake.open(lake),
            Content.resolve(*(content or ())),
            store=store,
            seed=seed,
            threads=threads,
            key=key,
            search=search,
            ebm=ebm,
            optbinning=optbinning,
        )
    _tell(done, store, steps, as_json=as_json)


def recalibrate(
    model: Annotated[str, typer.Argument(help="模型名 · folder under models/")],
    lake: LakeArgument,
    store: StoreOption,
    calibrate_days: Annotated[
        int,
        typer.Option("--calibrate-days", min=1, help="用多少天的近期结果重新校准 · days of outcomes to calibrate on"),
    ] = 365,
    test_days: Annotated[
        int, typer.Option("--test-days", min=1, help="其后用多少天检验 · days of outcomes after them to test on")
    ] = 180,
    slope: Annotated[bool, typer.Option("--slope", help="斜率也重估 · fit the slope too, not the level alone")] = False,
    threads: ThreadsOption = CORES,
    key: KeyOption = None,
    trust: TrustOption = None,
    content: ContentOption = None,
    as_json: JsonFlag = False,
) -> None:
    """用近期结果重新校准现役模型,树不变 · Recalibrate the model in use on recent outcomes, as a version of its own; its trees stay."""
    from credit_tier import training
    from credit_tier.content import Content
    from credit_tier.data.lake import Lake

    steps = Steps(quiet=as_json)
    with steps.step(f"重新校准 recalibrate {model}"):
        done = training.recalibrate(
            training.champion(store, model, trust=trust or []),
            Lake.open(lake),
            Content.resolve(*(content or ())),
            store=store,
            threads=threads,
            calibrate_days=calibrate_days,
            test_days=test_days,
            refit_slope=slope,
            key=key,
        )
    _tell(done, store, steps, as_json=as_json)


def _tell(done: Training, store: Path, steps: Steps, *, as_json: bool) -> None:
    """Publish the page of a finished training and print its figures; exit 1 if a gate failed."""
    from credit_tier.reports import training as report

    model = done.bundle.model
    with steps.step("报告 report"):
        page = report.publish(done, store)
    found = done.evaluation
    rows = [
        [
            part.name,
            f"{part.first}…{part.last}",
            f"{len(part.frame):,}",
            f"{part.frame.positives:,}",
            f"{part.frame.positives / len(part.frame):.2%}",
        ]
        for part in done.parts
    ]
    lines = [
        *table(
            f"{done.observations.spec.title_zh} {model}",
            ["部分 part", "截止时点 as_of", "行 rows", "正例 positive", "比例 rate"],
            rows,
        ),
        f"{done.parts.tested_zh} {done.parts.tested_en}: AUC {found.auc:.3f} ({found.auc_interval.low:.3f}–{found.auc_interval.high:.3f}) · KS {found.ks:.3f} · Brier 比 ratio {found.brier_ratio:.3f} · 预测/实际 predicted/observed {found.predicted_to_observed:.2f}",
        *(f"标尺 yardstick {item.title_zh} {item.name}: AUC {item.evaluation.auc:.3f}" for item in done.yardsticks),
        *(_chosen(done.searched) if done.searched is not None else ()),
        f"模型包 bundle {done.bundle.folder} · {done.bundle.digest}",
        str(done.bundle.signer),
        f"报告 report {page}",
        f"MLflow run {done.run.run_id} · version {done.run.model_version}",
        *(str(fault) for fault in done.failed_gates),
        *([] if done.failed_gates else [f"启用 promote: credit-tier promote {model} --store {store} --who … --why …"]),
        done.headline,
    ]
    result = {
        "model": model,
        "bundle": str(done.bundle.folder),
        "report": str(page),
        "digest": done.bundle.digest,
        "signer": done.bundle.signer.fingerprint,
        "run_id": done.run.run_id,
        "version": done.run.model_version,
        "metrics": found.metrics(),
        "yardsticks": {item.name: item.evaluation.metrics() for item in done.yardsticks},
        "parts": done.parts.describe(),
        "search": None if done.searched is None else done.searched.to_dict(),
        "failed_gates": [str(fault) for fault in done.failed_gates],
        "seconds": steps.seconds,
    }
    emit(result, as_json=as_json, lines=lines)
    if done.failed_gates:
        raise typer.Exit(1)


def _chosen(found: Searched) -> list[str]:
    """Return what a search tried and took."""
    declared, chosen = (found.candidates[i] for i in (0, found.chosen))
    took = f"{chosen.rounds} × {chosen.leaves} 叶 leaves, {chosen.learning_rate:g}, ≥ {chosen.min_rows_in_leaf}, L2 {chosen.l2:g}"
    stopped = " · 到时停止 stopped by the clock" if found.was_stopped else ""
    return [
        f"参数搜索 search: {found.done}/{found.possible} · 选定 chosen {took} · 对数损失 log loss {chosen.loss:.5f} (声明 declared {declared.loss:.5f}){stopped}"
    ]


def score(
    lake: LakeArgument,
    as_of: AsOfOption,
    out: Annotated[Path, typer.Option("--out", help="输出目录 · output folder")],
    bundle: BundleOption = None,
    store: ChampionOption = None,
    keep: Annotated[
        list[str] | None, typer.Option("--keep", help="随带的登记列 · register column to carry along, repeatable")
    ] = None,
    previous: Annotated[
        Path | None,
        typer.Option(
            "--previous", help="上一次评分目录 · folder of the scores before: steadier classes, and who went where"
        ),
    ] = None,
    jurisdiction: JurisdictionOption = "cn",
    threads: ThreadsOption = CORES,
    trust: TrustOption = None,
    content: ContentOption = None,
    as_json: JsonFlag = False,
) -> None:
    """按截止时点为全部主体评分分级 · Score everybody at one as_of and give risk classes; columns a plan needs are kept."""
    from credit_tier import draws, profiles
    from credit_tier.content import Content
    from credit_tier.data.lake import Lake
    from credit_tier.temporal import AsOf

    found = Content.resolve(*(content or ()))
    steps = Steps(quiet=as_json)
    with steps.step("评分 score"):
        model = open_bundle(bundle, store, trust or [], found)
        wanted = tuple(keep or draws.columns_of_plan(found))
        scored = profiles.score(
            Lake.open(lake),
            found,
            model,
            AsOf.parse(as_of),
            keep=wanted,
            previous=previous,
            jurisdiction=jurisdiction,
            threads=threads,
        )
        scored.save(out)
    summary = scored.summary
    total = summary["enterprises"]
    rows = [[name, f"{count:,}", f"{count / total:.1%}"] for name, count in summary["classes"].items()]
    moved = []
    if "migration" in summary:
        headers = ["上次 before \\ 本次 now", *summary["migration"]]
        title = f"类别变动 migration · 新增 new {summary['new']:,} · 因缓冲保持 held by hysteresis {summary['held']:,}"
        moved = table(
            title, headers, [[name, *(f"{n:,}" for n in to.values())] for name, to in summary["migration"].items()]
        )
    emit(
        {
            **summary,
            "signer": model.signer.fingerprint,
            "trusted_as": model.signer.trusted_as,
            "folder": str(out),
            "seconds": steps.seconds,
        },
        as_json=as_json,
        lines=[
            *table(f"信用风险分类 risk classes · {total:,} · {as_of}", ["类 class", "户数 count", "占比 share"], rows),
            *moved,
            *_overrides_told(summary),
            str(model.signer),
            f"→ {out / profiles.SCORES}",
        ],
    )


def _overrides_told(summary: dict[str, Any]) -> list[str]:
    """Say what overrides did to the classes, and who was scored without records."""
    told = summary["overrides"]
    silent = summary["without_records"]["enterprises"]
    alone = f"没有自身记录而评分 scored without records of their own: {silent:,}"
    if told["pack"] is None:
        why = {
            "no_pack": "内容中没有直接判定规则包 · the content has no pack of overrides",
            "not_in_force": "该日没有施行的直接判定规则包,仅按模型分类 · no pack of overrides was in force that day; classes are the model's",
        }
        return [why[told["why"]], alone]
    rows = [
        [
            rule["zh"],
            f"{rule['holds']:,}",
            f"{rule['changes']:,}",
            f"{rule['reference']['instrument']}{rule['reference']['article']}",
            "是 yes" if rule["verified"] else "否 no",
        ]
        for rule in told["rules"].values()
    ]
    headers = ["规则 rule", "适用 holds", "改变类别 changes", "依据 reference", "已核对 verified"]
    return [*table(f"直接判定 overrides · {told['pack']}", headers, rows), alone]


def profile(
    scores: Annotated[Path, typer.Argument(help="评分目录 · folder written by score")],
    code: Annotated[str, typer.Argument(help="统一社会信用代码 · credit code")],
    lake: Annotated[
        Path | None,
        typer.Option(
            "--lake",
            help="该次评分的数据湖:列出理由背后的记录 · lake of the scores: name the records behind the reasons",
        ),
    ] = None,
    bundle: BundleOption = None,
    store: ChampionOption = None,
    trust: TrustOption = None,
    content: ContentOption = None,
    as_json: JsonFlag = False,
) -> None:
    """一户的信用画像 · The credit profile of one enterprise: class, points by dimension, reasons, and the records behind them."""
    from dataclasses import asdict

    from credit_tier import profiles
    from credit_tier.content import Content
    from credit_tier.data.lake import Lake

    found = profiles.profile(scores, code)
    if lake is not None:
        model = open_bundle(bundle, store, trust or [], Content.resolve(*(content or ())))
        found = profiles.with_records(found, Lake.open(lake), model, most=NEWEST)
    dimensions = [[name, f"{points:+.1f}"] for name, points in found.dimensions.items()]
    headers = ["指标 feature", "分 points", "值 value", *([] if lake is None else ["记录 records"])]
    reasons = [
        [
            item["title_zh"],
            f"{item['points']:+.1f}",
            "" if item["value"] is None else f"{item['value']:g}",
            *([] if lake is None else [_records_of(item["records"])]),
        ]
        for item in found.reasons
    ]
    before = "" if found.previous_class is None else f" (上次 before {found.previous_points}, {found.previous_class})"
    lines = [
        f"截止 as_of {found.as_of} · 信用分 points {found.points}{before} · 类别 class {found.risk_class} {found.risk_class.label_zh} (内部参考 internal aid;模型 by the model {found.model_class}) · 概率 probability {found.probability:.2%}",
        *_held_by(found.overrides),
        *table(f"维度 dimensions (基准 base {found.base_points:.1f})", ["维度 dimension", "分 points"], dimensions),
        *table("理由 reasons", headers, reasons),
    ]
    emit(asdict(found), as_json=as_json, lines=lines)


def _records_of(told: dict[str, Any] | None) -> str:
    """Name a few records in a cell, and how many there are."""
    if told is None:
        return "— (同类数字 figure of a group)"
    named = "、".join(f"{each.get('record_id', '—')} {each['event_on']}" for each in told["newest"])
    more = f" 等共 {told['count']} 条" if told["count"] > len(told["newest"]) else ""
    return f"{told['table']}: {named}{more}" if told["count"] else f"{told['table']}: 0"


def _held_by(overrides: list[dict[str, Any]]) -> list[str]:
    """Say which overrides hold an enterprise, by which law and which records."""
    lines = []
    for item in overrides:
        law, first = item["reference"], item["records"][:NEWEST]
        gives = "类别由此判定 gives the class" if item["gives"] else "未改变类别 changes nothing"
        doubt = "" if item["verified"] else " (未核对 unverified)"
        records = "、".join(f"{each['table']} {each['record_id'] or '—'} {each['event_on']}" for each in first)
        more = f" 等共 {len(item['records'])} 条" if len(item["records"]) > len(first) else ""
        lines += [
            f"直接判定 override: {item['zh']} {item['en']} 〔{law['title_zh']}({law['instrument']}){law['article']}〕{doubt} · {gives}",
            f"  记录 records: {records}{more}",
        ]
    return lines


def open_bundle(bundle: Path | None, store: Path | None, trust: list[Path], content: Content) -> Bundle:
    """Open the bundle of a folder, or the champion of the class policy's model from a store."""
    from credit_tier import training
    from credit_tier.errors import UsageError
    from credit_tier.learning.bundle import Bundle
    from credit_tier.learning.signing import TrustedKeys
    from credit_tier.specs.model import TiersSpec

    if bundle is not None and store is None:
        return Bundle.open(bundle, trusted=TrustedKeys.read(*trust) if trust else None)
    if store is not None and bundle is None:
        return training.champion(store, content.load("pipelines", "tiers.yaml", TiersSpec).model, trust=trust)
    raise UsageError.of(
        "CT-CLI-001", where="--bundle", what="give --bundle or --store.", advice="--store takes the model's champion."
    )
