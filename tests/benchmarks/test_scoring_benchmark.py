"""The scoring benchmark runs, its ways agree, and it would tell if they did not."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.scoring")


def test_the_confined_model_is_compared() -> None:
    """A small run prints ours, plain predict and pred_contrib for the same rows, and how much slower the others are; shap too, or that
    it is not there."""
    command = [sys.executable, "-m", "benchmarks.scoring", "--rows", "3000", "--sample", "200", "--models", "0"]
    done = subprocess.run([*command, "--threads", "1"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    table = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if line.startswith("| ")
    ]
    assert [row[0].split(",")[0] for row in table[1:4]] == [
        "credit-tier: scores",
        "LightGBM predict",
        "LightGBM pred_contrib",
    ]
    assert [row[1] for row in table[1:4]] == ["3,000", "1,000", "200"]
    assert float(table[3][5]) > 1
    assert "one row, µs" in done.stdout
    has_shap = importlib.util.find_spec("shap") is not None
    assert [row[0] for row in table[4:]] == (
        ["shap TreeExplainer, by pred_contrib", "shap TreeExplainer, own loops"] if has_shap else []
    )
    assert ("shap is not installed" in done.stdout) == (not has_shap)


def test_results_that_differ_are_told(benchmark: ModuleType) -> None:
    """A model whose leaves differ in the sixth digit is not compared in speed."""
    booster, scorer = benchmark.grown(benchmark.Shape(5, 4, confined=True), 1)
    x = benchmark.rows(100, 1)
    assert benchmark.disagreement(booster, scorer, x) is None
    trees = tuple(replace(tree, value=tree.value * (1 + 1e-4)) for tree in scorer.forest.trees)
    other = replace(scorer, forest=replace(scorer.forest, trees=trees))
    assert "contributions by" in str(benchmark.disagreement(booster, other, x))
    theirs = scorer.contributions(x) / scorer.points_per_raw_score
    told = benchmark.disagreement(booster, scorer, x, {"another": lambda _: theirs + 2e-6})
    assert told == "contributions by 2.0e-06 from another"
