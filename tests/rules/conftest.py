"""Shared ground of the rules' tests: shipped content, the case files, and a small pack to vary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from credit_tier.content import Content

CASES = Path(__file__).resolve().parents[1] / "cases" / "repair"

SMALL = """\
pack: cn/small/2020-01-01
jurisdiction: cn
topic: small
title_zh: 小规则
title_en: small rules
effective_from: 2020-01-01
instruments:
  order: {number: 令第1号, title_zh: 办法, issuer: 某部, effective_from: 2020-01-01}
sources:
  text: {grade: P, title_zh: 全文}
  press: {grade: N, title_zh: 报道}
records: {table: penalties, subject: uscc, record_id: penalty_no}
facts:
  decided_on: {type: date, title_zh: 决定日, column: decided_on, required: true}
  duty_fulfilled_on: {type: date, title_zh: 履行日, column: duty_fulfilled_on}
  fine: {type: money, title_zh: 罚款, column: fine}
  domain: {type: code, title_zh: 领域, column: domain, vocabulary: {food: 食品, other: 其他}}
  kinds: {type: codes, title_zh: 种类, column: kinds, vocabulary: {fine: 罚款, warning: 警告}}
values:
  least:
    title_zh: 最短
    title_en: least
    period: {months: 3}
    reference: {instrument: order, article: 第1条, source: text}
    verified: true
  most:
    title_zh: 最长
    title_en: most
    period: {years: 1}
    reference: {instrument: order, source: press}
    verified: false
  large:
    title_zh: 大额
    title_en: large
    amount: 10 万元
    reference: {instrument: order, source: press}
    verified: false
  days:
    title_zh: 时限
    title_en: time limit
    period: {working_days: 5}
    reference: {instrument: order, source: press}
    verified: false
clock_start:
  title_zh: 起算
  title_en: start
  fact: decided_on
  basis: decision
  reference: {instrument: order, article: 第2条, source: text}
  verified: true
classes:
  - id: large
    title_zh: 大
    title_en: large
    when: {fact: fine, at_least: large}
    max: most
    reference: {instrument: order, source: press}
    verified: false
  - id: any
    title_zh: 其他
    title_en: other
    when: {fact: decided_on, is_missing: false}
    min: least
    max: most
    reference: {instrument: order, article: 第3条, source: text}
    verified: true
requirements:
  - id: duty
    title_zh: 履行
    title_en: duty
    met_on: [duty_fulfilled_on]
    papers: [proof]
    reference: {instrument: order, article: 第4条, source: text}
    verified: true
papers:
  proof: {title_zh: 证明, title_en: proof}
ending:
  title_zh: 期满
  title_en: end
  reference: {instrument: order, article: 第5条, source: text}
  verified: true
clocks:
  - id: answer
    title_zh: 答复
    title_en: answer
    start: decided_on
    length: days
    reference: {instrument: order, source: press}
    verified: false
transition:
  title_zh: 过渡
  title_en: transition
  fact: decided_on
  period: more_favourable
  reference: {instrument: order, source: press}
  verified: false
"""


@pytest.fixture(scope="session")
def shipped() -> Content:
    """Return the shipped content."""
    return Content.resolve()


@pytest.fixture(scope="session")
def case_files() -> list[Path]:
    """Return the shipped case files."""
    return sorted(CASES.glob("*.yaml"))


@pytest.fixture(scope="session")
def small() -> str:
    """Return a complete small pack as text."""
    return SMALL


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Content]:
    """Return a function that writes packs (place -> text) and returns content that holds nothing else."""

    def write(**packs: str) -> Content:
        for place, text in packs.items():
            path = tmp_path / "rule_packs" / f"{place}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return Content(tmp_path)

    return write
