"""Labels: what happened in [as_of, as_of + window), once it can no longer change.

Immature rows have no label; they are never counted as 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from credit_tier.features.conditions import AS_OF, bind
from credit_tier.features.visible import is_visible
from credit_tier.specs.model import Label
from credit_tier.temporal import day_number

if TYPE_CHECKING:
    import narwhals as nw

    from credit_tier.data.lake import Lake


def attach(lake: Lake, label: Label, spine: nw.DataFrame[Any]) -> nw.DataFrame[Any]:
    """Return the outcome of every spine row.

    Returns
    -------
    frame in spine order: `row`, `is_mature` (the window and the reporting delay ended by the data cut-off),
    `is_observed` (a record of the label's kind lies in the window, or its absence says no), `outcome` Int8 (1 or 0; empty unless mature and observed).

    Source: GLOSSARY, mature label (表现期已满).
    """
    import narwhals as nw

    spec = lake.spec(label.source)
    closed = nw.col(AS_OF) + (label.window_days + label.delay_days)
    names = dict.fromkeys(c.column for c in (*label.where, *label.positive))
    records = lake.frame(label.source).select("enterprise_no", "event_day", "known_day", "superseded_day", *names)
    rows = spine.lazy().select("row", "enterprise_no", AS_OF)
    inside = (
        rows.join(records, on="enterprise_no", how="inner")
        .filter(
            nw.col("event_day") >= nw.col(AS_OF),
            nw.col("event_day") < nw.col(AS_OF) + label.window_days,
            is_visible(closed),
            bind(label.where, spec, knows_as_of=True),
        )
        .with_columns(bind(label.positive, spec, knows_as_of=True).cast(nw.Int8).alias("positive"))
    )
    outcome = inside.group_by("row").agg(nw.col("positive").max())
    # What became known on the table's last day is known before the following day; other tables may reach further.
    mature = closed <= day_number(lake.cutoff_of(label.source)) + 1
    joined = rows.with_columns(mature.alias("is_mature")).join(outcome, on="row", how="left").sort("row").collect()
    if label.absent == "zero":
        joined = joined.with_columns(nw.col("positive").fill_null(0))
    observed = ~nw.col("positive").is_null()
    return joined.select(
        "row",
        "is_mature",
        observed.alias("is_observed"),
        nw.when(nw.col("is_mature") & observed).then(nw.col("positive")).alias("outcome"),
    )
