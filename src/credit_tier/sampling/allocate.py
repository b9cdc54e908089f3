"""How many from each stratum: exact rational sizes and their unbiased rounding. No floats, no chance but the given offset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import heapify, heappop, heappush
from math import floor

from credit_tier.errors import DrawError

HALF_GRID = 2**53


@dataclass(frozen=True)
class Bounds:
    """What limits one stratum.

    Parameters
    ----------
    units : units in the stratum, N >= 1.
    rate : share asked for, 0 < rate <= 1.
    low : least size, 0 < low <= units.
    high : largest size, low <= high <= units.
    certain : drawn in full, whatever the budget.
    """

    units: int
    rate: Fraction
    low: Fraction
    high: Fraction
    certain: bool = False

    @classmethod
    def of(
        cls, units: int, rate: Fraction, *, least: int = 1, cap: Fraction = Fraction(1), certain: bool = False
    ) -> Bounds:
        """Return the bounds of a stratum; a floor goes before a cap, and neither leaves the stratum.

        >>> Bounds.of(3, Fraction(1, 20), least=5).low
        Fraction(3, 1)
        """
        full = Fraction(units)
        low = full if certain else Fraction(min(least, units))
        return cls(units, rate, low, full if certain else max(low, cap * units), certain)

    def size(self, factor: Fraction) -> Fraction:
        """Return min(high, max(low, factor * rate * units))."""
        return min(self.high, max(self.low, factor * self.rate * self.units))

    def binding(self, factor: Fraction) -> str:
        """Return what set the size: `certainty`, `floor`, `cap` or `rate`."""
        if self.certain:
            return "certainty"
        wanted = factor * self.rate * self.units
        return "floor" if wanted < self.low else "cap" if wanted > self.high else "rate"


@dataclass(frozen=True)
class Allocation:
    """Exact sizes of all strata.

    Attributes
    ----------
    sizes : x_h, in the order of the strata; may be fractions.
    factor : by which a budget stretched or shrank all rates; 1 without a budget.
    binding : what set each size.
    """

    sizes: tuple[Fraction, ...]
    factor: Fraction
    binding: tuple[str, ...]


def allocate(strata: Sequence[Bounds], *, budget: int | None = None, where: str = "budget") -> Allocation:
    """Return x_h = min(M_h, max(m_h, f r_h N_h)), with f so that the sizes sum to the budget.

    Raises
    ------
    DrawError (CT-DRAW-005) if floors and certain strata need more than the budget, or caps allow less.

    Source: `sampling.md` F7.

    >>> allocate([Bounds.of(100, Fraction(1, 50)), Bounds.of(40, Fraction(1, 5))], budget=5).sizes
    (Fraction(1, 1), Fraction(4, 1))
    """
    factor = Fraction(1) if budget is None else _factor(strata, budget, where)
    return Allocation(
        tuple(item.size(factor) for item in strata), factor, tuple(item.binding(factor) for item in strata)
    )


def _factor(strata: Sequence[Bounds], budget: int, where: str) -> Fraction:
    """Walk up the break points of the piecewise linear total until it reaches the budget."""
    total = sum((item.low for item in strata), Fraction(0))
    most = sum((item.high for item in strata), Fraction(0))
    if not total <= budget <= most:
        raise DrawError.of(
            "CT-DRAW-005",
            where=where,
            what=f"预算无法满足 · a budget of {budget} cannot be met: floors and certain classes need {_up(total)}, caps allow {floor(most)}.",
            advice="Change the budget, the floor, the caps or the certain classes.",
        )
    events: list[tuple[Fraction, Fraction]] = []
    for item in strata:
        if item.low < item.high:
            slope = item.rate * item.units
            events += [(item.low / slope, slope), (item.high / slope, -slope)]
    at, slope = Fraction(0), Fraction(0)
    for point, change in sorted(events):
        if slope and total + slope * (point - at) >= budget:
            break
        total += slope * (point - at)
        at, slope = point, slope + change
    if slope:
        at += (budget - total) / slope
    return at if at else Fraction(1)


def _up(value: Fraction) -> int:
    return -floor(-value)


def round_sizes(sizes: Sequence[Fraction], grid_number: int) -> tuple[int, ...]:
    """Return whole sizes by systematic rounding: floor(S_h + r) - floor(S_(h-1) + r), with r = (2 g + 1) / 2^53.

    Over the seeds each size has its exact mean, and it never leaves the two whole numbers around it; the same holds for every block of
    neighbouring strata. A whole total is kept exactly.

    Parameters
    ----------
    sizes : x_h >= 0.
    grid_number : first 52 bits of the ticket of stream `round`.

    Source: `sampling.md` F7 (Cox 1987 family).

    >>> round_sizes([Fraction(1, 2), Fraction(1, 2)], 0), round_sizes([Fraction(1, 2), Fraction(1, 2)], 2**52 - 1)
    ((0, 1), (1, 0))
    """
    running = Fraction(2 * grid_number + 1, HALF_GRID)
    before = floor(running)
    result = []
    for size in sizes:
        running += size
        result.append(floor(running) - before)
        before = floor(running)
    return tuple(result)


def proportional(sizes: Sequence[int], count: int) -> tuple[Fraction, ...]:
    """Return target probabilities proportional to size that sum to `count`; those that would pass 1 are certain and get 1.

    Parameters
    ----------
    sizes : whole numbers >= 1.
    count : units to draw, 0 <= count <= len(sizes).

    Source: `sampling.md` F5.

    >>> proportional([1, 1, 2, 40], 2)
    (Fraction(1, 4), Fraction(1, 4), Fraction(1, 2), Fraction(1, 1))
    """
    counts = Counter(sizes)
    total, left = sum(sizes), count
    lam: dict[int, Fraction] = {}
    for size in sorted(counts, reverse=True):
        # largest first: once one size stays below 1, all smaller ones do
        if left * size >= total:
            lam[size] = Fraction(1)
            left, total = left - counts[size], total - size * counts[size]
        else:
            lam[size] = Fraction(left * size, total)
    return tuple(lam[size] for size in sizes)


def optimal_sizes(
    squares: Sequence[Fraction], count: int, *, low: Sequence[int] | None = None, high: Sequence[int] | None = None
) -> tuple[int, ...]:
    """Return the whole sizes that minimise the variance sum A_h^2 / x_h of an estimated total, exactly.

    Each next unit goes where it helps most: to the largest A_h^2 / (x_h (x_h + 1)) whose bound allows it; ties go to the first stratum.
    No stratum is ever left empty.

    Parameters
    ----------
    squares : A_h^2 = N_h^2 S_h^2 >= 0; for a share p, S^2 = p (1 - p) N / (N - 1).
    count : total to allocate.
    low : least sizes, 1 and more; 1 everywhere if not given.
    high : largest sizes, for instance N_h; no limit if not given.

    Raises
    ------
    DrawError (CT-DRAW-005) if the bounds do not allow the total.

    Source: `sampling.md` F8 (Fox; Friedrich et al. 2015).

    >>> optimal_sizes([Fraction(9), Fraction(1)], 8)
    (6, 2)
    """
    sizes = [1] * len(squares) if low is None else list(low)
    most = [count] * len(squares) if high is None else list(high)
    if min(sizes) < 1 or not sum(sizes) <= count <= sum(most) or any(a > b for a, b in zip(sizes, most, strict=True)):
        raise DrawError.of(
            "CT-DRAW-005",
            where="count",
            what=f"总量无法分配 · a total of {count} cannot be allocated within the bounds.",
            advice="Least sizes are 1 and more and sum to at most the total; largest sizes allow it.",
        )
    heap = [(-squares[h] / (x * (x + 1)), h) for h, x in enumerate(sizes) if x < most[h]]
    heapify(heap)
    for _ in range(count - sum(sizes)):
        _, h = heappop(heap)
        sizes[h] += 1
        if sizes[h] < most[h]:
            heappush(heap, (-squares[h] / (sizes[h] * (sizes[h] + 1)), h))
    return tuple(sizes)
