"""Sampling plan: `pipelines/inspection_round.yaml`. Who may be drawn, at which exact rates, and which future beacon decides."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from credit_tier.content import FileSpec, Flag, Spec
from credit_tier.specs.condition import Condition
from credit_tier.specs.dataset import NAME

_SHARE = re.compile(r"^(\d{1,9})(?:/(\d{1,9})|(?:\.(\d{1,6}))?(%)?)$")


def share(text: str) -> str:
    """Return a share above 0 and up to 1 as a fraction in lowest terms.

    Takes ``1/20``, ``5%``, ``0.5%`` or ``1``.

    Raises
    ------
    ValueError if the text is none of these or lies outside (0, 1].

    >>> share("5%"), share("2/40"), share("100%")
    ('1/20', '1/20', '1')
    """
    match = _SHARE.match(text)
    if match is None or match.group(2) == "0":
        raise ValueError("write a share as a fraction or per cent, for example 1/20 or 5%")
    whole, below, decimals, percent = match.groups()
    value = Fraction(int(whole), int(below)) if below else Fraction(f"{whole}.{decimals or 0}")
    if percent:
        value /= 100
    if value == 0:
        raise ValueError("a share of zero would exempt enterprises from inspection, which no plan may do")
    if value > 1:
        raise ValueError("a share lies above 0 and up to 1")
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


class DepartmentSpec(Spec):
    """One department's strata, rates and limits within the round."""

    department: Name
    title_zh: Line
    title_en: str = ""
    strata: tuple[Name, ...] = Field(min_length=1)
    """Columns whose values form the strata, in the order in which the strata are worked; holds the class column."""
    rates: dict[Line, Share]
    """Risk class -> share of its enterprises to draw."""
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
    size: Name | None = None
    """Whole-number column: within a stratum the chance grows with it. Without it all chances of a stratum are equal."""
    exclusions: tuple[Exclusion, ...] = ()
    reserves: int = Field(default=0, ge=0, le=10_000)
    """Places of each stratum's reserve list, for drawn enterprises that turn out to be closed or moved."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.rates:
            raise ValueError("rates is empty: give every risk class a rate")
        for role, classes in (("caps", self.caps), ("certainty", self.certainty)):
            unknown = sorted(set(classes) - set(self.rates))
            if unknown:
                raise ValueError(f"{role} names {', '.join(unknown)}, which has no rate")
        for name in self.certainty:
            if self.rates[name] != "1" or name in self.caps:
                raise ValueError(f"class {name} is certain: its rate is 1 and it takes no cap")
        for name, cap in self.caps.items():
            if Fraction(cap) < Fraction(self.rates[name]):
                raise ValueError(f"the cap of class {name} is below its rate")
        names = [item.exclusion for item in self.exclusions]
        if len(set(names)) != len(names):
            raise ValueError("two exclusions have the same name")
        if len(set(self.strata)) != len(self.strata):
            raise ValueError("a column stands twice in strata")
        return self


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
        for item in self.departments:
            for name in ("code", item.size):
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

        A column is an integer if it is a size, or is compared by at_least or at_most with a whole number.
        """
        types = {"code": "text"}
        numbers = set()
        for item in self.departments:
            types.update(dict.fromkeys(item.strata, "text"))
            if item.size is not None:
                numbers.add(item.size)
            for condition in (c for e in item.exclusions for c in e.where):
                types.setdefault(condition.column, "text")
                limit = condition.at_least if condition.at_least is not None else condition.at_most
                if limit is not None and re.fullmatch(r"-?\d{1,18}", limit):
                    numbers.add(condition.column)
        types.update(dict.fromkeys(numbers, "integer"))
        return dict(sorted(types.items()))

    def required(self) -> frozenset[str]:
        """Return the columns that may never be empty: code, strata and sizes."""
        found = {"code"}
        for item in self.departments:
            found.update(item.strata)
            if item.size is not None:
                found.add(item.size)
        return frozenset(found)
