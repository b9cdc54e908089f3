"""The section of a training's page that shows the scorecard among the yardsticks as people read one: bins, points, what was left out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from credit_tier.learning.woe_card import Line, WoeCard
from credit_tier.reports.page import Block, Section

TRENDS = {1: "越大风险越高 rising", -1: "越大风险越低 falling", 0: "—"}
WHY = {
    "weak": "信息量不足 tells too little",
    "sign": "与其他指标一起时方向相反或无贡献 wrong way, or nothing, beside the others",
}
MISSING = "缺失 missing"


def scorecard(card: WoeCard) -> Section:
    """Return the table of a scorecard: the widest range of points first."""
    used = sorted(card.used, key=lambda line: -float(np.ptp(card.points_of(line))))
    rows = [row for line in used for row in _bins(card, line)]
    headers = [
        "指标 feature", "区间 bin", "行 rows", "占比 share", "发现比例 rate", "证据权重 WoE", "分 points", "信息量 IV",
    ]  # fmt: skip
    left_out = [
        [f"{line.title_zh} {line.feature}", f"{line.bins.iv:.3f}", TRENDS[line.bins.trend], WHY[line.left_out]]
        for line in sorted(card.lines, key=lambda line: -line.bins.iv)
        if line.left_out
    ]
    blocks = [
        Block(
            f"评分表 · points, base {card.base_points:.1f}",
            headers=headers,
            rows=rows,
            numeric=frozenset(range(2, 8)),
            wide=True,
        ),
        Block(
            f"未入卡的指标 {len(left_out)} 项 · features left out",
            headers=["指标 feature", "信息量 IV", "趋势 trend", "原因 why"],
            rows=left_out,
            numeric=frozenset({1}),
            wide=True,
            folded=True,
        ),
    ]
    return Section(
        "评分卡(标尺)",
        "Scorecard (a yardstick)",
        blocks,
        f"分箱:{card.provenance}。分 = 基准分 {card.base_points:.1f} + 各指标所在区间的分,分高风险低;此卡只作比较,不用于分级。"
        "证据权重大于 0 表示风险高于平均。行数与比例按权重计。训练中从无缺失的指标,缺失按平均风险计 0 分。",
        f"Bins: {card.provenance}. Points = base {card.base_points:.1f} + those of each feature's bin; more is safer. The card is for comparison "
        "only, no class comes from it. A weight of evidence above 0 is riskier than average. Rows and rates are by weight. Where training never met a missing value, one counts as average: 0 points.",
    )


def _bins(card: WoeCard, line: Line) -> Iterator[list[str]]:
    bins, points, total = line.bins, card.points_of(line), sum(line.bins.rows)
    first = True
    for name, rows, events, weight, given in zip(
        _names(bins.edges), bins.rows, bins.events, bins.woe, points, strict=True
    ):
        if rows == 0:
            continue
        yield [
            f"{line.title_zh} {line.feature}" if first else "",
            name,
            f"{rows:,.0f}",
            f"{rows / total:.1%}",
            f"{events / rows:.2%}",
            f"{weight:+.3f}",
            f"{given:+.1f}",
            f"{bins.iv:.3f}" if first else "",
        ]
        first = False


def _names(edges: tuple[float, ...]) -> list[str]:
    """Return the names of bins, that for missing values last.

    >>> _names((1.0, 2.5))
    ['< 1', '1 – < 2.5', '≥ 2.5', '缺失 missing']
    """
    if not edges:
        return ["已知 known", MISSING]
    inner = [f"{low:.6g} – < {high:.6g}" for low, high in pairwise(edges)]
    return [f"< {edges[0]:.6g}", *inner, f"≥ {edges[-1]:.6g}", MISSING]
