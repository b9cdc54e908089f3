"""How many from each stratum: exact rational sizes and their unbiased rounding. No floats, no chance but the given offset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import heapify, heappop, heappush
from math import floor

from credit_tier.errors import DrawError

HALF_GRID = 2**53


@dataclass(frozen=True)
class Bounds:
    """What one stratum wants and what limits it.

    Parameters
    ----------
    units : units in the stratum, N >= 1.
    wish : size asked for where nothing limits it, above 0; only ratios count where a total is given.
    low : least size, 0 < low <= units.
    high : largest size, low <= high <= units.
    certain : drawn in full, whatever the total.
    cost : what one unit drawn takes of the total, above 0.
    """

    units: int
    wish: Fraction
    low: Fraction
    high: Fraction
    certain: bool = False
    cost: Fraction = Fraction(1)

    @classmethod
    def of(
        cls,
        units: int,
        wish: Fraction,
        *,
        least: int = 1,
        cap: Fraction = Fraction(1),
        certain: bool = False,
        cost: Fraction = Fraction(1),
    ) -> Bounds:
        """Return the bounds of a stratum; a floor goes before a cap, and neither leaves the stratum.

        >>> Bounds.of(3, Fraction(3, 20), least=5).low
        Fraction(3, 1)
        """
        full = Fraction(units)
        low = full if certain else Fraction(min(least, units))
        return cls(units, wish, low, full if certain else max(low, cap * units), certain, cost)

    def size(self, factor: Fraction) -> Fraction:
        """Return min(high, max(low, factor * wish))."""
        return min(self.high, max(self.low, factor * self.wish))

    def binding(self, factor: Fraction, free: str = "rate") -> str:
        """Return what set the size: `certainty`, `floor`, `cap`, or `free` where no limit did."""
        if self.certain:
            return "certainty"
        wanted = factor * self.wish
        return "floor" if wanted < self.low else "cap" if wanted > self.high else free


@dataclass(frozen=True)
class Allocation:
    """Exact sizes of all strata.

    Attributes
    ----------
    sizes : x_h, in the order of the strata; may be fractions.
    factor : by which a total stretched or shrank all wishes; 1 without a total.
    binding : what set each size.
    """

    sizes: tuple[Fraction, ...]
    factor: Fraction
    binding: tuple[str, ...]


def allocate(
    strata: Sequence[Bounds], *, total: Fraction | int | None = None, where: str = "budget", free: str = "rate"
) -> Allocation:
    """Return x_h = min(M_h, max(m_h, f w_h)), with f so that the sizes, times their costs, sum to the total.

    Parameters
    ----------
    total : visits, or days if the bounds have costs; None takes f = 1.
    where, free : names of the total and of what sets a size between its bounds.

    Raises
    ------
    DrawError (CT-DRAW-005) if floors and certain strata need more than the total, or caps allow less.

    Source: `sampling.md` F7.

    >>> allocate([Bounds.of(100, Fraction(2)), Bounds.of(40, Fraction(8))], total=5).sizes
    (Fraction(1, 1), Fraction(4, 1))
    """
    factor = Fraction(1) if total is None else _factor(strata, Fraction(total), where)
    return Allocation(
        tuple(item.size(factor) for item in strata), factor, tuple(item.binding(factor, free) for item in strata)
    )


def _factor(strata: Sequence[Bounds], wanted: Fraction, where: str) -> Fraction:
    """Walk up the break points of the piecewise linear total until it reaches what is wanted."""
    total = sum((item.cost * item.low for item in strata), Fraction(0))
    _check_total(total, wanted, sum((item.cost * item.high for item in strata), Fraction(0)), where)
    events: list[tuple[Fraction, Fraction]] = []
    for item in strata:
        if item.low < item.high:
            slope = item.cost * item.wish
            events += [(item.low / item.wish, slope), (item.high / item.wish, -slope)]
    at, slope = Fraction(0), Fraction(0)
    for point, change in sorted(events):
        if slope and total + slope * (point - at) >= wanted:
            break
        total += slope * (point - at)
        at, slope = point, slope + change
    if slope:
        at += (wanted - total) / slope
    return at if at else Fraction(1)


def _check_total(least: Fraction, wanted: Fraction, most: Fraction, where: str) -> None:
    if not least <= wanted <= most:
        raise DrawError.of(
            "CT-DRAW-005",
            where=where,
            what=f"预算无法满足 · a budget of {wanted} cannot be met: floors and certain classes need {_up(least)}, caps allow {floor(most)}.",
            advice="Change the budget, the floor, the caps or the certain classes.",
        )


def neyman(units: int, share: Fraction, cost: Fraction = Fraction(1)) -> Fraction:
    """Return A^2 / c of a stratum: A^2 = N^2 S^2, with S^2 = p (1 - p) N / (N - 1) for a share p; c inspector-days per visit.

    Source: `sampling.md` F8.

    >>> neyman(5, Fraction(1, 2))
    Fraction(125, 16)
    """
    return share * (1 - share) * units**3 / (max(units - 1, 1) * cost)


def allocate_whole(strata: Sequence[Bounds], squares: Sequence[Fraction], total: int, *, where: str) -> Allocation:
    """Return the whole sizes within the bounds that make an estimated total most exact; see :func:`optimal_sizes`.

    Raises
    ------
    DrawError (CT-DRAW-005) if the bounds do not allow the total.
    """
    low, high = [int(item.low) for item in strata], [floor(item.high) for item in strata]
    _check_total(Fraction(sum(low)), Fraction(total), Fraction(sum(high)), where)
    sizes = optimal_sizes(squares, total, low=low, high=high)
    binding = (
        "certainty" if item.certain else "floor" if size == least else "cap" if size == most else "optimum"
        for item, least, size, most in zip(strata, low, sizes, high, strict=True)
    )
    return Allocation(tuple(map(Fraction, sizes)), Fraction(1), tuple(binding))


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


def proportional(sizes: Sequence[int], count: int, *, floor: Fraction = Fraction(0)) -> tuple[Fraction, ...]:
    """Return target probabilities proportional to size that sum to `count`; those that would pass 1 are certain and get 1.

    Parameters
    ----------
    sizes : whole numbers >= 1.
    count : units to draw, 0 <= count <= len(sizes).
    floor : least probability as a share of the mean one, 0 to 1; those that would stay below get it.

    Source: `sampling.md` F5.

    >>> proportional([1, 1, 2, 40], 2)
    (Fraction(1, 4), Fraction(1, 4), Fraction(1, 2), Fraction(1, 1))
    """
    known = levels(Counter(sizes), count, floor=floor)
    return tuple(map(known.__getitem__, sizes))


def levels(counts: Mapping[int, int], count: int, *, floor: Fraction = Fraction(0)) -> dict[int, Fraction]:
    """Return the probability of each different size, given how many units have it; see :func:`proportional`."""
    if floor:
        return _levels_between(counts, Fraction(count), floor * count / sum(counts.values()))
    total, left = sum(size * number for size, number in counts.items()), count
    lam: dict[int, Fraction] = {}
    for size in sorted(counts, reverse=True):
        # largest first: once one size stays below 1, all smaller ones do
        if left * size >= total:
            lam[size] = Fraction(1)
            left, total = left - counts[size], total - size * counts[size]
        else:
            lam[size] = Fraction(left * size, total)
    return lam


def _levels_between(counts: Mapping[int, int], left: Fraction, low: Fraction) -> dict[int, Fraction]:
    """Return min(1, max(low, t size)), with t so that all sum to `left`.

    Where sizes pass both bounds, the side that moves more mass is final, for fixing it only pushes the rest further that way
    (Bitran and Hax 1981).
    """
    lam: dict[int, Fraction] = {}
    free = dict(counts)
    while free:
        t = left / sum(size * number for size, number in free.items())
        above = [size for size in free if t * size >= 1]
        below = [size for size in free if t * size <= low]
        surplus = sum((t * size - 1) * free[size] for size in above) - sum(
            (low - t * size) * free[size] for size in below
        )
        settled = dict.fromkeys(above if surplus >= 0 else [], Fraction(1))
        settled |= dict.fromkeys(below if surplus <= 0 else [], low)
        if not settled:
            return lam | {size: t * size for size in free}
        left -= sum(value * free.pop(size) for size, value in settled.items())
        lam |= settled
    return lam


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
