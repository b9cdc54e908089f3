"""What the log of deliveries and the quarantine say of one table: rows read, taken and set aside, and by which rule.

Of quarantined rows only the ids of the rules are read, never a value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from credit_tier.data.lake import QUARANTINE, DeliveryEntry, Lake


@dataclass(frozen=True)
class Delivered:
    """One table in one delivery: ``rows = accepted + duplicates + quarantined``.

    Attributes
    ----------
    rules : rule id to the number of rows that broke it; a row may break several.
    """

    digest: str
    rows: int
    accepted: int
    quarantined: int
    duplicates: int
    rules: Mapping[str, int]


def deliveries_of(lake: Lake, table: str) -> tuple[Delivered, ...]:
    """Return what every delivery brought of a table, oldest first; deliveries without it are left out."""
    found = (_delivered(lake, entry, table) for entry in lake.manifest.deliveries)
    return tuple(item for item in found if item is not None)


def _delivered(lake: Lake, entry: DeliveryEntry, table: str) -> Delivered | None:
    sources = [item for item in entry.sources if item.table == table]
    if not sources:
        return None
    return Delivered(
        digest=entry.digest,
        rows=sum(item.rows for item in sources),
        accepted=sum(item.accepted for item in sources),
        quarantined=sum(item.quarantined for item in sources),
        duplicates=sum(item.duplicates for item in sources),
        rules=_rules(lake, entry, table),
    )


def _rules(lake: Lake, entry: DeliveryEntry, table: str) -> dict[str, int]:
    import polars as pl

    counts: Counter[str] = Counter()
    for item in entry.quarantine:
        if _table_of(item.name) == table:
            broken = pl.read_parquet(lake.path / item.name, columns=["_rules"])["_rules"]
            each = broken.str.split(" ").explode().value_counts(name="rows")
            counts.update(dict(each.iter_rows()))
    return dict(sorted(counts.items()))


def _table_of(name: str) -> str:
    """Return the table of a quarantine file, `_quarantine/<table>-<delivery>-<content>.parquet`; names of tables have no dash."""
    return name.removeprefix(f"{QUARANTINE}/").split("-", 1)[0]
