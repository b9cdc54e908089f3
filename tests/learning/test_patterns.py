"""Kinds of values: joined scales tell apart exactly what one of them does, and steps count to the kind of every value."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier.learning.patterns import Interval, Scale

BOUNDS = st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0, np.inf])
INTERVALS = st.builds(Interval, BOUNDS, BOUNDS, st.booleans(), st.just(0.5))
VALUES = (-2.0, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 2.0, 3.0, np.nan)


def kind(scale: Scale, value: float) -> int:
    return sum(rise for cut, rise in scale.steps() if (np.isnan(value) if np.isnan(cut) else value > cut))


@settings(max_examples=200, deadline=None)
@given(st.lists(INTERVALS, min_size=1, max_size=5))
def test_a_kind_is_what_all_intervals_say(intervals: list[Interval]) -> None:
    """Two values are of one kind if and only if they lie in the same intervals; every kind occurs, and its example is of it."""
    scale = Scale.of(intervals[0])
    for interval in intervals[1:]:
        scale = scale.joined(Scale.of(interval))
    said = {value: tuple(interval.holds(value) for interval in intervals) for value in VALUES}
    kinds = {value: kind(scale, value) for value in VALUES}
    for a in VALUES:
        for b in VALUES:
            assert (said[a] == said[b]) == (kinds[a] == kinds[b])
    assert set(kinds.values()) == set(range(scale.size))
    for k, example in enumerate(scale.examples()):
        finite = 3.0 if example == np.inf else example
        assert kind(scale, finite) == k
        assert tuple(interval.holds(example) for interval in intervals) == tuple(i.holds(finite) for i in intervals)
