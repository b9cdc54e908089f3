"""Scores, dimension points, exact reasons and classes: ours against `pred_contrib`, shap and plain `predict`, same rows, same threads.

Nothing is printed of a model unless contributions agree to 1e-6, those of shap too, and scores to 1e-9. The slow ways are measured on
the first rows only and scaled to all of them; how many is said beside the figure. Printed: medians of three runs after one that warms up;
CPU seconds are disturbed least by other programs. `shap.TreeExplainer` hands a LightGBM model over to `pred_contrib`, so its own loops,
which use one core, are measured as well.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from benchmarks.memory import peak_memory
from credit_tier.content import Content
from credit_tier.learning.calibrate import calibrate
from credit_tier.learning.classes import cuts_of
from credit_tier.learning.explain import score_and_explain
from credit_tier.learning.fit import Fitted
from credit_tier.learning.forest import Forest
from credit_tier.learning.scorecard import Scorer
from credit_tier.specs.feature import FeatureSpec, Missing
from credit_tier.specs.model import Points, TiersSpec

COLUMNS, DIMENSIONS, LEARNED = 41, 7, 30_000
TOP = 5
BLOCK = 250_000
WITHOUT_SHAP = "\nshap is not installed and not compared; to get it: python -m pip install --require-hashes -r requirements-optional.lock"


@dataclass(frozen=True)
class Shape:
    """How large a model is, and whether each of its trees keeps to one dimension."""

    trees: int
    leaves: int
    confined: bool

    def __str__(self) -> str:
        return f"{self.trees} trees of {self.leaves} leaves, {'confined to dimensions' if self.confined else 'unconstrained'}"


SHAPES = (Shape(100, 4, True), Shape(400, 8, True), Shape(400, 15, True), Shape(100, 4, False), Shape(400, 15, False))


def dimension(column: int) -> int:
    return column * DIMENSIONS // COLUMNS


def rows(n: int, seed: int) -> NDArray[np.float32]:
    """Counts, flags, shares, days since and amounts, as a register has them; shares and days are often unknown."""
    x = np.empty((n, COLUMNS), np.float32)
    for k, start in enumerate(range(0, n, BLOCK)):
        rng = np.random.default_rng([seed, k])
        part = x[start : start + BLOCK]
        size = len(part)
        for j in range(COLUMNS):
            values = (
                rng.poisson(0.6, size),
                rng.random(size) < 0.1,
                rng.beta(2, 8, size),
                rng.integers(1, 2000, size),
                np.where(rng.random(size) < 0.7, 0.0, rng.lognormal(9, 2, size)),
            )[j % 5]
            part[:, j] = values
            if j % 5 in {2, 3}:
                part[rng.random(size) < 0.3, j] = np.nan
    return x


def grown(shape: Shape, threads: int) -> tuple[lgb.Booster, Scorer]:
    """Grow a model as `models/violation_risk` does; every column has a say."""
    x, rng = rows(LEARNED, 1), np.random.default_rng(2)
    rank = np.argsort(np.argsort(np.nan_to_num(x), axis=0), axis=0) / LEARNED
    z = (np.sin(3 * rank) @ rng.normal(size=COLUMNS)) * 0.6 + 4 * (rank[:, 3] - 0.5) * (rank[:, 30] - 0.5)
    y = (rng.random(LEARNED) < 1 / (1 + np.exp(1.5 - z + z.mean()))).astype(np.int8)
    params = {
        "objective": "binary",
        "num_leaves": shape.leaves,
        "max_depth": 8,
        "learning_rate": 0.05,
        "min_data_in_leaf": 80,
        "lambda_l2": 5.0,
        "seed": 3,
        "num_threads": threads,
        "verbosity": -1,
    }
    groups = [dimension(j) for j in range(COLUMNS)]
    sets = [{j for j in range(COLUMNS) if groups[j] == d} for d in range(DIMENSIONS)]
    if shape.confined:
        params["interaction_constraints"] = [sorted(one) for one in sets]
    names = [f"f{j}" for j in range(COLUMNS)]
    forest = Forest.read(lgb.train(params, lgb.Dataset(x, y, feature_name=names), shape.trees).model_to_string())
    spans = None
    if shape.confined:
        forest, spans = forest.grouped(sets)
    fitted = Fitted(
        forest,
        tuple(spec(name, groups[j]) for j, name in enumerate(names)),
        tuple(f"d{d}" for d in range(DIMENSIONS)),
        spans,
        np.full(COLUMNS, np.nan),
        3,
        lgb.__version__,
    )
    identity = calibrate(np.zeros(0), np.zeros(0, np.int8), "none")
    return lgb.Booster(model_str=forest.render()), Scorer.of(fitted, identity, Points())


def spec(name: str, group: int) -> FeatureSpec:
    return FeatureSpec(
        id=name,
        title_zh=name,
        dimension=f"d{group}",
        source="t",
        aggregate="count",
        missing=Missing(policy="unknown"),
        unit="-",
        direction=0,
        legal_basis="-",
    )


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return the medians of wall and CPU seconds of three runs after one that warms up."""
    wall, cpu = [], []
    for _ in range(4):
        started, before = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - before)
    return statistics.median(wall[1:]), statistics.median(cpu[1:])


Contributions = Callable[[NDArray[np.float32]], NDArray[np.float64]]


