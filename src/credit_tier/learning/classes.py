"""From probabilities to risk classes: three cuts, monotone, a row on a cut belongs to the higher class."""

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


def cuts_of(tiers: TiersSpec, probability: NDArray[np.float64]) -> Cuts:
    """Return the cuts of a class policy.

    Parameters
    ----------
    tiers : the policy. Of a `quantile` policy the cuts depend on `probability`: n enterprises ordered by rising probability,
        a class that starts at share q takes all but the first ceil(q n), and everybody tied with its first member.
    probability : calibrated probabilities of all enterprises classified together; not looked at by a `probability` policy.

    Raises
    ------
    LearningError (CT-LEARN-026) if a probability is missing or nobody is to be classified.

    Source: GLOSSARY, tier policy (分级规则).
    """
    if tiers.cuts_by == "probability":
        b, c, d = (float(tier.from_probability or 0.0) for tier in tiers.tiers[1:])
        return Cuts(b, c, d)
    if len(probability) == 0 or np.isnan(probability).any():
        raise LearningError.of(
            "CT-LEARN-026", where="tiers", what="quantile cuts need the probabilities of everybody to be classified."
        )
    ordered = np.sort(probability)
    found = []
    for tier in tiers.tiers[1:]:
        position = -(-Fraction(repr(tier.from_quantile)) * len(ordered) // 1)
        found.append(float(ordered[int(position)]) if position < len(ordered) else 2.0)
    return Cuts(*found)
