"""The sections of a training's page that ask whether its probabilities can be trusted: calibration, grades, time, groups."""

from __future__ import annotations

from credit_tier.learning.folds import Folds
from credit_tier.learning.grade_tests import Grade
from credit_tier.learning.slices import Slice, Sliced
from credit_tier.learning.splits import Parts
from credit_tier.learning.stability import Shift
from credit_tier.reports.charts import Line, Whisker, lines
from credit_tier.reports.figures import p_value, span
from credit_tier.reports.page import Block, Section
from credit_tier.training import Training

METHODS = {"platt": "Platt", "beta": "Beta", "isotonic": "保序 isotonic", "none": "不校准 none"}
CALIBRATED = {
    Parts.tested_en: (
        "方法只凭校准段选择,检验期仅供参考。",
        "A method is chosen by the calibration part alone; figures of the test part are for information.",
    ),
    Folds.tested_en: (
        "方法由声明给定;每折的校准只用其余各折的结果,且这些结果的分数也来自未见过它们的模型。",
        "The method is the declared one; each fold is calibrated by outcomes of the others, with scores of models that had seen neither.",
    ),
}
VERDICTS = {"none": "无变化 none", "small": "小 small", "moderate": "中等 moderate", "large": "大 large"}


def calibration(done: Training) -> Section:
    """Return reliability, the Brier score taken apart, methods of calibration and the trial of a new one."""
    evaluation, found = done.evaluation, done.appraisal
    how_zh, how_en = CALIBRATED[done.parts.tested_en]
    parts = evaluation.brier_parts
    whiskers = [Whisker(b.predicted, b.observed, b.low, b.high) for b in evaluation.calibration]
    curve = Line("", [(b.predicted, b.observed) for b in evaluation.calibration])
    chart = lines(
        [curve],
        whiskers=whiskers,
        title="calibration",
        x_label="预测 predicted",
        y_label="实际 observed (95 %)",
        diagonal=True,
    )
    brier = [
        ["可靠性(越小越好)reliability", f"{parts.reliability:.5f}"],
        ["分辨力(越大越好)− resolution", f"{parts.resolution:.5f}"],
        ["不确定性 + uncertainty", f"{parts.uncertainty:.5f}"],
        ["组内方差 + variance within bins", f"{parts.within_variance:.5f}"],
        ["组内协方差 − covariance within bins", f"{parts.within_covariance:.5f}"],
        ["Brier", f"{evaluation.brier:.5f}"],
    ]
    trials = {trial.method: trial for trial in found.choice.trials}
    methods = [
        [
            METHODS[item.method],
            f"{trials[item.method].log_loss:.4f}" if item.method in trials else "—",
            f"{trials[item.method].gain:+.4f} ± {trials[item.method].error:.4f}" if item.method in trials else "—",
            f"{item.log_loss:.4f}",
            f"{item.brier:.4f}",
            f"{item.predicted_to_observed:.2f}",
        ]
        for item in found.calibrated
    ]
    judged = f"{done.parts.tested_zh}{{}} {{}}, {done.parts.tested_en}".format
    headers = [
        "方法 method",
        "校准段后期对数损失 log loss, later calibration rows",
        "比 Platt 低 gain over Platt ± s.e.",
        judged("对数损失", "log loss"),
        judged(" Brier", "Brier"),
        judged("预测/实际", "pred./obs."),
    ]
    blocks = [
        Block("预测与实际 · calibration", svg=chart),
        Block(
            "Brier 分解 · the Brier score taken apart",
            headers=["项 term", "值 value"],
            rows=brier,
            numeric=frozenset({1}),
        ),
        Block(
            "校准方法比较 · methods compared", headers=headers, rows=methods, numeric=frozenset(range(1, 6)), wide=True
        ),
    ]
    if found.recalibrated is not None:
        item = found.recalibrated
        rows = [
            [name, f"{now.log_loss:.4f}", f"{now.brier:.4f}", f"{now.predicted_to_observed:.2f}"]
            for name, now in (
                ("原校准 as it is", item.before),
                ("用前半段重新校准 refitted on the first half", item.after),
            )
        ]
        blocks.append(
            Block(
                f"重新校准试验,检验期后半段 {item.later:,} 行 · recalibration tried on the later half of the test part",
                headers=["校准 calibration", "对数损失 log loss", "Brier", "预测/实际 pred./obs."],
                rows=rows,
                numeric=frozenset({1, 2, 3}),
                wide=True,
            )
        )
    return Section(
        "校准",
        "Calibration",
        blocks,
        f"校准斜率 {evaluation.calibration_slope:.2f}(理想 1),截距 {evaluation.calibration_intercept:+.2f}(理想 0)。{how_zh}",
        f"Slope {evaluation.calibration_slope:.2f} (ideal 1), intercept {evaluation.calibration_intercept:+.2f} (ideal 0). {how_en}",
    )


