"""The closed vocabulary of row conditions shared by features, cohorts and labels. No code is ever evaluated."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from credit_tier.content import Flag, Spec


class Condition(Spec):
    """One test on one column of a record; exactly one operator is given.

    Values are written as text and read by the column's declared type; a date may be ``as_of`` (the question's own day).
    A record whose column is empty meets only ``is_null: true``.
    """

    column: str
    equals: str | None = None
    one_of: tuple[str, ...] | None = None
    not_one_of: tuple[str, ...] | None = None
    at_least: str | None = None
    at_most: str | None = None
    is_null: Flag | None = None

    @model_validator(mode="after")
    def _one_operator(self) -> Self:
        given = [
            name
            for name in ("equals", "one_of", "not_one_of", "at_least", "at_most", "is_null")
            if getattr(self, name) is not None
        ]
        if len(given) != 1:
            raise ValueError("give exactly one of equals, one_of, not_one_of, at_least, at_most, is_null")
        return self
