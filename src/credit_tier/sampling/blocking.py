"""Why teams are not possible: the smallest set of visits that block each other, in words, and what would help.

A seat that nobody can take leads, by exchanges that are all used up, to a set of seats whose only eligible inspectors together cannot
make so many visits: the minimum cut. Visits whose removal leaves the rest short are taken out, so that what is reported is minimal:
without any one of its visits there would be teams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from credit_tier.errors import DrawError, Fault
from credit_tier.sampling.eligible import (
    DISTRICT,
    LEAD,
    QUALIFICATION,
    RECUSED,
    ROTATION,
    WARRANT,
    Bits,
    Group,
    Visit,
)
from credit_tier.sampling.exchange import NEVER, Numbers, Problem, fill, passing
from credit_tier.sampling.record import Document
from credit_tier.sampling.roster import Roster

DESCRIBED = 10
"""Blocks that a message describes; the document lists all."""

MINIMAL_UP_TO = 60
"""Visits up to which a set is made minimal; a larger cut is reported whole."""

REASONS = {
    QUALIFICATION: ("无所需资质", "lack the qualification"),
    LEAD: ("不可任组长", "may not lead"),
    DISTRICT: ("派驻区不符", "are posted elsewhere than the rules want"),
    WARRANT: ("证件不覆盖检查期", "have no warrant for all days"),
    RECUSED: ("须回避", "are recused"),
    ROTATION: ("上次检查过该企业(轮换)", "went there the last time (rotation)"),
}
HELP = {
    QUALIFICATION: ("安排具备资质者或补充资质", "qualify one of them"),
    LEAD: ("再指定组长", "name another leader"),
    DISTRICT: ("放宽派驻区要求或跨区调派", "relax the district or lend somebody"),
    WARRANT: ("换发证件或调整检查期", "renew a warrant or move the dates"),
    ROTATION: ("本次放宽轮换", "relax the rotation this time"),
}
"""What may be relaxed; a recusal never is."""


@dataclass(frozen=True)
class Block:
    """Visits that together need more of some inspectors than these can give.

    Attributes
    ----------
    visits : places of the visits.
    groups : their seats that compete, places in the list of groups.
    inspectors : everybody eligible for one of them.
    needed, available : seats, and how many of them these inspectors can take.
    only : reason -> how many further inspectors would be eligible for one of these seats but for this reason alone.
    helps : reasons whose relaxation was tried and suffices.
    limit_helps : whether one more visit for everybody suffices.
    is_minimal : whether without any one of the visits the others would have teams.
    """

    visits: tuple[int, ...]
    groups: tuple[int, ...]
    inspectors: tuple[int, ...]
    needed: int
    available: int
    only: dict[int, int]
    helps: tuple[int, ...]
    limit_helps: bool
    is_minimal: bool


def blocks(problem: Problem, holder: Numbers, groups: Sequence[Group], against: Bits) -> list[Block]:
    """Return what blocks the seats that nobody could take; blocks for which the same inspector is used up are one."""
    cuts: list[tuple[set[int], set[int]]] = []
    for seat in np.flatnonzero(holder < 0).tolist():
        held, people = _cut(problem, holder, seat)
        apart = [cut for cut in cuts if not (cut[0] & held or cut[1] & people)]
        for cut in cuts:
            if cut not in apart:
                held, people = held | cut[0], people | cut[1]
        cuts = [*apart, (held, people)]
    return [_block(problem, groups, against, sorted(held)) for held, _ in cuts]


def _cut(problem: Problem, holder: Numbers, seat: int) -> tuple[set[int], set[int]]:
    """Return the groups reached from an empty seat, and the inspectors whose visits are used up."""
    visit_of = problem.visit[problem.group]
    groups: set[int] = set()
    people: set[int] = set()
    seats = [seat]
    while seats:
        at = seats.pop()
        if int(problem.group[at]) in groups:
            continue
        begin, end = problem.first[visit_of[at]], problem.first[visit_of[at] + 1]
        ways = passing(problem.group, problem.price, holder, begin, end)
        reached = {int(problem.group[begin + b]) for b in np.flatnonzero(ways[at - begin] < NEVER).tolist()}
        groups |= reached
        eligible = set(np.flatnonzero((problem.cost[sorted(reached)] >= 0).any(axis=0)).tolist())
        newcomers = eligible - people - set(holder[begin:end].tolist())  # who is in the visit already cannot help it
        people |= newcomers
        seats += [held for who in sorted(newcomers) for held in np.flatnonzero(holder == who).tolist()]
    return groups, people


def _block(problem: Problem, groups: Sequence[Group], against: Bits, held: list[int]) -> Block:
    kept = sorted({groups[g].visit for g in held})
    minimal = len(kept) <= MINIMAL_UP_TO
    if minimal:
        for visit in list(kept):
            rest = [g for g in held if groups[g].visit in kept and groups[g].visit != visit]
            if rest and _short(_part(problem, groups, rest)):
                kept.remove(visit)
        held = [g for g in held if groups[g].visit in kept]
    part = _part(problem, groups, held)
    people = np.flatnonzero((part.cost >= 0).any(axis=0))
    only = {
        reason: int(((against[held] == reason).any(axis=0) & ~(part.cost >= 0).any(axis=0)).sum()) for reason in REASONS
    }
    relaxed = {reason: against[held] & ~np.uint8(reason) for reason in HELP if (against[held] == reason).any()}
    helps = [reason for reason, left in relaxed.items() if not _short(replace(part, cost=np.where(left == 0, 0, -1)))]
    needed = int(part.count.sum())
    return Block(
        visits=tuple(kept),
        groups=tuple(held),
        inspectors=tuple(people.tolist()),
        needed=needed,
        available=needed - _short(part),
        only={reason: count for reason, count in only.items() if count},
        helps=tuple(helps),
        limit_helps=not _short(replace(part, limit=part.limit + 1)),
        is_minimal=minimal,
    )


def _part(problem: Problem, groups: Sequence[Group], held: Sequence[int]) -> Problem:
    """Return the problem of some groups alone, without costs."""
    cost = np.where(problem.cost[list(held)] < 0, -1, 0)
    _, visit = np.unique([groups[g].visit for g in held], return_inverse=True)
    return Problem(visit.astype(np.int64), problem.count[list(held)], cost, problem.limit)


def _short(problem: Problem) -> int:
    return int((fill(problem) < 0).sum())


class NoTeamsError(DrawError):
    """No teams are possible.

    Attributes
    ----------
    document : content of `blocked.json`, for the scheduler: which visits, seats and inspectors; the message names none of them.
    """

    def __init__(self, *faults: Fault, document: Document) -> None:
        super().__init__(*faults)
        self.document = document


def refusal(
    found: Sequence[Block], groups: Sequence[Group], visits: Sequence[Visit], roster: Roster, *, where: str
) -> NoTeamsError:
    """Return the error that says, block by block, what is short and what would help, without a code or a number of anybody.

    Parameters
    ----------
    where : the file that will hold the document.
    """
    document: Document = {
        "format": "credit_tier/blocked/1",
        "blocks": [
            {
                "visits": [visits[v].code for v in block.visits],
                "seats": [[visits[groups[g].visit].code, groups[g].department, groups[g].role] for g in block.groups],
                "eligible": [roster.inspectors[who].inspector for who in block.inspectors],
                "needed": block.needed,
                "available": block.available,
                "is_minimal": block.is_minimal,
            }
            for block in found
        ],
    }
    faults = [_fault(block, groups, visits, where) for block in found[:DESCRIBED]]
    if len(found) > DESCRIBED:
        more = len(found) - DESCRIBED
        faults.append(
            Fault(
                "CT-DRAW-032", where, f"另有 {more} 处 · {more} more of such blocks.", "详见文件 · the file lists all."
            )
        )
    return NoTeamsError(*faults, document=document)


def _fault(block: Block, groups: Sequence[Group], visits: Sequence[Visit], where: str) -> Fault:
    seats = [groups[g] for g in block.groups]
    departments = ", ".join(sorted({seat.department for seat in seats}))
    roles = ", ".join(sorted({seat.role for seat in seats}))
    needs = ", ".join(sorted({need for seat in seats for need in seat.needs})) or "–"
    areas = ", ".join(sorted({visits[v].area for v in block.visits} - {""})) or "–"
    short = block.needed - block.available
    why = [f"{count} 人{REASONS[reason][0]} {count} {REASONS[reason][1]}" for reason, count in block.only.items()]
    one = "去掉其中任一家即可 without any one of them there are teams" if block.is_minimal else "最小割 minimum cut"
    what = (
        f"{len(block.visits)} 家企业无法组成检查组({one})· {len(block.visits)} visits block: "
        f"部门 department {departments}; 角色 role {roles}; 资质 qualification {needs}; 区 district {areas}; "
        f"需 {block.needed} 席,{len(block.inspectors)} 名合格人员可任 {block.available} 席,缺 {short} · "
        f"{block.needed} seats, {len(block.inspectors)} eligible inspectors take {block.available}, {short} short. "
    )
    if why:
        what += f"其余人员仅因下列原因不合格 others fail by one reason alone: {'; '.join(why)}. "
    advice = [f"增加 {short} 名符合条件者 {short} more inspector{'s' if short > 1 else ''} who meet all of this"]
    advice += [f"{HELP[reason][0]} {HELP[reason][1]}" for reason in block.helps]
    advice += ["提高每人上限一家 raise the limit of visits by one"] if block.limit_helps else []
    return Fault("CT-DRAW-032", where, what.rstrip(), "任一可行 · any of these suffices: " + "; ".join(advice) + ".")
