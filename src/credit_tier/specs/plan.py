"""Sampling plan: `pipelines/inspection_round.yaml`. Who may be drawn, at which exact rates, and which future beacon decides."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from credit_tier.content import FileSpec, Flag, Spec
from credit_tier.specs.condition import Condition
from credit_tier.specs.dataset import NAME

_SHARE = re.compile(r"^(\d{1,9})(?:/(\d{1,9})|(?:\.(\d{1,6}))?(%)?)$")


def _exact(text: str, advice: str) -> Fraction:
    match = _SHARE.match(text)
    if match is None or match.group(2) == "0":
        raise ValueError(advice)
    whole, below, decimals, percent = match.groups()
    value = Fraction(int(whole), int(below)) if below else Fraction(f"{whole}.{decimals or 0}")
    return value / 100 if percent else value


def share(text: str) -> str:
    """Return a share above 0 and up to 1 as a fraction in lowest terms.

    Takes ``1/20``, ``5%``, ``0.5%`` or ``1``.

    Raises
    ------
    ValueError if the text is none of these or lies outside (0, 1].

    >>> share("5%"), share("2/40"), share("100%")
    ('1/20', '1/20', '1')
    """
    value = _exact(text, "write a share as a fraction or per cent, for example 1/20 or 5%")
    if value == 0:
        raise ValueError("a share of zero would exempt enterprises from inspection, which no plan may do")
    if value > 1:
        raise ValueError("a share lies above 0 and up to 1")
    return str(value)


def _days(text: str) -> str:
    value = _exact(text, "write days as a number or fraction, for example 400 or 1/2")
    if value == 0 or text.endswith("%"):
        raise ValueError("write days above zero, for example 400 or 1/2")
    return str(value)


def _line(text: str) -> str:
    if not text.strip() or text != text.strip() or not text.isprintable():
        raise ValueError("write one line of text without leading or trailing blanks")
    return text


def _name(text: str) -> str:
    if not NAME.match(text):
        raise ValueError("use lower-case letters, digits and _")
    return text


Share = Annotated[str, AfterValidator(share)]
"""Exact share as text in lowest terms, above 0 and up to 1; `Fraction` reads it."""

Days = Annotated[str, AfterValidator(_days)]
"""Exact inspector-days as text in lowest terms, above 0."""

Line = Annotated[str, AfterValidator(_line)]
"""One line of text."""

Name = Annotated[str, AfterValidator(_name)]
"""Identifier of lower-case letters, digits and _."""


class Beacon(Spec):
    """The public event, after the commitment, whose outcome decides the draw."""

    source: Line
    rule: Line
    """How the outcome is written as one line of text, and what happens if the event fails to take place."""


class Exclusion(Spec):
    """Enterprises that this draw leaves out, and why; they are counted in the record."""

    exclusion: Name
    title_zh: Line
    title_en: str = ""
    reference: Line
    verified: Flag
    where: tuple[Condition, ...] = Field(min_length=1)
    """All conditions must hold. They read columns of the frame, never the risk class."""


class History(Spec):
    """A whole-number column of the frame that is counted from a lake's table as known at the plan's as_of.

    Exactly one of `count_within_days`, `count_in_year` and `days_since` is given.
    """

    column: Name
    title_zh: Line
    table: Name
    count_within_days: int | None = Field(default=None, ge=1, le=36_600)
    """Records whose event lies in the so many days before as_of."""
    count_in_year: Flag | None = None
    """Records whose event lies in the calendar year of as_of, before that day."""
    days_since: Name | None = None
    """Days from the latest date in this column, before as_of, to as_of; empty where there is none."""
    where: tuple[Condition, ...] = ()
    """All conditions must hold for a record; they are read as in the feature catalogue."""

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        if (self.count_within_days is not None) + bool(self.count_in_year) + (self.days_since is not None) != 1:
            raise ValueError("give exactly one of count_within_days: N, count_in_year: true, days_since: COLUMN")
        return self


class Burden(Spec):
    """Spreads visits: within a stratum the chance falls with the visits that an enterprise had before."""

    column: Name
    """Whole-number column of earlier visits; no cell may be empty."""
    factor: Share = "1/2"
    """Each earlier visit multiplies the chance by this."""
    floor: Share = "1/5"
    """Least chance, as a share of the stratum's mean chance."""
    most: int = Field(default=10, ge=1, le=20)
    """Earlier visits beyond this number change nothing more."""


