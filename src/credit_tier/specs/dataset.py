"""Data contract of one source table: `data_schemas/<table>.yaml`."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from datetime import date
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from credit_tier.content import FileSpec, Flag, Spec
from credit_tier.specs.quality import QualityCheck, require_consistent

ColumnType = Literal["uscc", "text", "code", "codes", "integer", "number", "money", "boolean", "date"]
"""`code` is a text out of a vocabulary, `codes` a set of them, kept as text joined by `;` in the vocabulary's order;
`money` is kept as integer fen; `date` becomes a day number in the lake."""

NAME = re.compile(r"^[a-z][a-z0-9_]*$")
RESERVED = {"enterprise_no", "record_id", "event_day", "known_day", "superseded_day", "as_of", "as_of_day"}


JOINT = ";"
"""Sign between the values of a `codes` column in the lake."""


def folded(text: str) -> str:
    """Return a header or a spelling without what does not distinguish it: full width, white space, case.

    >>> folded(" 处罚（A） ")
    '处罚(a)'
    """
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text)).strip("\ufeff\u200b").lower()


class Column(Spec):
    """One column: type, meaning, unit, limits and the headers under which departments send it."""

    type: ColumnType
    title_zh: str
    title_en: str = ""
    nullable: Flag = False
    unit: str | None = None
    """For `money` the unit of the source when a file does not say it: 元 or 万元."""
    vocabulary: dict[str, str] | None = None
    """For `code` and `codes`: allowed value to Chinese meaning, which is read as well; without it any text of up to 60 characters is taken."""
    vocabulary_verified: Flag = True
    """False while nobody has compared the vocabulary with the official text."""
    vocabulary_source: str = ""
    """Text from which the vocabulary was taken."""
    minimum: int | None = None
    maximum: int | None = None
    pattern: str | None = None
    sensitivity: Literal["public", "internal", "personal"] = "internal"
    aliases: tuple[str, ...] = ()
    values: dict[str, str] = Field(default_factory=dict)
    """Other spellings of the vocabulary that departments send: spelling to allowed value, for `codes` also to several joined by `;`."""
    separators: str = ";,、/|+"
    """For `codes`: signs that separate the values of a cell; full-width forms of them count too."""
    constant: str | None = None
    """What every row holds where a file has no such column, for a date or a code that the file as a whole stands for."""
    empty_values: tuple[str, ...] = ()
    """What departments write for "not given", such as 无 or /; in a date column also a day, such as 2099-12-31 for "no end"."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.vocabulary is not None and self.type not in {"code", "codes"}:
            raise ValueError("only a code or codes column has a vocabulary")
        if self.type == "codes" and (self.vocabulary is None or not self.separators):
            raise ValueError("a codes column needs a vocabulary and separators")
        if self.empty_values and not self.nullable:
            raise ValueError("empty_values stand in a nullable column only")
        self._require_sound_spellings()
        self._require_sound_constant()
        if self.vocabulary is None and (self.vocabulary_source or not self.vocabulary_verified):
            raise ValueError("vocabulary_verified and vocabulary_source stand beside a vocabulary")
        if self.type == "money" and self.unit not in {"元", "万元"}:
            raise ValueError("a money column needs unit: 元 or unit: 万元")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError("the pattern is not a regular expression") from error
        return self

    def _require_sound_constant(self) -> None:
        if self.constant is None:
            return
        if self.type == "date":
            if date.fromisoformat(self.constant).isoformat() != self.constant:
                raise ValueError("write the constant as YYYY-MM-DD")
        elif self.type != "code":
            raise ValueError("only a date or code column has a constant")
        elif self.vocabulary is not None and self.constant not in self.vocabulary:
            raise ValueError("the constant is not in the vocabulary")

    def _require_sound_spellings(self) -> None:
        words = self.vocabulary or {}
        for spelling, meant in self.values.items():
            targets = meant.split(JOINT) if self.type == "codes" else [meant]
            if any(target not in words for target in targets):
                raise ValueError(f"values: '{spelling}' stands for '{meant}', which is not in the vocabulary")
            if spelling in words:
                raise ValueError(f"values: '{spelling}' is a value of the vocabulary itself")
        twice = [spelling for spelling, count in Counter(map(folded, self.values)).items() if count > 1]
        if twice:
            raise ValueError(f"values: {', '.join(twice)} stand twice; width, spaces and case do not count")
        if self.type == "codes" and any(JOINT in word for word in words):
            raise ValueError(f"a value of a codes column cannot hold '{JOINT}'")

    def spellings(self) -> dict[str, str]:
        """Return folded spelling to allowed value: the values themselves, `values`, then Chinese meanings that are unique.

        >>> Column(type="code", title_zh="程序", vocabulary={"simple": "简易程序"}, values={"简易": "simple"}).spellings()
        {'simple': 'simple', '简易': 'simple', '简易程序': 'simple'}
        """
        words = self.vocabulary or {}
        own, meanings = Counter(map(folded, words)), Counter(map(folded, words.values()))
        result = {folded(word): word for word in words if own[folded(word)] == 1}
        for spelling, word in self.values.items():
            result.setdefault(folded(spelling), word)
        for word, meaning in words.items():
            if meanings[folded(meaning)] == 1 and folded(meaning) not in own:
                result.setdefault(folded(meaning), word)
        return result


