"""Chance and calendar of the synthetic city: named streams, delays with heavy tails, working days.

A synthetic city is the one place where a NumPy generator is allowed: nothing of it is ever published as a draw.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Days = npt.NDArray[np.int32]
Index = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

NEVER = np.int32(2_000_000)
"""Day number for what does not happen; later than every date, like `temporal.FOREVER`."""


def stream(seed: int, name: str, *index: int) -> np.random.Generator:
    """Return the generator of one named process, so that a change in one process leaves the others as they were.

    >>> stream(7, "visits", 3).integers(1000) == stream(7, "visits", 3).integers(1000)
    np.True_
    """
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, zlib.crc32(name.encode()), *index])))


def pick(rng: np.random.Generator, shares: Sequence[float], size: int) -> Index:
    """Return positions drawn in proportion to shares that need not sum to one."""
    edges = np.cumsum(np.asarray(shares, dtype=np.float64))
    found: Index = np.searchsorted(edges, rng.random(size) * edges[-1], side="right").astype(np.int64)
    return found


def pick_within(rng: np.random.Generator, group: Index, shares: Mapping[int, Sequence[float]]) -> Index:
    """Return for each element a position drawn with the shares of its group."""
    result = np.zeros(len(group), dtype=np.int64)
    for key in sorted(shares):
        member = np.flatnonzero(group == key)
        result[member] = pick(rng, shares[key], len(member))
    return result


def delay(rng: np.random.Generator, size: int, *, median: float, spread: float, late: float = 0.0) -> Days:
    """Return whole days, at least 1: log-normal, and for a `late` share a tail of months (Pareto, at most a year).

    Parameters
    ----------
    median : median of the ordinary delay in days.
    spread : standard deviation of its logarithm.
    late : share of records that somebody forgot to send.
    """
    days = np.exp(np.log(median) + spread * rng.standard_normal(size))
    tail = 30.0 * (1.0 - rng.random(size)) ** (-1 / 1.3)
    days = np.where(rng.random(size) < late, days + np.minimum(tail, 365.0), days)
    result: Days = np.clip(days, 1.0, 730.0).astype(np.int32)
    return result


def on_working_day(day: Days) -> Days:
    """Return the days, with Saturdays and Sundays moved back to the Friday before.

    >>> on_working_day(np.array([20546, 20547, 20548], dtype=np.int32)).tolist()  # Friday, Saturday, Sunday
    [20546, 20546, 20546]
    """
    weekday = (day + 3) % 7
    return (day - np.maximum(0, weekday - 4)).astype(np.int32)


def after_working_days(day: Days, working_days: npt.NDArray[np.integer]) -> Days:
    """Return the days so many working days (Monday to Friday) later."""
    moved = np.busday_offset(day.astype("datetime64[D]"), working_days.astype(np.int64), roll="forward")
    return moved.astype(np.int64).astype(np.int32)
