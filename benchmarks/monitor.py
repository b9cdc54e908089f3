"""Does `credit-tier monitor` stay quiet where nothing changed, and how soon does it tell what did? Synthetic cities, a look every month.

The city of the demo is not quiet: its true rate of violations drifts, and from 2025 on it makes a third fewer visits and aims them better.
Here the drift is held still, and the quiet year is 2024: records begin in 2018, so that every window is full, a model learns until the end
of 2022 and is tested in 2023, and each look compares a day of 2024 with the same day of 2023. What remains are chance and enterprises
that grow older. Then the same model looks at three changes:

- a third fewer visits, better aimed: the city's own of 2025;
- one district reports problems the wrong way round from 2024 on;
- random visits find half as many problems again from 2024 on.

Looks at one city share records, so cities are counted beside looks. Intervals: Clopper and Pearson, 95 %.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import narwhals as nw
import numpy as np
from scipy.stats import beta

from credit_tier import monitoring, training
from credit_tier.content import Content
from credit_tier.data import city
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake
from credit_tier.learning.bundle import Bundle
from credit_tier.temporal import AsOf, add_months, day_number

MODEL = "violation_risk"
SPLIT = {
    "train_from": "2021-01-01",
    "calibrate_from": "2022-04-01",
    "test_from": "2023-01-01",
    "test_until": "2023-12-31",
}
CHANGED, FEWER_VISITS = date(2024, 1, 1), date(2025, 1, 1)
LOOKS = 12
Rows = nw.LazyFrame[Any]


@dataclass
class Tally:
    """What looks at quiet cities found, and after how many months each change was told (None: not within a year)."""

    looks: int = 0
    alarms: Counter[str] = field(default_factory=Counter)
    features: Counter[str] = field(default_factory=Counter)
    alarmed_looks: int = 0
    alarmed_cities: int = 0
    cities: int = 0
    told: dict[str, list[tuple[int, str] | None]] = field(default_factory=dict)


def interval(hits: int, of: int) -> str:
    """Return a share and its exact interval as text."""
    low = 0.0 if hits == 0 else float(beta.ppf(0.025, hits, of - hits + 1))
    high = 1.0 if hits == of else float(beta.ppf(0.975, hits + 1, of - hits))
    return f"{hits} of {of} = {hits / of:.1%} ({low:.1%} to {high:.1%})"


def still_city(room: Path, enterprises: int, seed: int) -> Lake:
    """Return the lake of a city whose true rate of violations does not drift."""

    def still(months: int, *, seed: int) -> Any:
        del seed
        return np.zeros(months, np.float32)

    with patch("credit_tier.data.city.truth.city_drift", still):
        city.generate(room / "city", enterprises=enterprises, seed=seed, first=date(2018, 1, 1))
    ingest(room / "lake", room / "city" / "records", Content.shipped())
    return Lake.open(room / "lake")


def trained(lake: Lake, room: Path) -> Bundle:
    """Return the shipped model, trained until the end of 2022 and tested in 2023."""
    (declared,) = (item for item in Content.shipped().files("models") if item.name == f"{MODEL}/model.yaml")
    head, rest = declared.path.read_text(encoding="utf-8").split("\nsplit:\n")
    tail = rest[rest.index("\ntrees:\n") :]
    split = "".join(f"  {name}: {day}\n" for name, day in SPLIT.items()).rstrip("\n")
    overlay = room / "content" / "models" / MODEL / "model.yaml"
    overlay.parent.mkdir(parents=True)
    text = f"supersedes: sha256:{declared.digest}\n{head}\nsplit:\n{split}{tail}"
    overlay.write_text(text, encoding="utf-8")
    content = Content.resolve(room / "content")
    return training.train(MODEL, lake, content, store=room / "store", seed=3, threads=1).bundle


def changed(lake: Lake, how: Callable[[Rows], Rows]) -> Lake:
    """Return a lake whose inspections are changed when they are read."""

    class Changed(Lake):
        def frame(self, table: str) -> Rows:
            found = super().frame(table)
            return how(found) if table == "inspections" else found

    return Changed(lake.path, lake.manifest)


def since_change() -> nw.Expr:
    return nw.col("known_day") >= day_number(CHANGED)


def inverted_in_a_district(lake: Lake) -> Callable[[Rows], Rows]:
    """Return a change by which the district with most enterprises reports the opposite of what it finds."""
    register = lake.frame(lake.register).select("enterprise_no", "district").collect()
    district, _ = Counter(register["district"].to_list()).most_common(1)[0]
    there = register.filter(nw.col("district") == district)["enterprise_no"].unique().to_list()
    wrong = since_change() & nw.col("enterprise_no").is_in(there)
    return lambda rows: rows.with_columns(problem_found=nw.col("problem_found") != wrong)


def more_problems(lake: Lake) -> Callable[[Rows], Rows]:
    """Return a change by which random visits find half as many problems again; which ones, the number of the visit decides."""
    random = nw.col("trigger") == "random"
    rate = lake.frame("inspections").filter(random).select(nw.col("problem_found").mean()).collect().item()
    chosen = nw.col("record_id").str.tail(3).cast(nw.Int64) < round(1000 * 0.5 * rate / (1 - rate))
    return lambda rows: rows.with_columns(problem_found=nw.col("problem_found") | (since_change() & random & chosen))


def looks(lake: Lake, bundle: Bundle, start: date) -> Iterator[monitoring.Monitoring]:
    """Yield a look at the first of each of the twelve months after a day."""
    for month in range(1, LOOKS + 1):
        yield monitoring.monitor(lake, bundle, AsOf(add_months(start, month)))


def watch_quiet(tally: Tally, lake: Lake, bundle: Bundle) -> None:
    """Count the alarms of a year in which nothing changed."""
    before = tally.alarmed_looks
    for found in looks(lake, bundle, CHANGED):
        alarms = {item.kind for item in found.watch.findings if item.is_alarm}
        tally.looks += 1
        tally.alarmed_looks += bool(alarms)
        tally.alarms.update(alarms)
        tally.features.update(item.name for item in found.watch.features if item.verdict != "none")
    tally.cities += 1
    tally.alarmed_cities += tally.alarmed_looks > before


def first_alarm(lake: Lake, bundle: Bundle, start: date) -> tuple[int, str] | None:
    """Return after how many months somebody is first asked to act, and why; None if not within a year."""
    for month, found in enumerate(looks(lake, bundle, start), start=1):
        alarms = sorted({item.kind for item in found.watch.findings if item.is_alarm})
        if alarms:
            return month, " and ".join(alarms)
    return None


def watch_changes(tally: Tally, lake: Lake, bundle: Bundle) -> None:
    """Note how soon each change is told."""
    changes = {
        "a third fewer visits, better aimed": (lake, FEWER_VISITS),
        "a district reports the opposite": (changed(lake, inverted_in_a_district(lake)), CHANGED),
        "half as many problems again": (changed(lake, more_problems(lake)), CHANGED),
    }
    for name, (place, start) in changes.items():
        tally.told.setdefault(name, []).append(first_alarm(place, bundle, start))


def lines(tally: Tally) -> Iterator[str]:
    """Yield the report."""
    yield f"quiet year: looks with an alarm {interval(tally.alarmed_looks, tally.looks)}"
    yield f"  cities with an alarm in any of {LOOKS} looks: {interval(tally.alarmed_cities, tally.cities)}"
    for kind, count in sorted(tally.alarms.items()):
        yield f"  by {kind}: {interval(count, tally.looks)}"
    for name, count in tally.features.most_common():
        yield f"  feature told to have moved, no alarm by itself: {name} {interval(count, tally.looks)}"
    for name, months in tally.told.items():
        when = sorted(found for found in months if found is not None)
        after = ", ".join(f"{month} ({why})" for month, why in when)
        yield f"{name}: told in {len(when)} of {len(months)} cities within a year, after months: {after or '–'}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--enterprises", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(1, 9)))
    given = parser.parse_args()
    print(f"monitor: {len(given.seeds)} cities of {given.enterprises:,} enterprises, {LOOKS} looks at each")
    tally = Tally()
    for seed in given.seeds:
        with tempfile.TemporaryDirectory() as home:
            lake = still_city(Path(home), given.enterprises, seed)
            bundle = trained(lake, Path(home))
            watch_quiet(tally, lake, bundle)
            watch_changes(tally, lake, bundle)
        print(
            f"  city {seed}: {tally.alarmed_looks} alarms so far; changes told after {[t[-1] for t in tally.told.values()]}",
            flush=True,
        )
    for line in lines(tally):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
