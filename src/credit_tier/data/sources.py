"""Sources: the files of a delivery that belong to tables, whatever form they have, and the faults a file can have as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from credit_tier.errors import DataError
from credit_tier.specs.dataset import DatasetSpec


@dataclass(frozen=True)
class Layout:
    """Where in a file its table was found.

    Attributes
    ----------
    header_row : number of the line that holds the headers, from 1; None where headers are no line.
    sheet : name of the sheet of a workbook.
    """

    header_row: int | None = None
    sheet: str | None = None


@dataclass(frozen=True)
class SourceFile:
    """One file, or one table of a database, that belongs to a table.

    Attributes
    ----------
    path : where its bytes are read.
    table : the table, `spec` its contract.
    sha256 : digest of what was delivered.
    label : how messages call it, if not by the name of the path.
    layout : where in the file the table was found.
    """

    path: Path
    table: str
    sha256: str
    spec: DatasetSpec = field(repr=False, compare=False)
    label: str = ""
    layout: Layout = Layout()

    @property
    def name(self) -> str:
        """Return the file's name, the way messages call it."""
        return self.label or self.path.name

    @property
    def is_text(self) -> bool:
        """Return whether its path leads to a text file, not to Parquet."""
        return not self.path.name.endswith(".parquet")


def empty_file(file: SourceFile) -> DataError:
    """Return the fault of a file without content."""
    return DataError.of(
        "CT-DATA-001", where=file.name, what="the file is empty.", advice="Ask the department to send it again."
    )


def damaged(file: SourceFile, what: str) -> DataError:
    """Return the fault of a file that is not what its name says, or was cut off."""
    return DataError.of("CT-DATA-006", where=file.name, what=what, advice="Ask the department to send it again.")


def headers_not_found(file: SourceFile) -> DataError:
    """Return the fault of a file in which no line holds headers; what stands there instead is not repeated."""
    return DataError.of(
        "CT-DATA-013",
        where=file.name,
        what=f"none of the first lines holds a header of the table '{file.table}'.",
        advice=f"Headers are listed by credit-tier schemas show {file.table}; put them above the values, or name the file after another table.",
    )
