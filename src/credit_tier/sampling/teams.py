"""Teams of a finished draw: the documents for auditor and public. Pure functions, no files.

The chance is the draw's own seed: nobody can choose a team without choosing the seed, and the roster's leaves are salted with the
secret to which the draw committed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from credit_tier.canonical import Json, digest_of
from credit_tier.errors import DrawError
from credit_tier.sampling.blocking import blocks, refusal
from credit_tier.sampling.eligible import Group, Visit, groups_of, hash_costs, limits, obstacles, problem_of
from credit_tier.sampling.exchange import Numbers, Problem
from credit_tier.sampling.frame import Frame, leaf_of
from credit_tier.sampling.prices import Prices, prices_of
from credit_tier.sampling.record import Document, listed_entries
from credit_tier.sampling.roster import Roster, root_of
from credit_tier.sampling.solvers import solve
from credit_tier.sampling.timetable import Appointment, timetable
from credit_tier.specs.teams import TeamsSpec

FORMAT = "credit_tier/teams/1"


@dataclass(frozen=True)
class Assigned:
    """Teams and days.

    Attributes
    ----------
    document : content of `teams.json`, for the auditor.
    public : content of `teams_public.json`: counts and loads of pseudonymous inspectors.
    roster : bytes of `roster.jsonl`.
    """

    document: Document
    public: Document
    roster: bytes


def visits_of(record: Mapping[str, Json], frame: Frame, spec: TeamsSpec) -> list[Visit]:
    """Return the drawn enterprises in the order of their codes, coinciding picks merged into one joint visit.

    Parameters
    ----------
    record : the draw's record; its reserves are not visited.
    frame : the draw's frame.

    Raises
    ------
    DrawError (CT-DRAW-036) if the frame lacks the column of districts.
    """
    if spec.district_column is not None and spec.district_column not in frame.columns:
        raise DrawError.of(
            "CT-DRAW-036",
            where="district_column",
            what=f"抽样框没有该列 · the frame has no column {spec.district_column}.",
            advice=f"It has {', '.join(frame.columns)}: use one of them, or add the column to the strata of the plan.",
        )
    drawn: dict[str, set[str]] = {}
    for entry in listed_entries(record):
        if entry["list"] == "drawn":
            drawn.setdefault(str(entry["code"]), set()).add(str(entry["department"]))
    ranks = {team.department: place for place, team in enumerate(spec.departments)}
    secret = bytes.fromhex(str(record["leaf_secret"]))
    areas = frame.columns[spec.district_column] if spec.district_column is not None else None
    return [
        Visit(
            code=code,
            leaf=leaf_of(secret, code, frame.lines[i]).hex(),
            area="" if areas is None or areas[i] is None else str(areas[i]),
            departments=tuple(sorted(drawn[code], key=lambda name: (ranks.get(name, len(ranks)), name))),
        )
        for i, code in enumerate(frame.codes)
        if code in drawn
    ]


def working_days(roster: Roster, first: date, last: date) -> list[str]:
    """Return the working days from first to last, ISO dates.

    Raises
    ------
    DrawError (CT-DRAW-033) if there is none, or the table of days does not know all of them.
    """
    span = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    unknown = 0 if roster.working is None else sum(day not in roster.working for day in span)
    days = [day.isoformat() for day in span if roster.is_working(day)]
    if unknown or not days:
        raise DrawError.of(
            "CT-DRAW-033",
            where="days",
            what=f"检查期内有 {unknown} 天不在工作日历中,工作日 {len(days)} 天 · of {len(span)} days the calendar does not know {unknown}; {len(days)} are worked.",
            advice="补充工作日历或调整检查期 · deliver the calendar of that year, or choose other days.",
        )
    return days


def assign(
    record: Mapping[str, Json],
    frame: Frame,
    roster: Roster,
    spec: TeamsSpec,
    *,
    first: date,
    last: date,
    solver: str = "exchange",
    blocked: str = "teams",
) -> Assigned:
    """Return the teams and days of a draw: a function of its arguments alone, whichever solver is asked.

    Parameters
    ----------
    first, last : days between which the visits take place.
    solver : one of :data:`credit_tier.sampling.solvers.SOLVERS`.
    blocked : file that error messages name for the list of visits that block each other.

    Raises
    ------
    DrawError : CT-DRAW-031 unknown items, 032 (:class:`~credit_tier.sampling.blocking.NoTeamsError`) no teams are possible, and why, 033 no working days, 034 no timetable, 036 rules that do
        not fit the draw.
    """
    days = working_days(roster, first, last)
    visits = visits_of(record, frame, spec)
    groups = groups_of(visits, spec, roster)
    against = obstacles(groups, visits, spec, roster, first=first, last=last)
    leaves = roster.leaves(bytes.fromhex(str(record["leaf_secret"])))
    costs = hash_costs(str(record["seed"]), groups, visits, leaves, against)
    problem = problem_of(groups, limits(spec, roster, visits=len(visits)), against, costs)
    holder = solve(problem, solver)
    if (holder < 0).any():
        raise refusal(blocks(problem, holder, groups, against), groups, visits, roster, where=blocked)
    prices = prices_of(problem, holder)
    if prices is None:  # a solver that returns less than the optimum is not used
        raise AssertionError(solver)
    members = _members(problem, holder)
    teams: list[list[int]] = [[] for _ in visits]
    for group, team in zip(groups, members, strict=True):
        teams[group.visit] += team
    appointments = [Appointment(v.leaf, v.area, tuple(team)) for v, team in zip(visits, teams, strict=True)]
    chosen = timetable(appointments, days, spec.days, seed=str(record["seed"]))
    people = [
        {"inspector": row.inspector, "leaf": leaf, "load": load, "price": list(price)}
        for row, leaf, load, price in zip(
            roster.inspectors, leaves, problem.loads(holder).tolist(), prices.inspectors, strict=True
        )
    ]
    document: Document = {
        "format": FORMAT,
        "draw_id": record["draw_id"],
        "commitment": record["commitment"],
        "record_digest": record["record_digest"],
        "seed": record["seed"],
        "rules": spec.model_dump(mode="json"),
        "rules_digest": digest_of(spec.model_dump(mode="json")),
        "items": {name: roster.items[name] for name in spec.items()},
        "roster_root": root_of(leaves),
        "roster_digest": roster.digest,
        "first": first.isoformat(),
        "last": last.isoformat(),
        "days": days,
        "days_known": roster.working is not None,
        "visits": _visits(visits, groups, members, prices, days=chosen, roster=roster),
        "people": people,
        "loads": _loads(problem, holder, groups),
    }
    document["teams_digest"] = digest_of(document)
    public: Document = {
        "format": "credit_tier/teams-public/1",
        **{name: document[name] for name in ("draw_id", "commitment", "seed", "roster_root", "teams_digest")},
        "roster_size": len(people),
        "visits": len(visits),
        "joint_visits": sum(len(visit.departments) > 1 for visit in visits),
        "loads": document["loads"],
        "visits_by_inspector": [[row["leaf"], row["load"]] for row in sorted(people, key=lambda row: str(row["leaf"]))],
    }
    return Assigned(document, public, roster.to_bytes())


def _members(problem: Problem, holder: Numbers) -> list[list[int]]:
    """Return the team of each group, in the order of the roster."""
    members: list[list[int]] = [[] for _ in problem.count]
    for group, who in zip(problem.group.tolist(), holder.tolist(), strict=True):
        members[group].append(who)
    return [sorted(team) for team in members]


def _visits(
    visits: Sequence[Visit],
    groups: Sequence[Group],
    members: Sequence[Sequence[int]],
    prices: Prices,
    *,
    days: Sequence[str],
    roster: Roster,
) -> list[Json]:
    seats: list[list[Json]] = [[] for _ in visits]
    for group, team, threshold in zip(groups, members, prices.groups, strict=True):
        seats[group.visit].append(
            {
                "department": group.department,
                "role": group.role,
                "team": [roster.inspectors[who].inspector for who in team],
                "threshold": list(threshold),
            }
        )
    return [
        {"code": visit.code, "leaf": visit.leaf, "area": visit.area, "day": day, "seats": filled}
        for visit, day, filled in zip(visits, days, seats, strict=True)
    ]


def _loads(problem: Problem, holder: Numbers, groups: Sequence[Group]) -> list[Json]:
    """Return, by department and for all, how many may take some seat and the least and the most visits of one of them."""
    load = problem.loads(holder)
    names = [group.department for group in groups]
    result: list[Json] = []
    for name in [*dict.fromkeys(names), ""]:
        mine = [g for g, other in enumerate(names) if name in {"", other}]
        eligible = (problem.cost[mine] >= 0).any(axis=0)
        result.append(
            {
                "department": name or None,
                "seats": int(problem.count[mine].sum()),
                "eligible": int(eligible.sum()),
                "least": int(load[eligible].min()),
                "most": int(load[eligible].max()),
            }
        )
    return result
