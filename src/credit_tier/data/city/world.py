"""The city month by month: truth moves, complaints come in, the regulator visits, finds, punishes and visits again."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from credit_tier.data.city import places
from credit_tier.data.city.chance import Days, Flags, Index, Reals, pick, stream
from credit_tier.data.city.filings import Filings
from credit_tier.data.city.outcomes import Penalties, decide, is_penalised
from credit_tier.data.city.population import Population
from credit_tier.data.city.supervision import (
    CAMPAIGN,
    COMPLAINT,
    RANDOM,
    REINSPECTION,
    Dossier,
    Draw,
    campaign_targets,
    departments_of,
    domains_of,
    random_draw,
    results_of,
    visit_days,
)
from credit_tier.data.city.truth import Floats, Truth

COMPLAINTS_PER_MONTH: Final = 0.0042
COMPLAINT_LIFT: Final = 7.0
"""An enterprise in violation draws so many times more complaints."""

UNSEEN_PENALTY: Final = (0.0004, 0.016)
"""Chance per month of a penalty without an inspection on record (tax, traffic, police): clean, in violation."""

UNSEEN_SHARES: Final = tuple(
    {"tax": 3.0, "market_regulation": 2.0, "labour": 2.0, "fire": 1.0, "environment": 1.0, "other": 2.0}.get(name, 0.0)
    for name in places.DEPARTMENTS
)

FOLLOWED_SHARE: Final = 0.28
REINSPECTED_SHARE: Final = 0.5
CORRECTING_SHARE: Final = 0.75
"""Shares: complaints that lead to a visit, findings that are checked again, the caught who put things right."""

T = TypeVar("T")


@dataclass(frozen=True)
class Visits:
    """Inspections, one per row, with the truth at that moment."""

    subject: Index
    day: Days
    month: Index
    trigger: Index
    department: Index
    result: Index
    found: Flags
    stratum: Index
    """Stratum of the random draw; -1 for all other visits."""
    inclusion: Reals
    """Inclusion probability in the draw; NaN for all other visits."""
    probability: Floats


@dataclass(frozen=True)
class Complaints:
    """Complaints, one per row; `was_true` says whether the enterprise was in violation."""

    subject: Index
    day: Days
    department: Index
    was_true: Flags


@dataclass(frozen=True)
class Frames:
    """Frame of each month's random draw, by stratum; all arrays are (months, strata)."""

    size: Index
    drawn: Index
    in_violation: Index


@dataclass(frozen=True)
class Snapshot:
    """True state of all living enterprises at the beginning of a quarter."""

    month: int
    subject: Index
    probability: Floats
    in_violation: Flags


@dataclass(frozen=True)
class Ledger:
    """Everything that happened."""

    visits: Visits
    complaints: Complaints
    penalties: Penalties
    frames: Frames
    snapshots: tuple[Snapshot, ...]
    alive: Index
    in_violation: Index
    """Living enterprises, and those of them in violation, by month."""


@dataclass(frozen=True)
class _Planned:
    """Visits that are to be made in a month."""

    subject: Index
    day: Days
    trigger: int
    department: Index


def simulate(people: Population, filings: Filings, *, seed: int, starts: npt.NDArray[np.int64], burn_in: int) -> Ledger:
    """Return what happens in the months between the given first days.

    Parameters
    ----------
    starts : day number of each month's first day, and one more for the end, shape (months + 1,).
    burn_in : months at the beginning that only give the regulator a memory; snapshots start after them.
    """
    world = _World(people, filings, seed, starts)
    months = len(starts) - 1
    snapshots = []
    for month in range(months):
        world.begin(month)
        if month >= burn_in and (month - burn_in) % 3 == 0:
            snapshots.append(world.snapshot())
        world.complain()
        world.visit()
        world.punish_and_correct()
    return Ledger(
        visits=_joined(Visits, world.visits),
        complaints=_joined(Complaints, world.complaints),
        penalties=_joined(Penalties, world.penalties),
        frames=Frames(
            np.stack([draw.frame_sizes for draw in world.draws]),
            np.stack([draw.drawn for draw in world.draws]),
            np.stack([draw.frame_in_violation for draw in world.draws]),
        ),
        snapshots=tuple(snapshots),
        alive=np.array([alive for alive, _ in world.counts], dtype=np.int64),
        in_violation=np.array([violating for _, violating in world.counts], dtype=np.int64),
    )


