"""The roster of a draw, read from a lake through declared columns or from a folder of CSV files.

CSV files (UTF-8, a header line, dates as YYYY-MM-DD; only the first is needed, columns in brackets may be left out):

| file | columns |
|---|---|
| `inspectors.csv` | inspector, department, [district], [lead] (true or false), [qualifications] (a;b), [valid_from], [valid_to], [most_visits] |
| `recusals.csv` | code, inspector, [ended_on] |
| `visits.csv` | code, inspector, visited_on |
| `items.csv` | item, qualification |
| `days.csv` | day, working (true or false) |
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from credit_tier.errors import Fault, UsageError
from credit_tier.sampling.folder import TEAMS, read_document
from credit_tier.sampling.roster import Inspector, Roster
from credit_tier.specs.condition import Condition
from credit_tier.specs.teams import DaySource, InspectorSource, ItemSource, RecusalSource, RosterSources, VisitSource
from credit_tier.temporal import AsOf, date_of, parse_date

if TYPE_CHECKING:
    from credit_tier.data.lake import Lake

T = TypeVar("T")
Pair = tuple[str, str]
"""Code of an enterprise and number of an inspector."""

Visited = tuple[str, str, str]
"""Code, inspector and ISO date of an earlier visit."""

FILES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "inspectors.csv": (
        ("inspector", "department"),
        ("district", "lead", "qualifications", "valid_from", "valid_to", "most_visits"),
    ),
    "recusals.csv": (("code", "inspector"), ("ended_on",)),
    "visits.csv": (("code", "inspector", "visited_on"), ()),
    "items.csv": (("item", "qualification"), ()),
    "days.csv": (("day", "working"), ()),
}
"""File -> columns that it must have, columns that it may have."""


def read_folder(folder: Path | str, *, as_of: AsOf) -> Roster:
    """Return the roster of a folder of CSV files.

    Parameters
    ----------
    as_of : recusals that ended before this day no longer count, visits from this day on do not yet.

    Raises
    ------
    UsageError (CT-DRAW-037), all faults at once: a missing file or column, cells that do not fit.
    DrawError (CT-DRAW-030) if the rows make no roster.
    """
    place = Path(folder)
    faults: list[Fault] = []
    if not (place / "inspectors.csv").is_file():
        faults.append(
            Fault(
                "CT-DRAW-037",
                str(place / "inspectors.csv"),
                "没有名录文件 · there is no such file.",
                "Give a folder with inspectors.csv.",
            )
        )
    rows = {name: _rows(place / name, *FILES[name], faults) for name in FILES}
    inspectors = _read(place / "inspectors.csv", rows["inspectors.csv"], _inspector, faults)
    recused = _read(place / "recusals.csv", rows["recusals.csv"], _recusal, faults)
    visits = _read(place / "visits.csv", rows["visits.csv"], _visit, faults)
    days = _read(place / "days.csv", rows["days.csv"], _day, faults)
    if faults:
        raise UsageError(*faults)
    until = as_of.on.isoformat()
    return make_roster(
        inspectors,
        recusals=[(code, who) for code, who, ended in recused if ended is None or ended > until],
        visits=[visit for visit in visits if visit[2] < until],
        items={row["item"]: row["qualification"] for row in rows["items.csv"]},
        working=dict(days) if (place / "days.csv").is_file() else None,
    )


def make_roster(
    inspectors: Sequence[Inspector],
    *,
    recusals: Iterable[Pair],
    visits: Iterable[Visited],
    items: dict[str, str],
    working: dict[date, bool] | None,
) -> Roster:
    """Return a roster in which recusals and last visits stand with the inspectors.

    The last visit of a department to an enterprise is that of its latest date; who is not on the roster any more is left out.
    """
    department = {row.inspector: row.department for row in inspectors}
    recused: dict[str, set[str]] = {}
    for code, who in recusals:
        recused.setdefault(who, set()).add(code)
    latest: dict[Pair, str] = {}
    known = [(code, who, day) for code, who, day in visits if who in department]
    for code, who, day in known:
        key = (code, department[who])
        latest[key] = max(latest.get(key, day), day)
    last: dict[str, set[str]] = {}
    for code, who, day in known:
        if latest[code, department[who]] == day:
            last.setdefault(who, set()).add(code)
    return Roster.of(
        (
            replace(
                row,
                recused=tuple(sorted(recused.get(row.inspector, ()))),
                last=tuple(sorted(last.get(row.inspector, ()))),
            )
            for row in inspectors
        ),
        items=items,
        working=working,
    )


def after(roster: Roster, folder: Path | str) -> Roster:
    """Return the roster with the visits of an earlier draw as last visits, beside those that it knows.

    Parameters
    ----------
    folder : folder of a draw whose teams were assigned. Whoever is not on the roster any more is left out.

    Raises
    ------
    UsageError (CT-DRAW-015) if it has no teams; VerificationError (CT-DRAW-014) if their file is damaged.
    """
    document: dict[str, Any] = read_document(Path(folder) / TEAMS)
    visited: dict[str, set[str]] = {}
    for visit in document["visits"]:
        for seat in visit["seats"]:
            for who in seat["team"]:
                visited.setdefault(who, set()).add(visit["code"])
    rows = [replace(row, last=tuple(sorted({*row.last, *visited.get(row.inspector, ())}))) for row in roster.inspectors]
    return replace(roster, inspectors=tuple(rows))


# --------------------------------------------------------------------------------------------------------------------- CSV


def _rows(path: Path, needed: tuple[str, ...], optional: tuple[str, ...], faults: list[Fault]) -> list[dict[str, str]]:
    """Return the rows of a file as texts, none if it is absent; columns that may be left out are empty."""
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            rows = [{name: (row.get(name) or "").strip() for name in (*needed, *optional)} for row in reader]
            header = reader.fieldnames or ()
    except (UnicodeDecodeError, csv.Error):
        faults.append(
            Fault("CT-DRAW-037", str(path), "文件不是 UTF-8 CSV · this is no UTF-8 CSV.", "Save it as CSV UTF-8.")
        )
        return []
    missing = [name for name in needed if name not in header]
    if missing:
        faults.append(
            Fault(
                "CT-DRAW-037",
                str(path),
                f"缺少列 · these columns are missing: {', '.join(missing)}.",
                f"It has {', '.join(needed)} and may have {', '.join(optional) or 'no other'}.",
            )
        )
        return []
    empty = sum(not row[name] for row in rows for name in needed)
    if empty:
        faults.append(Fault("CT-DRAW-037", str(path), f"{empty} 格为空 · {empty} cells are empty.", "Fill them."))
        return []
    return rows


def _read(path: Path, rows: list[dict[str, str]], make: Callable[[dict[str, str]], T], faults: list[Fault]) -> list[T]:
    made, bad = [], 0
    for row in rows:
        try:
            made.append(make(row))
        except (ValueError, UsageError):
            bad += 1
    if bad:
        faults.append(
            Fault(
                "CT-DRAW-037",
                str(path),
                f"{bad} 行有日期、数字或是否值不规范 · {bad} rows have a malformed date, number or flag.",
                "Write dates as YYYY-MM-DD, numbers in digits from 1, flags as true or false.",
            )
        )
    return made


def _inspector(row: dict[str, str]) -> Inspector:
    most = int(row["most_visits"]) if row["most_visits"] else None
    if most is not None and most < 1:
        raise ValueError
    return Inspector(
        inspector=row["inspector"],
        department=row["department"],
        post=row["district"],
        leads=_flag(row["lead"]) if row["lead"] else True,
        qualified=tuple(sorted({part.strip() for part in row["qualifications"].split(";") if part.strip()})),
        since=_date(row["valid_from"]),
        until=_date(row["valid_to"]),
        most=most,
    )


def _recusal(row: dict[str, str]) -> tuple[str, str, str | None]:
    return row["code"], row["inspector"], _date(row["ended_on"])


def _visit(row: dict[str, str]) -> Visited:
    return row["code"], row["inspector"], parse_date(row["visited_on"]).isoformat()


def _day(row: dict[str, str]) -> tuple[date, bool]:
    return parse_date(row["day"]), _flag(row["working"])


def _date(text: str) -> str | None:
    return parse_date(text).isoformat() if text else None


def _flag(text: str) -> bool:
    try:
        return {"true": True, "false": False}[text]
    except KeyError:
        raise ValueError from None


# -------------------------------------------------------------------------------------------------------------------- lake


def read_lake(lake: Lake, sources: RosterSources, *, as_of: AsOf) -> Roster:
    """Return the roster that a lake holds: what was known before `as_of`.

    Raises
    ------
    LakeError (CT-LAKE-004) unknown table; FeatureError (CT-FEAT-001) unknown column; DrawError (CT-DRAW-030) no roster.
    """
    read = _Reader(lake, as_of)
    source = sources.inspectors
    return make_roster(
        [_from_lake(row, source) for row in read.rows(source.table, _names(source), source.where)],
        recusals=read.recusals(sources.recusals),
        visits=read.visits(sources.visits),
        items=read.items(sources.items),
        working=read.days(sources.days),
    )


class _Reader:
    """Visible rows of a lake's tables."""

    def __init__(self, lake: Lake, as_of: AsOf) -> None:
        self.lake = lake
        self.as_of = as_of

    def rows(
        self, table: str, names: Iterable[str | None], where: tuple[Condition, ...] = ()
    ) -> Iterator[dict[str, Any]]:
        """Yield the rows visible at the as_of that meet all conditions, with the named columns and the enterprise's code."""
        import narwhals as nw

        from credit_tier.features.conditions import bind
        from credit_tier.features.values import column_of
        from credit_tier.features.visible import is_visible

        spec, wanted = self.lake.spec(table), [name for name in names if name is not None]
        for name in wanted:
            column_of(name, spec)
        seen = self.lake.frame(table).filter(is_visible(nw.lit(self.as_of.day)))
        seen = seen.with_columns(nw.lit(self.as_of.day).cast(nw.Int32).alias("as_of_day"))
        seen = seen.filter(bind(where, spec, knows_as_of=True))
        seen = seen.join(self.lake.code_frame(), on="enterprise_no", how="left")
        yield from seen.select("code", "event_day", *wanted).collect().iter_rows(named=True)

    def recusals(self, source: RecusalSource | None) -> list[Pair]:
        """Return those that hold on the as_of."""
        if source is None:
            return []
        return [
            (row["code"], str(row[source.inspector]))
            for row in self.rows(source.table, [source.inspector, source.ended])
            if source.ended is None or row[source.ended] is None or row[source.ended] > self.as_of.day
        ]

    def visits(self, source: VisitSource | None) -> list[Visited]:
        """Return those before the as_of."""
        if source is None:
            return []
        return [
            (row["code"], str(row[source.inspector]), date_of(row["event_day"]).isoformat())
            for row in self.rows(source.table, [source.inspector])
            if row[source.inspector] is not None and row["event_day"] < self.as_of.day
        ]

    def items(self, source: ItemSource | None) -> dict[str, str]:
        """Return item -> qualification."""
        if source is None:
            return {}
        return {
            str(row[source.item]): str(row[source.qualification])
            for row in self.rows(source.table, [source.item, source.qualification])
        }

    def days(self, source: DaySource | None) -> dict[date, bool] | None:
        """Return day -> whether it is worked."""
        if source is None:
            return None
        return {
            date_of(row[source.day]): bool(row[source.working])
            for row in self.rows(source.table, [source.day, source.working])
        }


def _from_lake(row: Mapping[str, Any], source: InspectorSource) -> Inspector:
    def cell(name: str | None) -> Any:
        return None if name is None else row[name]

    def day(name: str | None) -> str | None:
        number = cell(name)
        return None if number is None else date_of(number).isoformat()

    return Inspector(
        inspector=str(row[source.inspector]),
        department=str(row[source.department]),
        post=str(cell(source.district) or ""),
        leads=True if source.lead is None else bool(row[source.lead]),
        qualified=tuple(sorted(filter(None, str(cell(source.qualifications) or "").split(";")))),
        since=day(source.valid_from),
        until=day(source.valid_to),
        most=cell(source.most_visits),
    )


def _names(source: InspectorSource) -> list[str | None]:
    return [
        *(source.inspector, source.department, source.district, source.lead, source.qualifications),
        *(source.valid_from, source.valid_to, source.most_visits),
    ]
