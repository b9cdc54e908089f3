"""One page for one round of the loop: data, model, classes, a profile, the draw, repair. Internal: it shows risk classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from credit_tier.draws import DrawRecord, Plan, Verdict
from credit_tier.profiles import CityScores, Profile
from credit_tier.repairs import Worklist
from credit_tier.reports.charts import bars, curve, horizontal
from credit_tier.reports.page import Block, Fact, Page, Section
from credit_tier.rules.repair import Step
from credit_tier.training import Training
from credit_tier.types import RiskClass


@dataclass(frozen=True)
class Round:
    """Results of one round that the page shows."""

    tables: Sequence[tuple[str, str, int, int]]
    """Table, Chinese title, rows, rows in quarantine."""
    training: Training
    scores: CityScores
    profile: Profile
    dimension_titles: Mapping[str, str]
    plan: Plan
    record: DrawRecord
    verdict: Verdict
    worklist: Worklist
    commands: Sequence[str]
    is_synthetic: bool


def page(found: Round) -> Page:
    """Return the page of a round."""
    evaluation = found.training.evaluation
    interval = evaluation.auc_interval
    summary = found.scores.summary
    good = found.verdict.holds
    zh = "合成城市演示:" if found.is_synthetic else ""
    en = "Synthetic city: " if found.is_synthetic else ""
    return Page(
        title_zh="信用分级分类监管 · 一轮抽查",
        title_en="Credit-based supervision, one round",
        verdict_zh=f"{zh}{summary['enterprises']:,} 户分为四类,抽取 {found.record.visits:,} 户,抽取记录{'经独立核验成立' if good else '未通过核验'}。",
        verdict_en=f"{en}{summary['enterprises']:,} enterprises in four classes, {found.record.visits:,} drawn; "
        f"the record {'verifies independently' if good else 'does NOT verify'}.",
        facts=[
            Fact(summary["as_of"], "截止时点", "as_of: only what was known before"),
            Fact(f"{sum(rows for _, _, rows, _ in found.tables):,}", "条记录", "records in the lake"),
            Fact(
                f"{evaluation.auc:.3f}",
                f"检验期 AUC({interval.low:.3f}–{interval.high:.3f})",
                "out-of-time AUC with interval",
            ),
            Fact(f"{found.record.visits:,}", "户将被检查", "enterprises to visit"),
            Fact(f"{_ready(found):,}", "条处罚现在可申请修复", "penalties may be repaired now"),
        ],
        sections=[
            _data(found),
            _model(found),
            _classes(found),
            _profile(found),
            _draw(found),
            _repair(found),
            _again(found),
        ],
    )


def _data(found: Round) -> Section:
    rows = [[name, title, f"{count:,}", f"{bad:,}"] for name, title, count, bad in found.tables]
    block = Block(
        "数据湖 · lake",
        headers=["表 table", "名称 title", "行 rows", "隔离 quarantined"],
        rows=rows,
        numeric=frozenset({2, 3}),
        wide=True,
    )
    return Section(
        "数据",
        "Data",
        [block],
        "每行先按数据契约检查,不合格的进入隔离区,一行不丢。",
        "Every row is checked against its contract; what fails goes to quarantine, nothing is dropped.",
    )


def _model(found: Round) -> Section:
    evaluation = found.training.evaluation
    calibration = [(item.predicted, item.observed) for item in evaluation.calibration]
    gains = list(zip(evaluation.curves.inspected, evaluation.curves.found, strict=True))
    sticks = [["本模型 this model", _auc(evaluation)]] + [
        [f"{s.title_zh} {s.name}", _auc(s.evaluation)] for s in found.training.yardsticks
    ]
    parts = [
        [
            part.name,
            f"{part.first} – {part.last}",
            f"{len(part.frame):,}",
            f"{part.frame.positives / len(part.frame):.2%}",
        ]
        for part in found.training.parts
    ]
    return Section(
        "模型",
        "Model",
        [
            Block(
                "校准:预测与实际 · calibration, test part",
                svg=curve(calibration, title="calibration", x_label="预测 predicted", y_label="实际 observed"),
            ),
            Block(
                "累计增益 · gains: share of problems found by share inspected",
                svg=curve(gains, title="gains", x_label="检查比例 inspected", y_label="发现比例 found"),
            ),
            Block(
                "与标尺比较(同一检验期)· against yardsticks, same test part",
                headers=["模型 model", "AUC (95 %)"],
                rows=sticks,
            ),
            Block(
                "时间划分 · split in time",
                headers=["部分 part", "截止时点 as_of", "行 rows", "发现率 rate"],
                rows=parts,
                numeric=frozenset({2, 3}),
            ),
        ],
        f"{found.training.observations.spec.title_zh}。按时间先后训练、校准、检验,各段之间留出一个表现期。",
        "Trained, calibrated and tested in this order in time, one label window apart.",
    )


def _auc(evaluation: Any) -> str:
    interval = evaluation.auc_interval
    return f"{evaluation.auc:.3f} ({interval.low:.3f}–{interval.high:.3f})"


def _classes(found: Round) -> Section:
    summary = found.scores.summary
    counts = summary["classes"]
    total = summary["enterprises"]
    names = [f"{name} {RiskClass(name).label_zh}" for name in counts]
    shown = [f"{count:,} ({count / total:.1%})" for count in counts.values()]
    unverified = "" if summary["tiers"]["verified"] else "(未核对 not verified)"
    return Section(
        "信用风险分类",
        "Risk classes",
        [
            Block(
                "各类户数 · enterprises by class",
                svg=bars(names, list(counts.values()), title="classes", shown=shown),
            ),
            Block(
                "分级切点 · cuts",
                headers=[
                    "类 class",
                    "概率不低于 probability from",
                    "按模型 by the model",
                    "直接判定后 after overrides",
                ],
                rows=[
                    [name, f"{summary['cuts'].get(name, 0):.2%}", f"{summary['model_classes'][name]:,}", f"{count:,}"]
                    for name, count in counts.items()
                ],
                numeric=frozenset({1, 2, 3}),
            ),
            *_overrides(summary["overrides"]),
        ],
        note_zh=f"分类为内部参考,不是对企业的信用评价,不作为处罚依据,不对外公布;任何类别都不免于抽查。分级依据:{summary['tiers']['reference']}{unverified}",
        note_en="The class is an internal aid: not a rating, not a ground for punishment, not published; no class is exempt from inspection.",
    )


def _overrides(told: dict[str, Any]) -> list[Block]:
    """Return what overrides did to the classes, and by which law; nothing where no pack was in force."""
    if told["pack"] is None:
        return []
    rows = [
        [
            f"{rule['zh']} {rule['en']}",
            f"{rule['reference']['title_zh']}({rule['reference']['instrument']}){rule['reference']['article']}",
            f"{rule['holds']:,}",
            f"{rule['changes']:,}",
            "是 yes" if rule["verified"] else "否 no",
        ]
        for rule in told["rules"].values()
    ]
    headers = ["规则 rule", "依据 reference", "适用户数 holds", "改变类别 changes", "已核对 verified"]
    return [Block(f"直接判定 · overrides · {told['pack']}", headers=headers, rows=rows, numeric=frozenset({2, 3}))]


def _profile(found: Round) -> Section:
    profile = found.profile
    titles = [found.dimension_titles.get(name, name) for name in profile.dimensions]
    reasons = [
        [item["title_zh"], f"{item['points']:+.1f}", "—" if item["value"] is None else f"{item['value']:g}"]
        for item in profile.reasons
    ]
    return Section(
        "一户的信用画像",
        "One credit profile",
        [
            Block(
                "各维度分值(相对平均企业)· points by dimension",
                svg=horizontal(titles, list(profile.dimensions.values()), title="dimensions"),
            ),
            Block(
                "理由 · reasons",
                headers=["指标 feature", "分 points", "值 value"],
                rows=reasons,
                numeric=frozenset({1, 2}),
            ),
        ],
        f"{profile.code}:信用分 {profile.points},类别 {profile.risk_class} {profile.risk_class.label_zh}(按模型 {profile.model_class});基准 {profile.base_points:.1f} 与各维度之和即为未取整的分值。",
        f"Points {profile.points}, class {profile.risk_class} (by the model {profile.model_class}); base {profile.base_points:.1f} and the dimensions add up to the unrounded points.",
    )


def _draw(found: Round) -> Section:
    strata = [
        [
            "/".join(item.stratum),
            f"{item.units:,}",
            f"{float(item.size):.2f}",
            f"{float(item.chance):.2%}",
            item.binding,
        ]
        for item in found.plan.strata
    ]
    sums: dict[str, tuple[int, float]] = {}
    for item in found.plan.strata:
        units, size = sums.get(item.stratum[0], (0, 0.0))
        sums[item.stratum[0]] = (units + item.units, size + float(item.size))
    first = [[name, f"{units:,}", f"{size:.1f}", f"{size / units:.2%}"] for name, (units, size) in sums.items()]
    passed = [[step] for step in found.verdict.passed]
    facts = f"draw {found.plan.draw_id}\nseed {found.record.seed}\nrecord {found.record.digest}"
    return Section(
        "双随机抽取",
        "The draw",
        [
            Block(
                "抽样方案 · plan",
                headers=["第一层 first stratum", "户 units", "期望 expected", "平均入样概率 mean chance"],
                rows=first,
                numeric=frozenset({1, 2, 3}),
            ),
            Block(
                "各层 · all strata",
                headers=["层 stratum", "户 units", "期望 expected", "入样概率 chance", "定于 set by"],
                rows=strata,
                numeric=frozenset({1, 2, 3}),
                folded=True,
            ),
            Block("种子与记录 · seed and record", code=facts),
            Block("独立核验(仅标准库)· independent verification", headers=["成立的步骤 steps that hold"], rows=passed),
        ],
        "方案、抽样框与规则先行承诺,公开信标在后;种子由两者共同决定,任何人可用标准库重算。",
        "Plan, frame and rules are committed before the public beacon exists; both make the seed, and anybody recomputes it with the standard library.",
    )


def _repair(found: Round) -> Section:
    labels = {
        "eligible": "符合条件",
        "not_yet": "尚不符合",
        "not_repairable": "不予修复",
        "expired": "公示期满",
        "needs_human": "人工判定",
        "not_published": "不予公示",
    }
    verdicts = [[f"{labels.get(name, name)} {name}", f"{count:,}"] for name, count in found.worklist.verdicts.items()]
    first = [
        [item.record_id, item.step.label_zh, str(item.first_possible_on or "—"), f"{item.days_saved}"]
        for item in found.worklist.items[:10]
    ]
    return Section(
        "信用修复",
        "Credit repair",
        [
            Block(
                "审查结果 · decisions", headers=["结果 decision", "条 records"], rows=verdicts, numeric=frozenset({1})
            ),
            Block(
                "工作清单前十条 · first ten of the worklist",
                headers=["文号 record", "可做 step", "最早 first day", "可缩短天数 days saved"],
                rows=first,
                numeric=frozenset({3}),
            ),
        ],
        f"依据 {found.worklist.pack.id} {found.worklist.pack.spec.title_zh}。只由规则决定,不由模型决定。",
        "Decided by dated rules only, never by the model.",
    )


def _ready(found: Round) -> int:
    return sum(item.step is Step.APPLY for item in found.worklist.items)


def _again(found: Round) -> Section:
    digests = "\n".join(f"{name:9} {value}" for name, value in sorted(found.scores.summary["digests"].items()))
    return Section(
        "如何重现",
        "How to reproduce",
        [
            Block("命令 · commands", code="\n".join(found.commands), wide=True),
            Block("摘要 · digests", code=digests, wide=True),
        ],
    )