def grades(done: Training) -> Section:
    """Return the tests of calibration by grade and over all rows."""
    found = done.appraisal
    tests = found.grades
    headers = [
        "级 grade", "行 rows", "发现 hits", "预测 predicted", "实际 observed (95 %)",
        "二项检验:低估 binomial, under", "双侧 both", "Jeffreys:低估 under", "高估 over", "双侧 both",
    ]  # fmt: skip
    rows = [_grade(item.name, item) for item in tests.grades] + [_grade("全部 all", tests.portfolio)]
    chart = lines(
        [Line("预测 predicted", [(i + 1, g.predicted) for i, g in enumerate(tests.grades)], "second")],
        whiskers=[Whisker(i + 1, g.observed, g.low, g.high) for i, g in enumerate(tests.grades)],
        ticks=[g.name for g in tests.grades],
        title="grades",
        x_label="",
        y_label="实际 observed (95 %)",
    )
    test, z = tests.hosmer_lemeshow, tests.spiegelhalter
    whole = [
        ["Hosmer–Lemeshow", f"χ² {test.statistic:.1f}, {test.degrees} df", p_value(test.p)],
        ["Spiegelhalter", f"z {z.z:+.2f}", p_value(z.p)],
    ]
    return Section(
        "分级检验",
        "Tests by grade",
        [
            Block("各级预测与实际 · predicted and observed", svg=chart),
            Block(
                "整体检验 · over all rows",
                headers=["检验 test", "统计量 statistic", "p"],
                rows=whole,
                numeric=frozenset({1, 2}),
            ),
            Block(
                "各级检验,p 值 · tests by grade, p values",
                headers=headers,
                rows=rows,
                numeric=frozenset(range(1, 10)),
                wide=True,
            ),
        ],
        f"级:{found.grades_zh}。单级双侧 p 值低于 {tests.level:.4f}(0.05 除以级数)才算不符。Hosmer–Lemeshow 最小期望数 {test.smallest_expected:.1f},低于 5 时只作参考。",
        f"Grades: {found.grades_en}. A grade is off if its two-sided p lies below {tests.level:.4f} (0.05 by the number of grades). "
        f"The smallest expected count of Hosmer and Lemeshow's test is {test.smallest_expected:.1f}; below 5 its p is a rough guide.",
    )


def _grade(name: str, item: Grade) -> list[str]:
    values = (item.binomial_under, item.binomial_both, item.jeffreys_under, item.jeffreys_over, item.jeffreys_both)
    return [
        name,
        f"{item.rows:,}",
        f"{item.hits:,}",
        f"{item.predicted:.2%}",
        f"{item.observed:.2%} ({item.low:.2%}–{item.high:.2%})",
        *(p_value(value) for value in values),
    ]


