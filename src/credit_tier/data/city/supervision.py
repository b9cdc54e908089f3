"""How the regulator chooses whom to visit: random draws with known probabilities, campaigns, and what it knows when choosing.

The regulator sees its own dossier only, never the truth; so its targeting is good but not perfect, and rates among the visited are biased.
From 2025 (国办发〔2024〕54号) it makes a third fewer visits and aims them better.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from credit_tier.data.city import places
from credit_tier.data.city.chance import Days, Flags, Index, Reals, on_working_day, pick, pick_within
from credit_tier.data.city.population import DIVISION_CODES, SECTION_CODES, Population
from credit_tier.temporal import day_number

FEWER_VISITS_FROM: Final = day_number(date(2025, 1, 1))
YEARLY_RATES: Final = (0.08, 0.12, 0.22, 0.40)
YEARLY_RATES_2025: Final = (0.045, 0.08, 0.22, 0.45)
"""Share of a stratum drawn per year, by level of the dossier: long clean, plain, one matter, several."""

KEY_FACTOR: Final = 1.5
"""Key divisions are drawn so much more often."""

STRATA: Final = tuple(f"level{level}-{item}" for level in range(4) for item in ("general", "key"))
MEMORY_MONTHS: Final = 24
RANDOM, COMPLAINT, CAMPAIGN, REINSPECTION = range(4)
TRIGGERS: Final = ("random", "complaint", "campaign", "reinspection")


class Dossier:
    """What the regulator remembers about each enterprise: a score of known matters of the last 24 months."""

    def __init__(self, size: int, months: int) -> None:
        self.score = np.zeros(size, dtype=np.int64)
        self._months = months
        self._changes: dict[int, list[tuple[Index, int]]] = {}

    def note(self, subject: Index, month: Index, weight: int, until: Index | None = None) -> None:
        """Add a matter from a month still to come, until another month or for 24 months."""
        last = month + MEMORY_MONTHS if until is None else np.maximum(until, month)
        for when, change in ((month, weight), (last, -weight)):
            order = np.argsort(when, kind="stable")
            edges = np.searchsorted(when[order], np.arange(self._months + 1))
            for m in np.flatnonzero(np.diff(edges)):
                self._changes.setdefault(int(m), []).append((subject[order[edges[m] : edges[m + 1]]], change))

    def advance(self, month: int) -> None:
        """Apply what becomes known, and what is forgotten, with the beginning of a month."""
        for subject, change in self._changes.pop(month, []):
            np.add.at(self.score, subject, change)

    def levels(self, people: Population, start_day: int) -> Index:
        """Return 0 (three years old and clean), 1 (clean), 2 (some matter) or 3 (several)."""
        level = 1 + np.minimum(2, (self.score + 1) // 2)
        is_proven = (people.established < start_day - 3 * 365) & (self.score == 0)
        return np.where(is_proven, 0, level).astype(np.int64)


@dataclass(frozen=True)
class Draw:
    """One monthly random draw: frame and picks by stratum."""

    subject: Index
    stratum: Index
    probability: Reals
    """Inclusion probability of each pick, n / N of its stratum."""
    frame_sizes: Index
    drawn: Index
    frame_in_violation: Index
    """Truth, kept for judging estimators: how many of each stratum's frame were in violation."""


