"""Recognition: a delivery that was taken in before, under the same conditions, need not be read again.

A file seen before adds nothing to the lake, whatever came after it, unless rows that were rejected then would be accepted now.
Verdicts depend on the contracts, the day of receipt, the program and, for rows without a registered subject, on the register.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from importlib.metadata import version

from pydantic import TypeAdapter, ValidationError

from credit_tier.canonical import digest_of
from credit_tier.data.delivery import Delivery
from credit_tier.data.lake import FileEntry, Manifest, Outcome, schema_digest
from credit_tier.data.report import TableReport
from credit_tier.specs.dataset import DatasetSpec


def outcome_of(
    specs: Mapping[str, DatasetSpec], codes: FileEntry, reports: Sequence[TableReport], *, received_on: date | None
) -> Outcome:
    """Return what a delivery came to, for the log."""
    needs_register = any(rule.endswith(".not_in_register") for report in reports for rule in report.rules)
    return Outcome(
        conditions=_conditions(specs, codes if needs_register else None, received_on=received_on),
        needs_register=needs_register,
        tables=tuple(TypeAdapter(TableReport).dump_python(report, mode="json") for report in reports),
    )


def recognised(
    manifest: Manifest, delivery: Delivery, specs: Mapping[str, DatasetSpec], *, received_on: date | None
) -> tuple[TableReport, ...] | None:
    """Return the reports of a delivery that would change nothing, or None if it has to be read."""
    if any(
        (entry := manifest.tables.get(item.table)) is None or entry.schema_digest != schema_digest(specs[item.table])
        for item in delivery.files
    ):
        return None
    for past in reversed(manifest.deliveries):
        outcome = past.outcome
        if past.digest != delivery.digest or outcome is None:
            continue
        codes = manifest.codes if outcome.needs_register else None
        if outcome.conditions == _conditions(specs, codes, received_on=received_on):
            return _as_repeated(outcome)
    return None


def _as_repeated(outcome: Outcome) -> tuple[TableReport, ...] | None:
    """Return the reports of an outcome with nothing added, or None if they were written in another form."""
    try:
        tables = TypeAdapter(tuple[TableReport, ...]).validate_python(outcome.tables)
    except ValidationError:
        return None
    return tuple(replace(table, added=0, unchanged=table.accepted) for table in tables)


def _conditions(specs: Mapping[str, DatasetSpec], codes: FileEntry | None, *, received_on: date | None) -> str:
    return digest_of(
        {
            "program": version("credit-tier"),
            "day_of_receipt": None if received_on is None else received_on.isoformat(),
            "register": None if codes is None else codes.sha256,
            "contracts": {name: schema_digest(spec) for name, spec in specs.items()},
        }
    )
