"""What only the catalogue can say of itself: entries that say the same, filters that say nothing, windows longer than the history."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from credit_tier.errors import Fault
from credit_tier.specs.condition import Condition
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.specs.feature import CatalogueSpec, FeatureSpec
from credit_tier.temporal import day_number

if TYPE_CHECKING:
    from credit_tier.data.lake import Lake

_ABOUT_IT = {"id", "title_zh", "title_en", "dimension", "unit", "direction", "legal_basis"}
"""Fields that say something of a feature, not what it is."""


def lint(catalogue: CatalogueSpec, specs: dict[str, DatasetSpec], lake: Lake | None = None) -> list[Fault]:
    """Return the faults of a catalogue, in its order.

    Parameters
    ----------
    specs : contracts of the tables. lake : with one, windows are held against its history.
    """
    faults: list[Fault] = []
    first: dict[str, str] = {}
    for feature in catalogue.features:
        where = f"pipelines/features.yaml {feature.id}"
        meaning = feature.model_dump_json(exclude=_ABOUT_IT)
        if meaning in first:
            faults.append(
                Fault(
                    "CT-FEAT-030",
                    where,
                    f"与 {first[meaning]} 的定义相同 · defined as {first[meaning]} is.",
                    "Keep one of the two.",
                )
            )
        first.setdefault(meaning, feature.id)
        faults += [
            Fault(
                "CT-FEAT-031",
                where,
                f"{name} 的条件不起作用 · the condition on {name} is always met or never.",
                "Leave it out, or correct it.",
            )
            for name in _idle(feature, specs)
        ]
        if lake is not None and feature.source in lake.tables and feature.window.days is not None:
            history = _history(lake, feature.source)
            if feature.window.days > history:
                faults.append(
                    Fault(
                        "CT-FEAT-032",
                        where,
                        f"时间窗 {feature.window.days} 天,{feature.source} 只有 {history} 天 · the window is longer than the history of {feature.source}.",
                        "Take in older records, or shorten the window.",
                    )
                )
    return faults


def _idle(feature: FeatureSpec, specs: dict[str, DatasetSpec]) -> list[str]:
    found = []
    edges = feature.via.filter if feature.via else ()
    tests: Iterable[tuple[Condition, str]] = [(c, feature.source) for c in (*feature.filter, *feature.numerator)]
    for condition, table in [*tests, *((c, feature.via.table) for c in edges if feature.via)]:
        column = specs[table].columns.get(condition.column) if table in specs else None
        if column is None:
            continue
        words = set(column.vocabulary or ()) if column.type in {"code", "codes"} else set()
        never_empty = not column.nullable
        takes_all = bool(words) and never_empty and condition.one_of is not None and words <= set(condition.one_of)
        takes_none = bool(words) and condition.not_one_of is not None and words <= set(condition.not_one_of)
        if takes_all or takes_none or (condition.is_null is not None and never_empty):
            found.append(condition.column)
    return found


def _history(lake: Lake, table: str) -> int:
    """Return the days from the first event of a table, as known, to the lake's last knowledge."""
    import narwhals as nw

    days = nw.coalesce(nw.col("event_day"), nw.col("known_day")).min().alias("first")
    (first,) = lake.frame(table).select(days).collect()["first"].to_list()
    return 0 if first is None else day_number(lake.cutoff) - int(first) + 1
