"""True inclusion probabilities of Pareto sampling in small strata, to tell how far they lie from the designed ones.

Numerical, in doubles: used for a planner's report, never in a published draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NODES = 160
LIMIT = 60
"""Strata of up to so many units are computed; beyond, the gap is below 0.1 per cent (`sampling.md` section 0 item 4)."""


def exact_inclusion(lambdas: Sequence[float], count: int) -> tuple[float, ...]:
    """Return each unit's probability of being among the `count` smallest Q.

    Parameters
    ----------
    lambdas : target probabilities strictly between 0 and 1, which sum to `count`.
    count : units drawn, 1 <= count < len(lambdas).

    Source: `sampling.md` F6 (Aires 1999): pi_i is the integral over u of the chance that at most count - 1 of the others have a
    smaller Q; that number is Poisson-binomial.

    >>> [round(p, 6) for p in exact_inclusion([0.5, 0.5], 1)]
    [0.5, 0.5]
    """
    import numpy as np

    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    # u = sin^2 of an angle: nodes crowd towards 0 and 1, where the integrand of unequal units bends most
    angle = (nodes + 1) * (np.pi / 4)
    odds = np.tan(angle) ** 2
    weights = weights * (np.pi / 4) * np.sin(2 * angle)
    theta = np.array([lam / (1 - lam) for lam in lambdas])
    result = []
    for i in range(len(theta)):
        smaller = (odds / theta[i])[None, :] * np.delete(theta, i)[:, None]
        result.append(float(weights @ _at_most(smaller / (1 + smaller), count - 1)))
    return tuple(result)


def _at_most(chances: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """Return for each column the chance that at most `most` of independent events happen."""
    import numpy as np

    tally = np.zeros((most + 1, chances.shape[1]))
    tally[0] = 1.0
    for chance in chances:
        tally[1:] = tally[1:] * (1 - chance) + tally[:-1] * chance
        tally[0] *= 1 - chance
    return np.asarray(tally.sum(axis=0), dtype=np.float64)


def adjusted_lambdas(targets: Sequence[float], count: int, *, rounds: int = 30) -> tuple[float, ...]:
    """Return working lambdas whose true inclusion probabilities are the targets, to about 1e-12.

    Source: `sampling.md` F6: lambda times target / pi until they agree.
    """
    lambdas = tuple(targets)
    for _ in range(rounds):
        found = exact_inclusion(lambdas, count)
        if max(abs(pi / target - 1) for pi, target in zip(found, targets, strict=True)) < 1e-13:
            break
        lambdas = tuple(lam * target / pi for lam, target, pi in zip(lambdas, targets, found, strict=True))
    return lambdas


def largest_gap(lambdas: Sequence[float], count: int) -> float:
    """Return the largest relative gap between true and designed probabilities; certain units are left aside.

    >>> largest_gap([0.5] * 4, 2)
    0.0
    """
    free = [lam for lam in lambdas if lam < 1]
    left = count - (len(lambdas) - len(free))
    if left <= 0 or len(set(free)) == 1:
        return 0.0
    return max(abs(pi / lam - 1) for pi, lam in zip(exact_inclusion(free, left), free, strict=True))
