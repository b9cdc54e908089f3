"""Validation of a lake: per table and rule what was tested, what failed, whether that got better, and how old the records are.

Two sources: the log of deliveries with its quarantine (does what arrives meet the contract?) and the lake itself
(do the records agree with each other?). The result holds counts, names of tables and columns, dates and digests; no value of a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from credit_tier.data.lake import Lake
from credit_tier.data.quality_checks import Count, Unit, lake_rules
from credit_tier.data.quality_delivery import Delivered, deliveries_of
from credit_tier.data.quality_words import ADVICE, Words, delivery_words, rule_words
from credit_tier.errors import DataError, Fault, UsageError
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.specs.quality import Outcome, Severity
from credit_tier.temporal import date_of, day_number

Trend = Literal["better", "same", "worse"]


@dataclass(frozen=True)
class RuleResult:
    """One rule of one table.

    Attributes
    ----------
    rule : id, `<table>.<rule>` or, for rows set aside at ingestion, `<table>.<column>.<rule>`.
    origin : `delivery`, the last delivery of the table; or `lake`, all versions visible at as_of.
    before : the same count at the delivery before, or at the earlier date; None if there is none.
    """

    rule: str
    table: str
    origin: Literal["delivery", "lake"]
    unit: Unit
    severity: Severity
    count: Count
    before: Count | None
    words: Words

    @property
    def outcome(self) -> Outcome:
        """Return what became of it: severity counts only where something failed."""
        if not self.count.tested:
            return Outcome.UNTESTED
        return Outcome(self.severity) if self.count.failed else Outcome.PASSED

    @property
    def trend(self) -> Trend | None:
        """Return how the failing share moved, compared exactly; None without an earlier count."""
        if self.before is None or not self.before.tested or not self.count.tested:
            return None
        now = self.count.failed * self.before.tested
        then = self.before.failed * self.count.tested
        return "same" if now == then else "worse" if now > then else "better"


@dataclass(frozen=True)
class TableResult:
    """One table: its age against the promised cadence, its last two deliveries, its quarantine over all deliveries.

    Attributes
    ----------
    rows : versions of records in the lake, whenever known.
    last_known : latest known_at before as_of; None if nothing was known yet.
    age_days : days from `last_known` to as_of.
    quarantine : rule id to rows set aside since the lake was built; corrected rows are not taken out.
    """

    table: str
    title_zh: str
    title_en: str
    cadence: str
    cadence_days: int | None
    rows: int
    last_known: date | None
    age_days: int | None
    compared_with: date | None
    delivered: Delivered | None
    delivered_before: Delivered | None
    quarantined: int
    quarantine: Mapping[str, int]

    @property
    def is_fresh(self) -> bool | None:
        """Return whether the cadence is kept; None if the contract promises none."""
        if self.cadence_days is None:
            return None
        return self.age_days is not None and self.age_days <= self.cadence_days


@dataclass(frozen=True)
class Validation:
    """A lake, validated as of a date."""

    as_of: date
    lake_digest: str
    deliveries: int
    tables: tuple[TableResult, ...]
    rules: tuple[RuleResult, ...]

    def count(self, outcome: Outcome) -> int:
        """Return how many rules ended so."""
        return sum(item.outcome == outcome for item in self.rules)

    @property
    def verdict(self) -> Outcome:
        """Return the worst outcome of all rules: pass, warn or fail."""
        return next((worst for worst in (Outcome.FAILED, Outcome.WARNED) if self.count(worst)), Outcome.PASSED)


def validate(
    lake: Lake,
    *,
    as_of: date | None = None,
    since: date | None = None,
    contracts: Mapping[str, DatasetSpec] | None = None,
) -> Validation:
    """Validate a lake and return counts by table and rule.

    Parameters
    ----------
    as_of : only what was known before counts, and ages are measured to it; by default the day after the lake's last record.
    since : counts over the lake are compared with what was visible at this date; by default one cadence of the table before as_of.
    contracts : contracts whose checks are asked; by default those under which the tables were taken in.

    Raises
    ------
    UsageError : CT-DATA-120 if nothing was known before as_of, CT-DATA-121 if `since` does not lie before it.
    DataError (CT-DATA-122) if a contract given has other columns than its table.
    """
    asked = as_of if as_of is not None else lake.cutoff + timedelta(days=1)
    if since is not None and since >= asked:
        raise UsageError.of(
            "CT-DATA-121",
            where=since.isoformat(),
            what=f"the date to compare with does not lie before the as_of {asked.isoformat()}.",
            advice="Give an earlier one.",
        )
    specs = _contracts(lake, contracts or {})
    tables = tuple(_table(lake, spec, asked, since) for spec in specs)
    if all(item.last_known is None for item in tables):
        raise UsageError.of(
            "CT-DATA-120",
            where=asked.isoformat(),
            what="no record of this lake was known before this date.",
            advice=f"The last one became known on {lake.cutoff.isoformat()}; give a later date.",
        )
    rules = [rule for spec, table in zip(specs, tables, strict=True) for rule in _rules(lake, spec, table, asked)]
    return Validation(asked, lake.digest, len(lake.manifest.deliveries), tables, tuple(rules))


def _contracts(lake: Lake, given: Mapping[str, DatasetSpec]) -> list[DatasetSpec]:
    """Return the contract to ask for every table of the lake, by name; refuse those that read a table in another way."""
    specs, faults = [], []
    for name in lake.tables:
        taken_in = lake.spec(name)
        spec = given.get(name, taken_in)
        if _shape(spec) != _shape(taken_in):
            faults.append(
                Fault(
                    "CT-DATA-122",
                    f"data_schemas/{name}.yaml",
                    f"the contract has other columns, types or dates than '{name}' in the lake.",
                    "Build a new lake from all deliveries, or validate with the contracts of the lake.",
                )
            )
        specs.append(spec)
    if faults:
        raise DataError(*faults)
    return specs


def _shape(spec: DatasetSpec) -> object:
    return spec.kind, spec.key, spec.event_on, {name: column.type for name, column in spec.columns.items()}


def _table(lake: Lake, spec: DatasetSpec, as_of: date, since: date | None) -> TableResult:
    import narwhals as nw

    day = day_number(as_of)
    known = lake.frame(spec.table).filter(nw.col("known_day") < day).select(nw.col("known_day").max()).collect()
    last = known["known_day"].to_list()[0]
    delivered = deliveries_of(lake, spec.table)
    quarantine: dict[str, int] = {}
    for item in delivered:
        for rule, rows in item.rules.items():
            quarantine[rule] = quarantine.get(rule, 0) + rows
    earlier = since
    if earlier is None and spec.cadence_days is not None:
        earlier = as_of - timedelta(days=spec.cadence_days)
    return TableResult(
        table=spec.table,
        title_zh=spec.title_zh,
        title_en=spec.title_en,
        cadence=spec.cadence,
        cadence_days=None if spec.known_at.fixed is not None else spec.cadence_days,
        rows=lake.rows(spec.table),
        last_known=None if last is None else date_of(last),
        age_days=None if last is None else day - last,
        compared_with=earlier,
        delivered=delivered[-1] if delivered else None,
        delivered_before=delivered[-2] if len(delivered) > 1 else None,
        quarantined=sum(item.quarantined for item in delivered),
        quarantine=dict(sorted(quarantine.items())),
    )


def _rules(lake: Lake, spec: DatasetSpec, table: TableResult, as_of: date) -> Iterator[RuleResult]:
    """Yield the results of one table: the delivery's, the age, then the lake's."""
    yield from _delivery_rules(table)
    if table.is_fresh is not None:
        words = rule_words("freshness")
        count = Count(1, 0 if table.is_fresh else 1)
        yield RuleResult(f"{spec.table}.freshness", spec.table, "lake", "table", Severity.WARN, count, None, words)
    for rule in lake_rules(lake, spec):
        yield RuleResult(
            rule=f"{spec.table}.{rule.id}",
            table=spec.table,
            origin="lake",
            unit=rule.unit,
            severity=rule.severity,
            count=rule.count(day_number(as_of)),
            before=None if table.compared_with is None else rule.count(day_number(table.compared_with)),
            words=rule_words(rule.kind)
            if rule.check is None
            else Words(rule.check.title_zh, rule.check.title_en, *ADVICE[rule.kind]),
        )


def _delivery_rules(table: TableResult) -> Iterator[RuleResult]:
    """Yield how the last delivery met the contract as a whole, then each rule that it or the one before broke.

    Rows set aside warn; a delivery of which no row could be used fails.
    """
    last, before = table.delivered, table.delivered_before
    if last is None:
        return

    def result(rule: str, words: Words, failed: int, earlier: int, severity: Severity = Severity.WARN) -> RuleResult:
        then = None if before is None else Count(before.rows, earlier)
        return RuleResult(rule, table.table, "delivery", "row", severity, Count(last.rows, failed), then, words)

    earlier = 0 if before is None else before.quarantined
    nothing_left = Severity.WARN if last.accepted else Severity.FAIL
    yield result(f"{table.table}.contract", rule_words("contract"), last.quarantined, earlier, nothing_left)
    broken_before = {} if before is None else before.rules
    for rule in sorted({*last.rules, *broken_before}):
        yield result(rule, delivery_words(rule), last.rules.get(rule, 0), broken_before.get(rule, 0))
