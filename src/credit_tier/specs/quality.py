"""Checks that a table contract states beyond single values: order of dates, one open state, settled facts, references.

They ask the lake, not the delivery: a row that fails stays in the lake and is reported. The engine is `data.quality`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from credit_tier.content import Spec
from credit_tier.errors import Fault

if TYPE_CHECKING:
    from credit_tier.specs.dataset import DatasetSpec


class Severity(StrEnum):
    """What a broken check means. `fail`: the table cannot be right as it stands. `warn`: somebody should look."""

    WARN = "warn"
    FAIL = "fail"


class Outcome(StrEnum):
    """What became of a check; `untested`: there was nothing to look at, which is neither good nor bad."""

    PASSED = "pass"
    WARNED = "warn"
    FAILED = "fail"
    UNTESTED = "untested"


REGISTER = "register."
"""Prefix of a column of the entity table, looked up by subject."""

_TEXTS = {"text", "code", "uscc"}
_ID = re.compile(r"^[a-z][a-z0-9_]*$")


class UniqueActive(Spec):
    """At most one record per subject, and per value of the columns `by`, is open at a time."""

    by: tuple[str, ...] = ()
    open: str
    """Date column that ends the state; empty while it lasts."""


class Reference(Spec):
    """The column holds the record id of a record of another table."""

    column: str
    table: str
    when: dict[str, str] = Field(default_factory=dict)
    """Asked only of records that hold these values in these text columns, for a column that refers to several tables."""


class QualityCheck(Spec):
    """One claim about the visible versions of a table; exactly one kind of claim is given."""

    id: str
    title_zh: str
    title_en: str = ""
    severity: Severity = Severity.WARN
    not_before: tuple[str, ...] | None = Field(default=None, min_length=2, max_length=2)
    """Two date columns: the first is not before the second where both are given; either may be `register.COLUMN`."""
    unique_active: UniqueActive | None = None
    constant: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Columns whose value, once given, is the same in all versions of a record."""
    refers_to: Reference | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if not _ID.match(self.id):
            raise ValueError("the id of a check has lower-case letters, digits and _, and begins with a letter")
        given = [name for name in KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(KINDS)}")
        return self

    @property
    def kind(self) -> str:
        """Return the name of the kind of claim."""
        return next(name for name in KINDS if getattr(self, name) is not None)

    def dates(self) -> tuple[str, ...]:
        """Return the date columns that the check compares, of the table and with the prefix of the register."""
        return (*(self.not_before or ()), *((self.unique_active.open,) if self.unique_active else ()))

    def others(self) -> tuple[str, ...]:
        """Return the columns of the table that the check reads, whatever their type."""
        return (
            *(self.unique_active.by if self.unique_active else ()),
            *(self.constant or ()),
            *((self.refers_to.column, *self.refers_to.when) if self.refers_to else ()),
        )


KINDS = ("not_before", "unique_active", "constant", "refers_to")

OWN_IDS = frozenset({"contract", "freshness", "known_not_before_event", "one_subject", "subject_in_register"})
"""Rules that every table has; no declared check takes their names."""


def require_consistent(checks: tuple[QualityCheck, ...], types: Mapping[str, str], *, key: str | None) -> None:
    """Refuse checks that do not fit the columns of their own table.

    Parameters
    ----------
    types : column name to type.
    key : the key column, which no check may read: the lake holds the subject's number in its place; None if there is none.

    Raises
    ------
    ValueError with words for the author.
    """
    seen = set(OWN_IDS)
    for check in checks:
        if check.id in seen:
            raise ValueError(f"the check id '{check.id}' is taken")
        seen.add(check.id)
        for name in (*check.dates(), *check.others()):
            if name.startswith(REGISTER) and check.not_before is not None:
                if key is None:
                    raise ValueError(f"check {check.id} reads the register, but the table is about no subject")
                continue
            if name not in types:
                raise ValueError(f"check {check.id} names '{name}', which is no column")
            if name == key:
                raise ValueError(f"check {check.id} reads the key; that a record keeps its subject is always checked")
        for name in check.dates():
            if not name.startswith(REGISTER) and types[name] != "date":
                raise ValueError(f"check {check.id}: '{name}' is not a date column")
        if check.refers_to is not None and any(types[name] not in _TEXTS for name in check.others()):
            raise ValueError(f"check {check.id}: columns of refers_to are texts")


def reference_faults(tables: Mapping[str, DatasetSpec]) -> Iterator[Fault]:
    """Yield what is wrong with checks that look into another table: CT-CONTENT-027.

    Parameters
    ----------
    tables : contracts by table name, one of them of kind entity.
    """
    register = next((spec for spec in tables.values() if spec.kind == "entity"), None)
    for name, spec in sorted(tables.items()):
        for check in spec.checks:
            where = f"data_schemas/{name}.yaml {check.id}"
            for column in (part.removeprefix(REGISTER) for part in check.dates() if part.startswith(REGISTER)):
                found = register.columns.get(column) if register is not None else None
                if found is None or found.type != "date":
                    yield Fault(
                        "CT-CONTENT-027", where, f"the register has no date column '{column}'.", "Correct not_before."
                    )
            if check.refers_to is None:
                continue
            for column, value in check.refers_to.when.items():
                words = spec.columns[column].vocabulary
                if words is not None and value not in words:
                    yield Fault(
                        "CT-CONTENT-027", where, f"'{value}' is no value of {column}.", f"Known: {', '.join(words)}."
                    )
            target = tables.get(check.refers_to.table)
            if target is None:
                yield Fault(
                    "CT-CONTENT-027",
                    where,
                    f"there is no table '{check.refers_to.table}'.",
                    f"Tables are: {', '.join(sorted(tables))}.",
                )
            elif target.record_id.column is None:
                yield Fault(
                    "CT-CONTENT-027",
                    where,
                    f"the records of '{target.table}' have no id of one column that could be referred to.",
                    "Refer to a table whose record_id is one column.",
                )
