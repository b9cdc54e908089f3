"""Columns as numbers: whole ones, so that sums are exact on every engine and in every order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from credit_tier.errors import FeatureError
from credit_tier.features.visible import NUMBER_SCALE
from credit_tier.specs.dataset import Column, DatasetSpec
from credit_tier.specs.feature import FeatureSpec

if TYPE_CHECKING:
    import narwhals as nw

    from credit_tier.data.lake import Lake


def numeric(column: str, spec: DatasetSpec) -> nw.Expr:
    """Return a column as a whole number whose sums are exact; see :func:`scale_of` for its unit.

    Codes with a vocabulary become their position in it (declared order), dates their day number.

    Raises
    ------
    FeatureError : CT-FEAT-001 unknown column, CT-FEAT-004 a column that has no numbers.
    """
    import narwhals as nw

    declared = column_of(column, spec)
    if declared.type == "code" and declared.vocabulary is not None:
        places = {value: place for place, value in enumerate(declared.vocabulary)}
        return nw.col(column).replace_strict(places, default=None, return_dtype=nw.Int64)
    if declared.type == "number":
        return (nw.col(column) * NUMBER_SCALE).round(0).cast(nw.Int64)
    if declared.type in {"integer", "money", "boolean", "date"}:
        return nw.col(column).cast(nw.Int64)
    raise FeatureError.of(
        "CT-FEAT-004",
        where=f"{spec.table}.{column}",
        what=f"a {declared.type} column without a vocabulary has no numbers to aggregate.",
        advice="Use n_unique, a filter, or give the column a vocabulary.",
    )


def from_spine(feature: FeatureSpec) -> nw.Expr:
    """Return an attribute of the spine as a number, or whether the row meets the filter (attributes are text)."""
    import narwhals as nw

    if feature.aggregate == "attribute":
        return nw.col(feature.column or "").cast(nw.Float64)
    tests = [nw.col(c.column).is_in(list(c.values())) for c in feature.filter]
    return nw.all_horizontal(*tests, ignore_nulls=False).cast(nw.Float64)


def column_of(name: str, spec: DatasetSpec) -> Column:
    """Return a column's declaration.

    Raises
    ------
    FeatureError : CT-FEAT-001 unknown column, or the key.
    """
    if name not in spec.columns or name == spec.key:
        raise FeatureError.of(
            "CT-FEAT-001",
            where=f"{spec.table}.{name}",
            what="the content names a column that the table does not have.",
            advice=f"Columns are: {', '.join(known for known in spec.columns if known != spec.key)}.",
        )
    return spec.columns[name]


def register_column(name: str, lake: Lake) -> Column:
    """Return the declaration of a register's column that groups or accompanies rows which do not have it themselves.

    Raises
    ------
    FeatureError : CT-FEAT-001 unknown column, or the key.
    """
    spec = lake.spec(lake.register)
    if name not in spec.columns or name == spec.key:
        raise FeatureError.of(
            "CT-FEAT-001",
            where=f"{lake.register}.{name}",
            what="neither the rows nor the register have this column.",
            advice=f"The register has: {', '.join(known for known in spec.columns if known != spec.key)}.",
        )
    return spec.columns[name]


def scale_of(column: str, spec: DatasetSpec) -> float:
    """Return what a whole number of :func:`numeric` is worth in the column's own unit (money stays in fen)."""
    return 1 / NUMBER_SCALE if column_of(column, spec).type == "number" else 1.0
