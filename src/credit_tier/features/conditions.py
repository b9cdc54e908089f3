"""Conditions of the content bound to a table: from declared text to Narwhals expressions, by declared type."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from credit_tier.errors import FeatureError
from credit_tier.features.values import column_of
from credit_tier.specs.condition import Condition, literal
from credit_tier.specs.dataset import JOINT, DatasetSpec
from credit_tier.temporal import FOREVER

if TYPE_CHECKING:
    import narwhals as nw

AS_OF = "as_of_day"


def bind(conditions: Iterable[Condition], spec: DatasetSpec, *, knows_as_of: bool) -> nw.Expr:
    """Return one boolean expression that holds where all conditions hold; an empty column meets only `is_null`.

    Parameters
    ----------
    conditions : conditions on columns of the table.
    spec : the table's contract; literals are read by its column types (money in 元, dates in ISO form).
    knows_as_of : whether the frame has the column `as_of_day`, so that a date may be compared with `as_of`.

    Raises
    ------
    FeatureError : CT-FEAT-001 unknown column, CT-FEAT-002 a literal that the column's type cannot hold.
    """
    import narwhals as nw

    result = nw.col("known_day") <= FOREVER  # always true: a bare literal is no row-wise test
    for place, condition in enumerate(conditions):
        column_of(condition.column, spec)
        test = _test(condition, spec, knows_as_of=knows_as_of)
        result = test if place == 0 else result & test
    return result


@dataclass(frozen=True)
class Bounds:
    """The as_of days at which a record meets the conditions that compare with as_of: ``lower < as_of <= upper``."""

    lower: nw.Expr
    upper: nw.Expr


def split(conditions: Iterable[Condition], spec: DatasetSpec) -> tuple[tuple[Condition, ...], Bounds | None]:
    """Return the conditions that do not depend on the as_of, and the bounds that stand for those that do, if there are any.

    Raises
    ------
    FeatureError : as :func:`bind`.
    """
    import narwhals as nw

    fixed: list[Condition] = []
    lower, upper = [nw.lit(-FOREVER)], [nw.lit(FOREVER)]
    for condition in conditions:
        column_of(condition.column, spec)
        if not _compares_with_as_of(condition, spec):
            fixed.append(condition)
            continue
        day = nw.col(condition.column)
        if condition.at_least is None:  # the date is the as_of or before it
            lower.append(day.fill_null(FOREVER) - 1)
        if condition.at_most is None:  # the date is the as_of or after it
            upper.append(day.fill_null(-FOREVER))
    if len(lower) == len(upper) == 1:
        return tuple(fixed), None
    whole = Bounds(nw.max_horizontal(*lower).cast(nw.Int32), nw.min_horizontal(*upper).cast(nw.Int32))
    return tuple(fixed), whole


def _compares_with_as_of(condition: Condition, spec: DatasetSpec) -> bool:
    single = (condition.equals, condition.at_least, condition.at_most)
    return "as_of" in single and spec.columns[condition.column].type == "date"


def _test(condition: Condition, spec: DatasetSpec, *, knows_as_of: bool) -> nw.Expr:
    import narwhals as nw

    column = nw.col(condition.column)

    def value(text: str) -> nw.Expr:
        if text == "as_of" and spec.columns[condition.column].type == "date":
            if not knows_as_of:
                raise FeatureError.of(
                    "CT-FEAT-003",
                    where=f"{spec.table}.{condition.column}",
                    what="the events of a cohort cannot be compared with as_of: they are what sets it.",
                    advice="Compare with a date, or leave the condition out.",
                )
            return nw.col(AS_OF)
        return nw.lit(literal_of(text, condition.column, spec))

    def among(texts: Iterable[str]) -> nw.Expr:
        literals = [literal_of(text, condition.column, spec) for text in texts]
        if spec.columns[condition.column].type != "codes":
            return column.is_in(literals)
        cell = nw.concat_str(nw.lit(JOINT), column, nw.lit(JOINT))
        holds = [cell.str.contains(f"{JOINT}{code}{JOINT}", literal=True) for code in literals]
        return nw.any_horizontal(*holds, ignore_nulls=False)

    if condition.is_null is not None:
        return column.is_null() if condition.is_null else ~column.is_null()
    if condition.equals is not None:
        found = column == value(condition.equals)
    elif condition.one_of is not None:
        found = among(condition.one_of)
    elif condition.not_one_of is not None:
        found = ~among(condition.not_one_of)
    elif condition.at_least is not None:
        found = column >= value(condition.at_least)
    else:
        found = column <= value(condition.at_most or "")
    return found.fill_null(value=False)


def literal_of(text: str, column: str, spec: DatasetSpec) -> bool | int | float | str:
    """Return a literal of a condition as the lake holds it.

    Raises
    ------
    FeatureError (CT-FEAT-002) if the column's type cannot hold it.
    """
    try:
        return literal(text, spec.columns[column])
    except ValueError as error:
        raise FeatureError.of(
            "CT-FEAT-002", where=f"{spec.table}.{column}", what=str(error), advice="Correct the condition."
        ) from error
