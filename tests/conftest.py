"""Files that take long come first, so that two processes end at about the same time."""

from __future__ import annotations

import pytest

LONG = (
    "test_spark.py",
    "test_oracle.py",
    "test_demo.py",
    "test_beijing_run.py",
    "test_sme_run.py",
    "test_leaks.py",
    "test_repair_benchmark.py",
    "test_verify_page.py",
    "test_hostile_bundles.py",
    "test_training.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the tests of long files to the front, each file together."""
    place = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONG)))
