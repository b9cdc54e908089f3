"""`draw plan` counts history from a lake and reports chances, loads and prices."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from credit_tier.cli.draw import app
from credit_tier.content import Content
from credit_tier.data.city import generate
from credit_tier.data.ingest import ingest
from credit_tier.errors import DrawError, UsageError

PLAN = """
plan: small
title_zh: 小型计划
period: 2026Q1
beacon: {source: 测试信标, rule: 一行文字}
history: [{column: visits, title_zh: 检查次数, table: inspections, count_within_days: 3000}]
departments:
  - department: market
    title_zh: 市场监管
    strata: [risk_class]
    rates: {A: 5%, B: 20%}
    burden: {column: visits}
    inspector_days: "60"
    days: {column: risk_class, values: {B: 3/2}}
    reference: 测试
    verified: false
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    generate(folder / "city", enterprises=1200, seed=3)
    ingest(folder / "lake", folder / "city" / "records", Content.shipped())
    codes = pl.read_parquet(folder / "city" / "records" / "enterprises.parquet")["uscc"].unique().sort()
    scores = pl.DataFrame({"code": codes, "risk_class": ["AAAB"[i % 4] for i in range(len(codes))]})
    scores.write_csv(folder / "scores.csv")
    (folder / "plan.yaml").write_text(PLAN, encoding="utf-8")
    return folder


def plan(place: Path, out: Path, *more: object):
    words = ["plan", place / "scores.csv", "--plan", place / "plan.yaml", "--out", out, *more]
    return CliRunner().invoke(app, list(map(str, words)), catch_exceptions=True)


def test_a_plan_with_history_and_loads(place, tmp_path):
    """The JSON holds expected visits, chances above zero, what constraints cost, and seats per inspector of the lake's roster."""
    options = ["--lake", place / "lake", "--as-of", "2026-01-01", "--roster", place / "lake"]
    done = plan(place, tmp_path / "out", *options, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)["report"]
    assert {item["constraint"] for item in told["prices"]} == {"burden", "inspector_days"}
    assert 0 < told["smallest_chance"] == min(item["least"] for item in told["chances"])
    assert any(item["least"] < item["most"] for item in told["chances"])
    (load,) = told["loads"]
    assert load["eligible"] > 0
    assert load["each"] == pytest.approx(load["seats"] / load["eligible"])
    assert sorted(item.name for item in (tmp_path / "out").iterdir()) == ["frame.jsonl", "plan.json"]
    lines = plan(place, tmp_path / "out", *options).output
    assert "price of each constraint" in lines
    assert "smallest chance" in lines
    assert "席 seats" in lines


def test_without_lake_the_missing_column_is_named(place, tmp_path):
    """History that nobody counted is a missing column; --as-of alone is refused."""
    assert "visits" in str(plan(place, tmp_path / "out").exception)
    assert isinstance(plan(place, tmp_path / "out").exception, DrawError)
    refused = plan(place, tmp_path / "out", "--as-of", "2026-01-01").exception
    assert isinstance(refused, UsageError)
    assert refused.faults[0].code == "CT-DRAW-023"
