"""Ways to compute the features of the benchmark: each starts from the lake's Parquet files and ends with one float32 matrix.

Rows are as_of by as_of, subjects ascending; columns are in the order of the catalogue; NaN where a value is unknown.
Pandas and SQL say what a person would write by hand for this catalogue; they are composed here because there are 60 features.
"""

# ruff: noqa: S608  (tables and columns are those of the benchmark's own content)

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from credit_tier.data.lake import Lake
from credit_tier.specs.condition import Condition, literal
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.specs.feature import FeatureSpec

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

Matrix = NDArray[np.float32]
Features = tuple[FeatureSpec, ...]
SYSTEM = ("enterprise_no", "event_day", "known_day", "superseded_day")


def files(lake: Lake, table: str) -> list[str]:
    return [str(lake.path / item.name) for item in lake.manifest.tables[table].files]


def by_table(features: Features) -> dict[str, Features]:
    return {name: tuple(f for f in features if f.source == name) for name in dict.fromkeys(f.source for f in features)}


def columns_needed(lake: Lake, features: Features) -> dict[str, list[str]]:
    """Return the columns that any way must read, by table."""
    needed = {lake.register: ["enterprise_no", "known_day", "superseded_day"]}
    for table, own in by_table(features).items():
        used = {f.column for f in own} | {c.column for f in own for c in (*f.filter, *f.numerator)}
        needed[table] = [*SYSTEM, *(name for name in lake.spec(table).columns if name in used)]
    return needed


def reach(features: Features) -> int:
    return max(f.window.days or 0 for f in features)


def value_of(condition: Condition, spec: DatasetSpec) -> list[Any]:
    return [literal(text, spec.columns[condition.column]) for text in condition.values()]


# ------------------------------------------------------------------------------------------------------------------ ours


def ours(lake: Lake, features: Features, days: list[int]) -> Matrix:
    from credit_tier.features.build import build
    from credit_tier.features.spine import grid
    from credit_tier.temporal import date_of

    return build(lake, features, grid(lake, (), [date_of(day) for day in days])).matrix()


# ---------------------------------------------------------------------------------------------------------------- pandas


def with_pandas(lake: Lake, features: Features, days: list[int]) -> Matrix:
    """Masks and groupby: tables are read once, cut once per as_of, each condition, window and grouping is made once."""
    import pandas as pd

    tables = {
        name: pd.concat([pd.read_parquet(file, columns=columns) for file in files(lake, name)], ignore_index=True)
        for name, columns in columns_needed(lake, features).items()
    }
    blocks = []
    for day in days:
        register = tables[lake.register]
        seen = register[(register["known_day"] < day) & (register["superseded_day"] >= day)]
        subjects = pd.Index(np.sort(seen["enterprise_no"].unique()))
        block = np.empty((len(subjects), len(features)), np.float32)
        for table, own in by_table(features).items():
            rows = tables[table]
            visible = (rows["known_day"] < day) & (rows["superseded_day"] >= day)
            rows = rows[visible & (rows["event_day"] < day) & (rows["event_day"] >= day - reach(own))]
            pick = _Pick(rows, day, lake.spec(table))
            for f in own:
                value = pick.value(f).reindex(subjects)
                block[:, features.index(f)] = value if f.missing.fill is None else value.fillna(f.missing.fill)
        blocks.append(block)
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


