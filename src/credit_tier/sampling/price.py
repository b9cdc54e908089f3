"""What a plan leads to before any seed: who is visited how often, how many visits coincide, and what each constraint costs.

A planner's report in doubles; nothing of it enters a draw.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import floor, sqrt
from typing import TYPE_CHECKING

from credit_tier.errors import DrawError
from credit_tier.sampling.roster import Inspector, Roster
from credit_tier.sampling.strata import Layout, Planned, Stratum, lay_out_department, resized
from credit_tier.specs.plan import DepartmentSpec, PlanSpec
from credit_tier.specs.teams import DepartmentTeam, SeatSpec, TeamsSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Chances:
    """Inclusion probabilities of one department's enterprises of one risk class; `median` is the lower one."""

    department: str
    risk_class: str
    units: int
    least: float
    median: float
    most: float


@dataclass(frozen=True)
class Price:
    """One constraint of one department, lifted alone.

    Attributes
    ----------
    department, constraint : whose, and which: `floor`, `caps`, `certainty`, `budget`, `inspector_days`, `burden` or `exclusion NAME`.
    visits, visits_without : expected visits with and without it.
    error, error_without : standard error of the estimated share of violators, see :func:`standard_error`.
        `visits_without` and `error_without` are None where the other constraints cannot be met without it.
    """

    department: str
    constraint: str
    visits: float
    visits_without: float | None
    error: float
    error_without: float | None


def expected_by(spec: PlanSpec, layouts: tuple[Layout, ...]) -> dict[str, dict[str, dict[str, Fraction]]]:
    """Return department -> strata column -> value -> expected visits."""
    found: dict[str, dict[str, dict[str, Fraction]]] = {}
    for layout in layouts:
        columns: dict[str, dict[str, Fraction]] = {name: {} for name in layout.department.strata}
        for stratum in layout.strata:
            for sums, value in zip(columns.values(), stratum.key, strict=True):
                sums[value] = sums.get(value, Fraction(0)) + stratum.size
        found[layout.department.department] = {
            name: dict(sorted(sums.items()))
            for name, sums in sorted(columns.items(), key=lambda item: item[0] != spec.class_column)
        }
    return found


def chances_of(stratum: Stratum) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the stratum's different chances in doubles, in the order of its `tally`, and how many units have each.

    They are those of `Stratum.chance_of` up to rounding, and quick to find where sizes differ much.
    """
    import numpy as np

    weights = np.array([float(weight) for weight in stratum.tally])
    units = np.array([float(number) for number in stratum.tally.values()])
    if len(weights) == 1:
        return np.array([float(stratum.size) / len(stratum.members)]), units
    whole = floor(stratum.size)
    part = float(stratum.size - whole)
    low = _clipped(weights, units, whole, float(stratum.least))
    return (1 - part) * low + (part * _clipped(weights, units, whole + 1, float(stratum.least)) if part else 0), units


def _clipped(weights: NDArray[np.float64], units: NDArray[np.float64], count: int, least: float) -> NDArray[np.float64]:
    """Return min(1, max(low, t weight)) that sum to the count; see :func:`credit_tier.sampling.allocate.levels`."""
    import numpy as np

    low, left = least * count / units.sum(), float(count)
    found, free = np.zeros(len(weights)), np.ones(len(weights), bool)
    while free.any():
        wanted = weights * (left / (weights * units)[free].sum())
        above, below = free & (wanted >= 1), free & (wanted < low)
        surplus = ((wanted - 1) * units)[above].sum() - ((low - wanted) * units)[below].sum()
        settled = above if surplus > 0 or (surplus == 0 and above.any()) else below
        if not settled.any():
            found[free] = wanted[free]
            break
        found[settled] = 1.0 if settled is above else low
        left -= float((found * units)[settled].sum())
        free &= ~settled
    return found


def chances_by_class(spec: PlanSpec, layouts: tuple[Layout, ...]) -> tuple[Chances, ...]:
    """Return the smallest, middle and largest chance in each class of each department, classes in order."""
    import numpy as np

    found = []
    for layout in layouts:
        at = layout.department.strata.index(spec.class_column)
        parts: dict[str, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {}
        for stratum in layout.strata:
            parts.setdefault(stratum.key[at], []).append(chances_of(stratum))
        for name, pairs in sorted(parts.items()):
            chances, units = (np.concatenate(column) for column in zip(*pairs, strict=True))
            order = np.argsort(chances, kind="stable")
            passed = np.cumsum(units[order])
            median = chances[order[np.searchsorted(passed, passed[-1] / 2)]]
            ends = float(chances[order[0]]), float(median), float(chances[order[-1]])
            found.append(Chances(layout.department.department, name, int(passed[-1]), *ends))
    return tuple(found)


def visits_saved(planned: Planned) -> float:
    """Return how many visits are expected to coincide: the sum over enterprises of all departments' chances less the largest.

    One ticket serves all departments, so that an enterprise drawn by the one with the smaller chance is drawn by the other too.
    Source: `sampling.md` F11, F12 (exact for Poisson sampling, close for Pareto sampling).
    """
    import numpy as np

    total, largest = np.zeros(len(planned.frame)), np.zeros(len(planned.frame))
    for layout in planned.layouts:
        chances = np.zeros(len(planned.frame))
        for stratum in layout.strata:
            known = dict(zip(stratum.tally, chances_of(stratum)[0].tolist(), strict=True))
            chances[list(stratum.members)] = (
                known[stratum.weights[0]] if len(known) == 1 else [known[weight] for weight in stratum.weights]
            )
        total += chances
        np.maximum(largest, chances, out=largest)
    return float((total - largest).sum())


def standard_error(spec: PlanSpec, layout: Layout, expected: Mapping[str, str]) -> float:
    """Return the standard error of the estimated share of enterprises that break a rule.

    V = sum over units of p (1 - p) (1 / pi - 1), over the squared number of units: the usual stratified variance where chances are equal,
    larger by the design effect where they are not.

    Parameters
    ----------
    expected : risk class -> share expected to break a rule; a class that is not named counts with 1/2, the largest variance.

    Source: `sampling.md` F8, F9.
    """
    at = layout.department.strata.index(spec.class_column)
    variance = 0.0
    for stratum in layout.strata:
        share = float(Fraction(expected.get(stratum.key[at], "1/2")))
        chances, units = chances_of(stratum)
        variance += share * (1 - share) * float((units * (1 / chances - 1)).sum())
    return sqrt(max(variance, 0.0)) / layout.units


def prices(planned: Planned) -> tuple[Price, ...]:
    """Return visits and standard error with and without each constraint of each department, lifted one at a time.

    A floor of 1, which no plan may go below, is not priced.
    """
    found = []
    for layout in planned.layouts:
        expected = layout.department.allocation.expected if layout.department.allocation is not None else {}
        visits, error = float(layout.expected), standard_error(planned.spec, layout, expected)
        for name, lifted in _lifted(layout.department):
            without = _without(planned, layout, lifted)
            rest: tuple[float | None, float | None] = (None, None)
            if without is not None:
                rest = float(without.expected), standard_error(planned.spec, without, expected)
            found.append(Price(layout.department.department, name, visits, rest[0], error, rest[1]))
    return tuple(found)


def _lifted(department: DepartmentSpec) -> Iterator[tuple[str, DepartmentSpec]]:
    """Yield each constraint's name and the department without it."""
    changes: dict[str, object] = {}
    if department.floor > 1:
        changes["floor"] = {"floor": 1}
    if department.caps:
        changes["caps"] = {"caps": {}}
    if department.certainty:
        changes["certainty"] = {"certainty": ()}
    total = "budget" if department.budget is not None else "inspector_days"
    if department.allocation is None and getattr(department, total) is not None:
        changes[total] = {total: None, "days": None}
    if department.burden is not None:
        changes["burden"] = {"burden": None}
    for item in department.exclusions:
        others = tuple(other for other in department.exclusions if other is not item)
        changes[f"exclusion {item.exclusion}"] = {"exclusions": others}
    for name, change in changes.items():
        yield name, department.model_copy(update=change)  # type: ignore[arg-type]


