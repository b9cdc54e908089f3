"""The scorecard of weights of evidence: fitted, written, read and refused; applied from JSON as in memory."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier.errors import LearningError
from credit_tier.learning.calibrate import Calibration
from credit_tier.learning.evaluate import auc_of
from credit_tier.learning.scorecard import Scaling
from credit_tier.learning.splits import Parts, TrainingFrame
from credit_tier.learning.woe_card import WoeCard
from credit_tier.learning.woe_fit import calibrated, fit_card

SCALE = Scaling(600.0, 20.0, 50.0)


def digest_of(facts: dict[str, object]) -> str:
    """The digest of a file as another program would compute it."""
    rest = {name: value for name, value in facts.items() if name != "digest"}
    text = json.dumps(rest, ensure_ascii=False, sort_keys=True, indent=1) + "\n"
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture(scope="module")
def card(parts: Parts) -> WoeCard:
    found = fit_card(parts.train.frame, model="m", scaling=SCALE)
    return calibrated(found, Calibration("platt", 0.1, 0.9))


def test_the_card_ranks_unseen_rows(card: WoeCard, parts: Parts) -> None:
    """A scorecard on the features that carry the outcome ranks later rows well; the one that carries nothing weighs little."""
    test = parts.test.frame
    assert auc_of(test.y, card.log_odds(test.x)) > 0.75
    assert {line.feature for line in card.used} >= {"f0", "f1", "f2"}
    spread = {line.feature: np.ptp(card.points_of(line)) for line in card.lines}
    assert spread["f5"] < 0.3 * min(spread[name] for name in ("f0", "f1", "f2"))


def test_coefficients_are_above_zero_and_points_fall_with_risk(card: WoeCard) -> None:
    """Every feature of the card points the way of its own risk and in its declared direction; those left out count nothing."""
    for line in card.lines:
        points = card.points_of(line)
        assert (line.coefficient > 0) == (not line.left_out)
        assert np.array_equal(
            np.argsort(points, kind="stable"), np.argsort(-line.coefficient * line.bins.woe, kind="stable")
        )
        if line.direction:
            assert (np.diff(points[:-1]) * line.direction <= 0).all()


def test_a_feature_that_points_the_wrong_way_beside_others_is_taken_out(
    new_frame: Callable[..., TrainingFrame],
) -> None:
    """A weaker copy that would correct the stronger one gets no line, and says why."""
    frame = new_frame(rows=4000, seed=6)
    rng = np.random.default_rng(1)
    x = frame.x.copy()
    x[:, 1] = -(x[:, 0] + x[:, 2]) + rng.normal(size=len(x)).astype(np.float32)  # direction -1
    z = -2 + x[:, 0] + 2 * x[:, 2] + 0.8 * x[:, 1]
    y = (rng.random(len(x)) < 1 / (1 + np.exp(-z))).astype(np.int8)
    card = fit_card(replace(frame, x=x, y=y), model="m", scaling=SCALE)
    assert next(line for line in card.lines if line.feature == "f1").left_out == "sign"
    assert all(line.coefficient > 0 for line in card.used)


def test_points_add_up_and_give_the_probability_back(card: WoeCard, parts: Parts) -> None:
    """Base points and one entry of the table for each feature are the points; the points are the log-odds of the probability."""
    x = parts.test.frame.x
    total = np.full(len(x), card.base_points)
    for column, line in enumerate(card.lines):
        edges = np.array(line.bins.edges)
        values = x[:, column].astype(np.float64)
        at = np.where(np.isnan(values), len(edges) + 1, (values[:, None] >= edges).sum(axis=1))
        total += card.points_of(line)[at]
    assert total == pytest.approx(card.points(x), abs=1e-9)
    p = card.probability(x)
    assert card.scaling.to_log_odds(card.points(x)) == pytest.approx(np.log(p / (1 - p)), abs=1e-9)


def test_a_card_from_json_scores_as_the_one_in_memory(card: WoeCard, parts: Parts) -> None:
    """Probability and points agree to 1e-12 after the way through the file, and the file is the same again."""
    again = WoeCard.from_bytes(card.to_bytes())
    x = parts.test.frame.x
    assert np.abs(again.probability(x) - card.probability(x)).max() <= 1e-12
    assert np.abs(again.points(x) - card.points(x)).max() <= 1e-12
    assert again == card
    assert again.to_bytes() == card.to_bytes()


def test_the_file_alone_is_enough_for_another_program(card: WoeCard, parts: Parts) -> None:
    """Edges and points, read with nothing but a JSON reader, give the points of every row."""
    facts = json.loads(card.to_bytes())
    assert facts["provenance"] == "built-in"
    assert facts["digest"] == digest_of(facts)
    for row, points in zip(parts.test.frame.x[:200].tolist(), card.points(parts.test.frame.x[:200]), strict=True):
        total = facts["base_points"]
        for value, item in zip(row, facts["features"], strict=True):
            known = not math.isnan(value)
            total += (
                item["points"][sum(value >= edge for edge in item["edges"])] if known else item["missing"]["points"]
            )
        assert total == pytest.approx(points, abs=1e-9)


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: f.pop("base_points"),
        lambda f: f.update(format="credit_tier/woe_scorecard/2"),
        lambda f: f.update(more=1),
        lambda f: f.update(intercept=f["intercept"] + 0.1),
        lambda f: f.update(intercept="0"),
        lambda f: f["scaling"].update(double_odds=20.0),
        lambda f: f["features"].reverse(),
        lambda f: f["features"][0]["edges"].reverse(),
        lambda f: f["features"][0]["edges"].append(9e9),
        lambda f: f["features"][0].update(edges=None),
        lambda f: f["features"][0]["woe"].__setitem__(0, 1.0),
        lambda f: f["features"][0]["points"].__setitem__(0, 1.0),
        lambda f: f["features"][0]["rows"].__setitem__(0, -1.0),
        lambda f: f["features"][0]["events"].__setitem__(0, 1e9),
        lambda f: f["features"][0]["missing"].pop("woe"),
        lambda f: f["features"][0].update(coefficient=-1.0),
        lambda f: f["features"][0].update(coefficient=0.0),
        lambda f: f["features"][0].update(trend=-1),
        lambda f: f["features"][0].update(title_zh="另一指标"),
    ],
)
def test_a_damaged_file_is_refused(card: WoeCard, damage: Callable[[dict[str, object]], object]) -> None:
    """Whatever was changed by hand, the file is not read, and the error says so without a word of its content."""
    facts = json.loads(card.to_bytes())
    damage(facts)
    with pytest.raises(LearningError, match="CT-LEARN-039"):
        WoeCard.from_bytes(json.dumps(facts).encode())


@pytest.mark.parametrize("name", ["woe", "points", "iv"])
def test_numbers_that_contradict_each_other_are_refused_under_a_new_digest(card: WoeCard, name: str) -> None:
    """Who changes a derived number and makes the digest fit is found out by computing the number again."""
    facts = json.loads(card.to_bytes())
    item = facts["features"][0]
    item[name] = item[name] + 0.5 if name == "iv" else [value + 0.5 for value in item[name]]
    with pytest.raises(LearningError, match="CT-LEARN-039"):
        WoeCard.from_bytes(json.dumps(facts | {"digest": digest_of(facts)}).encode())


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_file_with_a_broken_byte_is_refused_or_says_the_same(card: WoeCard, data: st.DataObject) -> None:
    """A flipped, lost or added byte never crashes and never gives another card."""
    raw = bytearray(card.to_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    way = data.draw(st.sampled_from(["flip", "cut", "lose", "add"]))
    if way == "flip":
        raw[at] ^= 1 << data.draw(st.integers(0, 7))
    elif way == "cut":
        del raw[at:]
    elif way == "lose":
        del raw[at]
    else:
        raw.insert(at, data.draw(st.integers(0, 255)))
    try:
        found = WoeCard.from_bytes(bytes(raw))
    except LearningError:
        return
    assert found == card


def test_rows_of_another_width_are_refused(card: WoeCard) -> None:
    """A card takes as many columns as it has features."""
    with pytest.raises(LearningError, match="CT-LEARN-014"):
        card.points(np.zeros((3, 2), np.float32))


def test_weights_count_relative_to_their_mean(parts: Parts) -> None:
    """Equal weights of any size give the same card as none; others do not."""
    frame = parts.train.frame
    plain = fit_card(frame, model="m", scaling=SCALE)
    heavy = fit_card(replace(frame, weight=np.full(len(frame), 7.0)), model="m", scaling=SCALE)
    assert heavy == plain
    uneven = replace(frame, weight=np.where(frame.y == 1, 3.0, 1.0))
    assert fit_card(uneven, model="m", scaling=SCALE).intercept > plain.intercept + 0.5


def test_features_that_tell_nothing_give_a_card_without_lines(parts: Parts) -> None:
    """Constants and columns of missing values leave the rate of the training rows, for everybody."""
    frame = parts.train.frame
    empty = np.zeros_like(frame.x)
    empty[:, 3:] = np.nan
    card = fit_card(replace(frame, x=empty), model="m", scaling=SCALE)
    assert card.used == ()
    assert card.probability(parts.test.frame.x) == pytest.approx(frame.y.mean())
    assert WoeCard.from_bytes(card.to_bytes()) == card


def test_a_card_that_ranks_the_wrong_way_keeps_the_level_alone(card: WoeCard, parts: Parts) -> None:
    """Calibrated with slope 0 it gives one probability, and its file can be read."""
    flat = calibrated(card, Calibration("platt", -1.5, 0.0))
    assert flat.used == ()
    assert flat.log_odds(parts.test.frame.x) == pytest.approx(-1.5)
    assert WoeCard.from_bytes(flat.to_bytes()) == flat
