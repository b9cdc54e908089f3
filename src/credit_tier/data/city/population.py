"""The enterprises of the city: what the register knows of them, and the traits that nobody sees.

`Population` holds one array per trait, all in the same order.
Effects are on the log-odds of being in violation at a given moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from credit_tier.data.city import places
from credit_tier.data.city.chance import NEVER, Days, Flags, Index, Reals, delay, pick, pick_within, stream
from credit_tier.data.city.codes import credit_codes

FRAILTY_SPREAD: Final = 1.05
"""Standard deviation of what sets enterprises apart for good and no register shows."""

SIZE_TAIL: Final = 1.08
"""Pareto exponent of the number of staff; near one, as everywhere in the world (Zipf's law of firm sizes)."""

SHELL_SHARE: Final = 0.035

DISTRICT_CODES: Final = tuple(places.DISTRICTS)
SECTION_CODES: Final = tuple(places.SECTIONS)
DIVISION_CODES: Final = tuple(f"{number:02d}" for number in range(1, 98))
ENTITY_CODES: Final = tuple(places.ENTITY_TYPES)
STATUS_AFTER: Final = (("deregistered", 0.86), ("revoked", 0.09), ("moved_out", 0.05))
SIZE_CLASSES: Final = ("micro", "small", "medium", "large")

_INDUSTRY_LIMITS: Final = (20, 300, 1000)
_OTHER_LIMITS: Final = (10, 100, 300)
_TILT: Final = {
    ("320571", "I"): 2.2,
    ("320571", "M"): 1.8,
    ("320571", "J"): 2.0,
    ("320508", "H"): 1.8,
    ("320508", "C"): 0.4,
    ("320509", "C"): 1.4,
    ("320581", "C"): 1.3,
    ("320583", "C"): 1.3,
    ("320582", "G"): 1.8,
    ("320585", "G"): 1.6,
}
_DISTRICT_DIVISION: Final = {("320509", "17"): 4.0, ("320581", "18"): 4.0, ("320583", "39"): 3.0, ("320571", "27"): 4.0}


@dataclass(frozen=True)
class Population:
    """One array per trait; positions are the same in all of them."""

    code: np.ndarray[tuple[int], np.dtype[np.str_]]
    district: Index
    section: Index
    division: Index
    entity_type: Index
    staff: Index
    size_class: Index
    capital: Index
    """Registered capital in 万元; -1 where the register has none (branches)."""
    established: Days
    closed: Days
    """Day of closing, NEVER while open."""
    closed_as: Index
    registered: Days
    """Day on which the authority received the registration."""
    frailty: Reals
    distress: Reals
    """Financial distress; correlated with frailty, drives judgments and arrears."""
    is_shell: Flags
    is_key: Flags
    industry_effect: Reals
    district_effect: Reals
    size_effect: Reals
    complaint_rate: Reals
    """Relative: customers of this trade and size complain so much more than average."""

    def __len__(self) -> int:
        return len(self.code)

    @property
    def fixed_effect(self) -> Reals:
        """Return the part of the log-odds that does not change with time."""
        return self.industry_effect + self.district_effect + self.size_effect + self.frailty


def draw_population(size: int, *, seed: int, first_day: int, last_day: int) -> Population:
    """Return a population: who exists at any time between two day numbers.

    Parameters
    ----------
    size : how many enterprises, all that ever exist in the period.
    first_day, last_day : day numbers, half-open.
    """
    rng = stream(seed, "population")
    district = pick(rng, [share for _, share, _ in places.DISTRICTS.values()], size)
    section = pick_within(rng, district, {d: _section_shares(code) for d, code in enumerate(DISTRICT_CODES)})
    division = _divisions(rng, district, section)
    entity_type = pick(rng, [share for _, share in places.ENTITY_TYPES.values()], size)
    staff = np.ceil(1.6 * (1.0 - rng.random(size)) ** (-1.0 / SIZE_TAIL)).astype(np.int64)
    staff = np.minimum(staff, 60_000)
    established, closed = _lives(stream(seed, "lives"), size, first_day=first_day, last_day=last_day)
    hidden = stream(seed, "hidden")
    frailty = FRAILTY_SPREAD * hidden.standard_normal(size)
    distress = 0.65 * frailty / FRAILTY_SPREAD + np.sqrt(1 - 0.65**2) * hidden.standard_normal(size)
    is_shell = hidden.random(size) < np.where(staff <= 3, SHELL_SHARE * 1.4, SHELL_SHARE * 0.3)
    is_key = np.isin(division, [DIVISION_CODES.index(code) for code in places.KEY_DIVISIONS])
    effects = np.array([effect for _, effect, _ in places.SECTIONS.values()])
    division_effect = 0.55 * stream(20_200_327, "division effects").standard_normal(len(DIVISION_CODES))
    log_staff = np.log10(staff)
    return Population(
        code=credit_codes(size, seed=seed, is_cooperative=entity_type == ENTITY_CODES.index("9100")),
        district=district,
        section=section,
        division=division,
        entity_type=entity_type,
        staff=staff,
        size_class=_size_classes(section, staff),
        capital=_capital(rng, staff, entity_type),
        established=established,
        closed=closed,
        closed_as=pick(rng, [share for _, share in STATUS_AFTER], size),
        registered=np.minimum(established + delay(rng, size, median=3, spread=0.6), last_day - 1).astype(np.int32),
        frailty=frailty,
        distress=distress,
        is_shell=is_shell,
        is_key=is_key,
        industry_effect=effects[section] + division_effect[division] + places.KEY_EFFECT * is_key,
        district_effect=np.array([effect for _, _, effect in places.DISTRICTS.values()])[district],
        size_effect=0.9 * log_staff - 0.2 * log_staff**2 + 1.3 * is_shell,
        complaint_rate=np.array([rate for _, _, rate in places.SECTIONS.values()])[section] * staff**0.3,
    )


def _section_shares(district: str) -> list[float]:
    return [share * _TILT.get((district, section), 1.0) for section, (share, _, _) in places.SECTIONS.items()]


def _divisions(rng: np.random.Generator, district: Index, section: Index) -> Index:
    shares: dict[int, list[float]] = {}
    for d, district_code in enumerate(DISTRICT_CODES):
        for s, section_code in enumerate(SECTION_CODES):
            within = places.DIVISIONS[section_code]
            shares[d * len(SECTION_CODES) + s] = [
                within.get(code, 0.0) * _DISTRICT_DIVISION.get((district_code, code), 1.0) for code in DIVISION_CODES
            ]
    return pick_within(rng, district * len(SECTION_CODES) + section, shares)


def _lives(rng: np.random.Generator, size: int, *, first_day: int, last_day: int) -> tuple[Days, Days]:
    """Return days of establishment and closing; nobody closed before the period begins."""
    years = (last_day - first_day) / 365.25
    is_new = rng.random(size) < min(0.6, 0.045 * years)
    age_at_start = np.minimum(rng.exponential(7.5 * 365.25, size), 40 * 365.25)
    born_in = rng.random(size) * (last_day - first_day)
    established = np.where(is_new, first_day + born_in, first_day - 1 - age_at_start).astype(np.int32)
    # Young enterprises die at 7 % a year, older ones at 3 %.
    start = np.maximum(established, first_day)
    is_young = start - established < 3 * 365
    life = rng.exponential(365.25 / np.where(is_young, 0.07, 0.03), size)
    closed = start + np.maximum(life, 60.0)
    return established, np.where(closed < last_day, closed, NEVER).astype(np.int32)


def _size_classes(section: Index, staff: Index) -> Index:
    is_industry = np.isin(section, [SECTION_CODES.index(code) for code in "BCD"])
    result = np.zeros(len(staff), dtype=np.int64)
    for industry, other in zip(_INDUSTRY_LIMITS, _OTHER_LIMITS, strict=True):
        result += staff >= np.where(is_industry, industry, other)
    return result


def _capital(rng: np.random.Generator, staff: Index, entity_type: Index) -> Index:
    """Return registered capital in 万元, at the round figures that founders like."""
    round_figures = np.array([3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 600, 800, 1000, 2000, 3000, 5000, 10_000])
    wanted = np.exp(np.log(60.0) + 0.45 * np.log(staff) + 1.1 * rng.standard_normal(len(staff)))
    nearest = np.searchsorted(np.sqrt(round_figures[1:] * round_figures[:-1]), wanted)
    large = np.maximum(10_000, np.round(wanted / 1000) * 1000)
    capital = np.where(wanted > 14_000, large, round_figures[nearest]).astype(np.int64)
    return np.where(entity_type == ENTITY_CODES.index("2000"), -1, capital)
