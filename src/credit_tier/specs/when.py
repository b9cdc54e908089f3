"""The closed vocabulary of rule conditions: tests on declared facts, joined by all, any and not. No code is ever evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from pydantic import Field, model_validator

from credit_tier.content import Flag, Spec

_TESTS = ("equals", "one_of", "includes", "only", "at_least", "at_most", "is_true", "is_missing", "has_happened")
_JOINS = ("all", "any", "not_")

OPERATORS: dict[str, tuple[str, ...]] = {
    "equals": ("code", "integer"),
    "one_of": ("code",),
    "includes": ("codes",),
    "only": ("codes",),
    "at_least": ("money", "integer", "date"),
    "at_most": ("money", "integer", "date"),
    "is_true": ("boolean",),
    "is_missing": ("code", "codes", "money", "integer", "date", "boolean"),
    "has_happened": ("date",),
}
"""Operator -> types of fact it can be asked of."""


class When(Spec):
    """One test on one fact, or several joined.

    A fact that is not given fails every test except ``is_missing: true``; inside ``not`` the failed test therefore holds.
    Limits are never written here: `at_least` and `at_most` name an entry of the pack's `values`, which carries its reference.
    """

    fact: str | None = None
    equals: str | None = None
    one_of: tuple[str, ...] | None = None
    includes: tuple[str, ...] | None = None
    """The list fact holds at least one of these codes."""
    only: tuple[str, ...] | None = None
    """The list fact holds at least one code, and none but these."""
    at_least: str | None = None
    at_most: str | None = None
    is_true: Flag | None = None
    is_missing: Flag | None = None
    has_happened: Flag | None = None
    """The date is given and not later than as_of."""
    all: tuple[When, ...] | None = Field(default=None, min_length=1)
    any: tuple[When, ...] | None = Field(default=None, min_length=1)
    not_: When | None = Field(default=None, alias="not")

    @model_validator(mode="after")
    def _one_operator(self) -> Self:
        given = [name for name in (*_TESTS, *_JOINS) if getattr(self, name) is not None]
        words = ", ".join(_TESTS)
        if len(given) != 1:
            raise ValueError(f"give exactly one of {words}, all, any, not; to join tests write all: [..] or any: [..]")
        if (given[0] in _TESTS) != (self.fact is not None):
            raise ValueError(f"a test names a fact ({words}); all, any and not name none")
        return self

    @property
    def operator(self) -> str:
        """Return the name of the one operator that is given."""
        return next(name for name in (*_TESTS, *_JOINS) if getattr(self, name) is not None)

    def children(self) -> Iterator[tuple[tuple[str | int, ...], When]]:
        """Yield the joined conditions with their place below this one."""
        for name in ("all", "any"):
            for index, item in enumerate(getattr(self, name) or ()):
                yield (name, index), item
        if self.not_ is not None:
            yield ("not",), self.not_

    def walk(self, place: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], When]]:
        """Yield this condition and all below it that test a fact, with their places."""
        if self.fact is not None:
            yield place, self
        for below, item in self.children():
            yield from item.walk((*place, *below))

    def limits(self) -> tuple[str, ...]:
        """Return the names of all values that the condition compares with, in order of writing."""
        return tuple(name for _, test in self.walk() for name in (test.at_least, test.at_most) if name is not None)

    def codes(self) -> tuple[str, ...]:
        """Return the codes that this one test compares with."""
        single = (self.equals,) if self.equals is not None else ()
        return (*single, *(self.one_of or ()), *(self.includes or ()), *(self.only or ()))