def by_shap(booster: lgb.Booster) -> dict[str, Contributions]:
    """Return what each way to ask shap for exact path-dependent values gives for rows; nothing without shap."""
    if not importlib.util.find_spec("shap"):
        return {}
    import shap

    usual, own = (shap.TreeExplainer(booster, feature_perturbation="tree_path_dependent") for _ in range(2))
    own.model.model_type = "internal"  # no LightGBM model any more, to be worked through by shap itself
    return {
        "shap TreeExplainer, by pred_contrib": lambda x: np.asarray(usual.shap_values(x, check_additivity=False)),
        "shap TreeExplainer, own loops": lambda x: np.asarray(own.shap_values(x, check_additivity=False)),
    }


def disagreement(
    booster: lgb.Booster, scorer: Scorer, x: NDArray[np.float32], others: Mapping[str, Contributions] | None = None
) -> str | None:
    """Return in what our results differ from LightGBM's and from those of other ways, or None."""
    ours = scorer.contributions(x) / scorer.points_per_raw_score
    theirs = {"LightGBM": np.asarray(booster.predict(x, pred_contrib=True))[:, :-1]}
    theirs |= {way: work(x) for way, work in (others or {}).items()}
    wrong = []
    for way, values in theirs.items():
        furthest = float(np.abs(ours - values).max())
        if not furthest <= 1e-6:
            wrong.append(f"contributions by {furthest:.1e} from {way}")
    raw = float(np.abs(scorer.raw_score(x) - np.asarray(booster.predict(x, raw_score=True))).max())
    if not raw <= 1e-9:
        wrong.append(f"scores by {raw:.1e}")
    return ", ".join(wrong) or None


def compare(shape: Shape, x: NDArray[np.float32], *, sample: int, threads: int) -> Iterator[str]:
    """Yield the lines of a table for one model; the first rows stand for all where a way is slow."""
    booster, scorer = grown(shape, threads)
    few = x[:sample]
    others = by_shap(booster)
    wrong = disagreement(booster, scorer, few, others)
    if wrong:
        raise SystemExit(f"{shape}: ours differ: {wrong}")
    tiers = Content.shipped().load("pipelines", "tiers.yaml", TiersSpec)
    started = time.perf_counter()
    _ = Scorer(**{name: getattr(scorer, name) for name in scorer.__dataclass_fields__}).shapley
    tables = time.perf_counter() - started

    def ours() -> None:
        scores, _ = score_and_explain(scorer, x, top=TOP, threads=threads)
        cuts_of(tiers, scores.probability).ranks(scores.probability)

    ways: dict[str, tuple[Callable[[], object], int]] = {
        "credit-tier: scores, dimensions, reasons, classes": (ours, len(x)),
        "LightGBM predict, scores alone": (lambda: booster.predict(x[: 5 * sample], num_threads=threads), 5 * sample),
        "LightGBM pred_contrib": (lambda: booster.predict(few, pred_contrib=True, num_threads=threads), sample),
    }
    ways |= {way: (partial(work, few), sample) for way, work in others.items()}
    yield f"\n{shape}; tables of {scorer.shapley.tables.number.nbytes / 1e6:.1f} MB made in {tables:.2f} s\n"
    yield f"| for {len(x):,} rows | measured on | wall s | CPU s | wall/ours | CPU/ours |"
    yield "|---" * 6 + "|"
    base = (0.0, 0.0)
    for way, (work, measured) in ways.items():
        count = min(measured, len(x))
        wall, cpu = (value * len(x) / count for value in seconds(work))
        base = base if base[0] else (wall, cpu)
        yield f"| {way} | {count:,} | {wall:,.2f} | {cpu:,.2f} | {wall / base[0]:.1f} | {cpu / base[1]:.1f} |"
    yield "\n" + single(booster, scorer, few)


def single(booster: lgb.Booster, scorer: Scorer, x: NDArray[np.float32]) -> str:
    """Return the median and the 99th percentile of the time that one row takes."""
    ways: dict[str, Callable[[NDArray[np.float32]], object]] = {
        "ours with reasons": lambda row: score_and_explain(scorer, row, top=TOP)[1].of(0),
        "pred_contrib": lambda row: booster.predict(row, pred_contrib=True, num_threads=1),
        "predict": lambda row: booster.predict(row, num_threads=1),
    }
    told = []
    for way, work in ways.items():
        taken = []
        for i in range(500):
            row = x[i % len(x)][None]
            started = time.perf_counter()
            work(row)
            taken.append(time.perf_counter() - started)
        median, worst = np.percentile(taken, [50, 99]) * 1e6
        told.append(f"{way} {median:.0f} ({worst:.0f})")
    return f"one row, µs, median (99 %): {', '.join(told)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--sample", type=int, default=1000, help="rows on which pred_contrib and shap are measured")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    shapes = "; ".join(f"{i}: {shape}" for i, shape in enumerate(SHAPES))
    parser.add_argument("--models", type=int, nargs="+", choices=range(len(SHAPES)), default=[0, 2, 4], help=shapes)
    given = parser.parse_args()
    x = rows(given.rows, 9)
    print(f"scoring: {given.rows:,} rows of {COLUMNS} features in {DIMENSIONS} dimensions, {given.threads} threads")
    for i in given.models:
        for line in compare(SHAPES[i], x, sample=given.sample, threads=given.threads):
            print(line, flush=True)
    if not importlib.util.find_spec("shap"):
        print(WITHOUT_SHAP)
    print(f"\npeak memory {peak_memory():.2f} GB, of which the rows {x.nbytes / 1e9:.2f} GB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
