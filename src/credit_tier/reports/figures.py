"""How reports write figures with what is uncertain about them."""

from __future__ import annotations

from credit_tier.learning.compare import Comparison
from credit_tier.learning.evaluate import Interval


def between(interval: Interval, digits: int = 3) -> str:
    """Return the ends of an interval.

    >>> between(Interval(0.5, 0.75), 2)
    '0.50–0.75'
    """
    return f"{interval.low:.{digits}f}–{interval.high:.{digits}f}"


def span(value: float | None, interval: Interval | None, digits: int = 3) -> str:
    """Return a figure and its interval, or a dash where there is none."""
    if value is None or interval is None:
        return "—"
    return f"{value:.{digits}f} ({between(interval, digits)})"


def difference(item: Comparison) -> str:
    """Return a difference with its sign and interval."""
    return f"{item.difference:+.3f} ({item.interval.low:+.3f} … {item.interval.high:+.3f})"


def p_value(value: float) -> str:
    """Return a p value to three digits.

    >>> p_value(0.00001), p_value(0.0412)
    ('<0.001', '0.041')
    """
    return "<0.001" if value < 0.001 else f"{value:.3f}"
