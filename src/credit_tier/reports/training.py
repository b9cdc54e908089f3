"""One page per training: what the model is, how good, how well calibrated, for whom, how stable, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from credit_tier.files import write_bytes
from credit_tier.learning import tracking
from credit_tier.learning.evaluate import Evaluation
from credit_tier.learning.folds import Division, Folds
from credit_tier.learning.woe_card import FILE as SCORECARD
from credit_tier.reports import training_quality as quality
from credit_tier.reports.charts import Line, lines, steps
from credit_tier.reports.figures import between, difference, span
from credit_tier.reports.page import Block, Fact, Page, Section, render, write
from credit_tier.reports.training_advice import advice
from credit_tier.reports.training_scorecard import scorecard
from credit_tier.reports.training_selection import selection
from credit_tier.reports.training_trees import beside, bridges_of, settings
from credit_tier.training import Training

FILE = "report.html"
PARTS = {"train": "训练 train", "calibrate": "校准 calibrate", "test": "检验 test", "all": "全部 all"}


def publish(done: Training, store: Path | str) -> Path:
    """Write the page of a training, and the scorecard among its yardsticks, beside its bundle; keep the page with the run; return its path."""
    found = page(done)
    tracking.attach(store, done.run.run_id, files={FILE: render(found).encode()})
    folder = done.bundle.folder
    for stick in done.yardsticks:
        if stick.card is not None:
            write_bytes(folder.with_name(f"{folder.name}.{SCORECARD}"), stick.card.to_bytes())
    return write(folder.with_name(f"{folder.name}.html"), found)


def page(done: Training) -> Page:
    """Return the page of a training; equal trainings give equal pages."""
    spec, evaluation = done.observations.spec, done.evaluation
    points = advice(done)
    passed = not done.failed_gates
    return Page(
        title_zh=f"模型训练报告:{spec.title_zh}",
        title_en=f"Training report: {spec.title_en or spec.model}",
        verdict_zh=f"{done.parts.tested_zh} AUC {span(evaluation.auc, evaluation.auc_interval)},"
        f"{'通过全部门槛' if passed else '未通过门槛,不得作为候选'};{f'{len(points)} 处需要留意。' if points else '没有需要留意之处。'}",
        verdict_en=f"{done.parts.tested_en.capitalize()} AUC {span(evaluation.auc, evaluation.auc_interval)}; "
        f"{'all gates passed' if passed else 'a gate FAILED, no challenger'}; {len(points)} points ask for attention.",
        facts=[
            Fact(f"{evaluation.auc:.3f}", "AUC", f"95 %: {between(evaluation.auc_interval)}"),
            Fact(f"{evaluation.ks:.3f}", "KS", "largest distance of the two distributions"),
            Fact(
                f"{evaluation.predicted_to_observed:.2f}",
                "预测/实际",
                f"predicted/observed, 95 %: {between(evaluation.predicted_to_observed_interval, 2)}",
            ),
            Fact(
                f"{evaluation.brier_ratio:.3f}",
                "Brier 比(低于 1 优于只知比例)",
                f"Brier ratio, 95 %: {between(evaluation.brier_ratio_interval)}",
            ),
            Fact(
                f"{evaluation.capture[2].captured:.0%}",
                f"检查前 {evaluation.capture[2].share:.0%} 可发现",
                f"found in the top tenth, 95 %: {between(evaluation.capture[2].interval, 2)}",
            ),
        ],
        sections=[
            _to_do(points),
            _facts(done),
            _figures(done),
            *(scorecard(stick.card) for stick in done.yardsticks if stick.card is not None),
            *([] if done.searched is None else [settings(done.searched)]),
            *([] if done.appraisal.selected is None else [selection(done, done.appraisal.selected)]),
            quality.calibration(done),
            quality.grades(done),
            quality.stability(done),
            *([quality.slices(done)] if done.appraisal.slices else []),
            _again(done),
        ],
    )


def _to_do(points: Sequence[Sequence[str]]) -> Section:
    headers = ["事项 point", "所见 what was seen", "建议 what to do"]
    blocks = [Block("需要留意 · points", headers=headers, rows=points, wide=True)] if points else []
    zh = "" if points else "各项检查没有发现需要处理的问题。"
    return Section("怎么办", "What to do", blocks, zh, "" if points else "No check asks for action.")


def _facts(done: Training) -> Section:
    spec, trees = done.observations.spec, done.observations.spec.trees
    calibration = done.bundle.scorer.calibration
    rows = [
        ["用途 purpose", spec.purpose],
        ["依据 legal basis", spec.legal_basis],
        ["结果 outcome", f"{spec.label.title_zh} {spec.label.title_en}"],
        ["表现期与时滞 window and delay", f"{spec.label.window_days} + {spec.label.delay_days} 天 days"],
        ["特征 features", f"{len(done.observations.features)}"],
        ["树 trees", f"{len(done.bundle.scorer.forest.trees)} × {trees.leaves} 叶 leaves"],
        ["单调约束 monotone", "是 yes" if trees.monotone else "否 no"],
        ["每棵树限于一个维度 confined", "是 yes" if trees.confine else "否 no"],
        ["桥接 bridges", bridges_of(trees)],
        ["参数 settings", "按声明 as declared" if done.searched is None else "搜索选定 chosen by search"],
        ["校准 calibration", f"{quality.METHODS[calibration.method]}(声明 declared: {spec.calibration})"],
    ]
    parts = [
        [
            PARTS[part.name],
            f"{part.first} – {part.last}",
            f"{len(part.frame):,}",
            f"{len(set(part.frame.subject.tolist())):,}",
            f"{part.frame.positives:,}",
            f"{part.frame.positives / len(part.frame):.2%}",
        ]
        for part in done.parts
    ]
    split_zh, split_en = (
        ("交叉验证", "cross-validation") if isinstance(done.parts, Folds) else ("时间划分", "split in time")
    )
    headers = ["部分 part", "截止时点 as_of", "行 rows", "户 subjects", "发现 positive", "比例 rate"]
    return Section(
        "模型与数据",
        "Model and data",
        [
            Block("模型 · model", headers=["项 item", "值 value"], rows=rows, wide=True),
            Block(f"{split_zh} · {split_en}", headers=headers, rows=parts, numeric=frozenset({2, 3, 4, 5}), wide=True),
        ],
        *_division(done.parts),
    )


def _division(parts: Division) -> tuple[str, str]:
    """Return how the rows were divided, in both languages."""
    if isinstance(parts, Folds):
        return (
            f"按企业分为 {parts.count} 折,各折两种结果的比例相近:每户只由未见过它的模型评判一次,校准亦然;交付的模型用全部行训练。这不是时间外检验。",
            f"Enterprises are dealt into {parts.count} folds with their share of both outcomes: each is judged once, by a model and a calibration that never saw it; the model that leaves training has grown on all rows. This is not a test out of time.",
        )
    return (
        f"先训练,后校准,再检验,前后两段之间相隔 {parts.gap_days} 天,隔开的 {parts.left_out:,} 行不用。",
        f"Trained, calibrated and tested in this order in time, {parts.gap_days} days apart; {parts.left_out:,} rows in between are not used.",
    )


def _figures(done: Training) -> Section:
    evaluation, found = done.evaluation, done.appraisal
    differences = {item.name: difference(item) for item in found.yardsticks}
    rows = [["本模型 this model", *_row(evaluation), "—"]] + [
        [f"{stick.title_zh} {stick.name}", *_row(stick.evaluation), differences[stick.name]]
        for stick in done.yardsticks
    ]
    headers = [
        "模型 model", "AUC", "Gini", "KS", "PR AUC", "Brier 比 ratio", "对数损失 log loss", "预测/实际 pred./obs.",
        "前 10 % 发现 top tenth finds", "AUC 差(成对)paired difference",
    ]  # fmt: skip
    blocks = [
        Block("与标尺比较,同样的行 · against yardsticks, same rows", headers=headers, rows=rows, wide=True),
        Block("ROC", svg=_curves(done, "false_positive", "true_positive", "误选 false positives", "发现 found")),
        Block("累计增益 · gains", svg=_curves(done, "inspected", "found", "检查比例 inspected", "发现比例 found")),
        Block("查准与查全 · precision and recall", svg=_precision(evaluation)),
        Block("概率分布 · distribution of the probability", svg=_distribution(evaluation)),
        Block(
            "检查预算与发现 · found by budget",
            headers=["检查比例 inspected", "发现 found (95 %)"],
            rows=[[f"{c.share:.0%}", span(c.captured, c.interval, 2)] for c in evaluation.capture],
        ),
    ]
    blocks += beside(found)
    return Section(
        "区分能力",
        "Discrimination",
        blocks,
        "区间为 95 %,按企业整户重抽;AUC 差由同一批重抽得出,区间不含 0 才算有差别。",
        "Intervals are 95 %, from drawing whole enterprises; differences come from the same draws, and count only if the interval leaves out 0.",
        *_within(done.parts),
    )


def _within(parts: Division) -> tuple[str, str]:
    """Return what a cross-validated AUC compares; nothing where one model scored all rows."""
    if not isinstance(parts, Folds):
        return "", ""
    return (
        "AUC 只比较同一折内的企业,因各折的分数来自不同模型;曲线、KS 和增益按各折校准后的概率合并。区间不含分折的偶然。",
        "AUC compares enterprises of one fold, since folds are scored by different models; curves, KS and gains pool the calibrated probabilities. The intervals do not hold the luck of the deal.",
    )


def _row(evaluation: Evaluation) -> list[str]:
    return [
        span(evaluation.auc, evaluation.auc_interval),
        f"{evaluation.gini:.3f}",
        f"{evaluation.ks:.3f}",
        f"{evaluation.pr_auc:.3f}",
        span(evaluation.brier_ratio, evaluation.brier_ratio_interval),
        f"{evaluation.log_loss:.4f}",
        span(evaluation.predicted_to_observed, evaluation.predicted_to_observed_interval, 2),
        span(evaluation.capture[2].captured, evaluation.capture[2].interval, 2),
    ]


def _curves(done: Training, x: str, y: str, x_label: str, y_label: str) -> str:
    models = [("本模型 model", done.evaluation, "line")]
    models += [(done.yardsticks[0].title_zh, done.yardsticks[0].evaluation, "thin")]
    series = [
        Line(name, list(zip(getattr(found.curves, x), getattr(found.curves, y), strict=True)), style)
        for name, found, style in reversed(models)
    ]
    return lines(series, title=f"{x_label} / {y_label}", x_label=x_label, y_label=y_label, diagonal=True)


def _precision(evaluation: Evaluation) -> str:
    points = list(zip(evaluation.curves.found, evaluation.curves.precision, strict=True))
    level = [(0.0, evaluation.rate), (1.0, evaluation.rate)]
    series = [Line("随机 at random", level, "thin"), Line("本模型 model", points)]
    return lines(
        series, title="precision and recall", x_label="查全 recall", y_label="查准 precision", legend_above=True
    )


def _distribution(evaluation: Evaluation) -> str:
    curves = evaluation.curves
    series = [
        Line("未发现 negative", steps(curves.edges, curves.density_negative)),
        Line("发现 positive", steps(curves.edges, curves.density_positive), "second"),
    ]
    return lines(
        series, title="distribution", x_label="概率 probability", y_label="行的比例 share of rows", legend_above=True
    )


def _again(done: Training) -> Section:
    seen = done.bundle.manifest
    digests = "\n".join(f"{name:10s}{value}" for name, value in sorted(seen["provenance"].items()))
    code = f"bundle    {done.bundle.digest}\n{digests}\nseed      {seen['seed']}"
    return Section(
        "复核",
        "Do it again",
        [Block("摘要 · digests", code=code, wide=True)],
        "同一数据湖、同一内容、同一种子和线程数给出同一模型和同一页。",
        "The same lake, content, seed and threads give the same model and the same page.",
        "分类和概率是分配检查力量的内部参考,不是对企业的信用评价,不作为处罚依据,不对外公布。",
        "Class and probability are an internal aid for allocating inspections: not a rating, not a ground for punishment, not published.",
    )
