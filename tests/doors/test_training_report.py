"""The report of a training on a lake: slices of the register as known then, artifacts in the store, bent calibrations end to end."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from credit_tier import training
from credit_tier.content import Content
from credit_tier.errors import LearningError
from credit_tier.learning.attributes import attributes_of
from credit_tier.learning.slices import FEWEST_ROWS
from credit_tier.learning.woe_card import FILE as SCORECARD
from credit_tier.learning.woe_card import WoeCard
from credit_tier.reports import training as report
from credit_tier.specs.model import ModelSpec, Report


def overlay(folder: Path, content: Content, name: str, *changes: tuple[str, str]) -> Content:
    """The shipped model under another name with some words changed."""
    text = content.file("models", "violation_risk/model.yaml").path.read_text("utf-8")
    for old, new in (("model: violation_risk", f"model: {name}"), *changes):
        assert old in text
        text = text.replace(old, new)
    (folder / "models" / name).mkdir(parents=True)
    (folder / "models" / name / "model.yaml").write_text(text, "utf-8")
    return Content.resolve(folder)


def test_slices_hold_every_test_row_by_what_the_register_said_before_its_day(trained, lake) -> None:
    """Rows by district and by age equal an independent join on the version visible at each row's as_of."""
    test = trained.parts.test.frame
    register = lake.frame("enterprises").collect().to_native()
    rows = pl.DataFrame({"enterprise_no": test.subject, "day": test.as_of_day})
    seen = rows.join(register, on="enterprise_no").filter(
        (pl.col("known_day") < pl.col("day")) & (pl.col("superseded_day") >= pl.col("day"))
    )
    assert len(seen) == len(test)
    by_title = {item.title_en: item for item in trained.appraisal.slices}
    assert len(by_title) == 5
    for item in by_title.values():
        assert sum(part.rows for part in item.slices) + item.left_out == len(test)
        assert sum(part.positives for part in item.slices) <= trained.evaluation.positives
    districts = seen["district"].value_counts()
    told = {part.en: part.rows for part in by_title["District of the premises today"].slices}
    large = {d: n for d, n in districts.iter_rows() if n >= FEWEST_ROWS}
    assert len(large) > 3
    assert {name: told[name] for name in large} == large
    ages = ((seen["day"] - seen["established_on"]) / 365.25).floor()
    told = {part.en: part.rows for part in by_title["Years since day of establishment"].slices}
    assert told["5 to under 10 years"] == ((ages >= 5) & (ages < 10)).sum()


def test_the_budget_is_spent_once_over_the_slices_of_an_attribute(trained) -> None:
    """Shares selected, each by the part's share of all enterprises, sum to the budget where no row is left out."""
    whole = [item for item in trained.appraisal.slices if item.left_out == 0]
    assert whole
    for item in whole:
        assert sum(part.share for part in item.slices) == pytest.approx(1)
        assert sum(part.selected * part.share for part in item.slices) == pytest.approx(trained.appraisal.budget)


@pytest.mark.parametrize(
    ("column", "years", "what"),
    [
        ("nothing", (), "neither the register nor the cohort has 'nothing'"),
        ("registered_capital", (), "'registered_capital' is money without years"),
        ("established_on", (), "'established_on' is date without years"),
        ("district", (1, 2), "'district' is code with years"),
    ],
)
def test_what_cannot_divide_rows_is_refused(trained, lake, column: str, years: tuple[int, ...], what: str) -> None:
    """A column that is not there, or of the wrong kind, is named before anything is computed."""
    declared = Report.model_validate({"slices": [{"column": column, "years": years}, {"column": "district"}]})
    spec = trained.observations.spec.model_copy(update={"report": declared})
    with pytest.raises(LearningError, match="CT-LEARN-037") as caught:
        attributes_of(lake, spec, trained.observations.spine)
    assert len(caught.value.faults) == 1
    assert what in caught.value.faults[0].what


def test_years_must_rise() -> None:
    """A declaration whose ages fall is refused when it is read."""
    with pytest.raises(ValueError, match="years do not rise"):
        Report.model_validate({"slices": [{"column": "x", "years": [5, 3]}]})


