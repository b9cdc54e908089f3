"""A small register and two event tables, written as a content folder and as deliveries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl
import pytest

from credit_tier.content import Content, parse
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.types import uscc_check_character

FIRMS = """\
table: firms
title_zh: 主体名录
kind: entity
key: uscc
record_id: {column: uscc}
known_at: {column: received_on}
source: 测试
legal_basis: 测试
columns:
  uscc: {type: uscc, title_zh: 统一社会信用代码, aliases: [社会信用代码]}
  size: {type: code, title_zh: 规模, vocabulary: {s: 小, l: 大}, nullable: true}
  received_on: {type: date, title_zh: 入库日期}
"""

FINES = """\
table: fines
title_zh: 处罚
kind: event
key: uscc
record_id: {column: doc}
event_on: decided_on
known_at: {column: received_on}
source: 测试
legal_basis: 测试
columns:
  doc: {type: text, title_zh: 文号}
  uscc: {type: uscc, title_zh: 统一社会信用代码}
  decided_on: {type: date, title_zh: 决定日期, aliases: [CF_JDRQ]}
  amount: {type: money, unit: 万元, minimum: 0, maximum: 1000, title_zh: 罚款金额, nullable: true}
  points: {type: integer, title_zh: 记分, minimum: 0, nullable: true}
  share: {type: number, title_zh: 占比, nullable: true}
  public: {type: boolean, title_zh: 是否公示, nullable: true}
  kind: {type: code, title_zh: 种类, vocabulary: {warning: 警告, fine: 罚款}}
  note: {type: text, title_zh: 备注, pattern: '[^0-9]*', nullable: true}
  received_on: {type: date, title_zh: 入库日期}
"""

CALLS = """\
table: calls
title_zh: 投诉
kind: event
key: uscc
record_id: {of: [uscc, called_on, topic]}
event_on: called_on
known_at: {column: called_on, delay_days: 3, reason: 三日内登记}
source: 测试
legal_basis: 测试
columns:
  uscc: {type: uscc, title_zh: 统一社会信用代码}
  called_on: {type: date, title_zh: 投诉日期}
  topic: {type: text, title_zh: 事由, nullable: true}
"""

Write = Callable[[str, Mapping[str, Sequence[object]]], Path]


def code(number: int) -> str:
    body = f"91320500MA{number:07d}"
    return body + uscc_check_character(body)


@pytest.fixture
def codes() -> list[str]:
    return [code(number) for number in range(12)]


@pytest.fixture
def content(tmp_path: Path) -> Content:
    folder = tmp_path / "content"
    (folder / "data_schemas").mkdir(parents=True)
    (folder / "content.yaml").write_text("title_zh: 测试\ninherits: []\n", encoding="utf-8")
    for name, text in (("firms", FIRMS), ("fines", FINES), ("calls", CALLS)):
        (folder / "data_schemas" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return Content.resolve(folder)


@pytest.fixture
def fines_spec() -> DatasetSpec:
    return parse(FINES, DatasetSpec, where="fines.yaml")


@pytest.fixture
def firms_spec() -> DatasetSpec:
    return parse(FIRMS, DatasetSpec, where="firms.yaml")


@pytest.fixture
def fines(codes: list[str]) -> dict[str, list[object]]:
    """Six sound penalties as a department writes them."""
    return {
        "文号": [f"F{n}" for n in range(6)],
        "uscc": [codes[n % 4] for n in range(6)],
        "CF_JDRQ": ["2024-01-05", "2024/2/5", "2024.03.05", "2024年4月5日", "2024-05-05 10:30:00", "2024-06-05"],
        "罚款金额": ["1.5", "0", "200元", "", "0.000001", "3万元"],
        "points": ["3", "", "12", "0", "1", "2"],
        "share": ["0.25", "", "1", "0", "0.5", "1e-3"],
        "public": ["是", "否", "true", "0", "", "FALSE"],
        "kind": ["fine", "warning", "fine", "fine", "warning", "fine"],
        "备注": ["无", "", "甲,乙", "", "", "含\n换行"],
        "入库日期": ["2024-01-15", "2024-02-15", "2024-03-15", "2024-04-15", "2024-05-15", "2024-06-15"],
    }


@pytest.fixture
def deliver(tmp_path: Path) -> Callable[[str], Write]:
    """Return a writer for a named delivery folder: CSV or Parquet by the ending of the file's name."""

    def folder(name: str) -> Write:
        home = tmp_path / name
        home.mkdir(exist_ok=True)

        def write(file: str, columns: Mapping[str, Sequence[object]]) -> Path:
            frame = pl.DataFrame(dict(columns))
            if file.endswith(".parquet"):
                frame.write_parquet(home / file)
            else:
                frame.write_csv(home / file)
            return home

        return write

    return folder


@pytest.fixture
def register(codes: list[str]) -> dict[str, list[object]]:
    return {
        "社会信用代码": codes,
        "规模": ["s", "l"] * 6,
        "入库日期": ["2020-01-01"] * 12,
    }


@pytest.fixture
def first(deliver: Callable[[str], Write], register: dict[str, list[object]], fines: dict[str, list[object]]) -> Path:
    """A first delivery: twelve firms and six fines."""
    write = deliver("first")
    write("firms.csv", register)
    return write("fines.csv", fines)
