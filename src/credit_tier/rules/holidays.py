"""The State Council's holiday table (节假日安排) as input data: a CSV with the columns day and kind."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

from credit_tier.errors import DataError, Fault, UsageError
from credit_tier.temporal import WorkingCalendar, parse_date

KINDS = ("holiday", "makeup")
"""`holiday`: a day off that would otherwise be worked; `makeup`: a Saturday or Sunday that is worked (调休上班)."""


def read_holidays(path: Path) -> WorkingCalendar:
    """Return the working calendar of a holiday table.

    Raises
    ------
    DataError : CT-RULE-030 not a table of day and kind, 031 wrong rows (all at once, by line).
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            rows = list(reader)
            header = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError.of(
            "CT-RULE-030", where=str(path), what="the holiday table cannot be read.", advice="Give a UTF-8 CSV file."
        ) from error
    if not {"day", "kind"} <= set(header):
        raise DataError.of(
            "CT-RULE-030",
            where=str(path),
            what="the holiday table needs the columns day and kind.",
            advice="Write for example: day,kind / 2026-10-01,holiday / 2026-10-10,makeup.",
        )
    days: dict[str, list[date]] = {kind: [] for kind in KINDS}
    faults = []
    for line, row in enumerate(rows, start=2):
        try:
            days[row["kind"] or ""].append(parse_date(row["day"] or ""))
        except (KeyError, UsageError):
            faults.append(
                Fault(
                    "CT-RULE-031",
                    f"{path}:{line}",
                    "the row is not a day YYYY-MM-DD and a kind.",
                    f"Kinds are {', '.join(KINDS)}.",
                )
            )
    if faults:
        raise DataError(*faults)
    return WorkingCalendar.of(holidays=days["holiday"], makeup_days=days["makeup"])
