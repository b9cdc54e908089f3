"""Rule pack: one instrument's rules for one jurisdiction from one date, `rule_packs/<jurisdiction>/<topic>/<effective-date>.yaml`.

Shapes only. What the parts of a pack say of each other is checked by `specs.rulepack_check`; meaning is given by `rules`.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from credit_tier.content import FileSpec, Flag, Spec
from credit_tier.specs.dataset import NAME
from credit_tier.specs.when import When

FactType = Literal["date", "code", "codes", "money", "integer", "boolean"]
"""`codes` is a set of codes, one text joined by `;` in a table; `money` is integer fen; `code` comes out of a vocabulary."""

Grade = Literal["P", "O", "N", "M", "memory", "inference"]
"""How good the text was: P full primary text, O official page seen in part, N secondary text, M mirror, memory, inference."""

_JURISDICTION = re.compile(r"^[a-z]{2}(-\d{2}(\d{2}(\d{2})?)?)?$")
_AMOUNT = re.compile(r"^(\d{1,12})(?:\.(\d{1,2}))? ?(元|万元|亿元)$")
_UNITS = {"元": 100, "万元": 1_000_000, "亿元": 10_000_000_000}


def _name(text: str) -> str:
    if not NAME.match(text):
        raise ValueError("use lower-case letters, digits and _ and begin with a letter")
    return text


def _jurisdiction(text: str) -> str:
    if not _JURISDICTION.match(text):
        raise ValueError("write cn, cn-32, cn-3205 or cn-320505 (GB/T 2260)")
    return text


def fen(text: str) -> int:
    """Return an amount of money with its unit as integer fen.

    Raises
    ------
    ValueError if the unit is missing or the text is no amount.

    >>> fen("10 万元"), fen("0.5元")
    (10000000, 50)
    """
    match = _AMOUNT.match(text)
    if match is None:
        raise ValueError("write an amount with its unit, for example 10 万元 (units: 元, 万元, 亿元)")
    whole, decimals, unit = match.groups()
    return int(whole) * _UNITS[unit] + int((decimals or "").ljust(2, "0")) * _UNITS[unit] // 100


Name = Annotated[str, AfterValidator(_name)]
Letter = Literal["A", "B", "C", "D"]
"""A risk class, from the lowest risk to the highest."""
Jurisdiction = Annotated[str, AfterValidator(_jurisdiction)]


class Instrument(Spec):
    """A law, regulation, order or notice."""

    number: str
    title_zh: str
    title_en: str = ""
    issuer: str
    promulgated_on: date | None = None
    effective_from: date
    effective_to: date | None = None
    """Exclusive; empty while in force."""
    url: str | None = None


class Source(Spec):
    """The text that the author of the pack had in front of them."""

    grade: Grade
    title_zh: str
    url: str | None = None


class Reference(Spec):
    """Where a rule stands, and where its wording was read."""

    instrument: Name
    article: str = ""
    source: Name
    note: str = ""


class Legal(Spec):
    """What every rule and every legal value carries."""

    title_zh: str
    title_en: str
    reference: Reference
    verified: Flag
    """True only if somebody compared it with the official text; every answer that used an unverified entry says so."""
    checked_on: date | None = None

    @model_validator(mode="after")
    def _honest(self) -> Self:
        if self.verified and not self.reference.article:
            raise ValueError("verified: true needs the article that was compared; add reference.article")
        return self


class Period(Spec):
    """A length of time in exactly one unit."""

    months: int | None = Field(default=None, ge=0, le=1200)
    years: int | None = Field(default=None, ge=0, le=100)
    working_days: int | None = Field(default=None, ge=0, le=1000)

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        if sum(item is not None for item in (self.months, self.years, self.working_days)) != 1:
            raise ValueError("give exactly one unit, for example {months: 3}; units are months, years, working_days")
        return self

    @property
    def total_months(self) -> int | None:
        """Return the length in months, or None for working days."""
        return self.months if self.months is not None else None if self.years is None else 12 * self.years


class Value(Legal):
    """One number or date of the law; rules name it and never repeat it."""

    period: Period | None = None
    amount: str | None = None
    count: int | None = None
    day: date | None = None
    unknown: Flag = False
    """The law has a limit here that the author does not know; comparisons with it fail and the answer says so."""

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        given = [self.period is not None, self.amount is not None, self.count is not None, self.day is not None]
        if sum(given) + self.unknown != 1:
            raise ValueError(
                "give exactly one of period: {months: 3}, amount: 10 万元, count: 2, day: 2026-04-01, unknown: true"
            )
        if self.amount is not None:
            fen(self.amount)
        if self.unknown and self.verified:
            raise ValueError("an unknown value cannot be verified; write verified: false")
        return self

    @property
    def limit(self) -> int | date | None:
        """Return what a fact is compared with: fen, count or date; None if unknown."""
        return fen(self.amount) if self.amount is not None else self.count if self.count is not None else self.day


class FactSpec(Spec):
    """One fact that the rules may read, and the column of the records' table that gives it."""

    type: FactType
    title_zh: str
    title_en: str = ""
    column: Name | None = None
    """Empty: the fact does not come from the table; it is given with the question or stays unknown."""
    required: Flag = False
    """Without it nothing can be said: the answer is needs_human."""
    vocabulary: dict[str, str] | None = None

    @model_validator(mode="after")
    def _vocabulary(self) -> Self:
        if (self.type in {"code", "codes"}) != (self.vocabulary is not None):
            raise ValueError("a fact of type code or codes has a vocabulary, any other has none")
        return self


