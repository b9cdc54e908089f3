"""From probabilities to risk classes: three cuts, monotone, a row on a cut belongs to the higher class; and from run to run."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from credit_tier.errors import LearningError
from credit_tier.specs.model import TiersSpec
from credit_tier.types import RiskClass


@dataclass(frozen=True)
class Cuts:
    """Probabilities from which the classes B, C and D apply; not falling. Above 1: nobody is in the class.

    >>> [str(c) for c in Cuts(0.1, 0.2, 0.5).classes(np.array([0.05, 0.1, 0.3, 0.5]))]
    ['A', 'B', 'C', 'D']
    """

    b: float
    c: float
    d: float

    def __post_init__(self) -> None:
        if not 0 <= self.b <= self.c <= self.d:
            raise LearningError.of("CT-LEARN-025", where="tiers", what="the cuts of the classes fall.")

    def ranks(self, probability: NDArray[np.float64]) -> NDArray[np.int8]:
        """Return 0 for A to 3 for D."""
        if np.isnan(probability).any():
            raise LearningError.of("CT-LEARN-026", where="tiers", what="a probability is missing; it has no class.")
        return np.searchsorted(np.array([self.b, self.c, self.d]), probability, side="right").astype(np.int8)

    def classes(self, probability: NDArray[np.float64]) -> list[RiskClass]:
        """Return the class of each probability."""
        members = [RiskClass.from_rank(rank) for rank in range(4)]
        return [members[rank] for rank in self.ranks(probability)]


def cuts_of(tiers: TiersSpec, probability: NDArray[np.float64], *, shift: Fraction = Fraction(0)) -> Cuts:
    """Return the cuts of a class policy.

    Parameters
    ----------
    tiers : the policy. Of a `quantile` policy the cuts depend on `probability`: n enterprises ordered by rising probability,
        a class that starts at share q takes all but the first ceil(q n), and everybody tied with its first member.
    probability : calibrated probabilities of all enterprises classified together; not looked at by a `probability` policy.
    shift : by how much every declared cut is moved, in its own unit.

    Raises
    ------
    LearningError (CT-LEARN-026) if a probability is missing or nobody is to be classified.

    Source: GLOSSARY, tier policy (分级规则).
    """
    if tiers.cuts_by == "probability":
        b, c, d = (float(Fraction(repr(tier.from_probability or 0.0)) + shift) for tier in tiers.tiers[1:])
        return Cuts(b, c, d)
    if len(probability) == 0 or np.isnan(probability).any():
        raise LearningError.of(
            "CT-LEARN-026", where="tiers", what="quantile cuts need the probabilities of everybody to be classified."
        )
    ordered = np.sort(probability)
    found = []
    for tier in tiers.tiers[1:]:
        position = -(-(Fraction(repr(tier.from_quantile)) + shift) * len(ordered) // 1)
        found.append(float(ordered[int(position)]) if position < len(ordered) else 2.0)
    return Cuts(*found)


def ranks_of(
    tiers: TiersSpec, probability: NDArray[np.float64], previous: NDArray[np.int8] | None = None
) -> tuple[Cuts, NDArray[np.int8]]:
    """Return the cuts and everybody's rank, 0 for A to 3 for D.

    Parameters
    ----------
    previous : rank in the run before, -1 for an enterprise that had none; None without such a run. An enterprise keeps its class as
        long as its probability lies within the policy's hysteresis of the cut, and otherwise goes no further than it must.

    >>> from credit_tier.specs.model import Tier
    >>> cuts = zip("ABCD", (0.0, 0.2, 0.5, 0.8), strict=True)
    >>> tiers = TiersSpec(title_zh="-", model="m", cuts_by="probability", tiers=tuple(Tier(tier=t, from_probability=c) for t, c in cuts),
    ...     hysteresis=0.05, reference="-", verified="false")
    >>> ranks_of(tiers, np.array([0.22, 0.22, 0.26, 0.52]), np.array([-1, 0, 0, 0], np.int8))[1].tolist()
    [1, 0, 1, 1]
    """
    cuts = cuts_of(tiers, probability)
    ranks = cuts.ranks(probability)
    if previous is None or not tiers.hysteresis:
        return cuts, ranks
    band = Fraction(repr(tiers.hysteresis))
    least = cuts_of(tiers, probability, shift=band).ranks(probability)
    most = cuts_of(tiers, probability, shift=-band).ranks(probability)
    return cuts, np.where(previous < 0, ranks, np.clip(previous, least, most)).astype(np.int8)


def migration(previous: NDArray[np.int8], now: NDArray[np.int8]) -> dict[str, dict[str, int]]:
    """Return how many went from each class to each, by their letters; enterprises without an earlier class are left out.

    >>> migration(np.array([-1, 0, 0, 3], np.int8), np.array([0, 0, 1, 2], np.int8))["A"]
    {'A': 1, 'B': 1, 'C': 0, 'D': 0}
    """
    names = [str(RiskClass.from_rank(rank)) for rank in range(4)]
    return {
        name: {other: int(((previous == i) & (now == j)).sum()) for j, other in enumerate(names)}
        for i, name in enumerate(names)
    }
