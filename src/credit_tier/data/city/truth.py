"""The hidden truth: who is in violation in which month, and with what probability.

The log-odds of an enterprise are its fixed effect, an age effect, a slow own fluctuation (AR(1)), the city's slow drift, and for a while the
lesson of having been caught.
The state comes from comparing the probability with a Gaussian AR(1) process, so that violations last for months.
For whoever was never caught the probability is exact; since the caught put things right, the city as a whole has some five in a hundred fewer
violations than its probabilities sum to. Counts of states, not sums of probabilities, are therefore the yardstick for estimates of a rate.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from credit_tier.data.city.chance import Flags, Index, stream
from credit_tier.data.city.population import SECTION_CODES, Population

Floats = npt.NDArray[np.float32]

INTERCEPT: Final = -4.8
FLUCTUATION_SPREAD: Final = 0.5
FLUCTUATION_MEMORY: Final = 0.96
"""Month-to-month correlation of an enterprise's own fluctuation."""

STATE_MEMORY: Final = 0.85
"""Month-to-month correlation of the process behind the state: a violation typically lasts some months."""

LESSON: Final = -0.6
LESSON_MEMORY: Final = 0.5 ** (1 / 6)
"""What being caught does to the log-odds, halved every six months."""


def city_drift(months: int, *, seed: int) -> Floats:
    """Return the drift of the whole city's log-odds by month: a slow wave and a slow random walk."""
    rng = stream(seed, "drift")
    month = np.arange(months)
    wave = 0.12 * np.sin(2 * np.pi * (month / 40 + rng.random()))
    walk = np.zeros(months)
    steps = 0.035 * rng.standard_normal(months)
    for t in range(1, months):
        walk[t] = 0.97 * walk[t - 1] + steps[t]
    return (wave + walk).astype(np.float32)


class Truth:
    """State of all enterprises in the current month; `advance` moves to the next.

    Attributes
    ----------
    probability : chance of being in violation this month, as traits, time and lessons make it.
    in_violation : the state itself.
    """

    def __init__(self, people: Population, *, seed: int, months: int) -> None:
        self._people = people
        self._seed = seed
        self._drift = city_drift(months, seed=seed)
        self._fixed = (INTERCEPT + people.fixed_effect).astype(np.float32)
        is_catering = people.section == SECTION_CODES.index("H")
        self._young_effect = np.where(is_catering, 1.6, 0.9).astype(np.float32)
        rng = stream(seed, "initial state")
        self._fluctuation = FLUCTUATION_SPREAD * rng.standard_normal(len(people), dtype=np.float32)
        self._process = rng.standard_normal(len(people), dtype=np.float32)
        self._lesson = np.zeros(len(people), dtype=np.float32)
        self.probability: Floats = np.zeros(len(people), dtype=np.float32)
        self.in_violation: Flags = np.zeros(len(people), dtype=np.bool_)

    def advance(self, month: int, start_day: int) -> None:
        """Move to a month that begins on a day number."""
        from scipy.special import ndtr

        rng = stream(self._seed, "state", month)
        size = len(self._people)
        self._fluctuation *= np.float32(FLUCTUATION_MEMORY)
        self._fluctuation += np.float32(FLUCTUATION_SPREAD * np.sqrt(1 - FLUCTUATION_MEMORY**2)) * rng.standard_normal(
            size, dtype=np.float32
        )
        self._process *= np.float32(STATE_MEMORY)
        self._process += np.float32(np.sqrt(1 - STATE_MEMORY**2)) * rng.standard_normal(size, dtype=np.float32)
        self._lesson *= np.float32(LESSON_MEMORY)
        age = np.maximum(0, start_day - self._people.established).astype(np.float32) / np.float32(365.25)
        log_odds = self._fixed + self._fluctuation + self._lesson + self._drift[month]
        log_odds += self._young_effect * np.exp(-age / np.float32(1.5)) + np.float32(0.012) * np.minimum(age, 25)
        self.probability = 1 / (1 + np.exp(-log_odds))
        self.in_violation = ndtr(self._process) < self.probability

    def correct(self, subject: Index, rng: np.random.Generator) -> None:
        """Let enterprises that were caught put things right: lower log-odds for a while, and a fresh state from next month."""
        self._lesson[subject] += np.float32(LESSON)
        self._process[subject] = rng.standard_normal(len(subject), dtype=np.float32)
