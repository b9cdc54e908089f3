"""Which inspector may take which seat, why another one may not, and what each eligible one costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from credit_tier.errors import DrawError, Fault
from credit_tier.sampling.exchange import Numbers, Problem
from credit_tier.sampling.roster import Inspector, Roster
from credit_tier.specs.teams import SeatSpec, TeamsSpec

ASSIGN = "assign"
"""Stream of the costs."""

COST_BYTES = 5
"""Bytes of a digest that make a cost: 40 bits."""

DEPARTMENT, QUALIFICATION, LEAD, DISTRICT, WARRANT, RECUSED, ROTATION = (1 << bit for bit in range(7))
"""Reasons why somebody may not take a seat, as bits."""

Bits = NDArray[np.uint8]


@dataclass(frozen=True)
class Visit:
    """One drawn enterprise, visited at once by all departments that drew it.

    Attributes
    ----------
    code : the enterprise.
    leaf : its sealed leaf, 64 hexadecimal digits.
    area : its district, or empty.
    departments : departments of the plan that drew it, in the rules' order.
    """

    code: str
    leaf: str
    area: str
    departments: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """Like seats of one visit.

    Attributes
    ----------
    visit : place of the visit.
    department, role : as the rules name them.
    seat : the rules' seat.
    staff : departments of the roster that count as this one.
    needs : qualifications that each holder needs, sorted.
    """

    visit: int
    department: str
    role: str
    seat: SeatSpec
    staff: tuple[str, ...]
    needs: tuple[str, ...]


def groups_of(visits: Sequence[Visit], spec: TeamsSpec, roster: Roster) -> list[Group]:
    """Return the seats of all visits, by visit and in the rules' order.

    Raises
    ------
    DrawError : CT-DRAW-031 items without a known qualification, 036 departments that drew and have no team; all faults at once.
    """
    faults = []
    unknown = [name for name in spec.items() if name not in roster.items]
    if unknown:
        faults.append(
            Fault(
                "CT-DRAW-031",
                "items",
                f"事项清单中没有 · no qualification is known for: {', '.join(unknown)}.",
                "Correct the items of the rules, or deliver the list of items.",
            )
        )
    teams = {team.department: team for team in spec.departments}
    absent = sorted({name for visit in visits for name in visit.departments} - set(teams))
    if absent:
        faults.append(
            Fault(
                "CT-DRAW-036",
                "departments",
                f"规则未写明其检查组 · these departments drew enterprises and the rules give them no team: {', '.join(absent)}.",
                "Add them to the rules.",
            )
        )
    if faults:
        raise DrawError(*faults)
    made = {
        name: [
            (
                seat,
                team.staff or (name,),
                tuple(sorted({roster.items[item] for item in (team.items if seat.items is None else seat.items)})),
            )
            for seat in team.seats
        ]
        for name, team in teams.items()
    }
    return [
        Group(place, name, seat.role, seat, staff, needs)
        for place, visit in enumerate(visits)
        for name in visit.departments
        for seat, staff, needs in made[name]
    ]


def obstacles(
    groups: Sequence[Group], visits: Sequence[Visit], spec: TeamsSpec, roster: Roster, *, first: date, last: date
) -> Bits:
    """Return why each inspector may not take each seat, 0 where he may; shape (groups, inspectors).

    Parameters
    ----------
    first, last : days between which the visits take place; a warrant must hold on all of them.
    """
    people = roster.inspectors
    place = {row.inspector: i for i, row in enumerate(people)}
    invalid = np.array([_lapsed(row, first.isoformat(), last.isoformat()) for row in people])
    barred: dict[str, list[tuple[int, int]]] = {}
    for row in people:
        for code in row.recused:
            barred.setdefault(code, []).append((place[row.inspector], RECUSED))
        for code in row.last if spec.rotation else ():
            barred.setdefault(code, []).append((place[row.inspector], ROTATION))
    known: dict[tuple[str, str, str], Bits] = {}
    result = np.empty((len(groups), len(people)), np.uint8)
    for number, group in enumerate(groups):
        visit = visits[group.visit]
        key = (group.department, group.role, visit.area)
        if key not in known:
            known[key] = np.array([_plain(row, group, visit.area, spec.citywide) for row in people], np.uint8)
            known[key][invalid] |= WARRANT
        result[number] = known[key]
        for who, why in barred.get(visit.code, ()):
            result[number, who] |= why
    return result


def _plain(row: Inspector, group: Group, area: str, citywide: Sequence[str]) -> int:
    seat, found = group.seat, 0
    own, near = row.department in group.staff, row.post == area
    if (seat.department == "own" and not own) or (seat.department == "other" and own):
        found |= DEPARTMENT
    if not set(group.needs) <= set(row.qualified):
        found |= QUALIFICATION
    if seat.lead and not row.leads:
        found |= LEAD
    if (seat.post == "same" and not near and row.post not in citywide) or (seat.post == "other" and near):
        found |= DISTRICT
    return found


def _lapsed(row: Inspector, first: str, last: str) -> bool:
    return (row.since is not None and row.since > first) or (row.until is not None and row.until < last)


def limits(spec: TeamsSpec, roster: Roster, *, visits: int) -> Numbers:
    """Return the most visits of each inspector by rules and roster, shape (inspectors,)."""
    most = visits if spec.most_visits is None else min(visits, spec.most_visits)
    return np.array([most if row.most is None else min(row.most, most) for row in roster.inspectors], np.int64)


def problem_of(groups: Sequence[Group], limit: Numbers, against: Bits, costs: Numbers) -> Problem:
    """Return the seats to fill."""
    return Problem(
        visit=np.array([group.visit for group in groups], np.int64),
        count=np.array([group.seat.count for group in groups], np.int64),
        cost=np.where(against == 0, costs, -1),
        limit=limit,
    )


def hash_costs(
    seed: str, groups: Sequence[Group], visits: Sequence[Visit], leaves: Sequence[str], against: Bits
) -> Numbers:
    """Return the cost of every eligible inspector in every group: 40 bits of SHA-256; 0 elsewhere; shape (groups, inspectors).

    Sums of 40-bit costs differ between any two choices of teams but for a chance of at most edges / 2^40 (isolation lemma).

    Source: `sampling.md` F15. Check: ``printf 'credit_tier/prn/1\\n%s\\nassign\\n%s/%s/%s/%s' SEED LEAF_OF_ENTERPRISE LEAF_OF_INSPECTOR
    DEPARTMENT ROLE | sha256sum``, first ten digits.
    """
    costs = np.zeros(against.shape, np.int64)
    tails: dict[tuple[str, str], list[bytes]] = {}
    for number, group in enumerate(groups):
        key = (group.department, group.role)
        if key not in tails:
            tails[key] = [f"{leaf}/{group.department}/{group.role}".encode() for leaf in leaves]
        tail, head = tails[key], sha256(f"credit_tier/prn/1\n{seed}\n{ASSIGN}\n{visits[group.visit].leaf}/".encode())
        found = []
        eligible = np.flatnonzero(against[number] == 0)
        for who in eligible.tolist():
            state = head.copy()
            state.update(tail[who])
            found.append(int.from_bytes(state.digest()[:COST_BYTES], "big"))
        costs[number, eligible] = found
    return costs
