"""What a training's page tells of its trees: what confining and bridging them costs or gains, and how their settings were chosen."""

from __future__ import annotations

from credit_tier.learning.appraise import Appraisal
from credit_tier.learning.search import Candidate, Searched
from credit_tier.reports.figures import difference
from credit_tier.reports.page import Block, Section
from credit_tier.specs.model import Trees

HEADERS = [
    "", "轮 rounds", "叶 leaves", "学习率 learning rate", "叶内最少行 min. rows", "L2", "对数损失 log loss",
    "比最优差(标准误)worse than the best (error)",
]  # fmt: skip
SHOWN = 20
"""Candidates of a search that the page shows beside the declared and the chosen one."""


def bridges_of(trees: Trees) -> str:
    """Return the bridges in words."""
    named = [f"{bridge.title_zh} {bridge.id}({' × '.join(bridge.dimensions)})" for bridge in trees.bridges]
    return "；".join(named) if named else "无 none"


def beside(found: Appraisal) -> list[Block]:
    """Return how the model in use ranks the same rows, and what this one would reach without its constraint or its bridges."""
    rows = [
        [name, f"{item.auc:.3f}", f"{item.other:.3f}", difference(item)]
        for name, item in (
            ("现役模型 champion", found.champion),
            ("不受维度约束 unconstrained", found.unconstrained),
            ("没有桥接 without bridges", found.unbridged),
        )
        if item is not None
    ]
    if not rows:
        return []
    return [
        Block(
            "现役模型与维度可加的代价 · the champion, and the cost of the additive constraint",
            headers=["对照 beside", "本模型 AUC this", "对照 AUC other", "差(成对)paired difference"],
            rows=rows,
            numeric=frozenset({1, 2, 3}),
        )
    ]


def settings(found: Searched) -> Section:
    """Return the candidates of a search, best first, and how the choice among them was made."""
    order = sorted(range(len(found.candidates)), key=lambda i: (found.candidates[i].loss, i))
    shown = [i for place, i in enumerate(order) if place < SHOWN or i in {0, found.chosen}]
    folds = [
        [f"{first} – {last}", f"{rows:,}", f"{before:,}", f"{found.candidates[found.chosen].folds[i]:.5f}"]
        for i, (first, last, rows, before) in enumerate(found.folds)
    ]
    stopped = "到时停止,另一台机器可能选出别的参数" if found.was_stopped else "全部试完"
    stopped_en = "stopped by the clock: another machine may choose otherwise" if found.was_stopped else "all were tried"
    return Section(
        "参数搜索",
        "Search of settings",
        [
            Block(
                "候选 · candidates",
                headers=HEADERS,
                rows=[_row(found.candidates[i], _mark(found, i)) for i in shown],
                numeric=frozenset(range(1, 8)),
                wide=True,
            ),
            Block(
                "各折 · folds",
                headers=["评判期 judged", "行 rows", "之前的行 rows before", "选定者损失 loss of the chosen"],
                rows=folds,
                numeric=frozenset({1, 2, 3}),
            ),
        ],
        f"只用训练部分:每折以较早的行学习,以其后(相隔标签间隔)的行评判。范围内 {found.possible:,} 组参数,试 {found.done} 组({stopped});"
        f"在与最优相差不超过一个标准误的候选中取最简单者。",
        f"The training part alone: each fold learns from earlier rows and is judged by later ones, a label gap between them. Of "
        f"{found.possible:,} settings in the ranges {found.done} were tried ({stopped_en}); of those within one standard error of the best the "
        f"simplest is taken.",
    )


def _mark(found: Searched, place: int) -> str:
    marks = (("选定 chosen", found.chosen), ("最优 best", found.best), ("声明 declared", 0))
    return ", ".join(name for name, at in marks if at == place)


def _row(item: Candidate, mark: str) -> list[str]:
    return [
        mark,
        f"{item.rounds}",
        f"{item.leaves}",
        f"{item.learning_rate:g}",
        f"{item.min_rows_in_leaf}",
        f"{item.l2:g}",
        f"{item.loss:.5f}",
        f"{item.worse:.5f} ({item.error:.5f})",
    ]