class DaysPerVisit(Spec):
    """Inspector-days of one visit, by the values of one of the strata columns."""

    column: Name
    values: dict[Line, Days] = Field(min_length=1)
    """Value -> days; a value that is not named takes one day."""


class Allocation(Spec):
    """Sizes that give the most exact estimate instead of rates: Neyman's allocation, or with inspector-days the cheapest one."""

    kind: Literal["neyman"]
    expected: dict[Line, Share] = Field(min_length=1)
    """Risk class -> share of its enterprises expected to break a rule, below 1."""

    @model_validator(mode="after")
    def _uncertain(self) -> Self:
        full = sorted(name for name, value in self.expected.items() if value == "1")
        if full:
            raise ValueError(f"expected shares lie below 1; make {', '.join(full)} certain to draw it in full")
        return self


class DepartmentSpec(Spec):
    """One department's strata, rates and limits within the round."""

    department: Name
    title_zh: Line
    title_en: str = ""
    strata: tuple[Name, ...] = Field(min_length=1)
    """Columns whose values form the strata, in the order in which the strata are worked; holds the class column."""
    rates: dict[Line, Share] = Field(default_factory=dict)
    """Risk class -> share of its enterprises to draw; left out with an allocation."""
    reference: Line
    verified: Flag
    floor: int = Field(default=1, ge=1)
    """Least number drawn from a stratum (all of it, if it is smaller)."""
    caps: dict[Line, Share] = Field(default_factory=dict)
    """Risk class -> largest share a budget may stretch its rate to; a floor goes before a cap."""
    certainty: tuple[Line, ...] = ()
    """Risk classes drawn in full (必查); a budget does not shrink them."""
    budget: int | None = Field(default=None, ge=1)
    """Visits to reach exactly, by one factor on all rates; without it the rates stand as written."""
    inspector_days: Days | None = None
    """Inspector-days to reach exactly, instead of a budget of visits."""
    days: DaysPerVisit | None = None
    """What one visit costs of the inspector-days; without it one day each."""
    allocation: Allocation | None = None
    """Optimal sizes within floor and caps, for a budget or inspector-days."""
    size: Name | None = None
    """Whole-number column: within a stratum the chance grows with it. Without it all chances of a stratum are equal."""
    burden: Burden | None = None
    """Spreads visits over enterprises by the visits they had before."""
    exclusions: tuple[Exclusion, ...] = ()
    reserves: int = Field(default=0, ge=0, le=10_000)
    """Places of each stratum's reserve list, for drawn enterprises that turn out to be closed or moved."""

    @property
    def classes(self) -> dict[str, str]:
        """Return risk class -> rate, or expected share with an allocation."""
        return self.rates if self.allocation is None else self.allocation.expected

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.allocation is not None and self.rates:
            raise ValueError("an allocation takes the place of rates: give one of them")
        if self.allocation is not None and self.budget is None and self.inspector_days is None:
            raise ValueError("an allocation needs a budget or inspector_days")
        if self.budget is not None and self.inspector_days is not None:
            raise ValueError("give one of budget and inspector_days")
        if self.days is not None and (self.inspector_days is None or self.days.column not in self.strata):
            raise ValueError("days goes with inspector_days, and its column is one of the strata")
        if not self.classes:
            raise ValueError("rates is empty: give every risk class a rate, or an allocation")
        self._bounds()
        names = [item.exclusion for item in self.exclusions]
        if len(set(names)) != len(names):
            raise ValueError("two exclusions have the same name")
        if len(set(self.strata)) != len(self.strata):
            raise ValueError("a column stands twice in strata")
        return self

    def _bounds(self) -> None:
        for role, classes in (("caps", self.caps), ("certainty", self.certainty)):
            unknown = sorted(set(classes) - set(self.classes))
            if unknown:
                raise ValueError(f"{role} names {', '.join(unknown)}, which has no rate")
        for name in self.certainty:
            if name in self.caps or self.rates.get(name, "1") != "1":
                raise ValueError(f"class {name} is certain: its rate is 1 and it takes no cap")
        for name, cap in self.caps.items():
            if name in self.rates and Fraction(cap) < Fraction(self.rates[name]):
                raise ValueError(f"the cap of class {name} is below its rate")

    def counted(self) -> tuple[str, ...]:
        """Return the whole-number columns that may not be empty: size and earlier visits."""
        visits = None if self.burden is None else self.burden.column
        return tuple(name for name in (self.size, visits) if name is not None)


