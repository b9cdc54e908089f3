"""What the figures of a training ask a person to do: one row per point, in the order of urgency."""

from __future__ import annotations

from collections.abc import Iterator

from credit_tier.learning.folds import Folds
from credit_tier.training import Training


def advice(done: Training) -> list[list[str]]:
    """Return rows (point, what was seen, what to do), both languages in each cell; none if nothing asks for attention."""
    return [
        *_gates(done),
        *_level(done),
        *_grades(done),
        *_yardsticks(done),
        *_shifts(done),
        *_groups(done),
        *_cost(done),
    ]


def _gates(done: Training) -> Iterator[list[str]]:
    for fault in done.failed_gates:
        yield [
            "门槛 gate",
            fault.what,
            "不升级;查看下面各节找原因 · do not promote; the sections below show where it fails",
        ]


def _level(done: Training) -> Iterator[list[str]]:
    evaluation, tried = done.evaluation, done.appraisal.recalibrated
    interval = evaluation.predicted_to_observed_interval
    if interval.low <= 1 <= interval.high:
        return
    way = "偏低 too low" if interval.high < 1 else "偏高 too high"
    helps = (
        "试验表明有效 the trial shows it helps"
        if tried is not None and tried.helps
        else "试验未证实 not proved by the trial"
    )
    advised = f"用近期成熟结果重新校准({helps}) · recalibrate on recent mature outcomes"
    if isinstance(done.parts, Folds):
        advised = "样本少或校准方法不合适:增加样本,或声明另一方法 · too few rows, or the wrong method: find more, or declare another"
    yield [
        "概率水平 level of the probability",
        f"预测/实际 predicted/observed {evaluation.predicted_to_observed:.2f} ({interval.low:.2f}–{interval.high:.2f}): {way}",
        advised,
    ]


def _grades(done: Training) -> Iterator[list[str]]:
    tests = done.appraisal.grades
    for grade in tests.suspects:
        yield [
            f"级 grade {grade.name}",
            f"预测 predicted {grade.predicted:.2%}, 实际 observed {grade.observed:.2%} ({grade.low:.2%}–{grade.high:.2%})",
            "核对该级的校准;整体同向偏离时重新校准 · look at the calibration of this grade; recalibrate if all lie off the same way",
        ]
    if not tests.is_rising:
        yield [
            "级的次序 order of the grades",
            "高一级的实际比例低于低一级 · a higher grade was hit less often than a lower one",
            "样本少时属偶然;否则合并或重设切点 · chance if rows are few, else join the grades or move the cuts",
        ]


def _yardsticks(done: Training) -> Iterator[list[str]]:
    for item in done.appraisal.yardsticks:
        if item.is_clear and item.difference < 0:
            yield [
                f"标尺 yardstick {item.name}",
                f"AUC {item.other:.3f}, 本模型 this model {item.auc:.3f}",
                "简单模型更好:先查特征与参数 · the simpler model is better: look at features and settings first",
            ]


def _shifts(done: Training) -> Iterator[list[str]]:
    score = done.appraisal.score_shift
    if score is not None and score.verdict in {"moderate", "large"}:
        yield [
            "模型分的分布 distribution of the score",
            f"PSI {score.psi:.3f}, 界限 limit {score.limit:.3f}",
            "查看变化的特征 · see which features changed",
        ]
    changed = [item for item in done.appraisal.shifts if item.verdict in {"moderate", "large"}]
    if changed:
        names = ", ".join(item.name for item in changed[:8]) + (" …" if len(changed) > 8 else "")
        yield [
            f"特征变化 features changed: {len(changed)}",
            names,
            "核对来源是否改了口径或漏报;属实则用较近的数据再训练 · check whether a source changed its meaning or stopped delivering; if real, train on later data",
        ]


def _groups(done: Training) -> Iterator[list[str]]:
    for sliced in done.appraisal.slices:
        for item in sliced.suspects:
            yield [
                f"{sliced.title_zh} {item.zh}",
                f"预测 predicted {item.predicted:.2%}, 实际 observed {item.observed:.2%} ({item.low:.2%}–{item.high:.2%})",
                "该组预测不符:查数据来源与检查方式,不要用它解释个案 · this group is predicted wrongly: look at its sources and how it is inspected",
            ]


def _cost(done: Training) -> Iterator[list[str]]:
    item = done.appraisal.unconstrained
    if item is not None and item.is_clear and item.difference < -0.01:
        yield [
            "维度可加的代价 cost of the additive constraint",
            f"AUC {item.difference:+.3f} ({item.interval.low:+.3f} … {item.interval.high:+.3f})",
            "可考虑在两个维度之间声明桥接 · consider declaring a bridge between two dimensions",
        ]
    item = done.appraisal.unbridged
    if item is not None and not (item.is_clear and item.difference > 0):
        yield [
            "桥接 bridges",
            f"AUC {item.difference:+.3f} ({item.interval.low:+.3f} … {item.interval.high:+.3f})",
            "未见桥接有益,可撤去 · no gain by the bridges is proved: the model is simpler without them",
        ]
