"""The scorecard on the page of a training: every bin with its points, every feature left out with its reason."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from credit_tier.learning.scorecard import Scaling
from credit_tier.learning.splits import TrainingFrame
from credit_tier.learning.woe_card import WoeCard
from credit_tier.learning.woe_fit import fit_card
from credit_tier.reports.page import Page, render
from credit_tier.reports.training_scorecard import scorecard
from credit_tier.specs.feature import FeatureSpec, Missing
from credit_tier.temporal import day_number


@pytest.fixture(scope="module")
def card() -> WoeCard:
    features = tuple(
        FeatureSpec(
            id=name,
            title_zh=f"指标<{name}>",
            dimension="alpha",
            source="t",
            aggregate="count",
            missing=Missing(policy="unknown"),
            unit="次",
            direction=direction,
            legal_basis="-",
        )
        for name, direction in (("visits", 1), ("age", -1), ("nothing", 0))
    )
    rng = np.random.default_rng(2)
    x = np.column_stack([rng.poisson(1.0, 4000), rng.normal(size=4000), np.zeros(4000)]).astype(np.float32)
    x[rng.random(4000) < 0.1, 1] = np.nan
    y = (rng.random(4000) < 1 / (1 + np.exp(2.5 - x[:, 0] + np.nan_to_num(x[:, 1])))).astype(np.int8)
    day = np.full(4000, day_number(date(2024, 1, 1)), np.int32)
    frame = TrainingFrame(x, y, day, np.arange(4000, dtype=np.int32), features)
    return fit_card(frame, model="m", scaling=Scaling(600.0, 20.0, 50.0))


def test_the_table_holds_every_bin_and_its_points(card: WoeCard) -> None:
    """Rows of each feature sum to all rows, points and weights are those of the card, the widest range of points comes first."""
    table = scorecard(card).blocks[0]
    assert table.rows is not None
    starts = [i for i, row in enumerate(table.rows) if row[0]]
    assert len(starts) == len(card.used) == 2
    by_name = {line.feature: line for line in card.used}
    spans = []
    for first, end in zip(starts, [*starts[1:], len(table.rows)], strict=True):
        rows = table.rows[first:end]
        line = by_name[rows[0][0].split()[-1]]
        filled = np.array(line.bins.rows) > 0
        assert len(rows) == filled.sum()
        assert sum(int(row[2].replace(",", "")) for row in rows) == 4000
        told = [float(row[6]) for row in rows]
        assert told == pytest.approx(card.points_of(line)[filled].round(1))
        assert [float(row[5]) for row in rows] == pytest.approx(line.bins.woe[filled].round(3))
        assert rows[0][7] == f"{line.bins.iv:.3f}"
        spans.append(max(told) - min(told))
    assert spans == sorted(spans, reverse=True)
    bins = [row[1] for row in table.rows]
    assert bins.count("缺失 missing") == 1
    assert any(re.fullmatch(r"1 – < \d", name) for name in bins)


def test_what_was_left_out_is_told_with_its_reason(card: WoeCard) -> None:
    """A feature that tells nothing, and one whose coefficient was taken out, stand in the second table."""
    table = scorecard(card).blocks[1]
    assert table.rows == [["指标<nothing> nothing", "0.000", "—", "信息量不足 tells too little"]]
    lines = tuple(
        replace(line, coefficient=0.0, left_out="sign") if line.feature == "age" else line for line in card.lines
    )
    rows = scorecard(replace(card, lines=lines)).blocks[1].rows
    assert rows is not None
    assert rows[0][0] == "指标<age> age"
    assert "wrong way" in rows[0][3]


def test_the_section_is_part_of_a_page(card: WoeCard) -> None:
    """Titles are escaped; base points and the finder of the bins are named in both languages."""
    html = render(Page("题", "title", "结", "verdict", sections=[scorecard(card)]))
    assert "指标&lt;visits&gt;" in html
    assert "指标<visits>" not in html
    assert html.count("built-in") == 2
    assert html.count(f"{card.base_points:.1f}") >= 3
