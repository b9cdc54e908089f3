"""Counts over the lake: how many records a check looks at and how many break it. Only counts leave this module.

Every check sees the versions that exist at a day, as features do: ``known_day < day <= superseded_day``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from credit_tier.data.lake import Lake
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.specs.quality import REGISTER, QualityCheck, Reference, Severity, UniqueActive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import narwhals as nw
    import polars as pl

    Frame = nw.LazyFrame[pl.LazyFrame]

Unit = Literal["row", "version", "record", "group", "table"]
"""What is counted: delivered rows, versions visible at a day, records with several versions, (subject, values) groups, tables."""


@dataclass(frozen=True)
class Count:
    """Units that a check looked at, and how many of them break it: ``0 <= failed <= tested``."""

    tested: int
    failed: int


@dataclass(frozen=True)
class LakeRule:
    """A claim about one table of the lake; `count` asks it at a day number.

    Attributes
    ----------
    id : name of the rule within its table.
    kind : what sort of claim it is; advice hangs on it.
    check : the declaration, or None for a rule that every table has.
    """

    id: str
    kind: str
    unit: Unit
    severity: Severity
    check: QualityCheck | None
    count: Callable[[int], Count]


def lake_rules(lake: Lake, spec: DatasetSpec) -> Iterator[LakeRule]:
    """Yield the rules of one table: those of every table, then those that its contract declares."""
    table = _Table(lake, spec)
    if spec.event_on is not None and spec.known_at.column != spec.event_on:
        yield LakeRule(
            "known_not_before_event", "known_not_before_event", "version", Severity.FAIL, None, table.known_in_time
        )
    if spec.key is not None:
        yield LakeRule("one_subject", "one_subject", "record", Severity.FAIL, None, table.one_subject)
    if spec.key is not None and spec.table != lake.register:
        yield LakeRule("subject_in_register", "subject_in_register", "version", Severity.WARN, None, table.in_register)
    for check in spec.checks:
        yield table.declared(check)


def visible(frame: Frame, day: int) -> Frame:
    """Return the versions that exist at a day."""
    import narwhals as nw

    return frame.filter(nw.col("known_day") < day, nw.col("superseded_day") >= day)


@dataclass(frozen=True)
class _Table:
    """One table of a lake, asked check by check; each question reads only the columns it needs."""

    lake: Lake
    spec: DatasetSpec

    def declared(self, check: QualityCheck) -> LakeRule:
        """Return the rule that a declaration stands for."""
        unit: Unit = "version"
        if check.not_before is not None:
            count = partial(self.ordered, check.not_before)
        elif check.unique_active is not None:
            unit, count = "group", partial(self.one_open, check.unique_active)
        elif check.constant is not None:
            unit, count = "record", partial(self.settled, check.constant)
        elif check.refers_to is not None:
            count = partial(self.found, check.refers_to)
        return LakeRule(check.id, check.kind, unit, check.severity, check, count)

    def known_in_time(self, day: int) -> Count:
        """Count versions that became known before their event happened."""
        import narwhals as nw

        rows = visible(self.lake.frame(self.spec.table), day)
        return _counted(rows.filter(~nw.col("event_day").is_null()), nw.col("event_day") > nw.col("known_day"))

    def one_subject(self, day: int) -> Count:
        """Count records that moved from one subject to another between versions."""
        return self.settled(("enterprise_no",), day)

    def in_register(self, day: int) -> Count:
        """Count versions of subjects whom the register does not show at the day."""
        import narwhals as nw

        subjects = visible(self.lake.frame(self.lake.register), day).select("enterprise_no").unique()
        known = subjects.with_columns(nw.lit(True).alias("_there"))
        rows = visible(self.lake.frame(self.spec.table), day).select("enterprise_no")
        return _counted(rows.join(known, on="enterprise_no", how="left"), nw.col("_there").is_null())

    def ordered(self, dates: tuple[str, ...], day: int) -> Count:
        """Count versions in which the first date lies before the second; both are given."""
        import narwhals as nw

        sides = ("_later", "_earlier")
        rows = visible(self.lake.frame(self.spec.table), day)
        own = {side: name for side, name in zip(sides, dates, strict=True) if not name.startswith(REGISTER)}
        rows = rows.select("enterprise_no", *(nw.col(name).alias(side) for side, name in own.items()))
        register = visible(self.lake.frame(self.lake.register), day)
        for side, name in zip(sides, dates, strict=True):
            if side not in own:
                column = nw.col(name.removeprefix(REGISTER)).min().alias(side)
                rows = rows.join(register.group_by("enterprise_no").agg(column), on="enterprise_no", how="left")
        both = rows.filter(~nw.col("_later").is_null(), ~nw.col("_earlier").is_null())
        return _counted(both, nw.col("_later") < nw.col("_earlier"))

    def one_open(self, claim: UniqueActive, day: int) -> Count:
        """Count (subject, values of `by`) with several records open at the day; a state that ends that day or later is open."""
        import narwhals as nw

        rows = visible(self.lake.frame(self.spec.table), day)
        active = rows.filter(nw.col(claim.open).is_null() | (nw.col(claim.open) >= day))
        groups = active.group_by("enterprise_no", *claim.by).agg(nw.len().alias("_open"))
        return _counted(groups, nw.col("_open") > 1)

    def settled(self, columns: tuple[str, ...], day: int) -> Count:
        """Count records of which two versions give different values in one of the columns.

        Asked of records with at least two versions known before the day; versions replaced on their own day never existed.
        """
        import narwhals as nw

        known = self.lake.frame(self.spec.table).filter(
            nw.col("known_day") < day, nw.col("superseded_day") > nw.col("known_day")
        )
        replaced = known.filter(nw.col("superseded_day") < day).select("record_id").unique()
        versions = known.select("record_id", *columns).join(replaced, on="record_id", how="semi")
        records = versions.group_by("record_id").agg(
            *(nw.col(name).min().alias(f"{name}_low") for name in columns),
            *(nw.col(name).max().alias(f"{name}_high") for name in columns),
        )
        differs = nw.any_horizontal(
            *(nw.col(f"{name}_low") != nw.col(f"{name}_high") for name in columns), ignore_nulls=True
        )
        return _counted(records, differs)

    def found(self, link: Reference, day: int) -> Count:
        """Count versions whose column names no record of the other table that exists at the day; an empty column is not asked.

        In a lake without the other table every reference fails.
        """
        import narwhals as nw

        rows = visible(self.lake.frame(self.spec.table), day).filter(~nw.col(link.column).is_null())
        for name, value in link.when.items():
            rows = rows.filter(nw.col(name) == value)
        given = rows.select(nw.col(link.column).alias("record_id"))
        if link.table not in self.lake.tables:
            return _counted(given, ~nw.col("record_id").is_null())
        there = visible(self.lake.frame(link.table), day).select("record_id").unique()
        known = there.with_columns(nw.lit(True).alias("_there"))
        return _counted(given.join(known, on="record_id", how="left"), nw.col("_there").is_null())


def _counted(units: Frame, broken: nw.Expr) -> Count:
    """Return how many rows a frame has and for how many of them an expression is true."""
    import narwhals as nw

    marked = units.select(broken.alias("_broken"))
    row = marked.select(nw.len().alias("tested"), nw.col("_broken").cast(nw.Int64).sum().alias("failed")).collect()
    tested, failed = row["tested"].to_list()[0], row["failed"].to_list()[0]
    return Count(int(tested), int(failed or 0))
