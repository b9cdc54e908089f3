"""The page of a training says what the numbers say, asks for what they ask for, and reaches nowhere."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
import pytest

from credit_tier.errors import Fault
from credit_tier.learning import bundle as bundles
from credit_tier.learning import signing
from credit_tier.learning.appraise import Other, appraise, chosen, grading_of, level_of
from credit_tier.learning.evaluate import Interval, evaluate
from credit_tier.learning.finish import raw_scores
from credit_tier.learning.fit import fit
from credit_tier.learning.heldout import in_time
from credit_tier.learning.search import search
from credit_tier.learning.slices import Attribute
from credit_tier.learning.splits import TrainingFrame, split
from credit_tier.learning.tracking import RunInfo
from credit_tier.learning.yardstick import logistic, single_feature
from credit_tier.reports import charts
from credit_tier.reports.page import render
from credit_tier.reports.training import page
from credit_tier.reports.training_advice import advice
from credit_tier.specs.feature import FeatureSpec, Missing
from credit_tier.specs.model import Bridge, GridCohort, Label, ModelSpec, Search, Split, Trees
from credit_tier.temporal import day_number
from credit_tier.training import Observations, Training

START = day_number(date(2022, 1, 1))
FEATURES = tuple(
    FeatureSpec(
        id=f"f{i}",
        title_zh=f"指标{i}",
        title_en=f"Feature {i}",
        dimension=dimension,
        source="t",
        aggregate="count",
        missing=Missing(policy="unknown"),
        unit="次",
        direction=1,
        legal_basis="-",
    )
    for i, dimension in enumerate(("alpha", "alpha", "beta"))
)


def spec_of(**changes: Any) -> ModelSpec:
    facts: dict[str, Any] = {
        "model": "m",
        "title_zh": "模型<甲>",
        "purpose": "test & trial",
        "legal_basis": "-",
        "cohort": GridCohort(kind="grid", every_months=3, first=date(2022, 1, 1)),
        "label": Label(title_zh="结果", source="t", positive=(), window_days=30, delay_days=10),
        "split": Split(calibrate_days=300, test_days=300),
        "trees": Trees(rounds=60, leaves=3, min_rows_in_leaf=50, learning_rate=0.2),
    }
    return ModelSpec.model_validate(facts | changes)


def frame_of(*, drift: float = 0.0, together: float = 0.0, rows: int = 6000) -> TrainingFrame:
    """Rows over 1,200 days; over the last 300 the log-odds rise, and feature 2 moves, with `drift`; two features may need each other."""
    rng = np.random.default_rng(3)
    as_of = np.sort(START + rng.integers(0, 1200, rows)).astype(np.int32)
    late = as_of >= START + 900
    x = rng.normal(size=(rows, 3)).astype(np.float32)
    z = (
        -2.4
        + 1.8 * (x[:, 0] > 0.5)
        + 1.4 * (x[:, 1] > 0.8)
        + 1.4 * (x[:, 2] > 0.5)
        + drift * late
        + together * np.sign(x[:, 0] * x[:, 2])
    )
    x[late, 2] += np.float32(0.4 * drift)
    y = (rng.random(rows) < 1 / (1 + np.exp(-z))).astype(np.int8)
    return TrainingFrame(x, y, as_of, rng.integers(0, rows // 3, rows).astype(np.int32), FEATURES)


def trained(folder: Path, frame: TrainingFrame, spec: ModelSpec) -> Training:
    """Train on a frame as `credit_tier.training` does on a lake, without a store."""
    parts = split(frame, spec.split, spec.label)
    fitted = fit(parts, spec, seed=1, threads=1)
    test, level = parts.test.frame, level_of("platt")
    held = in_time(parts, raw_scores(fitted, spec, threads=1))

    def otherwise(**changes: Any) -> np.ndarray:
        other = spec.model_copy(update={"trees": spec.trees.model_copy(update=changes)})
        return raw_scores(fit(parts, other, seed=1, threads=1), spec, threads=1)(test.x)

    probability = held.probability(level)
    evaluation = evaluate(test.y, probability, test.subject, test.as_of_day, replicates=100)
    sticks = (logistic(parts, replicates=50), single_feature(parts, "f1", replicates=50))
    appraisal = appraise(
        parts,
        held,
        level,
        chosen(parts, held),
        grading=grading_of(None, probability),
        unconstrained=otherwise(confine=False, bridges=()),
        unbridged=otherwise(bridges=()) if spec.trees.bridges else None,
        yardsticks=[Other(stick.name, stick.title_zh, stick.probability) for stick in sticks],
        attributes=[
            Attribute("区<乙>", "district", (test.subject % 3 - 1).astype(np.int32), [("东", "east"), ("西", "west")])
        ],
        budget=0.1,
        selected=None,
        seed=1,
    )
    bundle = bundles.write(
        folder / "bundle",
        spec=spec,
        fitted=fitted,
        calibration=level(held.by),
        parts=parts,
        evaluation=evaluation,
        failed_gates=(),
        provenance=bundles.Provenance("a" * 64, "b" * 64, "c" * 64),
        key=signing.key_for_store(folder / "store"),
    )
    rows = len(frame)
    spine = nw.from_native(pl.DataFrame({"row": np.arange(rows)}), eager_only=True)
    seen = Observations(spec, FEATURES, frame, None, rows, rows, rows, "a" * 64, spine)
    return Training(seen, parts, bundle, evaluation, sticks, appraisal, (), RunInfo("run", 1, "id", ()))


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Training:
    return trained(tmp_path_factory.mktemp("calm"), frame_of(), spec_of())


def test_a_sound_training_asks_for_nothing(calm: Training) -> None:
    """No drift, no gate, a calibrated model: the page says so in both languages."""
    assert advice(calm) == []
    html = render(page(calm))
    assert "没有需要留意之处" in html
    assert "No check asks for action." in html


def test_the_page_shows_the_figures_beside_every_yardstick(calm: Training) -> None:
    """AUC with interval of model and yardsticks, the paired differences, the cost of the constraint, grades, periods and groups."""
    html = render(page(calm))
    for item in (calm.evaluation, *(stick.evaluation for stick in calm.yardsticks)):
        assert f"{item.auc:.3f} ({item.auc_interval.low:.3f}–{item.auc_interval.high:.3f})" in html
    for found in (*calm.appraisal.yardsticks, calm.appraisal.unconstrained):
        assert found is not None
        assert f"{found.difference:+.3f} ({found.interval.low:+.3f} … {found.interval.high:+.3f})" in html
    for grade in calm.appraisal.grades.grades:
        assert f"{grade.observed:.2%} ({grade.low:.2%}–{grade.high:.2%})" in html
    for period in calm.appraisal.periods:
        assert f"{period.name}</td>" in html
    for part in calm.appraisal.slices[0].slices:
        assert f"{part.zh} {part.en}" in html
        assert f"{part.ratio:.2f}" in html
    assert f"{calm.evaluation.brier_parts.reliability:.5f}" in html
    assert calm.bundle.digest in html
    assert html.count("<svg") == 7


def test_the_page_reaches_nowhere_and_escapes_what_content_says(calm: Training) -> None:
    """No address, no script; titles of a declaration cannot become markup; under 1 MB; equal trainings give equal pages."""
    html = render(page(calm))
    assert not re.findall(r"(?:src|href)=", html)
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", html)
    assert "<甲>" not in html
    assert "<乙>" not in html
    assert len(html) < 1_000_000
    again = replace(calm, run=RunInfo("another run", 7, "other", ("challenger",)))
    assert render(page(again)) == html


def test_a_drifted_training_says_what_moved_and_what_to_do(tmp_path: Path) -> None:
    """Log-odds one higher and a feature moved over the test part: too low a level, the trial of a recalibration helps, the feature is named."""
    done = trained(tmp_path, frame_of(drift=1.0), spec_of())
    points = advice(done)
    told = "\n".join(" ".join(row) for row in points)
    assert "偏低 too low" in told
    assert "the trial shows it helps" in told
    assert "features changed: 1" in told
    assert "f2" in told
    tried = done.appraisal.recalibrated
    assert tried is not None
    assert tried.shift > 0.1
    assert tried.after.log_loss < tried.before.log_loss
    html = render(page(done))
    assert f"{len(points)} 处需要留意" in html
    assert "the trial shows it helps" in html


def test_what_the_constraint_costs_is_told_where_two_dimensions_need_each_other(tmp_path: Path) -> None:
    """Features of two dimensions that only work together: the unconstrained model is clearly better, and a bridge is suggested."""
    free = Trees(rounds=60, leaves=6, min_rows_in_leaf=30, monotone=False)
    done = trained(tmp_path, frame_of(together=1.2), spec_of(trees=free))
    found = done.appraisal.unconstrained
    assert found is not None
    assert found.is_clear
    assert found.difference < -0.01
    assert any("additive constraint" in row[0] for row in advice(done))


def test_a_bridge_that_closes_the_gap_is_told_beside_the_model_without_it(tmp_path: Path) -> None:
    """With the bridge the constraint costs nothing more, the gain over the model without it is told, and nobody advises to drop it."""
    ends = (FEATURES[0].dimension, FEATURES[2].dimension)
    bridge = Bridge(id="joint", title_zh="合成", dimensions=ends)
    free = Trees(rounds=60, leaves=6, min_rows_in_leaf=30, monotone=False, bridges=(bridge,))
    done = trained(tmp_path, frame_of(together=1.2), spec_of(trees=free))
    cost, gain = done.appraisal.unconstrained, done.appraisal.unbridged
    assert cost is not None
    assert gain is not None
    assert cost.difference > -0.01
    assert gain.is_clear
    assert gain.difference > 0.01
    assert done.appraisal.metrics()["auc_minus_unbridged"] == gain.difference
    assert not any("bridge" in word for row in advice(done) for word in row)
    html = render(page(done))
    assert f"合成 joint({' × '.join(ends)})" in html
    assert f"{gain.difference:+.3f} ({gain.interval.low:+.3f} … {gain.interval.high:+.3f})" in html
    useless = replace(gain, difference=0.0, interval=replace(gain.interval, low=-0.01, high=0.01))
    assert "桥接 bridges" in [row[0] for row in advice(changed(done, unbridged=useless))]


def test_a_search_is_shown_with_its_choice(calm: Training) -> None:
    """The page shows candidates, folds, the declared and the chosen settings, and whether a clock stopped the search."""
    plan = Search(trials=3, rounds=(10, 60), leaves=(2, 8))
    found = search(calm.parts.train.frame, calm.observations.spec.trees, plan, gap_days=40, seed=1, threads=1)
    html = render(page(replace(calm, searched=found)))
    for item in found.candidates:
        assert f"{item.loss:.5f}" in html
    for word in ("选定 chosen", "声明 declared", "最优 best", "全部试完", "chosen by search"):
        assert word in html
    assert "到时停止" in render(page(replace(calm, searched=replace(found, done=2))))
    assert "参数搜索" not in render(page(calm))


def changed(done: Training, **changes: Any) -> Training:
    return replace(done, appraisal=replace(done.appraisal, **changes))


def test_each_finding_is_one_point(calm: Training) -> None:
    """A failed gate, a suspect grade, an order turned round, a better yardstick, a score that moved, a group off: each asks once."""
    found = calm.appraisal
    gate = Fault("CT-LEARN-036", "gates", "AUC 低于门槛 · is below.", "")
    assert [row[0] for row in advice(replace(calm, failed_gates=(gate,)))] == ["门槛 gate"]
    assert "未通过门槛" in render(page(replace(calm, failed_gates=(gate,))))
    grades = [replace(found.grades.grades[0], jeffreys_under=0.0001), *found.grades.grades[1:]]
    cases: list[Callable[[], Training]] = [
        lambda: changed(calm, grades=replace(found.grades, grades=tuple(grades))),
        lambda: changed(calm, grades=replace(found.grades, is_rising=False)),
        lambda: changed(
            calm, yardsticks=(replace(found.yardsticks[0], difference=-0.02, interval=Interval(-0.03, -0.01)),)
        ),
        lambda: changed(calm, score_shift=replace(found.score_shift, verdict="large")),
        lambda: changed(calm, shifts=(replace(found.shifts[0], verdict="moderate"), *found.shifts[1:])),
        lambda: changed(
            calm,
            slices=(
                replace(
                    found.slices[0], slices=(replace(found.slices[0].slices[0], p=1e-9), *found.slices[0].slices[1:])
                ),
            ),
        ),
    ]
    assert [len(advice(case())) for case in cases] == [1] * 6


def test_lines_go_through_their_points_and_whiskers_span_their_intervals() -> None:
    """Equal steps are drawn equal, a higher value higher, an interval from its low to its high end, below the axis nothing."""
    whisker = charts.Whisker(2, 0.5, 0.25, 1.0)
    text = charts.lines(
        [charts.Line("甲", [(1, 0.0), (2, 0.5), (3, 1.0)])],
        whiskers=[whisker],
        ticks=["a", "b", "c"],
        title="t",
        x_label="x",
        y_label="y",
    )
    tree = ET.fromstring(text)  # noqa: S314
    space = "{http://www.w3.org/2000/svg}"
    path = next(p.get("d") or "" for p in tree.iter(f"{space}path") if p.get("class") == "line")
    points = [tuple(map(float, pair.split(","))) for pair in re.findall(r"[\d.]+,[\d.]+", path)]
    assert points[1][0] - points[0][0] == pytest.approx(points[2][0] - points[1][0], abs=0.2)
    assert points[0][1] > points[1][1] > points[2][1]
    bar, dot = next(tree.iter(f"{space}line")), next(tree.iter(f"{space}circle"))
    assert float(dot.get("cy") or 0) == pytest.approx(points[1][1], abs=0.1)
    assert float(bar.get("y2") or 0) == pytest.approx(points[2][1], abs=0.1)
    assert float(bar.get("y2") or 0) < float(dot.get("cy") or 0) < float(bar.get("y1") or 0)
    assert {item.text for item in tree.iter(f"{space}text")} >= {"甲", "a", "b", "c", "y"}
