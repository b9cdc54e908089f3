"""What a repair sets in the next version of a record: `pipelines/repairs.yaml`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import Field

from credit_tier.content import FileSpec
from credit_tier.errors import Fault
from credit_tier.specs.condition import literal
from credit_tier.specs.dataset import DatasetSpec

DAY = "day"
"""Stands for the day of the repair, in a date column."""


class RepairsSpec(FileSpec):
    """Table to column to what a repair writes there: a value as it is written in conditions, or `day`."""

    title_zh: str
    title_en: str = ""
    records: dict[str, dict[str, str]] = Field(min_length=1)

    def values(self, table: DatasetSpec, day: int) -> dict[str, bool | int | float | str]:
        """Return what a repair on a day writes into a record of a table, in the lake's form; nothing for a table without repair.

        Raises
        ------
        ValueError, with words for the author, if a column cannot hold its value.
        """
        found: dict[str, bool | int | float | str] = {}
        for name, text in self.records.get(table.table, {}).items():
            column = table.columns[name]
            found[name] = day if text == DAY and column.type == "date" else literal(text, column)
        return found

    def faults(self, label: str, tables: Mapping[str, DatasetSpec]) -> Iterator[Fault]:
        """Yield what does not fit the tables: CT-CONTENT-023 unknown table or column, 032 a column that a repair leaves, or a value that it cannot hold."""
        for name, changes in self.records.items():
            table = tables.get(name)
            if table is None:
                where = f"{label} records.{name}"
                yield Fault(
                    "CT-CONTENT-023", where, f"there is no table '{name}'.", f"Tables are: {', '.join(tables)}."
                )
                continue
            for column in changes:
                where = f"{label} records.{name}.{column}"
                if column not in table.columns:
                    known = ", ".join(table.columns)
                    yield Fault(
                        "CT-CONTENT-023", where, f"'{name}' has no column '{column}'.", f"Columns are: {known}."
                    )
                    continue
                if column in {table.key, table.event_on, table.known_at.column, *table.record_id.columns}:
                    yield Fault(
                        "CT-CONTENT-032",
                        where,
                        "a repair leaves the subject, id and days of a record.",
                        "Name another column.",
                    )
                    continue
                try:
                    RepairsSpec(title_zh="", records={name: {column: changes[column]}}).values(table, 0)
                except ValueError as error:
                    yield Fault("CT-CONTENT-032", where, str(error), "Write a value of the column, or day.")
