"""The section of a training's page on selective labels: what the choice of the inspected does to the figures."""

from __future__ import annotations

from credit_tier.learning.evaluate import Evaluation
from credit_tier.learning.selection import Selected
from credit_tier.reports.figures import p_value, span
from credit_tier.reports.page import Block, Section
from credit_tier.training import Training

PARTS = {"train": "训练 train", "calibrate": "校准 calibration", "test": "检验 test", "all": "全部 all"}


def selection(done: Training, found: Selected) -> Section:
    """Return weighted and plain figures side by side, what the weights are worth, and the records that nobody drew."""
    rows = {part.name: len(part.frame) for part in done.parts}
    worth = [
        [PARTS[name], f"{rows[name]:,}", f"{value:,.0f}", f"{value / rows[name]:.0%}"]
        for name, value in found.effective.items()
    ]
    blocks = [
        Block(
            "加权与不加权 · weighted and plain",
            headers=[
                "范围 for whom",
                "发现比例 rate (95 %)",
                "AUC (95 %)",
                "预测/实际 pred./obs. (95 %)",
                "Brier 比 ratio (95 %)",
            ],
            rows=[
                _row("全部可抽对象(按入样概率加权)all who could be drawn, weighted", done.evaluation),
                _row("仅被抽中者(不加权)the drawn alone, plain", found.naive),
            ],
            wide=True,
        ),
        Block(
            "有效样本量 · effective rows (Kish)",
            headers=["部分 part", "行 rows", "有效 effective", "占比 share"],
            rows=worth,
            numeric=frozenset({1, 2, 3}),
        ),
    ]
    if found.apart:
        blocks.append(
            Block(
                "非随机抽取的检查,另列 · inspections that nobody drew at random, told apart",
                headers=["起因 cause", "行 rows", "预测 predicted", "实际 observed (95 %)", "p", "AUC (95 %)"],
                rows=[
                    [
                        f"{item.zh} {item.en}",
                        f"{item.rows:,}",
                        f"{item.predicted:.2%}",
                        f"{item.observed:.2%} ({item.low:.2%}–{item.high:.2%})",
                        p_value(item.p),
                        "—" if item.auc is None or item.auc_interval is None else span(item.auc, item.auc_interval),
                    ]
                    for item in found.apart
                ],
                numeric=frozenset({1, 2}),
                wide=True,
            )
        )
    cut = f"截断的权重 {found.cut:,} 个" if found.cut else "没有截断权重"
    cut_en = f"{found.cut:,} weights were cut" if found.cut else "no weight was cut"
    return Section(
        "谁被检查",
        "Who was inspected",
        blocks,
        f"只有被检查的企业才有结果。随机抽取的行以 1/入样概率 加权,代表全部可抽对象;权重最大与最小之比 {found.spread:.1f},{cut},"
        f"入样概率不明而不用的 {found.unknown:,} 行。投诉、专项等检查没有入样概率,不参与训练和以上各节,只在此列出。",
        f"Outcomes exist only for the inspected. Rows drawn at random are weighted by 1 / inclusion probability and stand for all who could "
        f"have been drawn; the largest weight is {found.spread:.1f} times the smallest, {cut_en}, {found.unknown:,} rows of unknown probability are not "
        f"used. Visits after complaints or in campaigns have no such probability: they are in no other section, and are listed here.",
    )


def _row(name: str, found: Evaluation) -> list[str]:
    return [
        name,
        f"{found.rate:.2%} ({found.rate_interval.low:.2%}–{found.rate_interval.high:.2%})",
        span(found.auc, found.auc_interval),
        span(found.predicted_to_observed, found.predicted_to_observed_interval, 2),
        span(found.brier_ratio, found.brier_ratio_interval),
    ]