def test_the_page_lies_beside_the_bundle_and_in_the_store(trained, city) -> None:
    """One file, the same again when published again; the run holds it, the appraisal as JSON and its single numbers, and the scorecard."""
    import mlflow

    path = report.publish(trained, city / "mlflow")
    assert path.parent == trained.bundle.folder.parent
    before = path.read_bytes()
    assert report.publish(trained, city / "mlflow").read_bytes() == before
    for word in ("分组与差异", "Hosmer–Lemeshow", "维度可加的代价", "评分卡(标尺)", "district".capitalize()):
        assert word in before.decode()
    address = f"sqlite:///{city / 'mlflow' / 'mlflow.db'}"
    client = mlflow.MlflowClient(tracking_uri=address, registry_uri=address)
    names = {item.path for item in client.list_artifacts(trained.run.run_id)}
    assert {"report.html", "appraisal.json", SCORECARD} <= names
    beside = path.with_name(f"{trained.bundle.folder.name}.{SCORECARD}").read_bytes()
    assert Path(client.download_artifacts(trained.run.run_id, SCORECARD)).read_bytes() == beside
    stick = next(stick for stick in trained.yardsticks if stick.card is not None)
    test = trained.parts.test.frame
    assert np.abs(WoeCard.from_bytes(beside).probability(test.x) - stick.probability).max() <= 1e-12
    kept = Path(client.download_artifacts(trained.run.run_id, "report.html"))
    assert kept.read_bytes() == before
    told: dict[str, Any] = json.loads(
        Path(client.download_artifacts(trained.run.run_id, "appraisal.json")).read_text("utf-8")
    )
    assert told["unconstrained"]["difference"] == trained.appraisal.unconstrained.difference
    metrics = client.get_run(trained.run.run_id).data.metrics
    assert metrics["hosmer_lemeshow_p"] == trained.appraisal.grades.hosmer_lemeshow.p
    assert metrics["auc_minus_unconstrained_low"] == trained.appraisal.unconstrained.interval.low
    assert metrics["auc"] == trained.evaluation.auc


def test_no_enterprise_is_named_in_the_report(trained, city, lake) -> None:
    """Neither page nor JSON holds a credit code."""
    page = report.publish(trained, city / "mlflow").read_text("utf-8")
    codes = set(lake.codes()["code"].to_list())
    assert len(codes) > 5000
    for text in (page, json.dumps(trained.appraisal.to_dict())):
        assert codes.isdisjoint(re.findall(r"[0-9A-Z]{18}", text))


def test_grades_are_the_classes_of_the_policy_made_for_the_model(trained) -> None:
    """The shipped policy is for this model: grades A to D, all test rows in them."""
    tests = trained.appraisal.grades
    assert [grade.name for grade in tests.grades] == ["A", "B", "C", "D"]
    assert sum(grade.rows for grade in tests.grades) == len(trained.parts.test.frame)


def test_a_bent_unconfined_model_trains_scores_and_still_adds_up(lake, content, tmp_path: Path) -> None:
    """Isotonic calibration from declaration to an opened bundle: points are sums to 1e-9, probabilities bend, order stays; no policy
    and no confinement means fifths as grades and no cost to tell."""
    bent = overlay(
        tmp_path / "bent",
        content,
        "bent",
        ("trees:\n", "calibration: isotonic\ntrees:\n  confine: false\n"),
        ("rounds: 100", "rounds: 20"),
    )
    done = training.train("bent", lake, bent, store=tmp_path / "store", seed=3, threads=1)
    x = done.parts.test.frame.x
    found = done.bundle.score(x)
    total = found.base_points + found.dimension_points.sum(axis=1)
    np.testing.assert_allclose(total, found.points, rtol=0, atol=1e-9)
    assert np.abs(found.probability - 1 / (1 + np.exp(-found.log_odds))).max() > 1e-3
    assert (np.diff(found.probability[np.argsort(-found.points)]) > -1e-12).all()
    assert done.bundle.scorer.calibration.method == "isotonic"
    assert done.appraisal.unconstrained is None
    assert [grade.name for grade in done.appraisal.grades.grades] == ["1", "2", "3", "4", "5"]
    assert "维度可加的代价" not in report.publish(done, tmp_path / "store").read_text("utf-8")


def test_auto_takes_what_was_chosen_out_of_time(trained, lake, content, tmp_path: Path) -> None:
    """The chosen method is the one that stands in the bundle, and the choice does not depend on what is declared."""
    chosen = overlay(tmp_path / "auto", content, "auto", ("trees:\n", "calibration: auto\ntrees:\n"))
    done = training.train("auto", lake, chosen, store=tmp_path / "store", seed=3, threads=1)
    assert done.appraisal.choice == trained.appraisal.choice
    assert done.bundle.scorer.calibration.method == done.appraisal.choice.method
    assert ModelSpec.model_validate(done.bundle.manifest["declaration"]).calibration == "auto"
