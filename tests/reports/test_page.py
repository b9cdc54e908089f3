"""Pages are self-contained, escape every text and draw charts that say what the numbers say."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from credit_tier.reports import charts
from credit_tier.reports.page import Block, Fact, Page, Section, render, write

HOSTILE = "<script>alert(1)</script>&\"'"


def page(text: str = "甲") -> Page:
    block = Block(text, headers=[text, "n"], rows=[[text, "1"]], numeric=frozenset({1}))
    chart = Block(text, svg=charts.bars([text], [1], title=text))
    return Page(
        text,
        "Title",
        text,
        "Verdict",
        [Fact("1", text, "one")],
        [Section(text, "Section", [block, chart, Block("c", code=text)], text_zh=text, note_zh=text)],
    )


def test_every_text_is_escaped() -> None:
    """Nothing that a record holds can become markup."""
    html = render(page(HOSTILE))
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_a_page_reaches_nowhere() -> None:
    """No address, no script, no font from outside; the policy in the page forbids it too."""
    html = render(page())
    assert not re.findall(r"(?:src|href)=", html)
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", html)
    assert "default-src 'none'" in html


def test_a_page_is_written_whole(tmp_path: Path) -> None:
    """The file holds the page and no temporary file is left."""
    path = write(tmp_path / "deep" / "page.html", page())
    assert path.read_text("utf-8") == render(page())
    assert [item.name for item in path.parent.iterdir()] == ["page.html"]


@pytest.mark.parametrize("values", [[0, 0], [1, 2], [5, 0]])
def test_bars_are_as_high_as_their_values(values: list[float]) -> None:
    """Heights are proportional; an all-zero chart is flat, not an error."""
    tree = ET.fromstring(charts.bars(["a", "b"], values, title="t"))  # noqa: S314
    heights = [float(r.get("height", "-1")) for r in tree.iter("{http://www.w3.org/2000/svg}rect")]
    top = max(heights)
    assert [h / top if top else 0 for h in heights] == pytest.approx(
        [v / max(values) if max(values) else 0 for v in values], abs=0.01
    )


def test_horizontal_bars_point_the_way_of_the_sign() -> None:
    """Positive contributions go right of the axis, negative ones left."""
    tree = ET.fromstring(charts.horizontal(["up", "down"], [2.0, -1.0], title="t"))  # noqa: S314
    up, down = list(tree.iter("{http://www.w3.org/2000/svg}rect"))
    axis = float(tree.find("{http://www.w3.org/2000/svg}line").get("x1"))
    assert float(up.get("x")) == axis
    assert float(down.get("x")) + float(down.get("width")) == pytest.approx(axis)
    assert float(up.get("width")) == pytest.approx(2 * float(down.get("width")))


def test_a_curve_goes_through_its_points() -> None:
    """The highest point is drawn highest."""
    tree = ET.fromstring(charts.curve([(0, 0), (0.5, 0.9), (1, 1)], title="t", x_label="x", y_label="y"))  # noqa: S314
    dots = [(float(c.get("cx")), float(c.get("cy"))) for c in tree.iter("{http://www.w3.org/2000/svg}circle")]
    assert dots[0][1] > dots[1][1] > dots[2][1]
    assert dots[0][0] < dots[1][0] < dots[2][0]