class _Pick:
    """Rows of a table by condition and window, each made once."""

    def __init__(self, rows: pd.DataFrame, day: int, spec: DatasetSpec) -> None:
        self.day, self.spec = day, spec
        coded = {name for name, column in spec.columns.items() if column.vocabulary and name in rows}
        ranks = {
            name: {word: place for place, word in enumerate(spec.columns[name].vocabulary or {})} for name in coded
        }
        self.rows = rows.assign(**{f"{name}_rank": rows[name].map(ranks[name]) for name in coded})
        self.groups: dict[object, Any] = {}

    def group(self, conditions: tuple[Condition, ...], days: int) -> Any:
        key = (conditions, days)
        if key not in self.groups:
            mask = self.rows["event_day"] >= self.day - days
            for condition in conditions:
                mask &= self.test(condition)
            self.groups[key] = self.rows[mask].groupby("enterprise_no", sort=False)
        return self.groups[key]

    def test(self, condition: Condition) -> pd.Series[bool]:
        column = self.rows[condition.column]
        if condition.is_null is not None:
            return column.isna() == condition.is_null
        values = value_of(condition, self.spec)
        if condition.at_least is not None:
            return column >= values[0]
        return column == values[0] if condition.equals is not None else column.isin(values)

    def value(self, f: FeatureSpec) -> Any:
        days = f.window.days or 0
        group = self.group(f.filter, days)
        column = f"{f.column}_rank" if f"{f.column}_rank" in self.rows else f.column
        match f.aggregate:
            case "count":
                return group.size()
            case "exists":
                return group.size().clip(upper=1)
            case "share":
                return (
                    self.group((*f.filter, *f.numerator), days).size().reindex(group.size().index, fill_value=0)
                    / group.size()
                )
            case "trend":
                return (
                    2 * self.group(f.filter, days // 2).size().reindex(group.size().index, fill_value=0) - group.size()
                )
            case "days_since":
                return self.day - group["event_day"].max()
            case "n_unique":
                return group[f.column].nunique()
            case _:
                return getattr(group[column], f.aggregate)()


# ---------------------------------------------------------------------------------------------------------------- DuckDB


def with_duckdb(lake: Lake, features: Features, days: list[int]) -> Matrix:
    """One query per table and as_of; NumPy puts its rows in their places, which is faster than a join in SQL."""
    blocks = []
    fills = np.array([np.nan if f.missing.fill is None else f.missing.fill for f in features], np.float32)
    with _connection() as database:
        for day in days:
            register = database.sql(f"{_subjects(lake, str(day))} ORDER BY enterprise_no").fetchnumpy()
            subjects = register["enterprise_no"]
            block = np.empty((len(subjects), len(features)), np.float32)
            block[:] = fills
            for table, own in by_table(features).items():
                query = f"{_totals(lake, table, own, str(day))} GROUP BY enterprise_no"
                totals = database.sql(query).to_arrow_table()
                rows = np.searchsorted(subjects, totals["enterprise_no"].to_numpy())
                for f in own:
                    block[rows, features.index(f)] = totals[f.id].to_numpy()
            blocks.append(block)
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def with_duckdb_sql(lake: Lake, features: Features, days: list[int]) -> Matrix:
    """One query per as_of: one grouping per table, joined to the subjects."""
    blocks = []
    with _connection() as database:
        for day in days:
            groups = {
                table: f"{_totals(lake, table, own, str(day))} GROUP BY enterprise_no"
                for table, own in by_table(features).items()
            }
            joined = " ".join(f"LEFT JOIN ({query}) {table} USING (enterprise_no)" for table, query in groups.items())
            query = f"SELECT {_all(features)} FROM ({_subjects(lake, str(day))}) {joined} ORDER BY enterprise_no"
            blocks.append(_matrix(database.sql(query).to_arrow_table(), features))
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def with_duckdb_join(lake: Lake, features: Features, days: list[int]) -> Matrix:
    """One query for all as_of dates: records are joined to the dates at which they can count."""
    dates = f"(SELECT unnest({days})::INTEGER AS as_of)"
    between = "known_day < as_of AND superseded_day >= as_of AND event_day < as_of"
    parts = []
    for table, own in by_table(features).items():
        totals = _totals(
            lake, table, own, "as_of", f" JOIN {dates} dates ON {between} AND event_day >= as_of - {reach(own)}"
        )
        parts.append(f"LEFT JOIN ({totals} GROUP BY enterprise_no, as_of) {table} USING (enterprise_no, as_of)")
    subjects = (
        f"SELECT enterprise_no, as_of FROM {_source(lake, lake.register)}"
        f" JOIN {dates} dates ON known_day < as_of AND superseded_day >= as_of"
    )
    query = f"SELECT {_all(features)} FROM ({subjects}) subjects {' '.join(parts)} ORDER BY as_of, enterprise_no"
    with _connection() as database:
        return _matrix(database.sql(query).to_arrow_table(), features)


def _connection() -> duckdb.DuckDBPyConnection:
    import duckdb

    return duckdb.connect()


def _source(lake: Lake, table: str) -> str:
    return f"read_parquet({files(lake, table)})"


def _subjects(lake: Lake, day: str) -> str:
    return (
        f"SELECT enterprise_no FROM {_source(lake, lake.register)} WHERE known_day < {day} AND superseded_day >= {day}"
    )


def _totals(lake: Lake, table: str, own: Features, day: str, join: str | None = None) -> str:
    spec = lake.spec(table)
    values = ", ".join(f"{_filled(_total(f, spec, day, reach(own)), f)}::FLOAT AS {f.id}" for f in own)
    keys = "enterprise_no" if join is None else "enterprise_no, as_of"
    query = f"SELECT {keys}, {values} FROM {_source(lake, table)}"
    if join is not None:
        return query + join
    visible = f"known_day < {day} AND superseded_day >= {day}"
    return f"{query} WHERE {visible} AND event_day < {day} AND event_day >= {day} - {reach(own)}"


def _total(f: FeatureSpec, spec: DatasetSpec, day: str, whole: int) -> str:
    days = f.window.days or 0
    chosen = partial(_filter, spec=spec, day=day, whole=whole)
    within, column = chosen(f.filter, days), f.column
    declared = spec.columns.get(column or "")
    if declared is not None and declared.vocabulary:
        cases = " ".join(f"WHEN '{word}' THEN {place}" for place, word in enumerate(declared.vocabulary))
        column = f"CASE {f.column} {cases} END"
    match f.aggregate:
        case "count":
            return f"count(*){within}"
        case "exists":
            return f"(count(*){within} > 0)"
        case "share":
            return f"count(*){chosen((*f.filter, *f.numerator), days)} / nullif(count(*){within}, 0)"
        case "trend":
            return f"(2 * count(*){chosen(f.filter, days // 2)} - count(*){within})"
        case "days_since":
            return f"({day} - max(event_day){within})"
        case "n_unique":
            return f"bit_count(bit_or(1 << ({column})){within})"
        case "last":
            return f"arg_max({column}, event_day){within}"
        case "mean":
            return f"avg({column}){within}"
        case _:
            return f"{f.aggregate}({column}){within}"


def _filter(conditions: tuple[Condition, ...], days: int, *, spec: DatasetSpec, day: str, whole: int) -> str:
    tests = [] if days == whole else [f"event_day >= {day} - {days}"]
    for condition in conditions:
        values = [f"'{value}'" if isinstance(value, str) else str(value).lower() for value in value_of(condition, spec)]
        if condition.is_null is not None:
            tests.append(f"{condition.column} IS {'' if condition.is_null else 'NOT '}NULL")
        elif condition.at_least is not None:
            tests.append(f"{condition.column} >= {values[0]}")
        else:
            tests.append(f"{condition.column} IN ({', '.join(values)})")
    return f" FILTER (WHERE {' AND '.join(tests)})" if tests else ""


def _filled(value: str, f: FeatureSpec) -> str:
    return value if f.missing.fill is None else f"coalesce({value}, {f.missing.fill:g})"


def _all(features: Features) -> str:
    return ", ".join(f"{_filled(f.id, f)} AS {f.id}" for f in features)


def _matrix(table: Any, features: Features) -> Matrix:
    result = np.empty((table.num_rows, len(features)), np.float32)
    for place, f in enumerate(features):
        result[:, place] = table[f.id].to_numpy()
    return result


# ----------------------------------------------------------------------------------------------------------------- floor


def read_with_polars(lake: Lake, features: Features, _days: list[int]) -> None:
    """Read the needed columns and nothing else."""
    import polars as pl

    for table, columns in columns_needed(lake, features).items():
        pl.scan_parquet(files(lake, table), glob=False).select(columns).collect()


def read_with_pyarrow(lake: Lake, features: Features, _days: list[int]) -> None:
    """Read the needed columns and nothing else."""
    import pyarrow.parquet as pq

    for table, columns in columns_needed(lake, features).items():
        pq.read_table(files(lake, table), columns=columns)


WAYS: dict[str, Callable[[Lake, Features, list[int]], Matrix | None]] = {
    "ours": ours,
    "pandas": with_pandas,
    "duckdb": with_duckdb,
    "duckdb-sql": with_duckdb_sql,
    "duckdb-join": with_duckdb_join,
    "read-polars": read_with_polars,
    "read-pyarrow": read_with_pyarrow,
}
