"""Workbook reader: a program that reads a workbook from standard input and writes its visible sheets to standard output as JSON.

It runs in a process of its own with a memory limit, because a crafted workbook can make any reader ask for a hundred gigabytes or panic.
Dates are written as text, empty cells as null.
"""

from __future__ import annotations

import io
import json
import resource
import sys
from datetime import date

from credit_tier.data.cells import cell_text

MAX_MEMORY = 4 << 30
PASSWORD = 3
"""Exit code for a workbook that is protected by a password."""


def main() -> int:
    """Read, write, and return the exit code: 0 done, `PASSWORD`, or 1 for a workbook that cannot be read."""
    import python_calamine

    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    try:
        workbook = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(sys.stdin.buffer.read()))
        names = [
            sheet.name
            for sheet in workbook.sheets_metadata
            if sheet.visible == python_calamine.SheetVisibleEnum.Visible
            and sheet.typ == python_calamine.SheetTypeEnum.WorkSheet
        ]
        sheets = [workbook.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in names]
        plain = [[[_plain(cell) for cell in row] for row in rows] for rows in sheets]
    except python_calamine.PasswordError:
        return PASSWORD
    except (python_calamine.CalamineError, ValueError, OSError, MemoryError):
        return 1
    json.dump([names, plain], sys.stdout)
    return 0


def _plain(cell: object) -> object:
    if cell == "":
        return None
    return cell_text(cell) if isinstance(cell, date) or not isinstance(cell, str | bool | int | float) else cell


if __name__ == "__main__":
    sys.exit(main())
