"""Repair of a whole city: every adverse record of a lake assessed under the dated rules and sorted into a worklist; and one enterprise.

The records are seeded random numbers, really ingested. Named alternative: the full answer (papers, time limits, trace) for each record.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.memory import peak_memory
from credit_tier.content import Content
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake
from credit_tier.features.records import visible_rows
from credit_tier.repairs import repair_worklist
from credit_tier.rules.repair import Assessor, decide_each
from credit_tier.rules.resolve import resolve
from credit_tier.temporal import AsOf, day_number
from credit_tier.types import USCC_ALPHABET, USCC_WEIGHTS

AS_OF = AsOf(date(2026, 9, 1))
FIRST = day_number(date(2017, 1, 1))
SAMPLE = 20_000
REGISTER = """\
table: firms
title_zh: 主体名录
kind: entity
key: uscc
record_id: {column: uscc}
known_at: {column: received_on}
source: 基准测试
legal_basis: 基准测试
columns:
  uscc: {type: uscc, title_zh: 统一社会信用代码}
  received_on: {type: date, title_zh: 入库日期}
"""
KINDS = {
    "fine": 0.55,
    "fine;confiscate_gains": 0.12,
    "warning": 0.1,
    "warning;fine": 0.1,
    "confiscate_goods": 0.05,
    "suspend_permit": 0.02,
    "order_suspension": 0.03,
    "revoke_permit": 0.02,
    "other": 0.01,
}
DOMAINS = {"market": 0.4, "food": 0.15, "tax": 0.15, "fire": 0.1, "work_safety": 0.1, "environment": 0.1}


def codes(numbers: np.ndarray) -> pl.Series:
    """Return valid credit codes that no registrar gives out (division 000000), one for each number."""
    alphabet = np.array([ord(letter) for letter in USCC_ALPHABET], dtype=np.uint8)
    body = np.empty((len(numbers), 17), dtype=np.int64)
    body[:] = [USCC_ALPHABET.index(letter) for letter in "91000000MA0000000"]
    for place in range(7):
        body[:, 16 - place] = numbers // 10**place % 10
    check = (31 - body @ np.array(USCC_WEIGHTS) % 31) % 31
    text = alphabet[np.column_stack([body, check])]
    return pl.Series(text.view("S18").ravel().astype("U18"))


def choice(random: np.random.Generator, shares: dict[str, float], rows: int) -> np.ndarray:
    """Return words by their shares."""
    return np.array(list(shares))[random.choice(len(shares), rows, p=list(shares.values()))]


def days(values: np.ndarray, given: np.ndarray | None = None) -> pl.Series:
    """Return day numbers as dates, empty where not given."""
    series = pl.Series(values.astype(np.int32))
    return (series if given is None else series.set(pl.Series(~given), None)).cast(pl.Date)


def make_lake(home: Path, enterprises: int, records: int) -> Path:
    """Return a lake of that many enterprises and adverse records; three in ten are fulfilled late or never, one in six is repaired."""
    random = np.random.default_rng(1)
    schemas, delivery = home / "content" / "data_schemas", home / "delivery"
    schemas.mkdir(parents=True)
    delivery.mkdir()
    (home / "content/content.yaml").write_text("title_zh: 基准测试\ninherits: [rule_packs]\n", encoding="utf-8")
    (schemas / "firms.yaml").write_text(REGISTER, encoding="utf-8")
    shipped = Content.shipped().text("data_schemas", "penalties.yaml")
    (schemas / "penalties.yaml").write_text(shipped, encoding="utf-8")
    pl.DataFrame(
        {"uscc": codes(np.arange(enterprises)), "received_on": days(np.full(enterprises, FIRST - 1))}
    ).write_parquet(delivery / "firms.parquet")
    decided = random.integers(FIRST, AS_OF.day - 10, records)
    fulfilled = decided + random.integers(1, 200, records)
    done = (random.random(records) < 0.8) & (fulfilled < AS_OF.day - 5)
    repaired = decided + random.integers(100, 600, records)
    pl.DataFrame(
        {
            "penalty_no": pl.Series(np.char.add("P", np.arange(records).astype(str))),
            "uscc": codes(random.integers(0, enterprises, records)),
            "decided_on": days(decided),
            "published_on": days(decided + 5),
            "kinds": choice(random, KINDS, records),
            "procedure": choice(random, {"ordinary": 0.8, "simple": 0.2}, records),
            "domain": choice(random, DOMAINS, records),
            "fine": random.integers(1, 200, records) / 10,
            "authority": np.full(records, "某局"),
            "duty_fulfilled_on": days(fulfilled, done),
            "commitment_on": days(fulfilled + 1, done & (random.random(records) < 0.6)),
            "repaired_on": days(repaired, done & (random.random(records) < 0.2) & (repaired < AS_OF.day - 5)),
            "received_on": days(np.full(records, AS_OF.day - 1)),
        }
    ).write_parquet(delivery / "penalties.parquet")
    if not ingest(home / "lake", delivery, Content.resolve(home / "content")).clean:
        raise SystemExit("the benchmark's own records do not keep their contracts")
    return home / "lake"


def measure(path: Path) -> dict[str, float]:
    """Return seconds and memory of the whole city, the alternative on a sample, and one enterprise in milliseconds."""
    lake, content = Lake.open(path), Content.shipped()
    found = {}
    started, worked = time.perf_counter(), time.process_time()
    city = repair_worklist(lake, content, AS_OF, jurisdiction="cn-3205")
    found["seconds"], found["cpu_seconds"] = time.perf_counter() - started, time.process_time() - worked
    found["peak_gb"] = peak_memory()
    found["records"] = float(sum(city.verdicts.values()))
    found["worklist"] = float(len(city.items))
    pack = resolve(content, "cn-3205", "repair", AS_OF.on)
    judge = Assessor(pack, AS_OF)
    started = time.perf_counter()
    rows = list(visible_rows(lake, judge.table, judge.columns, AS_OF))
    found["reading"] = time.perf_counter() - started
    rows = rows[:SAMPLE]
    started = time.process_time()
    fast = [judge(row) for row in rows]
    found["short_us"] = (time.process_time() - started) / len(rows) * 1e6
    started = time.process_time()
    full = decide_each(rows, AS_OF, pack)
    found["full_us"] = (time.process_time() - started) / len(rows) * 1e6
    verdicts = {item.record_id: item.verdict for item in fast}
    if any(verdicts[item.record_id] is not item.decision.verdict for item in full):
        raise SystemExit("the short and the full answer differ")
    chosen = [row["uscc"] for row in rows[:: max(1, len(rows) // 200)]]
    whole, rules = [], []
    for code in chosen:
        started = time.perf_counter()
        own = list(visible_rows(lake, judge.table, judge.columns, AS_OF, code=str(code)))
        read = time.perf_counter()
        decide_each(own, AS_OF, pack)
        rules.append(time.perf_counter() - read)
        whole.append(time.perf_counter() - started)
    found["rules_ms"], found["rules_late_ms"] = (float(np.quantile(rules, at)) * 1e3 for at in (0.5, 0.99))
    found["one_ms"] = float(np.median(whole)) * 1e3
    return found


def main() -> int:
    """Build the lake, measure in a process of its own, and print sizes, seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--enterprises", type=int, default=150_000)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--measure", type=Path, help="a lake that was built before; prints JSON")
    given = parser.parse_args()
    if given.measure is not None:
        print(json.dumps(measure(given.measure)))
        return 0
    with tempfile.TemporaryDirectory() as home:
        lake = make_lake(Path(home), given.enterprises, given.records)
        words = [sys.executable, "-m", "benchmarks.repair", "--measure", str(lake)]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    print(
        f"repair: {found['records']:,.0f} adverse records of {given.enterprises:,} enterprises assessed and sorted in"
        f" {found['seconds']:.1f} s, reading included ({found['reading']:.1f} s), {found['cpu_seconds']:.1f} s of processor;"
        f" {found['worklist']:,.0f} on the worklist; peak {found['peak_gb']:.2f} GB"
    )
    print(
        f"repair: {found['short_us']:.0f} µs a record, {found['full_us'] / found['short_us']:.1f} times less than the full answer;"
        f" one enterprise in full: rules median {found['rules_ms']:.2f} ms, 99 % within {found['rules_late_ms']:.2f} ms,"
        f" with reading from the lake {found['one_ms']:.1f} ms"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
