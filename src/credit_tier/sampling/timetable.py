"""Which visit on which day: by tickets of a second stream, within what a day holds of each inspector and each district.

Visits are placed in the order of their tickets, each on the free day that comes first in an order of days of its own.
If no day is free, it takes the day on which it displaces the fewest visits, and these are placed again.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from credit_tier.errors import DrawError, Fault
from credit_tier.sampling.tickets import ticket_digest, ticket_digests
from credit_tier.specs.teams import CALENDAR, DaysSpec

STEPS_PER_VISIT = 200
"""How often visits may be placed, on average, before the search ends."""


@dataclass(frozen=True)
class Appointment:
    """What a visit takes up on its day.

    Attributes
    ----------
    leaf : sealed leaf of the enterprise.
    area : its district.
    team : inspectors, as any numbers.
    """

    leaf: str
    area: str
    team: tuple[int, ...]

    def uses(self, spec: DaysSpec) -> tuple[tuple[Hashable, int], ...]:
        """Return what it uses one of, and how many of it a day holds."""
        people = tuple((who, spec.per_inspector) for who in self.team)
        return people if spec.per_district is None else (*people, (self.area, spec.per_district))


def timetable(appointments: Sequence[Appointment], days: Sequence[str], spec: DaysSpec, *, seed: str) -> list[str]:
    """Return the day of each visit.

    Parameters
    ----------
    days : working days to choose from, ISO dates in order.

    Raises
    ------
    DrawError (CT-DRAW-034) if the days cannot hold the visits, and why; or if no timetable was found.

    Source: `sampling.md` section 3, "Calendar inside a sealed draw".
    """
    uses = [item.uses(spec) for item in appointments]
    _check_room(uses, days)
    order = sorted(range(len(uses)), key=lambda v: ticket_digest(seed, CALENDAR, appointments[v].leaf))
    queue = deque(order)
    placed: dict[int, int] = {}
    on: dict[tuple[Hashable, int], list[int]] = {}
    moved: Counter[tuple[int, int]] = Counter()
    for _ in range(STEPS_PER_VISIT * len(uses)):
        if not queue:
            return [days[placed[v]] for v in range(len(uses))]
        visit = queue.popleft()
        tickets = ticket_digests(seed, CALENDAR, [f"{appointments[visit].leaf}/{day}" for day in days])
        blockers = [_blockers(uses[visit], on, day) for day in range(len(days))]
        day = min(
            range(len(days)), key=lambda d: (len(blockers[d]) + moved[visit, d] if blockers[d] else 0, tickets[d])
        )
        for other in blockers[day]:
            del placed[other]
            for what, _ in uses[other]:
                on[what, day].remove(other)
            queue.append(other)
        moved[visit, day] += 1
        placed[visit] = day
        for what, _ in uses[visit]:
            on.setdefault((what, day), []).append(visit)
    raise DrawError.of(
        "CT-DRAW-034",
        where="days",
        what=f"未找到日程(已试 {STEPS_PER_VISIT} 轮)· no timetable was found, though no single inspector or district rules it out.",
        advice="放宽检查期或每日容量 · allow more days, or more visits a day.",
    )


def _blockers(uses: Sequence[tuple[Hashable, int]], on: dict[tuple[Hashable, int], list[int]], day: int) -> list[int]:
    """Return the visits that have to make room on a day: of everything that is used up, the one that came first."""
    found = [on[what, day][0] for what, most in uses if len(on.get((what, day), ())) >= most]
    return sorted(set(found))


def _check_room(uses: Sequence[Sequence[tuple[Hashable, int]]], days: Sequence[str]) -> None:
    """Refuse where somebody or some district has more visits than the days hold."""
    wanted = Counter(item for use in uses for item in use)
    over = [(what, most, count) for (what, most), count in wanted.items() if count > most * len(days)]
    faults = []
    for kind, zh, en in ((int, "名检查人员", "people"), (str, "个区", "districts")):
        some = [(count, most) for what, most, count in over if isinstance(what, kind)]
        if some:
            count, most = max(some)
            faults.append(
                Fault(
                    "CT-DRAW-034",
                    "days",
                    f"{len(some)} {zh}的任务超过 {len(days)} 个工作日的容量(最多 {count} 家)· {len(some)} {en} have more visits, up to {count}, than {len(days)} working days of {most} hold.",
                    f"检查期至少 {-(-count // most)} 个工作日,或提高每日容量 · allow at least {-(-count // most)} working days, or more visits a day.",
                )
            )
    if faults:
        raise DrawError(*faults)
