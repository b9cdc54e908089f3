"""Inspectors and their recusals: who may check what where, and whom an inspector must not be sent to.

Two inspectors in each department of each district may check everything there and never leave, so that every office can send a pair.
Who recuses himself is chance and says nothing about the enterprise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from credit_tier.data.city import places
from credit_tier.data.city.chance import NEVER, Days, Flags, Index, delay, on_working_day, pick, stream
from credit_tier.data.city.columns import (
    Period,
    dates,
    entry_rows,
    entry_versions,
    flags,
    in_order,
    numbers,
    words,
)
from credit_tier.data.city.population import DISTRICT_CODES, Population
from credit_tier.data.city.registers import Entries

if TYPE_CHECKING:
    import polars as pl

POSTS: Final = ("320500", *DISTRICT_CODES)
"""Where inspectors are posted: the city's own offices and the districts."""

FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "market_regulation": (
        *("registration", "product_quality", "food", "drugs"),
        *("special_equipment", "pricing", "advertising"),
    ),
    "emergency": ("work_safety",),
    "fire": ("fire_safety",),
    "environment": ("environment",),
    "housing": ("work_safety", "construction"),
    "transport": ("work_safety", "transport"),
    "labour": ("labour",),
    "health": ("drugs", "health"),
    "culture": ("advertising",),
    "tax": ("tax",),
    "other": ("pricing", "environment", "construction"),
}
"""Fields in which a department's inspectors may be qualified."""

ALL_FIELDS: Final = tuple(dict.fromkeys(field for fields in FIELDS.values() for field in fields))
STAFFING: Final = (8.0, 2.0, 2.0, 2.0, 1.5, 1.5, 1.5, 1.0, 1.0, 2.0, 1.5)
"""Relative size of the departments, in the order of `places.DEPARTMENTS`."""

ENTERPRISES_PER_INSPECTOR: Final = 150
WARRANT_DAYS: Final = 5 * 365
"""How long a warrant holds; it is renewed on the day after."""

GROUNDS: Final = ("relative", "interest", "former_employee", "other")
RECUSALS_A_YEAR: Final = 0.4
"""Declarations per inspector; about half meet no living enterprise and are not made."""


@dataclass(frozen=True)
class Inspectors:
    """One element per inspector, in the order of their numbers."""

    post: Index
    department: Index
    qualified: Flags
    """Which of `ALL_FIELDS`, shape (inspectors, fields)."""
    is_lead: Flags
    is_expert: Flags
    appointed: Days
    left: Days
    received: Days
    """When this authority first heard of each."""