def _without(planned: Planned, layout: Layout, lifted: DepartmentSpec) -> Layout | None:
    """Return the layout by the lifted rules, or None where a budget cannot be met."""
    same = lifted.exclusions == layout.department.exclusions and lifted.burden == layout.department.burden
    try:
        return (
            resized(planned.spec, layout, lifted) if same else lay_out_department(planned.frame, planned.spec, lifted)
        )
    except DrawError:
        return None


@dataclass(frozen=True)
class Load:
    """What a round is expected to ask of the inspectors of one department.

    Attributes
    ----------
    department : as the plan names it.
    seats : expected seats to fill: visits times the size of a team.
    eligible : inspectors who could take at least one of the team's seats somewhere, before recusals and rotation.
    each : seats per eligible inspector; None if there is nobody.
    """

    department: str
    seats: float
    eligible: int
    each: float | None


def loads(planned: Planned, roster: Roster, teams: TeamsSpec) -> tuple[Load, ...]:
    """Return the expected load of each department that the rules for teams name, in the plan's order.

    A visit of two departments fills both teams, as it does when teams are drawn.
    """
    rules = {team.department: team for team in teams.departments}
    found = []
    for layout in planned.layouts:
        team = rules.get(layout.department.department)
        if team is not None:
            seats = float(layout.expected) * sum(seat.count for seat in team.seats)
            able = sum(any(_can_take(row, team, seat, roster) for seat in team.seats) for row in roster.inspectors)
            found.append(Load(team.department, seats, able, seats / able if able else None))
    return tuple(found)


def _can_take(row: Inspector, team: DepartmentTeam, seat: SeatSpec, roster: Roster) -> bool:
    own = row.department in (team.staff or (team.department,))
    needs = {roster.items.get(item) for item in (team.items if seat.items is None else seat.items)}
    return (
        (seat.department == "any" or own == (seat.department == "own"))
        and needs <= set(row.qualified)
        and (row.leads or not seat.lead)
    )


def report(planned: Planned) -> dict[str, object]:
    """Return the report as JSON values; expected visits as fractions in text, all else in doubles.

    Keys: `expected` (department -> column -> value -> visits), `chances`, `smallest_chance`, `visits_saved`, `prices`.
    """
    chances = chances_by_class(planned.spec, planned.layouts)
    return {
        "expected": {
            name: {column: {value: str(visits) for value, visits in sums.items()} for column, sums in columns.items()}
            for name, columns in expected_by(planned.spec, planned.layouts).items()
        },
        "chances": [vars(item) for item in chances],
        "smallest_chance": min(item.least for item in chances),
        "visits_saved": round(visits_saved(planned), 6),
        "prices": [vars(item) for item in prices(planned)],
    }
