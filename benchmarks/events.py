"""Records for the features benchmark: seeded random numbers, delivered as Parquet and really ingested.

A firm has ten events on average, two in each of five tables, over five years; repairs, payments and settlements arrive as later versions.
No table holds two events of a firm on one day, so that the latest event is the same one for every way that is compared.
"""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from credit_tier.content import Content
from credit_tier.data.lake import Lake
from credit_tier.specs.feature import CatalogueSpec, FeatureSpec
from credit_tier.temporal import day_number

CONTENT = Path(__file__).parent / "content"
EVENTS_PER_TABLE = 2
FIRST, END = day_number(date(2021, 1, 1)), day_number(date(2026, 1, 1))
DAYS_TO_RECEIPT = 60
DAYS_TO_CHANGE = 700


def catalogue() -> tuple[FeatureSpec, ...]:
    return Content.resolve(CONTENT).load("pipelines", "features.yaml", CatalogueSpec).features


def make_lake(path: Path, *, firms: int, seed: int) -> Lake:
    """Return a lake of that many firms, whole or not at all; the delivery it is ingested from is removed again."""
    from credit_tier.data.ingest import ingest  # here: the processes that are measured do without

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        delivery, lake = Path(folder, "delivery"), Path(folder, "lake")
        delivery.mkdir()
        write_delivery(delivery, firms=firms, random=np.random.default_rng(seed))
        if not ingest(lake, delivery, Content.resolve(CONTENT)).clean:
            raise RuntimeError("the benchmark's own records do not keep their contracts")
        lake.rename(path)
    return Lake.open(path)


def write_delivery(folder: Path, *, firms: int, random: np.random.Generator) -> None:
    register = pl.DataFrame({"firm": names("91", np.arange(firms)), "received_on": days(np.full(firms, FIRST - 1))})
    register.write_parquet(folder / "firms.parquet")
    for make in (checks, penalties, taxes, contracts, complaints):
        make(firms, random).write_parquet(folder / f"{make.__name__}.parquet")


def checks(firms: int, random: np.random.Generator) -> pl.DataFrame:
    rows = events("check_no", "checked_on", firms, random)
    problems = np.maximum(random.poisson(0.6, rows.height) - random.poisson(0.3, rows.height), 0)
    grade = words({"slight": 0.5, "ordinary": 0.35, "serious": 0.15}, rows.height, random)
    return rows.with_columns(
        words({"random": 0.4, "complaint": 0.15, "campaign": 0.25, "routine": 0.2}, rows.height, random).alias("form"),
        pl.Series("problems", problems.astype(np.int64)),
        has_problem=pl.lit(problems > 0),
        grade=pl.when(pl.lit(problems > 0)).then(grade),
    )


def penalties(firms: int, random: np.random.Generator) -> pl.DataFrame:
    rows = events("penalty_no", "decided_on", firms, random)
    topics = {"market": 0.4, "safety": 0.15, "tax": 0.15, "environment": 0.1, "labour": 0.1, "food": 0.1}
    severity = {"minor": 0.45, "ordinary": 0.35, "serious": 0.15, "grave": 0.05}
    rows = rows.with_columns(
        words(topics, rows.height, random).alias("topic"),
        words(severity, rows.height, random).alias("severity"),
        fine=yuan(5_000, rows.height, random),
        status=pl.lit("in_force"),
    )
    return with_changes(rows, 0.15, random, status=pl.lit("repaired"))


def taxes(firms: int, random: np.random.Generator) -> pl.DataFrame:
    rows = events("return_no", "due_on", firms, random)
    unpaid = pl.lit(random.random(rows.height) < 0.08)
    rows = rows.with_columns(
        words({"vat": 0.5, "income": 0.3, "stamp": 0.2}, rows.height, random).alias("kind"),
        amount=yuan(20_000, rows.height, random),
        is_late=pl.lit(random.random(rows.height) < 0.1),
        paid_on=pl.when(~unpaid).then("due_on"),
    )
    return with_changes(rows.with_columns(_may=pl.col("paid_on").is_null()), 0.6, random, paid_on=pl.col("received_on"))


def contracts(firms: int, random: np.random.Generator) -> pl.DataFrame:
    rows = events("contract_no", "ended_on", firms, random)
    overdue = random.integers(0, 240, rows.height)
    return rows.with_columns(
        words({"public": 0.2, "supply": 0.4, "service": 0.3, "lease": 0.1}, rows.height, random).alias("kind"),
        amount=yuan(100_000, rows.height, random),
        overdue_days=pl.when(pl.lit(random.random(rows.height) < 0.2)).then(pl.lit(overdue)),
    )


def complaints(firms: int, random: np.random.Generator) -> pl.DataFrame:
    rows = events("complaint_no", "filed_on", firms, random)
    topics = {"quality": 0.35, "safety": 0.1, "price": 0.2, "refund": 0.3, "wages": 0.05}
    rows = rows.with_columns(
        words({"hotline": 0.6, "web": 0.3, "visit": 0.05, "letter": 0.05}, rows.height, random).alias("channel"),
        words(topics, rows.height, random).alias("topic"),
        claim=pl.when(pl.lit(random.random(rows.height) < 0.4)).then(yuan(800, rows.height, random)),
        is_settled=pl.lit(random.random(rows.height) < 0.7),
    )
    return with_changes(rows.with_columns(_may=~pl.col("is_settled")), 0.5, random, is_settled=pl.lit(value=True))


def events(number: str, day: str, firms: int, random: np.random.Generator) -> pl.DataFrame:
    """Return number, firm, day and day of receipt of a table's events, in random order."""
    span = END - FIRST
    pairs = np.unique(random.integers(firms * span, size=firms * EVENTS_PER_TABLE))
    random.shuffle(pairs)
    firm, happened = np.divmod(pairs, span)
    received = happened + random.integers(1, DAYS_TO_RECEIPT, size=len(pairs))
    return pl.DataFrame(
        {
            number: names(number[:2].upper(), np.arange(len(pairs))),
            "firm": names("91", firm),
            day: days(FIRST + happened),
            "received_on": days(FIRST + received),
        }
    )


def with_changes(rows: pl.DataFrame, share: float, random: np.random.Generator, **changed: pl.Expr) -> pl.DataFrame:
    """Return the rows and later versions of some of them; a column `_may` tells which ones can change."""
    later = pl.lit(random.integers(1, DAYS_TO_CHANGE, size=rows.height)).cast(pl.Int32)
    takes = pl.lit(random.random(rows.height) < share)
    if "_may" in rows.columns:
        takes &= pl.col("_may")
    versions = rows.with_columns(received_on=pl.col("received_on") + pl.duration(days=later)).filter(takes)
    return pl.concat([rows, versions.with_columns(**changed)]).drop("_may", strict=False)


def names(prefix: str, number: NDArray[np.int64]) -> pl.Series:
    """Return texts of 18 characters, in the order of the numbers."""
    return prefix + pl.Series(number).cast(pl.String).str.zfill(18 - len(prefix))


def days(number: NDArray[np.int64]) -> pl.Series:
    return pl.Series(number.astype(np.int32)).cast(pl.Date)


def words(shares: dict[str, float], size: int, random: np.random.Generator) -> pl.Series:
    """Return random words with the given shares."""
    return pl.Series(list(shares)).gather(random.choice(len(shares), size=size, p=list(shares.values())))


def yuan(median: float, size: int, random: np.random.Generator) -> pl.Series:
    """Return skewed sums of money in whole 元."""
    return pl.Series(np.ceil(random.lognormal(np.log(median), 1.2, size)).astype(np.int64))