def draw_inspectors(enterprises: int, period: Period, *, seed: int) -> Inspectors:
    """Draw two inspectors per office and one more for every 150 enterprises."""
    rng = stream(seed, "inspectors")
    departments = len(places.DEPARTMENTS)
    kept = 2 * departments * len(POSTS)
    size = kept + enterprises // ENTERPRISES_PER_INSPECTOR
    stays = np.arange(size) < kept
    shares = [0.06, *(share for _, share, _ in places.DISTRICTS.values())]
    post = np.where(stays, np.arange(size) // (2 * departments), pick(rng, shares, size))
    department = np.where(stays, np.arange(size) // 2 % departments, pick(rng, STAFFING, size))

    allowed = np.array([[field in FIELDS[name] for field in ALL_FIELDS] for name in places.DEPARTMENTS])[department]
    score = np.where(allowed, rng.random(allowed.shape), 2.0)
    qualified = allowed & (stays[:, None] | (score < 0.45) | (score == score.min(axis=1, keepdims=True)))
    is_expert = ~stays & (rng.random(size) < 0.08)
    is_lead = ~is_expert & (stays & (np.arange(size) % 2 == 0) | (rng.random(size) < 0.3))

    length = period.cutoff - period.first
    is_old = stays | (rng.random(size) < 0.75)
    before = rng.integers(1, WARRANT_DAYS, size)
    appointed = on_working_day(
        np.where(is_old, period.first - before, period.first + rng.integers(0, length, size)).astype(np.int32)
    )
    left = appointed + 90 + np.ceil(rng.exponential(365 / 0.05, size))
    left = np.where(stays | (left >= NEVER), NEVER, left).astype(np.int32)
    return Inspectors(
        post=post,
        department=department,
        qualified=qualified,
        is_lead=is_lead,
        is_expert=is_expert,
        appointed=appointed,
        left=left,
        received=(appointed + delay(rng, size, median=6, spread=0.6)).astype(np.int32),
    )


def inspectors(staff: Inspectors, period: Period, *, seed: int) -> pl.DataFrame:
    """Return the directory: a version with each warrant, the last day of the warrant moved when somebody leaves; experts' have no end."""
    import polars as pl

    rng = stream(seed, "warrants")
    size = len(staff.post)
    everyone = np.arange(size)
    who, begins, ends, told = [], [], [], []
    begin, known = staff.appointed, staff.received
    while len(still := everyone[(begin < staff.left) & (known < period.cutoff)]):
        who.append(still)
        begins.append(begin[still])
        ends.append(np.where(staff.is_expert, NEVER, begin + WARRANT_DAYS - 1)[still])
        told.append(known[still])
        begin = np.where(staff.is_expert, NEVER, begin + WARRANT_DAYS).astype(np.int32)
        known = np.maximum(known + 1, begin + delay(rng, size, median=6, spread=0.6)).astype(np.int32)
    last = np.full(size, -1)
    last_begin = np.zeros(size, dtype=np.int32)
    for still, start, day in zip(who, begins, told, strict=True):
        last[still], last_begin[still] = day, start
    gone = np.flatnonzero((staff.left < period.cutoff) & (last >= 0))
    heard = np.maximum(last[gone] + 1, staff.left[gone] + delay(rng, len(gone), median=8, spread=0.6))
    gone, heard = gone[heard < period.cutoff], heard[heard < period.cutoff]
    subject = np.concatenate([*who, gone])
    fields = pl.DataFrame(
        {
            name: words(("", name), has.astype(np.int64)).replace("", None)
            for name, has in zip(ALL_FIELDS, staff.qualified.T, strict=True)
        }
    ).select(pl.concat_str(pl.all(), separator=";", ignore_nulls=True))
    return in_order(
        {
            "inspector_no": numbers("ZF", size).gather(subject),
            "department": words(places.DEPARTMENTS, staff.department[subject]),
            "district": words(POSTS, staff.post[subject]),
            "qualifications": fields.to_series().gather(subject),
            "is_lead": flags(staff.is_lead[subject]),
            "is_expert": flags(staff.is_expert[subject]),
            "valid_from": dates(np.concatenate([*begins, last_begin[gone]])),
            "valid_to": dates(np.concatenate([*ends, staff.left[gone]])),
            "received_on": dates(np.concatenate([*told, heard])),
        },
        "inspector_no",
    )


def recusals(people: Population, staff: Inspectors, period: Period, *, seed: int) -> pl.DataFrame:
    """Return recusals with a second version when they end: at the latest when the inspector leaves or the enterprise closes."""
    rng = stream(seed, "recusals")
    start = np.maximum(staff.received, period.first)
    length = np.maximum(0, np.minimum(staff.left, period.cutoff) - start)
    inspector = np.repeat(np.arange(len(start)), rng.poisson(RECUSALS_A_YEAR * length / 365.25))
    declared = (start[inspector] + np.floor(length[inspector] * rng.random(len(inspector)))).astype(np.int32)
    subject = _subjects(people, staff.post[inspector], rng)
    lives = (people.registered[subject] < declared) & (declared < people.closed[subject])
    _, first = np.unique(inspector * len(people) + subject, return_index=True)
    row = first[lives[first]]
    inspector, subject, declared = inspector[row], subject[row], declared[row]

    size = len(row)
    ground = pick(rng, [0.35, 0.15, 0.4, 0.1], size)
    ends = np.where(rng.random(size) < 0.4, declared + delay(rng, size, median=400, spread=0.5), NEVER)
    ends = np.where(ground == GROUNDS.index("relative"), NEVER, ends)
    ended = np.minimum(ends, np.minimum(people.closed[subject], staff.left[inspector])).astype(np.int32)
    received = (declared + delay(rng, size, median=4, spread=0.6)).astype(np.int32)
    told = np.maximum(received + 1, ended + delay(rng, size, median=6, spread=0.6)).astype(np.int32)
    entries = Entries(subject, declared, received, ground, inspector, ended, np.zeros(size, dtype=np.int64), told)
    row = entry_rows(entries, period)
    columns = {
        "recusal_no": numbers("HB", len(row)),
        "uscc": words(people.code, subject[row]),
        "inspector_no": numbers("ZF", len(start)).gather(inspector[row]),
        "ground": words(GROUNDS, ground[row]),
        "declared_on": dates(declared[row]),
        "ended_on": dates(ended[row]),
    }
    return entry_versions(columns, entries, row, period, ("ended_on",))


def _subjects(people: Population, post: Index, rng: np.random.Generator) -> Index:
    """Return an enterprise for each post: of its district where it has one that is not empty, else of the whole city."""
    order = np.argsort(people.district, kind="stable")
    edges = np.searchsorted(people.district[order], np.arange(len(DISTRICT_CODES) + 1))
    low = np.concatenate([[0], edges[:-1]])[post]
    high = np.concatenate([[len(people)], edges[1:]])[post]
    low, high = np.where(high > low, low, 0), np.where(high > low, high, len(people))
    result: Index = order[low + np.floor((high - low) * rng.random(len(post))).astype(np.int64)]
    return result
