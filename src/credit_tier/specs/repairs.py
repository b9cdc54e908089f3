"""What a repair sets in the next version of a record, and where applications stand: `pipelines/repairs.yaml`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from pydantic import Field

from credit_tier.content import FileSpec, Spec
from credit_tier.errors import Fault
from credit_tier.specs.condition import literal
from credit_tier.specs.dataset import DatasetSpec

DAY = "day"
"""Stands for the day of the repair, in a date column."""


class Given(Spec):
    """Date facts that a milestone gives only where a column of the application has a value."""

    column: str
    equals: str
    facts: tuple[str, ...]


class Milestone(Spec):
    """A day of an application: the column that holds it, and the date facts of the rule packs that it gives."""

    column: str
    stage_zh: str
    """What the application is once this day is known."""
    stage_en: str = ""
    facts: tuple[str, ...]
    given: Given | None = None


class Applications(Spec):
    """The table of applications for repair, and their days in the order in which they come."""

    table: str
    about: tuple[str, ...] = ()
    """Columns that tell which record an application is about."""
    milestones: tuple[Milestone, ...] = Field(min_length=1)
    """The first is the day of application."""

    def columns(self) -> tuple[str, ...]:
        """Return the columns that are read."""
        tested = [item.given.column for item in self.milestones if item.given is not None]
        return tuple(dict.fromkeys((*self.about, *(item.column for item in self.milestones), *tested)))

    def dates(self, row: Mapping[str, object]) -> dict[str, date | None]:
        """Return fact -> day of an application's row."""
        found: dict[str, date | None] = {}
        for item in self.milestones:
            cell = row[item.column]
            day = cell if isinstance(cell, date) else None
            found |= dict.fromkeys(item.facts, day)
            if item.given is not None:
                holds = row[item.given.column] == item.given.equals
                found |= dict.fromkeys(item.given.facts, day if holds else None)
        return found

    def stage(self, row: Mapping[str, object]) -> Milestone:
        """Return the last milestone that is reached, the first if none is."""
        reached = [item for item in self.milestones if row[item.column] is not None]
        return reached[-1] if reached else self.milestones[0]


class RepairsSpec(FileSpec):
    """Table to column to what a repair writes there: a value as it is written in conditions, or `day`."""

    title_zh: str
    title_en: str = ""
    records: dict[str, dict[str, str]] = Field(min_length=1)
    applications: Applications | None = None

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
        yield from self._application_faults(label, tables)
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

    def _application_faults(self, label: str, tables: Mapping[str, DatasetSpec]) -> Iterator[Fault]:
        declared = self.applications
        if declared is None:
            return
        where = f"{label} applications"
        table = tables.get(declared.table)
        if table is None:
            yield Fault(
                "CT-CONTENT-023", where, f"there is no table '{declared.table}'.", f"Tables are: {', '.join(tables)}."
            )
            return
        days = {item.column for item in declared.milestones}
        for name in declared.columns():
            column = table.columns.get(name)
            if column is None:
                known = ", ".join(table.columns)
                yield Fault(
                    "CT-CONTENT-023",
                    f"{where}.{name}",
                    f"'{table.table}' has no column '{name}'.",
                    f"Columns are: {known}.",
                )
            elif name in days and column.type != "date":
                yield Fault(
                    "CT-CONTENT-032",
                    f"{where}.{name}",
                    f"'{name}' is {column.type}, not a date.",
                    "Name a date column.",
                )
        for given in (item.given for item in declared.milestones):
            column = None if given is None else table.columns.get(given.column)
            if given is None or column is None:
                continue
            try:
                literal(given.equals, column)
            except ValueError as error:
                yield Fault("CT-CONTENT-032", f"{where}.{given.column}", str(error), "Write a value of the column.")
