"""Overrides of a whole city: the records behind them from the lake, the classes after them in columns.

The door `profiles` uses it; what the rules say stands in :mod:`credit_tier.rules.classification`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from credit_tier.content import Content
from credit_tier.data import engines
from credit_tier.data.lake import Lake
from credit_tier.temporal import AsOf

if TYPE_CHECKING:
    import narwhals as nw
    from numpy.typing import NDArray

    from credit_tier.rules.classification import Hit, Overrides


@dataclass(frozen=True)
class Overridden:
    """Classes after the overrides, in the order of the codes given.

    Attributes
    ----------
    ranks : int8, 0 for A to 3 for D.
    named : the override that gives the class, the empty text where the model does; of an enumerated type.
    hits : `code, rule, table, record_id, event_on`, sorted: every record by which an override holds one of the codes; the id of a
        record is empty where it is personal.
    summary : pack, digest, and of each override its law, whom it holds and whose class it changes.
    """

    ranks: NDArray[np.int8]
    named: nw.Series[Any]
    hits: nw.DataFrame[Any]
    summary: dict[str, Any]


def hits_in(
    lake: Lake, overrides: Overrides, as_of: AsOf, *, code: str | None = None
) -> Iterator[tuple[Hit, date | None]]:
    """Yield every record known at as_of that makes an override hold, with the day on which it happened.

    Parameters
    ----------
    code : only this enterprise's.

    Raises
    ------
    LakeError : CT-LAKE-004 the lake lacks the table of an override, CT-LAKE-011 the table a column.
    """
    from credit_tier.features.records import visible_rows

    for table in overrides.tables:
        event_on = lake.spec(table).event_on or ""
        columns = (*overrides.columns(table), *((event_on,) if event_on else ()))
        rows = visible_rows(lake, table, columns, as_of, code=code)
        for hit in overrides.hits(table, rows, as_of.on):
            happened = hit.row.get(event_on)
            yield hit, happened if isinstance(happened, date) else None


def overridden(
    lake: Lake, content: Content, as_of: AsOf, codes: nw.Series[Any], ranks: NDArray[np.int8], *, jurisdiction: str
) -> Overridden:
    """Return the classes of enterprises after the overrides in force on the day; those without a record in their tables keep theirs.

    Parameters
    ----------
    codes : of the enterprises, without doublets. ranks : by the model, of the same order. jurisdiction : whose overrides are asked.

    Raises
    ------
    RuleError, ContentError : a pack is wrong; LakeError : see :func:`hits_in`.
    """
    import narwhals as nw

    from credit_tier.rules.classification import overrides_on

    overrides, why = overrides_on(content, jurisdiction, as_of.on)
    place = engines.frame({"code": codes.to_native(), "place": np.arange(len(codes))})
    found = [] if overrides is None else list(hits_in(lake, overrides, as_of))
    hits = engines.frame(
        {
            "code": [hit.code for hit, _ in found],
            "rule": [hit.rule for hit, _ in found],
            "table": [hit.table for hit, _ in found],
            "record_id": [_shown(lake, hit) for hit, _ in found],
            "event_on": [day for _, day in found],
        }
    ).with_columns(
        *(nw.col(name).cast(nw.String) for name in ("code", "rule", "table", "record_id")),
        nw.col("event_on").cast(nw.Date),
    )
    hits = hits.join(place, on="code", how="inner").sort("code", "rule", "event_on", "record_id")
    held: dict[int, set[str]] = {}
    for where, rule in hits.select("place", "rule").iter_rows():
        held.setdefault(where, set()).add(rule)
    after = ranks.copy()
    bounds = {} if overrides is None else overrides.bounds
    numbers = {name: number for number, name in enumerate(("", *bounds))}
    named = np.zeros(len(ranks), np.int64)
    if overrides is not None:
        for where, rules in held.items():
            after[where], name = overrides.settle(int(ranks[where]), rules)
            named[where] = numbers[name]
    kind = nw.Enum(list(numbers))
    listed = engines.frame({"override": list(numbers)})["override"].cast(kind)
    summary = _summary(overrides, why, jurisdiction)
    for name in bounds:
        summary["rules"][name] |= {
            "holds": sum(name in rules for rules in held.values()),
            "gives": int((named == numbers[name]).sum()),
            "changes": int(((named == numbers[name]) & (after != ranks)).sum()),
        }
    return Overridden(after, listed[named], hits.drop("place"), summary)


def _shown(lake: Lake, hit: Hit) -> str | None:
    """Return the id of a record, None where it is personal."""
    spec = lake.spec(hit.table)
    names = spec.record_id.columns
    is_personal = any(name == spec.key or spec.columns[name].sensitivity == "personal" for name in names)
    return None if is_personal else hit.record_id


def _summary(overrides: Overrides | None, why: str, jurisdiction: str) -> dict[str, Any]:
    """Return the pack in force and the law of its rules, or why there is none."""
    from credit_tier.rules.wire import reason_json
    from credit_tier.types import RiskClass

    if overrides is None:
        return {"jurisdiction": jurisdiction, "pack": None, "why": why, "rules": {}}
    rules: dict[str, Any] = {}
    for name, bound in overrides.bounds.items():
        floor, cap = (str(RiskClass.from_rank(rank)) for rank in (bound.least, bound.most))
        limit = {"at_least": floor} if bound.least > 0 else {"at_most": cap}
        rules[name] = {**limit, **reason_json(bound.reason)}
    return {
        "jurisdiction": jurisdiction,
        "pack": overrides.pack.id,
        "digest": overrides.pack.digest,
        "verified": all(bound.reason.verified for bound in overrides.bounds.values()),
        "rules": rules,
    }
