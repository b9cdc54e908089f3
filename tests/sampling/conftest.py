from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from credit_tier import draws
from credit_tier.content import parse
from credit_tier.specs.plan import PlanSpec

PLAN = """
plan: round_test
title_zh: 测试抽查
period: 2026Q4
beacon: {source: 测试信标, rule: 一行文字}
departments:
  - department: market
    title_zh: 市场监管
    strata: [risk_class, district]
    rates: {A: 2%, B: 1/15, C: 35%, D: 100%}
    certainty: [D]
    reference: 测试
    verified: false
    reserves: 3
    exclusions:
      - exclusion: deregistered
        title_zh: 已注销
        reference: 测试
        verified: false
        where: [{column: status, one_of: [deregistered, revoked]}]
  - department: fire
    title_zh: 消防
    strata: [risk_class]
    rates: {A: 1%, B: 2%, C: 10%, D: 30%}
    caps: {A: 3%, B: 6%, C: 90%}
    reference: 测试
    verified: true
    budget: 41
    size: staff
    exclusions:
      - exclusion: tiny
        title_zh: 无员工
        reference: 测试
        verified: true
        where: [{column: staff, at_most: "1"}, {column: opened_on, at_least: "2020-06-01"}]
"""

SECRET = "5ec2e7" * 11
BEACON = "2026133 03 07 12 19 25 31 16"


def rows(count: int = 600) -> list[dict[str, object]]:
    """Return a designed register: skewed classes, three districts, sizes 1 to 40, some closed."""
    return [
        {
            "code": f"91320500MA{i:08d}",
            "risk_class": "AAAAAABBCD"[(i * 7) % 10],
            "district": ("320506", "320507", "320583")[(i * i) % 3],
            "status": "deregistered" if i % 41 == 0 else "active",
            "staff": 1 + (i * i * 13) % 40,
            "opened_on": None if i % 17 == 0 else f"20{10 + i % 15}-0{1 + i % 9}-15",
        }
        for i in range(count)
    ]


@pytest.fixture(scope="session")
def spec() -> PlanSpec:
    return parse(PLAN, PlanSpec, where="plan")


@pytest.fixture(scope="session")
def units() -> list[dict[str, object]]:
    return rows()


@pytest.fixture(scope="session")
def secret() -> str:
    return SECRET


@pytest.fixture(scope="session")
def beacon() -> str:
    return BEACON


@pytest.fixture(scope="session")
def fixed() -> tuple[str, str]:
    """Return the secret and the beacon of the finished draw."""
    return SECRET, BEACON


@pytest.fixture(scope="session")
def _drawn(tmp_path_factory: pytest.TempPathFactory, spec: PlanSpec, units: list[dict[str, object]]) -> Path:
    folder = tmp_path_factory.mktemp("draw") / "round"
    draws.commit(draws.plan(units, spec), folder, secret=SECRET)
    draws.run(folder, beacon=BEACON)
    return folder


@pytest.fixture(scope="session")
def finished(_drawn: Path) -> Path:
    """Return the folder of a finished draw, only to read from."""
    return _drawn


@pytest.fixture
def drawn(_drawn: Path, tmp_path: Path) -> Path:
    """Return a fresh copy of a finished draw's folder."""
    return Path(shutil.copytree(_drawn, tmp_path / "drawn"))


@pytest.fixture
def committed(drawn: Path) -> Path:
    """Return a fresh copy of a committed folder that was not drawn yet."""
    (drawn / "record.json").unlink()
    (drawn / "public.json").unlink()
    return drawn


@pytest.fixture
def edited() -> Callable[[str, str], PlanSpec]:
    """Return a function that reads the test plan with one passage replaced."""

    def edit(old: str, new: str) -> PlanSpec:
        assert old in PLAN
        return parse(PLAN.replace(old, new), PlanSpec, where="plan.yaml")

    return edit
