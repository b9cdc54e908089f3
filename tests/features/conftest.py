"""Small worlds: a register with versions, one event table with versions, really ingested into a lake."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest

from credit_tier.content import Content
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake

FIRMS = """
table: firms
title_zh: 登记
kind: entity
key: firm
record_id: {column: firm}
known_at: {column: seen_on}
source: test
legal_basis: test
columns:
  firm: {type: text, title_zh: 编号}
  area: {type: code, title_zh: 区, nullable: true}
  founded_on: {type: date, title_zh: 成立}
  seen_on: {type: date, title_zh: 入库}
"""

CHECKS = """
table: checks
title_zh: 检查
kind: event
key: firm
record_id: {column: check_no}
event_on: happened_on
known_at: {column: seen_on}
source: test
legal_basis: test
columns:
  check_no: {type: text, title_zh: 编号}
  firm: {type: text, title_zh: 主体}
  happened_on: {type: date, title_zh: 日期}
  kind: {type: code, title_zh: 方式, vocabulary: {random: 随机, complaint: 投诉, campaign: 专项}}
  grade: {type: code, title_zh: 等级, nullable: true, vocabulary: {low: 低, middle: 中, high: 高}}
  ways: {type: codes, title_zh: 方法, nullable: true, vocabulary: {look: 查看, look_twice: 复查, ask: 询问, test: 检测}}
  found: {type: boolean, title_zh: 发现问题}
  fine: {type: money, unit: 元, title_zh: 罚款, nullable: true}
  share: {type: number, title_zh: 比例, nullable: true}
  cured_on: {type: date, title_zh: 改正, nullable: true}
  seen_on: {type: date, title_zh: 入库}
"""

LINKS = """
table: links
title_zh: 关联
kind: event
key: firm
record_id: {column: link_no}
event_on: began_on
known_at: {column: seen_on}
source: test
legal_basis: test
columns:
  link_no: {type: text, title_zh: 编号}
  firm: {type: text, title_zh: 主体}
  other: {type: text, title_zh: 关联主体}
  kind: {type: code, title_zh: 类型, vocabulary: {owner: 股东, address: 住所}}
  began_on: {type: date, title_zh: 起}
  ended_on: {type: date, title_zh: 止, nullable: true}
  seen_on: {type: date, title_zh: 入库}
"""


@dataclass
class World:
    """Rows of the tables; `lake()` ingests them."""

    root: Path
    firms: list[dict[str, object]] = field(default_factory=list)
    checks: list[dict[str, object]] = field(default_factory=list)
    links: list[dict[str, object]] = field(default_factory=list)

    def content(self) -> Content:
        overlay = self.root / "content"
        schemas = overlay / "data_schemas"
        schemas.mkdir(parents=True, exist_ok=True)
        (overlay / "content.yaml").write_text("title_zh: 测试\ninherits: []\n", encoding="utf-8")
        (schemas / "firms.yaml").write_text(FIRMS, encoding="utf-8")
        (schemas / "checks.yaml").write_text(CHECKS, encoding="utf-8")
        (schemas / "links.yaml").write_text(LINKS, encoding="utf-8")
        return Content.resolve(overlay)

    def lake(self, name: str = "lake") -> Lake:
        delivery = self.root / f"delivery-{name}"
        delivery.mkdir(parents=True)
        pl.DataFrame(
            self.firms, schema={"firm": pl.String, "area": pl.String, "founded_on": pl.Date, "seen_on": pl.Date}
        ).write_parquet(delivery / "firms.parquet")
        schema = {
            "check_no": pl.String,
            "firm": pl.String,
            "happened_on": pl.Date,
            "kind": pl.String,
            "grade": pl.String,
            "ways": pl.String,
            "found": pl.Boolean,
            "fine": pl.Float64,
            "share": pl.Float64,
            "cured_on": pl.Date,
            "seen_on": pl.Date,
        }
        pl.DataFrame(self.checks, schema=schema).write_parquet(delivery / "checks.parquet")
        schema = dict.fromkeys(("link_no", "firm", "other", "kind"), pl.String)
        schema |= dict.fromkeys(("began_on", "ended_on", "seen_on"), pl.Date)
        pl.DataFrame(self.links, schema=schema).write_parquet(delivery / "links.parquet")
        report = ingest(self.root / name, delivery, self.content())
        assert report.clean, report
        return Lake.open(self.root / name)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture(scope="session")
def world_class() -> type[World]:
    return World