class RecordId(Spec):
    """Identity of a record across its versions: one column, or the digest of several."""

    column: str | None = None
    of: tuple[str, ...] = ()
    repeats: Flag = False
    """Rows of one delivery that agree in all of `of` are records of their own, told apart by their order, for sources without numbers
    of records: two invoices of one amount, day and buyer. Otherwise such rows are copies of one record, or contradict each other."""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.column is None) == (not self.of):
            raise ValueError("give either column: NAME or of: [NAMES]")
        if self.repeats and not self.of:
            raise ValueError("repeats goes with of: [NAMES]; a column that names the record names it once")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that tell one record from another."""
        return self.of if self.column is None else (self.column,)


class KnownAt(Spec):
    """When this authority could first use a record; stated, never derived silently."""

    column: str | None = None
    """Date column that says it."""
    delay_days: int = Field(default=0, ge=0)
    """Days added to the column, for registers that publish with a known delay."""
    fixed: date | None = None
    """One date for the whole table, for undated facts that never change."""
    reason: str = ""
    """Why this is right; compulsory unless the column itself is the day of receipt."""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.column is None) == (self.fixed is None):
            raise ValueError("give either column: NAME or fixed: DATE")
        if self.fixed is not None and not self.reason:
            raise ValueError("a fixed known_at needs a reason")
        return self


class DatasetSpec(FileSpec):
    """One source table."""

    table: str
    title_zh: str
    title_en: str = ""
    kind: Literal["entity", "event", "snapshot", "reference"]
    """`entity` is the register: one record per subject. `event` happens on a day. `snapshot` is a state on a day.
    `reference` is about no subject: inspectors, items, working days."""
    key: str | None = None
    """Column that names the subject; none in a reference table."""
    record_id: RecordId
    event_on: str | None = None
    """Date column of the business event; compulsory for events and snapshots."""
    known_at: KnownAt
    columns: dict[str, Column]
    source: str
    legal_basis: str
    cadence: str = ""
    cadence_days: int | None = Field(default=None, ge=1)
    """Longest time between the newest record and today that the promised cadence allows, holidays included."""
    checks: tuple[QualityCheck, ...] = ()
    files: tuple[str, ...] = ()
    """Names, up to a `-` or the ending, of the files that deliver the table; none: its own. A file may deliver several tables."""

    @field_validator("table")
    @classmethod
    def _table(cls, table: str) -> str:
        if not NAME.match(table):
            raise ValueError("a table name has lower-case letters, digits and _, and begins with a letter")
        return table

    @field_validator("columns")
    @classmethod
    def _names(cls, columns: dict[str, Column]) -> dict[str, Column]:
        for name in columns:
            if not NAME.match(name) or name in RESERVED:
                raise ValueError(
                    f"'{name}' cannot be a column name: use lower-case letters, digits and _, and none of {', '.join(sorted(RESERVED))}"
                )
        seen: dict[str, str] = {}
        for name, column in columns.items():
            for header in (name, *column.aliases):
                if header in seen and seen[header] != name:
                    raise ValueError(f"the header '{header}' stands for both {seen[header]} and {name}")
                seen[header] = name
        return columns

    @model_validator(mode="after")
    def _references(self) -> Self:
        if (self.kind == "reference") != (self.key is None):
            raise ValueError(
                "every table has a key, the column that names its subject, but a reference table, which has none"
            )
        for role, name in (
            ("key", self.key),
            ("event_on", self.event_on),
            ("known_at", self.known_at.column),
            ("record_id", self.record_id.column),
        ):
            if name is not None and name not in self.columns:
                raise ValueError(f"{role} names '{name}', which is no column of {self.table}")
        for name in self.record_id.of:
            if name not in self.columns:
                raise ValueError(f"record_id names '{name}', which is no column of {self.table}")
        if any(self.columns[name].type == "number" for name in self.record_id.columns):
            raise ValueError(
                "record_id cannot rest on a number column: two ways of writing a number would be two records"
            )
        if self.record_id.column is not None and self.columns[self.record_id.column].nullable:
            raise ValueError("the record_id column cannot be empty")
        if self.kind in {"event", "snapshot"} and self.event_on is None:
            raise ValueError("an event or snapshot table needs event_on")
        for role, name in (("event_on", self.event_on), ("known_at", self.known_at.column)):
            if name is not None and (self.columns[name].type != "date" or self.columns[name].nullable):
                raise ValueError(f"{role} must be a date column that is never empty")
        if self.key is not None and self.columns[self.key].nullable:
            raise ValueError("the key column cannot be empty")
        if self.key is not None and self.columns[self.key].type not in {"uscc", "text", "integer"}:
            raise ValueError("the key column is of type uscc, text or integer")
        require_consistent(self.checks, {name: column.type for name, column in self.columns.items()}, key=self.key)
        return self
