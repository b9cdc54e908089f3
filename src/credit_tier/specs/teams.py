"""Rules for teams: `pipelines/inspection_teams.yaml`. Who goes with whom, how visits spread over days, and where the roster is read from."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from credit_tier.content import FileSpec, Flag, Spec
from credit_tier.specs.condition import Condition
from credit_tier.specs.plan import Line, Name

CALENDAR = "calendar"
"""Stream of the tickets that order visits and days."""


class SeatSpec(Spec):
    """Like seats of a department's team."""

    role: Name
    count: int = Field(default=1, ge=1, le=20)
    lead: Flag = False
    """Only who may lead a team."""
    department: Literal["own", "other", "any"] = "own"
    """Of the visiting department, of another one, or of any."""
    post: Literal["same", "other", "any"] = "any"
    """Posted in the enterprise's district (or city-wide), in another one, or anywhere."""
    items: tuple[Line, ...] | None = None
    """Items whose qualifications a holder needs; without it those of the department."""


class DepartmentTeam(Spec):
    """The team that one department of the plan sends to each enterprise that it drew."""

    department: Name
    """As the plan names it."""
    staff: tuple[Line, ...] = ()
    """As the roster names it; without it the plan's name."""
    items: tuple[Line, ...] = ()
    """Items checked at every visit: a holder needs the qualifications of all of them."""
    seats: tuple[SeatSpec, ...] = Field(min_length=1)
    reference: Line
    verified: Flag

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if sum(item.count for item in self.seats) < 2:
            raise ValueError("a team has at least two inspectors")
        roles = [item.role for item in self.seats]
        if len(set(roles)) != len(roles):
            raise ValueError("two seats have the same role: use count")
        return self


class DaysSpec(Spec):
    """How many visits a day holds."""

    per_inspector: int = Field(default=1, ge=1, le=20)
    per_district: int | None = Field(default=None, ge=1)
    """Without it districts set no limit."""


class InspectorSource(Spec):
    """Columns of the lake's table of inspectors; a column left out restricts nothing."""

    table: Name
    inspector: Name
    department: Name
    district: Name | None = None
    lead: Name | None = None
    """Boolean; without it everybody may lead."""
    qualifications: Name | None = None
    valid_from: Name | None = None
    valid_to: Name | None = None
    most_visits: Name | None = None
    where: tuple[Condition, ...] = ()
    """Who is on the roster at all."""


class RecusalSource(Spec):
    """Columns of the lake's table of recusals, whose subject is the enterprise."""

    table: Name
    inspector: Name
    ended: Name | None = None
    """Day from which a recusal no longer holds."""


class VisitSource(Spec):
    """Columns of a table of earlier visits, whose subject is the enterprise and whose event day is the visit's."""

    table: Name
    inspector: Name


class ItemSource(Spec):
    """Columns of the lake's table of items."""

    table: Name
    item: Name
    qualification: Name


class DaySource(Spec):
    """Columns of the lake's table of days."""

    table: Name
    day: Name
    working: Name


class RosterSources(Spec):
    """Where the roster is read from."""

    inspectors: InspectorSource
    recusals: RecusalSource | None = None
    visits: VisitSource | None = None
    items: ItemSource | None = None
    days: DaySource | None = None

    def columns(self) -> dict[str, tuple[str, ...]]:
        """Return table -> columns that are read from it, conditions included."""
        found = {}
        for source in (self.inspectors, self.recusals, self.visits, self.items, self.days):
            if source is not None:
                named = source.model_dump(exclude={"table", "where"})
                found[source.table] = tuple(name for name in named.values() if name is not None)
        found[self.inspectors.table] += tuple(condition.column for condition in self.inspectors.where)
        return found


class TeamsSpec(FileSpec):
    """Rules by which the inspectors of a round are drawn."""

    teams: Name
    title_zh: Line
    title_en: str = ""
    district_column: Name | None = None
    """Column of the frame that holds an enterprise's district."""
    citywide: tuple[Line, ...] = ()
    """Districts of the roster that count as every district: the city's own offices."""
    rotation: Flag = True
    """Nobody goes to an enterprise that he went to the last time."""
    most_visits: int | None = Field(default=None, ge=1)
    """Most visits of anybody in the round."""
    days: DaysSpec = DaysSpec()
    departments: tuple[DepartmentTeam, ...] = Field(min_length=1)
    sources: RosterSources | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [item.department for item in self.departments]
        if len(set(names)) != len(names):
            raise ValueError("two departments have the same name")
        uses = any(seat.post != "any" for item in self.departments for seat in item.seats)
        if self.district_column is None and (uses or self.days.per_district is not None):
            raise ValueError("districts matter here: name the district_column of the frame")
        return self

    def items(self) -> tuple[str, ...]:
        """Return all items that the rules name, sorted."""
        return tuple(
            sorted({name for team in self.departments for seat in team.seats for name in (seat.items or team.items)})
        )
