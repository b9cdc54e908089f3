"""The benchmark's features in featuretools with cutoff times; runs in an environment of its own, knows nothing of credit-tier.

Featuretools fails on the pandas that credit-tier is locked to. Input: a JSON text with the tables' Parquet files, the features in plain form, the
as_of day and the number of enterprises; output: seconds, peak memory and a digest per feature.
It gets what helps it: only versions visible at the as_of, vocabularies as ranks, conditions as boolean columns. A window is one calculation, because
`training_window` holds for all features of a calculation.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import time
import warnings
from typing import Any

import featuretools as ft
import numpy as np
import pandas as pd
from featuretools.primitives import Count, Last, Max, Mean, Min, NumUnique, PercentTrue, Sum, TimeSinceLast
from memory import peak_memory

warnings.filterwarnings("ignore")
PRIMITIVES = {
    "count": Count,
    "exists": Count,
    "sum": Sum,
    "mean": Mean,
    "max": Max,
    "min": Min,
    "last": Last,
    "n_unique": NumUnique,
    "share": PercentTrue,
    "days_since": TimeSinceLast,
}


def test(rows: pd.DataFrame, condition: dict[str, Any]) -> pd.Series:
    column, operator, value = rows[condition["column"]], condition["operator"], condition["value"]
    if operator == "is_null":
        return column.isna() == value
    return column >= value if operator == "at_least" else column.isin(value)


def entities(plan: dict[str, Any]) -> ft.EntitySet:
    """Return the enterprises with what is visible of them at the as_of."""
    found = ft.EntitySet("lake")
    subjects = pd.DataFrame({"enterprise_no": np.arange(plan["enterprises"])})
    found.add_dataframe(dataframe_name="subjects", dataframe=subjects, index="enterprise_no")
    for table, about in plan["tables"].items():
        own = [f for f in plan["features"] if f["source"] == table]
        rows = records(about, own, plan["as_of"])
        types = {name: "Boolean" for name in rows if str(name).endswith(("_counts", "_has"))}
        kinds = {True: "Categorical", False: "Double"}
        types |= {f["column"]: kinds[f["aggregate"] == "n_unique"] for f in own if f["column"]}
        found.add_dataframe(rows, table, index="record", make_index=True, time_index="happened_at", logical_types=types)
        found.add_relationship("subjects", "enterprise_no", table, "enterprise_no")
    return found


def records(about: dict[str, Any], own: list[dict[str, Any]], day: int) -> pd.DataFrame:
    """Return the visible records: conditions of each feature as booleans, values as numbers."""
    rows = pd.concat([pd.read_parquet(file, columns=about["columns"]) for file in about["files"]], ignore_index=True)
    rows = rows[(rows["known_day"] < day) & (rows["superseded_day"] >= day) & (rows["event_day"] < day)]
    result = {"enterprise_no": rows["enterprise_no"], "happened_at": pd.to_datetime(rows["event_day"], unit="D")}
    for f in own:
        if f["filter"]:
            result[f"{f['id']}_counts"] = np.logical_and.reduce([test(rows, c) for c in f["filter"]])
        if f["numerator"]:
            result[f"{f['id']}_has"] = np.logical_and.reduce([test(rows, c) for c in f["numerator"]])
        if f["column"]:
            words = about["vocabularies"].get(f["column"])
            column = rows[f["column"]]
            result[f["column"]] = (
                column if words is None else column.map({word: rank for rank, word in enumerate(words)})
            )
    return pd.DataFrame(result).reset_index(drop=True)


def definition(f: dict[str, Any], found: ft.EntitySet) -> ft.AggregationFeature:
    columns, kind = found[f["source"]].ww, f["aggregate"]
    base = {"count": "record", "exists": "record", "share": f"{f['id']}_has", "days_since": "happened_at"}
    where = ft.Feature(columns[f"{f['id']}_counts"]) if f["filter"] else None
    column = ft.Feature(columns[base.get(kind, f["column"])])
    return ft.AggregationFeature(column, parent_dataframe_name="subjects", primitive=PRIMITIVES[kind], where=where)


def calculated(plan: dict[str, Any]) -> dict[str, np.ndarray]:
    found = entities(plan)
    subjects, day = np.arange(plan["enterprises"]), pd.Timestamp(plan["as_of"], unit="D")
    result = {}
    for days in sorted({f["days"] for f in plan["features"]}):
        own = [f for f in plan["features"] if f["days"] == days]
        table = ft.calculate_feature_matrix(
            [definition(f, found).rename(f["id"]) for f in own],
            found,
            cutoff_time=pd.DataFrame({"enterprise_no": subjects, "time": day}),
            training_window=ft.Timedelta(days, "d"),
            include_cutoff_time=False,
        ).sort_index()
        for f in own:
            values = table[f["id"]].astype("float64").to_numpy()
            values = {"exists": values > 0, "days_since": values / 86_400}.get(f["aggregate"], values).astype(
                np.float64
            )
            result[f["id"]] = values if f["fill"] is None else np.where(np.isnan(values), f["fill"], values)
    return result


def digest(column: np.ndarray) -> str:
    values = column.astype(np.float32)
    return hashlib.sha256(np.where(np.isnan(values), np.float32(np.nan), values + np.float32(0)).tobytes()).hexdigest()


def main() -> None:
    plan = json.load(sys.stdin)
    wall, cpu = [], []
    for _ in range(4):
        started, before = time.perf_counter(), time.process_time()
        result = calculated(plan)
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - before)
    figures = {"seconds": statistics.median(wall[1:]), "cpu": statistics.median(cpu[1:]), "memory": peak_memory()}
    print(json.dumps({**figures, "digests": {name: digest(column) for name, column in result.items()}}))


if __name__ == "__main__":
    main()
