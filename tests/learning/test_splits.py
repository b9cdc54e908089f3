"""Splits: later parts never overlap the label windows of earlier ones; what cannot be split is said with dates and counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier.errors import LearningError
from credit_tier.learning.splits import Parts, TrainingFrame, split
from credit_tier.specs.model import Label, Split
from credit_tier.temporal import date_of, day_number


def label(window: int, delay: int) -> Label:
    return Label(title_zh="结果", source="t", positive=(), window_days=window, delay_days=delay)


@settings(max_examples=60, deadline=None)
@given(
    label_days=st.tuples(st.integers(1, 150), st.integers(0, 60)),
    part_days=st.tuples(st.integers(220, 450), st.integers(30, 300)),
    seed=st.integers(0, 5),
)
def test_no_label_window_reaches_the_next_part(
    label_days: tuple[int, int], part_days: tuple[int, int], seed: int, new_frame: Callable[..., TrainingFrame]
) -> None:
    """as_of + window + delay of every earlier row <= the first day of the next part, and no row stands in two parts."""
    frame = new_frame(rows=800, seed=seed)
    (window, delay), (calibrate_days, test_days) = label_days, part_days
    parts = split(frame, Split(calibrate_days=calibrate_days, test_days=test_days), label(window, delay))
    for earlier, later in ((parts.train, parts.calibrate), (parts.calibrate, parts.test)):
        assert earlier.frame.as_of_day.max() + window + delay <= day_number(later.first)
        assert later.frame.as_of_day.min() >= day_number(later.first)
    assert len(parts.test.frame) == (frame.as_of_day > frame.as_of_day.max() - test_days).sum()
    assert sum(len(part.frame) for part in parts) + parts.left_out == len(frame)


def test_a_window_of_one_day_leaves_no_row_out(frame: TrainingFrame) -> None:
    """With a window of one day and no delay the gap is one day: the last training day is the day before calibration begins."""
    parts = split(frame, Split(calibrate_days=300, test_days=300), label(1, 0))
    assert parts.gap_days == 1
    assert parts.left_out == 0


def test_absolute_dates_are_inclusive(frame: TrainingFrame) -> None:
    """train_from, calibrate_from, test_from and test_until are first and last days of their parts."""
    plan = Split(
        train_from=date(2022, 3, 1),
        calibrate_from=date(2023, 6, 1),
        test_from=date(2024, 1, 1),
        test_until=date(2024, 9, 30),
    )
    parts = split(frame, plan, label(30, 10))
    expected = {
        "train": (day_number(date(2022, 3, 1)), day_number(date(2023, 6, 1)) - 40),
        "calibrate": (day_number(date(2023, 6, 1)), day_number(date(2024, 1, 1)) - 40),
        "test": (day_number(date(2024, 1, 1)), day_number(date(2024, 9, 30))),
    }
    for part in parts:
        low, high = expected[part.name]
        assert len(part.frame) == ((frame.as_of_day >= low) & (frame.as_of_day <= high)).sum()
        assert (part.first, part.last) == (date_of(low), date_of(high))


def test_an_empty_part_is_named_with_its_dates(frame: TrainingFrame) -> None:
    """A test that begins after the last as_of says which part, which days, and what the frame holds."""
    plan = Split(calibrate_from=date(2023, 6, 1), test_from=date(2031, 1, 1))
    with pytest.raises(
        LearningError, match=r"CT-LEARN-002 split: 检验部分 · the test part, as_of 2031-01-01 to .* no row.*2022-01-0"
    ):
        split(frame, plan, label(30, 10))


def test_a_gap_longer_than_a_part_is_an_error(frame: TrainingFrame) -> None:
    """calibrate_days must outlast the gap."""
    with pytest.raises(LearningError, match="the calibrate part has no day left"):
        split(frame, Split(calibrate_days=30, test_days=300), label(180, 60))


def test_one_outcome_is_not_enough(frame: TrainingFrame) -> None:
    """A part without positives says its row count."""
    none = replace(frame, y=np.where(frame.as_of_day > frame.as_of_day.max() - 300, 0, frame.y).astype(np.int8))
    with pytest.raises(LearningError, match=r"CT-LEARN-003 .*test part.* rows, 0 of them positive"):
        split(none, Split(calibrate_days=300, test_days=300), label(30, 10))


def test_no_rows_at_all(frame: TrainingFrame) -> None:
    """A frame without a mature label cannot be split."""
    with pytest.raises(LearningError, match="CT-LEARN-002"):
        split(frame.take(np.zeros(len(frame), bool)), Split(calibrate_days=1, test_days=1), label(1, 0))


def test_the_frame_reports_all_its_faults_at_once(frame: TrainingFrame) -> None:
    """Wrong type, wrong length, labels other than 0 and 1, infinite values: each is said, without a row value."""
    x = frame.x.copy()
    x[3:6, 2] = np.inf
    y = frame.y.copy()
    y[0] = 7
    with pytest.raises(LearningError) as caught:
        TrainingFrame(x, y, frame.as_of_day.astype(np.int64), frame.subject[:-1], frame.features)  # type: ignore[arg-type]
    text = str(caught.value)
    assert len(caught.value.faults) == 4
    for words in ("other values than 0 and 1", "as_of_day is int64", "subject has shape", "'f2' is infinite in 3 rows"):
        assert words in text


def test_the_digest_sees_every_array(frame: TrainingFrame) -> None:
    """Any changed value, label, date or subject changes the digest; the same content gives the same digest."""
    small = frame.take(np.arange(50))
    seen = {small.digest}
    for name in ("x", "y", "as_of_day", "subject"):
        values = getattr(small, name).copy()
        values.flat[0] = 1 - values.flat[0]
        seen.add(replace(small, **{name: values}).digest)
    assert len(seen) == 5
    assert frame.take(np.arange(50)).digest in seen


def test_parts_describe_themselves(parts: Parts) -> None:
    """The description carries dates, counts and digests for the manifest."""
    told = parts.describe()
    assert told["gap_days"] == 40
    assert told["train"]["rows"] == len(parts.train.frame)  # type: ignore[index,call-overload]
