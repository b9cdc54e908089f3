"""`credit-tier score` as a whole: everybody of a synthetic city from the lake's records to the files, by phase, at several sizes.

One model, trained on a city of its own, scores all of them. Each size runs in a process of its own, as the command does: what is said to
be the rest is starting, opening bundle and lake, and putting columns together. Memory is the peak of the process during a phase, all that
earlier phases left included. A city of 3 million takes some ten minutes to make; an existing lake is scored with `--lake`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from benchmarks.memory import peak_memory
from credit_tier import profiles, training
from credit_tier.content import Content
from credit_tier.data.city import generate
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake
from credit_tier.learning.bundle import Bundle
from credit_tier.temporal import AsOf

P, T = ParamSpec("P"), TypeVar("T")
AS_OF = "2026-01-01"
LEARNED = 20_000
PHASES = {
    "who is scored": ("credit_tier.features.spine", "scoring"),
    "features": ("credit_tier.features.build", "build"),
    "scores, dimensions, reasons": ("credit_tier.learning.explain", "score_and_explain"),
    "classes by the model": ("credit_tier.learning.classes", "ranks_of"),
    "overrides": ("credit_tier.overriding", "overridden"),
    "columns of the register": ("credit_tier.profiles", "_kept"),
    "table of reasons": ("credit_tier.profiles", "_reason_frame"),
    "files": ("credit_tier.data.engines", "write_parquet"),
}
Figures = tuple[float, float, float]
"""Wall seconds, CPU seconds, peak MB."""


class Meter:
    """Seconds and peak memory of named calls, and of all of the process."""

    def __init__(self) -> None:
        self.found: dict[str, Figures] = {}
        self.most = 0.0

    def watch(self, phase: str, module: str, name: str) -> None:
        """Measure a function wherever it is called from now on."""
        place = importlib.import_module(module)
        setattr(place, name, self.measured(phase, getattr(place, name)))

    def measured(self, phase: str, work: Callable[P, T]) -> Callable[P, T]:
        """Return work that is measured when it is done."""

        @wraps(work)
        def timed(*given: P.args, **named: P.kwargs) -> T:
            self.forget_peak()
            wall, cpu = time.perf_counter(), time.process_time()
            try:
                return work(*given, **named)
            finally:
                before = self.found.get(phase, (0.0, 0.0, 0.0))
                self.found[phase] = (
                    before[0] + time.perf_counter() - wall,
                    before[1] + time.process_time() - cpu,
                    max(before[2], peak_memory() * 1000),
                )

        return timed

    def forget_peak(self) -> None:
        """Let the peak begin anew, and keep the largest of all."""
        self.most = max(self.most, peak_memory() * 1000)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def run(lake: Path, bundle: Path, out: Path, threads: int) -> None:
    """Score a lake and write the files; print how many were scored, and the figures of each phase."""
    meter = Meter()
    for phase, (module, name) in PHASES.items():
        meter.watch(phase, module, name)
    model = Bundle.open(bundle)
    content = Content.shipped()
    scored = profiles.score(
        Lake.open(lake), content, model, AsOf.parse(AS_OF), keep=("district", "industry_section"), threads=threads
    )
    scored.save(out)
    meter.forget_peak()
    counts = {"enterprises": scored.summary["enterprises"], "reasons": len(scored.reasons)}
    print(json.dumps({**counts, "phases": meter.found, "cpu": time.process_time(), "peak": meter.most}))


def make_lake(folder: Path, enterprises: int) -> Path:
    """Return a lake of a synthetic city."""
    generate(folder / "city", enterprises=enterprises, seed=5)
    ingest(folder / "lake", folder / "city" / "records", Content.shipped())
    return folder / "lake"


def report(lake: Path, bundle: Path, folder: Path, threads: int) -> None:
    """Score a lake in a process of its own and print its table."""
    command = [sys.executable, "-m", "benchmarks.city_scoring", "--threads", str(threads)]
    command += ["--run", str(lake), str(bundle), str(folder / "scores")]
    started = time.perf_counter()
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    whole = (time.perf_counter() - started, told["cpu"], told["peak"])
    rest = (whole[k] - sum(figures[k] for figures in told["phases"].values()) for k in range(2))
    count = told["enterprises"]
    size = sum(path.stat().st_size for path in (folder / "scores").iterdir())
    print(f"\n{count:,} enterprises scored, {told['reasons']:,} reasons, files of {size / 1e6:,.0f} MB\n")
    print("| phase | s | CPU s | µs per enterprise | peak MB |")
    print("|---" * 5 + "|")
    for phase, (wall, cpu, peak) in {**told["phases"], "rest": (*rest, None), "all": whole}.items():
        memory = "" if peak is None else f"{peak:,.0f}"
        print(f"| {phase} | {wall:,.2f} | {cpu:,.2f} | {wall / count * 1e6:,.1f} | {memory} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--enterprises", type=int, nargs="*", default=[20_000, 200_000])
    parser.add_argument("--lake", type=Path, nargs="*", default=[], help="lakes of cities that are there already")
    parser.add_argument("--bundle", type=Path, help=f"without it a model is trained on a city of {LEARNED:,}")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where to work; 2 GB for a million enterprises")
    parser.add_argument("--run", nargs=3, type=Path, metavar=("LAKE", "BUNDLE", "OUT"))
    given = parser.parse_args()
    if given.run:
        run(*given.run, given.threads)
        return 0
    print(f"city_scoring: {given.threads} threads, as of {AS_OF}")
    with tempfile.TemporaryDirectory(dir=given.folder) as home:
        bundle = given.bundle
        if bundle is None:
            lake = Lake.open(make_lake(Path(home, "learned"), LEARNED))
            done = training.train(
                "violation_risk", lake, Content.shipped(), store=Path(home, "store"), seed=1, threads=given.threads
            )
            bundle = done.bundle.folder
        for size in given.enterprises:
            with tempfile.TemporaryDirectory(dir=home) as room:
                report(make_lake(Path(room), size), bundle, Path(room), given.threads)
        for lake in given.lake:
            with tempfile.TemporaryDirectory(dir=home) as room:
                report(lake, bundle, Path(room), given.threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
