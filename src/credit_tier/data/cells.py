"""Cells: a typed value out of a spreadsheet or a database as the text that a careful person would type."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from math import isfinite, isnan
from zoneinfo import ZoneInfo

from credit_tier.data.columns import CIVIL_ZONE


def cell_text(value: object) -> str | None:
    """Return a value as text; None if it is empty.

    Floats are written in the 15 digits that a spreadsheet keeps, instants as the civil time of China.

    >>> [cell_text(value) for value in (1.0, 0.1 + 0.2, 1e-6, True, "", Decimal("1E+3"), date(2024, 1, 2))]
    ['1', '0.3', '0.000001', 'true', None, '1000', '2024-01-02']
    >>> [cell_text(datetime.fromisoformat(text)) for text in ("2024-01-02", "2024-01-02 08:00:05", "2024-01-01T16:30:00+00:00")]
    ['2024-01-02', '2024-01-02 08:00:05', '2024-01-02 00:30:00']
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{Decimal(format(value, '.15g')):f}" if isfinite(value) else None if isnan(value) else str(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        local = value if value.tzinfo is None else value.astimezone(ZoneInfo(CIVIL_ZONE)).replace(tzinfo=None)
        return local.isoformat(" ").removesuffix(" 00:00:00")
    return value.isoformat() if isinstance(value, date) else str(value)