class _World:
    """The city in one month; `begin` moves to the next."""

    def __init__(self, people: Population, filings: Filings, seed: int, starts: npt.NDArray[np.int64]) -> None:
        self._people = people
        self._seed = seed
        self._starts = starts
        self._truth = Truth(people, seed=seed, months=len(starts) - 1)
        self._dossier = Dossier(len(people), len(starts) - 1)
        self._plans: dict[int, list[_Planned]] = {}
        self._month = -1
        self._alive: Flags = np.zeros(len(people), dtype=np.bool_)
        self.visits: list[Visits] = []
        self.complaints: list[Complaints] = []
        self.penalties: list[Penalties] = []
        self.draws: list[Draw] = []
        self.counts: list[tuple[int, int]] = []
        listed = np.flatnonzero((filings.listed < starts[-1]) & (filings.listed >= starts[0]))
        self._dossier.note(
            filings.subject[listed],
            month_of(filings.listed[listed] + 30, starts),
            1,
            until=month_of(filings.filed[listed] + 30, starts),
        )

    def begin(self, month: int) -> None:
        """Move truth and memory to the first day of a month."""
        self._month = month
        self._start, self._end = int(self._starts[month]), int(self._starts[month + 1])
        self._truth.advance(month, self._start)
        self._dossier.advance(month)
        self._alive = (self._people.registered < self._start) & (self._people.closed >= self._end)
        violating = self._alive & self._truth.in_violation
        self.counts.append((int(np.count_nonzero(self._alive)), int(np.count_nonzero(violating))))

    def snapshot(self) -> Snapshot:
        """Return the true state of the living."""
        living = np.flatnonzero(self._alive)
        return Snapshot(self._month, living, self._truth.probability[living], self._truth.in_violation[living])

    def complain(self) -> None:
        """Let people complain, and plan visits to some of those complained about."""
        rng = self._stream("complaints")
        people, violating = self._people, self._truth.in_violation
        rate = COMPLAINTS_PER_MONTH * people.complaint_rate * np.where(violating, COMPLAINT_LIFT, 1.0)
        subject = np.repeat(np.arange(len(people)), rng.poisson(np.minimum(rate * self._alive, 3.0)))
        filed = Complaints(
            subject=subject,
            day=(self._start + rng.integers(0, self._end - self._start, len(subject))).astype(np.int32),
            department=departments_of(people, subject, rng),
            was_true=violating[subject],
        )
        self.complaints.append(filed)
        followed = np.flatnonzero(rng.random(len(subject)) < FOLLOWED_SHARE)
        day = filed.day[followed] + rng.integers(2, 22, len(followed)).astype(np.int32)
        self._plan(_Planned(subject[followed], day, COMPLAINT, filed.department[followed]))

    def visit(self) -> None:
        """Make this month's visits: the random draw, the campaign, and what was planned; plan some to come back."""
        rng = self._stream("visits")
        people, truth, start = self._people, self._truth, self._start
        level = self._dossier.levels(people, start)
        draw = random_draw(people, self._alive, level, truth.in_violation, start_day=start, rng=rng)
        self.draws.append(draw)
        targets, department = campaign_targets(people, self._alive, level, truth.in_violation, start_day=start, rng=rng)
        planned = [
            _Planned(draw.subject, self._days(draw.subject, rng), RANDOM, departments_of(people, draw.subject, rng)),
            _Planned(targets, self._days(targets, rng), CAMPAIGN, np.full(len(targets), department)),
            *self._plans.pop(self._month, []),
        ]
        made = self._made(planned, draw, rng)
        self.visits.append(made)
        again = np.flatnonzero(made.found)
        again = again[rng.random(len(again)) < REINSPECTED_SHARE]
        day = made.day[again] + rng.integers(32, 80, len(again)).astype(np.int32)
        self._plan(_Planned(made.subject[again], day, REINSPECTION, made.department[again]))

    def punish_and_correct(self) -> None:
        """Decide penalties for this month's findings and for matters seen elsewhere; most of the caught learn from it."""
        rng = self._stream("penalties")
        people, truth, made = self._people, self._truth, self.visits[-1]
        found = np.flatnonzero(made.found)
        chosen = found[is_penalised(made.trigger[found], self._dossier.score[made.subject[found]], rng)]
        clean, violating = UNSEEN_PENALTY
        chance = np.where(truth.in_violation, violating, clean)
        unseen = np.flatnonzero(self._alive & (rng.random(len(people)) < chance))
        subject = np.concatenate([made.subject[chosen], unseen])
        found_on = np.concatenate([made.day[chosen], self._days(unseen, rng)])
        department = np.concatenate([made.department[chosen], pick(rng, UNSEEN_SHARES, len(unseen))])
        domain = domains_of(people, subject, department)
        decided = decide(people, subject, found_on, department=department, domain=domain, rng=rng)
        self.penalties.append(decided)
        self._dossier.note(subject, month_of(decided.received, self._starts) + 1, 2)
        caught = np.unique(made.subject[found])
        truth.correct(caught[rng.random(len(caught)) < CORRECTING_SHARE], rng)

    def _stream(self, name: str) -> np.random.Generator:
        return stream(self._seed, name, self._month)

    def _days(self, subject: Index, rng: np.random.Generator) -> Days:
        return visit_days(self._start, self._end, len(subject), rng)

    def _plan(self, visits: _Planned) -> None:
        """Put visits into the months in which they are to be made; those after the end are never made."""
        month = month_of(visits.day, self._starts)
        for m in np.unique(month[month < len(self._starts) - 1]):
            inside = month == m
            self._plans.setdefault(int(m), []).append(
                _Planned(visits.subject[inside], visits.day[inside], visits.trigger, visits.department[inside])
            )

    def _made(self, planned: list[_Planned], draw: Draw, rng: np.random.Generator) -> Visits:
        """Return the visits as made, the random draw first; enterprises that closed meanwhile are not visited."""
        subject = np.concatenate([part.subject for part in planned])
        day = np.concatenate([part.day for part in planned])
        weekday = (day + 3) % 7
        day = np.where(weekday >= 5, day + 7 - weekday, day).astype(np.int32)
        others = len(subject) - len(draw.subject)
        is_open = self._people.closed[subject] > day
        is_open[: len(draw.subject)] = True
        found = self._truth.in_violation[subject]
        visits = Visits(
            subject=subject,
            day=day,
            month=np.full(len(subject), self._month),
            trigger=np.concatenate([np.full(len(part.subject), part.trigger) for part in planned]),
            department=np.concatenate([part.department for part in planned]),
            result=results_of(self._people, subject, found, rng),
            found=found,
            stratum=np.concatenate([draw.stratum, np.full(others, -1)]),
            inclusion=np.concatenate([draw.probability, np.full(others, np.nan)]),
            probability=self._truth.probability[subject],
        )
        return Visits(*(getattr(visits, item.name)[is_open] for item in fields(Visits)))


def month_of(day: Days, starts: npt.NDArray[np.int64]) -> Index:
    """Return in which month a day lies; the number of months for days after the last."""
    return np.minimum(np.searchsorted(starts, day, side="right") - 1, len(starts) - 1).astype(np.int64)


def _joined(kind: type[T], parts: list[T]) -> T:
    names = [item.name for item in fields(kind)]  # type: ignore[arg-type]
    return kind(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
