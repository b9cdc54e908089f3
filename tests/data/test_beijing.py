"""Real published inspections of Beijing go in under a contract of their own, without a change of code."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from credit_tier.content import Content
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake
from credit_tier.temporal import day_number

SOURCE = Path(__file__).resolve().parents[2] / "../shared/data/cn_beijing_inspections"

ENTITIES = """\
table: entities
title_zh: 主体
kind: entity
key: entity_id
record_id: {column: entity_id}
known_at: {fixed: 2012-01-01, reason: 名录没有日期；只用不随时间变化的列}
source: 北京市公共数据开放平台
legal_basis: 无
columns:
  entity_id: {type: integer, title_zh: 主体编号}
  region: {type: code, title_zh: 登记机关区划, nullable: true, aliases: [uscc_region6]}
  legal_form: {type: code, title_zh: 组织形式, nullable: true}
"""

INSPECTIONS = """\
table: inspections
title_zh: 检查
kind: event
key: entity_id
record_id: {of: [entity_id, source, domain, checked_on, form, authority, district, detail, failed]}
event_on: checked_on
known_at: {column: checked_on, delay_days: 20, reason: 二十个工作日内公示}
source: 北京市公共数据开放平台
legal_basis: 无
columns:
  entity_id: {type: integer, title_zh: 主体编号}
  source: {type: code, title_zh: 来源}
  domain: {type: code, title_zh: 领域}
  checked_on: {type: date, title_zh: 检查日期, aliases: [date]}
  form: {type: text, title_zh: 检查形式, nullable: true}
  authority: {type: text, title_zh: 检查机关, nullable: true}
  district: {type: text, title_zh: 区, nullable: true}
  detail: {type: text, title_zh: 内容, nullable: true}
  failed: {type: boolean, title_zh: 不合格, aliases: [fail]}
"""


@pytest.mark.skipif(not SOURCE.is_dir(), reason="shared data are not here")
def test_beijing_goes_in(tmp_path: Path) -> None:
    """Instants become days, integer keys become numbers, and every row is accounted for."""
    home = tmp_path / "content/data_schemas"
    home.mkdir(parents=True)
    (tmp_path / "content/content.yaml").write_text("title_zh: 北京\ninherits: []\n", encoding="utf-8")
    (home / "entities.yaml").write_text(ENTITIES, encoding="utf-8")
    (home / "inspections.yaml").write_text(INSPECTIONS, encoding="utf-8")
    delivery = tmp_path / "delivery"
    delivery.mkdir()
    for name in ("entities.parquet", "inspections.parquet"):
        (delivery / name).symlink_to(SOURCE.resolve() / name)
    report = ingest(tmp_path / "lake", delivery, Content.resolve(tmp_path / "content"))
    assert report.clean
    raw = pl.read_parquet(SOURCE / "inspections.parquet")
    lake = Lake.open(tmp_path / "lake")
    table = lake.frame("inspections").collect().to_native()
    told = report.tables[1]
    assert told.rows_read == raw.height == told.accepted + told.duplicates
    stripped = raw.with_columns(pl.col(pl.String).str.strip_chars().replace("", None), pl.col("date").dt.date())
    assert table.height == told.accepted == stripped.unique().height
    assert table["event_day"].min() == day_number(raw["date"].dt.date().min())  # type: ignore[arg-type]
    assert (table["known_day"] - table["event_day"]).unique().to_list() == [20]
    firm = raw["entity_id"][1000]
    mine = stripped.filter(pl.col("entity_id") == firm).unique()
    number = lake.number_of(str(firm))
    assert table.filter(pl.col("enterprise_no") == number)["failed"].sum() == mine["fail"].sum()
    assert lake.enterprises == pl.read_parquet(SOURCE / "entities.parquet").height
    firms = lake.frame("entities").collect().to_native()
    assert firms["known_day"].unique().to_list() == [day_number(date(2012, 1, 1))]
    assert not ingest(tmp_path / "lake", delivery, Content.resolve(tmp_path / "content")).changed
