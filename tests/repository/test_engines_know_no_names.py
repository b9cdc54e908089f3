"""Engines are code, declarations are data: no table, column or feature of any content is named in the engine rooms."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from credit_tier.content import Content
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.specs.feature import CatalogueSpec

ROOT = Path(__file__).resolve().parents[2]
ENGINES = ("features", "learning", "sampling", "data")
CITY = ROOT / "src/credit_tier/data/city"
COMMON = {
    "source",
    "date",
    "draw_id",
    "uscc",
    "form",
    "kind",
    "detail",
    "domain",
    "reason",
    "result",
    "channel",
    "amount",
    "authority",
    "trigger",
    "court",
    "procedure",
    "status",
    "ownership",
    "fine",
    "department",
    "situation",
    "outcome",
    "day",
}
"""Column names that are also ordinary words or parameter names; a table or feature name is never excused."""


def engine_files() -> list[Path]:
    return [
        path for room in ENGINES for path in (ROOT / "src/credit_tier" / room).rglob("*.py") if CITY not in path.parents
    ]


def names(*overlays: Path) -> set[str]:
    content = Content.resolve(*overlays)
    found = {feature.id for feature in content.load("pipelines", "features.yaml", CatalogueSpec).features}
    for item in content.files("data_schemas"):
        spec = content.load("data_schemas", item.name, DatasetSpec)
        found |= {spec.table} | (set(spec.columns) - COMMON)
    return found


@pytest.mark.parametrize(
    "overlay", [(), ("examples/beijing",), ("examples/sme_invoices",)], ids=["suzhou", "beijing", "sme"]
)
def test_no_engine_names_a_table_column_or_feature(overlay: tuple[str, ...]) -> None:
    """Another city's register runs without a change in src/."""
    wanted = names(*(ROOT / item for item in overlay))
    pattern = re.compile(r"[\"'](" + "|".join(sorted(map(re.escape, wanted), key=len, reverse=True)) + r")[\"']")
    assert len(engine_files()) > 20
    hits = [
        f"{path.relative_to(ROOT)}:{n}: {m.group(1)}"
        for path in engine_files()
        for n, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        for m in pattern.finditer(line)
    ]
    assert hits == []


def test_nothing_in_the_package_knows_the_example() -> None:
    """`src/` contains no line about Beijing or its culture inspections."""
    for path in (ROOT / "src").rglob("*"):
        if path.suffix in {".py", ".j2"}:
            assert not re.search("beijing|北京|culture_violation|entity_id", path.read_text("utf-8"), re.IGNORECASE), (
                path
            )