def stability(done: Training) -> Section:
    """Return predictions over time and, where parts follow each other, the shifts of score and features."""
    found = done.appraisal
    chart = lines(
        [Line("预测 predicted", [(i + 1, p.predicted) for i, p in enumerate(found.periods)], "second")],
        whiskers=[Whisker(i + 1, p.observed, p.low, p.high) for i, p in enumerate(found.periods)],
        ticks=[p.name for p in found.periods],
        title="periods",
        x_label="",
        y_label="实际 observed (95 %)",
    )
    over_time = [
        [p.name, f"{p.rows:,}", f"{p.predicted:.2%}", f"{p.observed:.2%}", p_value(p.p), span(p.auc, p.auc_interval)]
        for p in found.periods
    ]
    moved = sorted(found.shifts, key=lambda item: -item.psi)
    headers = [
        "指标 feature", "PSI", "无变化时的期望 expected", "界限 limit", "缺失:前 missing before", "后 now", "变化 change",
    ]  # fmt: skip
    blocks = [
        Block("各期预测与实际 · predicted and observed over time", svg=chart),
        Block(
            "各期 · by period",
            headers=["期 period", "行 rows", "预测 predicted", "实际 observed", "p", "AUC (95 %)"],
            rows=over_time,
            numeric=frozenset(range(1, 6)),
        ),
    ]
    if found.score_shift is None:
        return Section(
            "稳定性",
            "Stability",
            blocks,
            "交叉验证没有先后,不能说明模型日后是否仍然有效。",
            "In cross-validation no part is later than another: nothing here tells whether the model lasts.",
        )
    return Section(
        "稳定性",
        "Stability",
        [
            *blocks,
            Block("模型分 · score, calibration part to test part", headers=headers, rows=[_shift(found.score_shift)], numeric=frozenset(range(1, 6)), wide=True),
            Block("变化的特征 · features that changed, training to test", headers=headers, rows=[_shift(s) for s in moved if s.verdict != "none"], numeric=frozenset(range(1, 6)), wide=True),
            Block("全部特征 · all features", headers=headers, rows=[_shift(s) for s in moved], numeric=frozenset(range(1, 6)), wide=True, folded=True),
        ],
        "PSI 超过界限才算变化:界限随户数变化,没有变化时千次中约一次超过;0.1 起为中等,0.25 起为大。",
        "A change is told only above the limit, which depends on the number of enterprises and is exceeded about once in a thousand where "
        "nothing changed; moderate from 0.1, large from 0.25.",
    )  # fmt: skip


def _shift(item: Shift) -> list[str]:
    return [
        f"{item.title_zh} {item.name}",
        f"{item.psi:.3f}",
        f"{item.expected:.3f}",
        f"{item.limit:.3f}",
        f"{item.missing_before:.1%}",
        f"{item.missing_now:.1%}",
        VERDICTS[item.verdict],
    ]


def slices(done: Training) -> Section:
    """Return figures by group and who would be selected within the budget."""
    found = done.appraisal
    headers = [
        "组 group", "行 rows", "占比 share", "实际 observed (95 %)", "预测 predicted", "p", "AUC (95 %)",
        "选中 selected", "相对整体 ratio", "未发现者被选中 selected in vain", "发现者未选中 missed",
    ]  # fmt: skip
    blocks = [
        Block(
            f"{item.title_zh} · {item.title_en}",
            headers=headers,
            rows=[_slice(part, item) for part in item.slices],
            numeric=frozenset(range(1, 11)),
            wide=True,
        )
        for item in found.slices
    ]
    return Section(
        "分组与差异",
        "Groups and differences",
        blocks,
        f"假设检查概率最高的 {found.budget:.0%}:各组被选中的比例、其中未发现问题而被选中的、有问题而未选中的。差异只作描述,各组的风险可以本来不同;少于 30 行的组合并。带 * 者预测与实际不符。",
        f"If the {found.budget:.0%} with the highest probability were inspected: share selected in each group, selected without a finding, and missed. "
        "A difference is described, not judged: groups may differ in truth. Groups below 30 rows are put together. "
        "* marks groups whose prediction the outcomes contradict.",
    )


def _slice(item: Slice, of: Sliced) -> list[str]:
    return [
        f"{item.zh} {item.en}{' *' if item.p < of.level else ''}",
        f"{item.rows:,}",
        f"{item.share:.1%}",
        f"{item.observed:.2%} ({item.low:.2%}–{item.high:.2%})",
        f"{item.predicted:.2%}",
        p_value(item.p),
        span(item.auc, item.auc_interval),
        f"{item.selected:.1%}",
        f"{item.ratio:.2f}",
        "—" if item.false_selection is None else f"{item.false_selection:.1%}",
        "—" if item.missed is None else f"{item.missed:.1%}",
    ]
