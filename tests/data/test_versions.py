"""What is visible at a day is what a plain reading of the deliveries says."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier.data.lake import SORTED_BY
from credit_tier.data.versions import SEEN, merge_versions
from credit_tier.temporal import FOREVER

Row = tuple[int, int, str | None]
"""Number of the record, day it became known, content."""

delivery = st.dictionaries(
    st.tuples(st.integers(0, 3), st.integers(0, 6)), st.sampled_from(["a", "b", None]), max_size=8
).map(lambda found: [(record, day, content) for (record, day), content in found.items()])


def frame(rows: list[Row], *, seen: bool = False) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "enterprise_no": [record % 2 for record, _, _ in rows],
            "record_id": [f"r{record}" for record, _, _ in rows],
            "event_day": [0] * len(rows),
            "known_day": [day for _, day, _ in rows],
            "content": [content for _, _, content in rows],
            SEEN: [seen] * len(rows),
        },
        schema={
            "enterprise_no": pl.Int32,
            "record_id": pl.String,
            "event_day": pl.Int32,
            "known_day": pl.Int32,
            "content": pl.String,
            SEEN: pl.Boolean,
        },
    )


def visible(table: pl.DataFrame, as_of: int) -> dict[str, str | None]:
    rows = table.filter((pl.col("known_day") < as_of) & (pl.col("superseded_day") >= as_of))
    assert rows["record_id"].n_unique() == rows.height, "one version of a record at a time"
    return dict(rows.select("record_id", "content").iter_rows())


def oracle(deliveries: list[list[Row]], as_of: int) -> dict[str, str | None]:
    """The version with the latest known day before as_of; of one day, the one delivered last."""
    result: dict[str, tuple[int, str | None]] = {}
    for rows in deliveries:
        for record, day, content in rows:
            name = f"r{record}"
            if day < as_of and (name not in result or day >= result[name][0]):
                result[name] = (day, content)
    return {name: content for name, (_, content) in result.items()}


@given(st.lists(delivery, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_visible_versions_agree_with_a_plain_reading(deliveries: list[list[Row]]) -> None:
    """For every day, after every delivery; the table stays sorted and no row is lost."""
    table = None
    for done, rows in enumerate(deliveries, start=1):
        merged = merge_versions(table, frame(rows))
        assert merged.added + merged.unchanged == len(rows)
        assert merged.table.height == (0 if table is None else table.height) + merged.added
        table = merged.table
        assert table.equals(table.sort(SORTED_BY, maintain_order=True))
        for as_of in range(9):
            assert visible(table, as_of) == oracle(deliveries[:done], as_of)


@given(st.lists(delivery, min_size=1, max_size=3), st.integers(0, 2))
@settings(max_examples=40, deadline=None)
def test_a_file_seen_before_adds_nothing(deliveries: list[list[Row]], again: int) -> None:
    """Any earlier delivery, marked as seen, leaves the table as it is, whatever came after it."""
    table = None
    for rows in deliveries:
        table = merge_versions(table, frame(rows)).table
    assert table is not None
    repeated = merge_versions(table, frame(deliveries[again % len(deliveries)], seen=True))
    assert repeated.added == 0
    assert repeated.table.equals(table)


@given(delivery, st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_order_within_a_delivery_never_matters(rows: list[Row], shuffler: object) -> None:
    """The rows of one delivery are a set."""
    shuffled = list(rows)
    shuffler.shuffle(shuffled)  # type: ignore[attr-defined]
    assert merge_versions(None, frame(rows)).table.equals(merge_versions(None, frame(shuffled)).table)


def test_superseded_days() -> None:
    """A version ends on the known day of the next, the last one never; a rival of the same day is never visible."""
    table = merge_versions(None, frame([(0, 1, "a"), (0, 5, "b"), (1, 2, "c")])).table
    table = merge_versions(table, frame([(0, 5, "d")])).table
    assert table.select("record_id", "known_day", "content", "superseded_day").rows() == [
        ("r0", 1, "a", 5),
        ("r0", 5, "b", 5),
        ("r0", 5, "d", FOREVER),
        ("r1", 2, "c", FOREVER),
    ]