class PlanSpec(FileSpec):
    """One round of inspections, drawn at once for one or several departments that share one ticket per enterprise."""

    plan: Name
    title_zh: Line
    title_en: str = ""
    period: Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z_.-]{0,39}$")]
    """Names the round within the plan, for example 2026Q4; plan/period is the draw's id."""
    class_column: Name = "risk_class"
    beacon: Beacon
    chain_length: int = Field(default=12, ge=1, le=1000)
    """Consecutive draws that one secret serves; each later draw's salt is fixed by the first commitment."""
    departments: tuple[DepartmentSpec, ...] = Field(min_length=1)
    history: tuple[History, ...] = ()
    """Columns added to the frame from a lake."""

    @model_validator(mode="after")
    def _references(self) -> Self:
        names = [item.department for item in self.departments]
        if len(set(names)) != len(names):
            raise ValueError("two departments have the same name")
        for item in self.departments:
            if self.class_column not in item.strata:
                raise ValueError(
                    f"the strata of {item.department} leave out {self.class_column}, on which the rates depend"
                )
            for exclusion in item.exclusions:
                if any(condition.column == self.class_column for condition in exclusion.where):
                    raise ValueError(f"{exclusion.exclusion} reads {self.class_column}: no risk class may be left out")
        types = self.columns()
        past = [item.column for item in self.history]
        if len(set(past)) != len(past):
            raise ValueError("two columns of history have the same name")
        unread = sorted(set(past) - set(types)) + sorted({"code", self.class_column} & set(past))
        if unread:
            raise ValueError(f"history gives {', '.join(unread)}, which no size, burden or exclusion reads")
        for item in self.departments:
            for name in ("code", *item.counted()):
                if name in item.strata:
                    raise ValueError(f"{name} cannot form strata")
            texts = [name for name in item.strata if types[name] == "integer"]
            if texts:
                raise ValueError(f"{', '.join(texts)} is compared as a number elsewhere and cannot form strata")
        return self

    @property
    def draw_id(self) -> str:
        """Return plan/period."""
        return f"{self.plan}/{self.period}"

    def columns(self) -> dict[str, str]:
        """Return the columns that the frame must hold, sorted, each `text` or `integer`.

        A column is an integer if it is a size or comes from history, or is compared by at_least or at_most with a whole number.
        """
        types = {"code": "text"}
        numbers: set[str] = set()
        for item in self.departments:
            types.update(dict.fromkeys(item.strata, "text"))
            numbers.update(item.counted())
            for condition in (c for e in item.exclusions for c in e.where):
                types.setdefault(condition.column, "text")
                limit = condition.at_least if condition.at_least is not None else condition.at_most
                if limit is not None and re.fullmatch(r"-?\d{1,18}", limit):
                    numbers.add(condition.column)
        numbers.update(item.column for item in self.history if item.column in types)
        types.update(dict.fromkeys(numbers, "integer"))
        return dict(sorted(types.items()))

    def required(self) -> frozenset[str]:
        """Return the columns that may never be empty: code, strata, sizes and earlier visits."""
        found = {"code"}
        for item in self.departments:
            found.update(item.strata, item.counted())
        return frozenset(found)