class Records(Spec):
    """The table that holds the adverse records, and which columns name the subject and the record."""

    table: Name
    subject: Name
    record_id: Name


class ClockStart(Legal):
    """From which date of the record publicity periods run."""

    fact: Name
    basis: Literal["decision", "publication", "document"]


class Settled(Legal):
    """A ground on which there is nothing to repair."""

    id: Name
    when: When
    decision: Literal["repaired", "not_published"]


class PublicityClass(Legal):
    """A class of adverse records with its publicity periods; the first class whose condition holds is taken."""

    id: Name
    when: When
    min: Name | None = None
    """Value: time that must pass before repair; empty: publicity cannot be ended early."""
    max: Name
    """Value: time after which publicity ends by itself, if `ending` says so."""
    max_extends_to: Name | None = None
    """Date fact: publicity lasts at least until then (a restriction that runs longer than the maximum)."""


class Bar(Legal):
    """A ground against repair, or one on which only a person can decide."""

    id: Name
    when: When
    decision: Literal["not_repairable", "needs_human"]


class Requirement(Legal):
    """A condition of repair: met on a date, or met by a fact, and the papers that prove it."""

    id: Name
    when: When | None = None
    """Applies only if this holds."""
    classes: tuple[Name, ...] = ()
    """Applies to records of these classes only; empty: to all."""
    met_on: tuple[Name, ...] = ()
    """Date facts; the earliest that is given is the day on which the requirement was met."""
    met_when: When | None = None
    papers: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.met_on) == (self.met_when is not None):
            raise ValueError("give either met_on: [DATE FACTS] or met_when: {..}")
        return self


class Ending(Legal):
    """Whether publicity ends by itself at the maximum; where the condition fails a person decides."""

    when: When | None = None


class Paper(Spec):
    """A paper to hand in."""

    title_zh: str
    title_en: str


class Clock(Legal):
    """A time limit of the authority in working days, counted from the day after a fact."""

    id: Name
    start: Name
    """Date fact that starts it."""
    starts_at_as_of: Flag = False
    """If that fact is not given the clock is shown as if it started on the as_of day."""
    length: Name
    """Value, a period of working days."""
    until: tuple[Name, ...] = ()
    """Date facts of which the earliest ends it, once it is known; without any nobody can tell whether the limit was kept."""


class Channel(Legal):
    """Where to apply; the first whose condition holds is taken."""

    id: Name
    when: When | None = None
    url: str | None = None


class Transition(Legal):
    """Which periods govern a record that was decided under an earlier pack.

    The pack in force on as_of governs conditions, bars, papers, channel and clocks.
    `more_favourable`: the period is that pack's or the one of the pack in force on the day of `fact`, whichever ends sooner at
    both ends; if neither does a person decides.
    """

    fact: Name
    period: Literal["governing", "more_favourable"]


class Override(Legal):
    """A class set by law (直接判定): whoever has a known record of `records` that meets the condition is classed no better, or no worse.

    Every fact of the condition comes from a column of that table. Classes run from A, the lowest risk, to D: `at_least: D` sets D.
    """

    id: Name
    records: Records
    when: When
    at_least: Letter | None = None
    at_most: Letter | None = None

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError(
                "give either at_least: CLASS (a riskier class stays) or at_most: CLASS (a less risky one stays)"
            )
        return self


