"""Conditions of the content bound to a table: from declared text to Narwhals expressions, by declared type."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from credit_tier.errors import FeatureError
from credit_tier.specs.condition import Condition, literal
from credit_tier.specs.dataset import DatasetSpec

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

    result = nw.col("enterprise_no") >= 0  # always true: a bare literal is no row-wise test
    for condition in conditions:
        if condition.column not in spec.columns or condition.column == spec.key:
            raise FeatureError.of(
                "CT-FEAT-001",
                where=f"{spec.table}.{condition.column}",
                what="a condition names a column that the table does not have.",
                advice=f"Columns are: {', '.join(name for name in spec.columns if name != spec.key)}.",
            )
        result = result & _test(condition, spec, knows_as_of=knows_as_of)
    return result


def _test(condition: Condition, spec: DatasetSpec, *, knows_as_of: bool) -> nw.Expr:
    import narwhals as nw

    column = nw.col(condition.column)

    def value(text: str) -> nw.Expr:
        if text == "as_of" and spec.columns[condition.column].type == "date":
            if not knows_as_of:
                raise FeatureError.of(
                    "CT-FEAT-003",
                    where=f"{spec.table}.{condition.column}",
                    what="a context feature cannot compare with as_of.",
                    advice="Use a window, or a feature of the subject itself.",
                )
            return nw.col(AS_OF)
        return nw.lit(_literal(text, condition.column, spec))

    if condition.is_null is not None:
        return column.is_null() if condition.is_null else ~column.is_null()
    if condition.equals is not None:
        found = column == value(condition.equals)
    elif condition.one_of is not None:
        found = column.is_in([_literal(text, condition.column, spec) for text in condition.one_of])
    elif condition.not_one_of is not None:
        found = ~column.is_in([_literal(text, condition.column, spec) for text in condition.not_one_of])
    elif condition.at_least is not None:
        found = column >= value(condition.at_least)
    else:
        found = column <= value(condition.at_most or "")
    return found.fill_null(value=False)


def _literal(text: str, column: str, spec: DatasetSpec) -> bool | int | float | str:
    try:
        return literal(text, spec.columns[column])
    except ValueError as error:
        raise FeatureError.of(
            "CT-FEAT-002", where=f"{spec.table}.{column}", what=str(error), advice="Correct the condition."
        ) from error
