"""The closed vocabulary of row conditions shared by features, cohorts and labels. No code is ever evaluated."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from credit_tier.content import Flag, Spec
from credit_tier.errors import UsageError
from credit_tier.specs.dataset import Column
from credit_tier.temporal import day_number, parse_date


class Condition(Spec):
    """One test on one column of a record; exactly one operator is given.

    Values are written as text and read by the column's declared type; a date may be ``as_of`` (the question's own day).
    A record whose column is empty meets only ``is_null: true``.
    A cell of several codes meets ``one_of`` if it holds any of them, ``not_one_of`` if it holds none, ``equals`` if it is that one alone.
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

    def values(self) -> tuple[str, ...]:
        """Return the literals of the condition, as written."""
        single = [text for text in (self.equals, self.at_least, self.at_most) if text is not None]
        return (*single, *(self.one_of or ()), *(self.not_one_of or ()))


def literal(text: str, column: Column) -> bool | int | float | str:
    """Return a declared literal in the form in which the lake holds the column (money: written in 元, held in fen).

    Raises
    ------
    ValueError, with words for the author, if the type cannot hold it or the vocabulary does not have it.

    >>> literal("12.5", Column(type="money", unit="元", title_zh="罚款"))
    1250
    """
    try:
        if column.type == "boolean":
            return {"true": True, "false": False}[text]
        if column.type == "integer":
            return int(text)
        if column.type == "money":
            yuan, _, fen = text.partition(".")
            return int(yuan) * 100 + int(fen.ljust(2, "0")[:2] or 0)
        if column.type == "number":
            return float(text)
        if column.type == "date":
            return day_number(parse_date(text))
        if column.vocabulary is not None and text not in column.vocabulary:
            raise KeyError(text)
    except (KeyError, ValueError, UsageError) as error:
        known = f" Known values: {', '.join(column.vocabulary)}." if column.vocabulary else ""
        raise ValueError(f"'{text}' is no value of a {column.type} column.{known}") from error
    return text
