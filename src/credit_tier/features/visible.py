"""What is known at an as_of: the only place that says which version of a record exists for a question.

A version exists at as_of if it was known before that day and no newer version was: ``known_day < as_of <= superseded_day``.
There is no switch to turn this off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import narwhals as nw

NUMBER_SCALE = 1_000_000
"""`number` columns enter sums as integer millionths, so that a sum does not depend on the order of its terms."""


def is_visible(at: nw.Expr) -> nw.Expr:
    """Return the test that a version exists at the day number `at`."""
    import narwhals as nw

    return (nw.col("known_day") < at) & (nw.col("superseded_day") >= at)


def event_day() -> nw.Expr:
    """Return the event day; a register without event dates counts from the day it became known."""
    import narwhals as nw

    return nw.coalesce(nw.col("event_day"), nw.col("known_day"))


def first_day() -> nw.Expr:
    """Return the first as_of at which a version can count: after it happened and after it was known."""
    import narwhals as nw

    return nw.max_horizontal("event_day", "known_day") + 1