class Measure(Legal):
    """A consequence of a record for the enterprise (联合奖惩措施), for as long as a known record of `records` meets the condition.

    Every fact it reads comes from a column of that table.
    """

    id: Name
    records: Records
    when: When
    effect: Literal["reward", "sanction", "supervision"]
    since: Name
    """Date fact: the day from which it applies."""
    term: Name | None = None
    """Value: it ends so long after `since`; empty: no end by itself."""
    ends_on: Name | None = None
    """Date fact: it ends then, if that comes sooner."""
    ends_on_repair: Flag
    """Whether a repair of the record ends it."""


_LISTS = ("settled", "classes", "bars", "requirements", "clocks", "channels", "overrides", "measures")


class RulePackSpec(FileSpec):
    """One pack. With `extends: true` it only changes entries of the wider jurisdiction's pack, by name.

    A pack either decides about records (classes, bars, requirements …) or holds `overrides` of risk classes and `measures`.
    """

    pack: str
    """Jurisdiction/topic/effective date, the place of the file without .yaml."""
    jurisdiction: Jurisdiction
    topic: Name
    title_zh: str
    title_en: str
    effective_from: date
    effective_to: date | None = None
    """Exclusive; empty while in force."""
    repeals: tuple[str, ...] = ()
    """Open-ended packs of the same jurisdiction and topic that end when this one begins."""
    extends: Flag = False
    note_zh: str = ""
    note_en: str = ""
    instruments: dict[Name, Instrument] = Field(default_factory=dict)
    sources: dict[Name, Source] = Field(default_factory=dict)
    records: Records | None = None
    facts: dict[Name, FactSpec] = Field(default_factory=dict)
    values: dict[Name, Value] = Field(default_factory=dict)
    clock_start: ClockStart | None = None
    settled: tuple[Settled, ...] = ()
    classes: tuple[PublicityClass, ...] = ()
    bars: tuple[Bar, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    papers: dict[Name, Paper] = Field(default_factory=dict)
    apply_with: tuple[Name, ...] = ()
    """Papers that every application needs."""
    ending: Ending | None = None
    clocks: tuple[Clock, ...] = ()
    channels: tuple[Channel, ...] = ()
    transition: Transition | None = None
    overrides: tuple[Override, ...] = ()
    measures: tuple[Measure, ...] = ()

    @model_validator(mode="after")
    def _dates(self) -> Self:
        expected = f"{self.jurisdiction}/{self.topic}/{self.effective_from.isoformat()}"
        if self.pack != expected:
            raise ValueError(f"pack, jurisdiction, topic and effective_from disagree; by the others pack is {expected}")
        if self.effective_to is not None and self.effective_to <= self.effective_from:
            raise ValueError("effective_to is exclusive and must lie after effective_from")
        return self

    @model_validator(mode="after")
    def _references(self) -> Self:
        from credit_tier.specs.rulepack_check import faults

        if self.extends:
            return self
        found = [
            InitErrorDetails(type=PydanticCustomError("rule", "{text}", {"text": text}), loc=place, input=None)
            for place, text in faults(self)
        ]
        if found:
            raise ValidationError.from_exception_data(type(self).__name__, found)
        return self

    def entries(self) -> list[tuple[tuple[str | int, ...], str, Legal]]:
        """Return every entry that carries a reference: its place, its code such as ``classes.general``, itself."""
        found: list[tuple[tuple[str | int, ...], str, Legal]] = [
            (("values", name), f"values.{name}", value) for name, value in self.values.items()
        ]
        for section in _LISTS:
            found.extend(
                ((section, index), f"{section}.{item.id}", item) for index, item in enumerate(getattr(self, section))
            )
        for section in ("clock_start", "ending", "transition"):
            item = getattr(self, section)
            if item is not None:
                found.append(((section,), section, item))
        return found

    def conditions(self) -> list[tuple[tuple[str | int, ...], When]]:
        """Return every condition of the pack with its place."""
        found: list[tuple[tuple[str | int, ...], When]] = []
        for place, _, item in self.entries():
            for role in ("when", "met_when"):
                condition = getattr(item, role, None)
                if condition is not None:
                    found.append(((*place, role), condition))
        return found
