"""Which units: Pareto order sampling (Rosén 1997) with certain units first, decided exactly.

The order is that of the exact rational Q = u (1 - λ) / (λ (1 - u)); equal Q are ordered by the full digest.
Doubles only speed up the sorting: where two neighbours come close, fractions decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from credit_tier.sampling.tickets import exact_uniform, uniform

NEAR = 1e-12
"""Relative gap, times 1 / (1 - largest lambda), under which doubles are not trusted; their error stays a thousandth of that."""


def pareto_value(u: float, lam: float) -> float:
    """Return Q in doubles, in the one order of operations that every IEEE machine repeats to the bit.

    Source: `sampling.md` F3.
    """
    return (u * (1 - lam)) / (lam * (1 - u))


def exact_pareto_value(digest: str, lam: Fraction) -> Fraction:
    """Return Q as a fraction.

    Source: `sampling.md` F3.
    """
    u = exact_uniform(digest)
    return (u * (1 - lam)) / (lam * (1 - u))


def pareto_order(digests: Sequence[str], lambdas: Sequence[Fraction]) -> list[int]:
    """Return the places of all units in the order of the draw: certain units, then by Q.

    The first n are drawn, the following ones are the reserve.

    Parameters
    ----------
    digests : tickets, 64 hexadecimal digits, all different.
    lambdas : target probabilities, 0 < lambda <= 1, one per unit; 1 means certain.

    >>> pareto_order(["b" * 64, "a" * 64, "c" * 64], [Fraction(1, 3)] * 3)
    [1, 0, 2]
    """
    if all(lam is lambdas[0] for lam in lambdas):
        return sorted(range(len(digests)), key=digests.__getitem__)
    certain = sorted((i for i, lam in enumerate(lambdas) if lam >= 1), key=digests.__getitem__)
    free = [i for i, lam in enumerate(lambdas) if lam < 1]
    if not free:
        return certain
    value = {i: pareto_value(uniform(digests[i]), float(lambdas[i])) for i in free}
    near = NEAR / float(1 - max(lambdas[i] for i in free))
    rough = sorted(free, key=value.__getitem__)
    result, cluster = certain, [rough[0]]
    for i in rough[1:]:
        if value[i] - value[cluster[-1]] >= near * value[i]:
            result += _decided(cluster, digests, lambdas)
            cluster = []
        cluster.append(i)
    return result + _decided(cluster, digests, lambdas)


def _decided(cluster: list[int], digests: Sequence[str], lambdas: Sequence[Fraction]) -> list[int]:
    if len(cluster) == 1:
        return cluster
    return sorted(cluster, key=lambda i: (exact_pareto_value(digests[i], lambdas[i]), digests[i]))
