"""The data dictionary holds every table, column, code, header and law of the contracts, and nothing from outside."""

from __future__ import annotations

import re

from credit_tier.content import Content, parse
from credit_tier.data.ingest import load_specs
from credit_tier.reports.dictionary import dictionary
from credit_tier.reports.page import render
from credit_tier.specs.dataset import DatasetSpec

HOSTILE = "<script>alert(1)</script>"

TABLE = f"""\
table: fines
title_zh: "{HOSTILE}"
kind: event
key: uscc
record_id: {{of: [uscc, decided_on]}}
event_on: decided_on
known_at: {{fixed: 2024-01-01, reason: "{HOSTILE}"}}
source: "{HOSTILE}"
legal_basis: "{HOSTILE}"
cadence: "{HOSTILE}"
columns:
  uscc: {{type: uscc, title_zh: 代码, sensitivity: personal}}
  decided_on: {{type: date, title_zh: "{HOSTILE}"}}
  kind:
    type: codes
    title_zh: 种类
    vocabulary: {{a: "{HOSTILE}", b: 乙}}
    vocabulary_verified: false
    values: {{甲类: a, 甲乙: a;b}}
    aliases: ["{HOSTILE}"]
  ended_on: {{type: date, title_zh: 终止, nullable: true}}
checks:
  - {{id: order, title_zh: "{HOSTILE}", not_before: [ended_on, decided_on], severity: fail}}
  - {{id: one, title_zh: 唯一, unique_active: {{by: [kind], open: ended_on}}}}
  - {{id: any, title_zh: 唯一, unique_active: {{open: ended_on}}}}
  - {{id: same, title_zh: 不变, constant: [kind]}}
  - {{id: link, title_zh: 引用, refers_to: {{column: uscc_of, table: others, when: {{flag: x}}}}}}
""".replace(
    "  ended_on: {", "  uscc_of: {type: text, title_zh: 引用}\n  flag: {type: code, title_zh: 标记}\n  ended_on: {"
)


def test_every_shipped_table_and_column_is_there_and_the_page_stays_small() -> None:
    """One page for the whole contract room, under a megabyte, without an address outside it."""
    specs = load_specs(Content.resolve())
    html = render(dictionary(specs))
    for name, spec in specs.items():
        assert f"<h2>{name} {spec.title_zh}" in html
        assert spec.legal_basis.replace("'", "&#39;") in html
        for column in spec.columns:
            assert f"<td>{column}</td>" in html
    assert len(html.encode()) < 1_000_000
    assert not re.findall(r"<[^>]+(?:src|href)=", html)
    register = next(spec.table for spec in specs.values() if spec.kind == "entity")
    assert html.index(f"<h2>{register} ") == html.index("<h2>")


def test_contracts_are_shown_as_text() -> None:
    """Nothing that a contract holds becomes markup."""
    html = render(dictionary({"fines": parse(TABLE, DatasetSpec, where="fines.yaml")}))
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 9


def test_codes_spellings_checks_and_doubts_are_told() -> None:
    """Other spellings beside their code, joint ones on a line of their own, every kind of claim in words."""
    html = render(dictionary({"fines": parse(TABLE, DatasetSpec, where="fines.yaml")}))
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>.*?</tr>", html)]
    assert ["a", "&lt;script&gt;alert(1)&lt;/script&gt;", "甲类"] in rows
    assert ["b", "乙", ""] in rows
    assert ["a;b", "", "甲乙"] in rows
    assert "尚未核对原文" in html
    claims = {row[0]: row[3:] for row in rows if row and row[0] in {"order", "one", "any", "same", "link"}}
    assert claims == {
        "order": ["ended_on ≥ decided_on", "fail"],
        "one": ["主体 subject, kind: ≤ 1 (ended_on 为空 empty)", "warn"],
        "any": ["主体 subject: ≤ 1 (ended_on 为空 empty)", "warn"],
        "same": ["kind: 不变 constant", "warn"],
        "link": ["uscc_of → others, flag = x", "warn"],
    }