def random_draw(
    people: Population, alive: Flags, level: Index, in_violation: Flags, *, start_day: int, rng: np.random.Generator
) -> Draw:
    """Return a stratified draw without replacement, equal probabilities within a stratum, nobody at zero."""
    rates = YEARLY_RATES_2025 if start_day >= FEWER_VISITS_FROM else YEARLY_RATES
    stratum = np.where(alive, 2 * level + people.is_key, len(STRATA))
    picks, strata, probabilities = [], [], []
    sizes = np.bincount(stratum, minlength=len(STRATA))[: len(STRATA)].astype(np.int64)
    drawn = np.zeros(len(STRATA), dtype=np.int64)
    for s in range(len(STRATA)):
        frame = np.flatnonzero(stratum == s)
        if len(frame) == 0:
            continue
        rate = rates[s // 2] * (KEY_FACTOR if s % 2 else 1.0) / 12
        drawn[s] = max(1, round(rate * len(frame)))
        picks.append(np.sort(rng.choice(frame, drawn[s], replace=False, shuffle=False)))
        strata.append(np.full(drawn[s], s))
        probabilities.append(np.full(drawn[s], drawn[s] / len(frame)))
    violating = np.bincount(stratum[in_violation], minlength=len(STRATA) + 1)[: len(STRATA)].astype(np.int64)
    if not picks:
        nobody = np.zeros(0, dtype=np.int64)
        return Draw(nobody, nobody, np.zeros(0), sizes, drawn, violating)
    return Draw(np.concatenate(picks), np.concatenate(strata), np.concatenate(probabilities), sizes, drawn, violating)


def campaign_targets(
    people: Population, alive: Flags, level: Index, in_violation: Flags, *, start_day: int, rng: np.random.Generator
) -> tuple[Index, int]:
    """Return whom this month's campaign visits, and its department; nobody in months without a campaign.

    Targets are taken by weight: known matters, size, and a nose for trouble (some correlation with the truth, stronger from 2025).
    """
    chosen = int(rng.integers(len(places.CAMPAIGNS)))
    takes_place = rng.random() < 0.6
    districts = rng.choice(len(places.DISTRICTS), int(rng.integers(2, 5)), replace=False)
    share = rng.uniform(0.12, 0.30)
    department, divisions = places.CAMPAIGNS[chosen]
    code = places.DEPARTMENTS.index(department)
    eligible = np.flatnonzero(
        alive
        & np.isin(people.division, [DIVISION_CODES.index(division) for division in divisions])
        & np.isin(people.district, districts)
    )
    if not takes_place or len(eligible) == 0:
        return np.zeros(0, dtype=np.int64), code
    is_later = start_day >= FEWER_VISITS_FROM
    nose = 1.5 if is_later else 0.4
    weight = 0.8 * level[eligible] + 0.5 * np.log10(people.staff[eligible]) + nose * in_violation[eligible]
    count = max(1, round(len(eligible) * share * (0.67 if is_later else 1.0)))
    order = np.argsort(-(weight + rng.gumbel(size=len(eligible))), kind="stable")
    return np.sort(eligible[order[:count]]), code


def departments_of(people: Population, subject: Index, rng: np.random.Generator) -> Index:
    """Return the department that looks after each enterprise on this occasion."""
    shares = {
        s: [
            places.DEPARTMENT_SHARES.get(code, places.DEPARTMENT_SHARES[""]).get(name, 0.0)
            for name in places.DEPARTMENTS
        ]
        for s, code in enumerate(SECTION_CODES)
    }
    return pick_within(rng, people.section[subject], shares)


def domains_of(people: Population, subject: Index, department: Index) -> Index:
    """Return the field of enforcement of a department's matter at each enterprise."""
    of_department = np.array([places.DOMAINS.index(places.DOMAIN_OF_DEPARTMENT[d]) for d in places.DEPARTMENTS])
    domain = of_department[department]
    is_market = department == places.DEPARTMENTS.index("market_regulation")
    for divisions, name in (
        (places.FOOD_DIVISIONS, "food"),
        (places.DRUG_DIVISIONS, "drug"),
        (places.EQUIPMENT_DIVISIONS, "special_equipment"),
    ):
        inside = np.isin(people.division[subject], [DIVISION_CODES.index(code) for code in divisions])
        domain = np.where(is_market & inside, places.DOMAINS.index(name), domain)
    return domain.astype(np.int64)


def visit_days(start: int, end: int, size: int, rng: np.random.Generator) -> Days:
    """Return working days within a month given by its first day and the next month's first."""
    day = on_working_day((start + rng.integers(0, end - start, size)).astype(np.int32))
    return np.where(day < start, _first_working_day(start), day).astype(np.int32)


def _first_working_day(start: int) -> int:
    weekday = (start + 3) % 7
    return start + (7 - weekday if weekday >= 5 else 0)


RESULTS: Final = (
    *("no_problem", "annual_report_missing", "other_publicity_missing", "false_publicity", "unreachable"),
    *("ordered_to_correct", "refused", "pending", "no_activity"),
)


def results_of(people: Population, subject: Index, found: Flags, rng: np.random.Generator) -> Index:
    """Return the official result of each visit; shells tend to be unreachable."""
    clean = pick(rng, [0.965, 0, 0, 0, 0, 0, 0, 0, 0.035], len(subject))
    problem = pick(rng, [0, 0, 0.04, 0.03, 0.03, 0.66, 0.005, 0.235, 0], len(subject))
    is_gone = people.is_shell[subject] & (rng.random(len(subject)) < 0.7)
    problem = np.where(is_gone, RESULTS.index("unreachable"), problem)
    return np.where(found, problem, clean)
