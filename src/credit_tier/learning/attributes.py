"""What divides the rows of a report into slices: columns of the register as known at as_of, or what was planned with an event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from credit_tier.errors import Fault, LearningError
from credit_tier.features.spine import register_columns
from credit_tier.learning.slices import Attribute
from credit_tier.specs.dataset import Column
from credit_tier.specs.model import EventCohort, ModelSpec, SliceBy

if TYPE_CHECKING:
    import narwhals as nw

    from credit_tier.data.lake import Lake

DAYS_OF_A_YEAR = 365.25


def attributes_of(lake: Lake, spec: ModelSpec, rows: nw.DataFrame[Any]) -> tuple[Attribute, ...]:
    """Return the declared attributes of some rows of the spine.

    Parameters
    ----------
    rows : `row`, `enterprise_no`, `as_of_day` and the cohort's attributes.

    Raises
    ------
    LearningError (CT-LEARN-037), one fault per declaration that cannot divide rows: a column that is not there, is personal, or is
        neither a code nor a boolean nor, with `years`, a date.
    """
    columns = _columns(lake, spec)
    asked = [name for name in columns if name not in rows.columns]
    known = register_columns(lake, rows, asked) if asked else rows
    found = []
    for item in spec.report.slices:
        column = columns[item.column]
        values = (rows if item.column in rows.columns else known)[item.column].to_list()
        as_of = rows["as_of_day"].to_list()
        found.append(_by_years(item, column, values, as_of) if item.years else _by_value(column, values))
    return tuple(found)


def _columns(lake: Lake, spec: ModelSpec) -> dict[str, Column]:
    """Return the declared columns by name, all of them fit to divide rows."""
    known = dict(lake.spec(lake.register).columns)
    if isinstance(spec.cohort, EventCohort):
        source = lake.spec(spec.cohort.source).columns
        known |= {name: source[column] for name, column in spec.cohort.attributes.items()}
    faults = [fault for item in spec.report.slices if (fault := _fault(item, known.get(item.column)))]
    if faults:
        raise LearningError(*(Fault("CT-LEARN-037", f"{spec.model} report.slices", *fault) for fault in faults))
    return {item.column: known[item.column] for item in spec.report.slices}


def _fault(item: SliceBy, column: Column | None) -> tuple[str, str] | None:
    if column is None:
        return f"neither the register nor the cohort has '{item.column}'.", "Name a column of the register."
    if column.sensitivity == "personal":
        return f"'{item.column}' is personal.", "Divide rows by what is no personal fact."
    if column.type != "date" if item.years else column.type not in {"code", "boolean"}:
        what = f"'{item.column}' is {column.type}{' with' if item.years else ' without'} years."
        return what, "Take a code, a boolean, or a date with years."
    return None


def _titles(column: Column) -> tuple[str, str]:
    """Return the titles without what they say in brackets or after a semicolon."""
    return column.title_zh.split("(")[0].split("(")[0], column.title_en.split(";")[0].split("(")[0].strip()


def _by_value(column: Column, values: list[Any]) -> Attribute:
    words = column.vocabulary or {}
    texts = [None if value is None or value == "" else str(value) for value in values]
    present = {text for text in texts if text is not None}
    order = [*(word for word in words if word in present), *sorted(present - set(words))]
    number = {text: place for place, text in enumerate(order)}
    part = np.array([-1 if text is None else number[text] for text in texts], np.int32)
    return Attribute(*_titles(column), part, [(words.get(text, text), text) for text in order])


def _by_years(item: SliceBy, column: Column, values: list[Any], as_of: list[int]) -> Attribute:
    zh, en = _titles(column)
    days = np.array([np.nan if value is None else day - value for value, day in zip(values, as_of, strict=True)])
    years = np.floor(days / DAYS_OF_A_YEAR)
    part = np.where(np.isnan(years), -1, np.searchsorted(item.years, years, side="right")).astype(np.int32)
    lows, highs = (0, *item.years), (*item.years, None)
    titles = [
        (f"{low}年及以上", f"{low} years or more")
        if high is None
        else (f"{low}–{high}年", f"{low} to under {high} years")
        for low, high in zip(lows, highs, strict=True)
    ]
    return Attribute(f"{zh}至今年数", f"Years since {en[:1].lower()}{en[1:]}", part, titles)
