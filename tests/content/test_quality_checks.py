"""Checks declared in a table contract: what cannot hold is refused with words for the author, before any data is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from credit_tier.content import Content, parse
from credit_tier.errors import ContentError
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.specs.together import check

TABLE = """\
table: {table}
title_zh: 测试
kind: {kind}
key: uscc
record_id: {record}
event_on: listed_on
known_at: {{column: received_on}}
source: 测试
legal_basis: 测试
columns:
  no: {{type: text, title_zh: 编号}}
  uscc: {{type: uscc, title_zh: 代码}}
  listed_on: {{type: date, title_zh: 列入}}
  removed_on: {{type: date, title_zh: 移出, nullable: true}}
  size: {{type: integer, title_zh: 人数, nullable: true}}
  kind: {{type: code, title_zh: 类别, vocabulary: {{a: 甲}}}}
  received_on: {{type: date, title_zh: 入库}}
checks:
{checks}
"""


def spec(*checks: str, table: str = "listings", kind: str = "event", record: str = "{column: no}") -> str:
    return TABLE.format(
        table=table, kind=kind, record=record, checks="\n".join(f"  - {{{item}}}" for item in checks) or "  []"
    )


GOOD = [
    "id: order, title_zh: 次序, not_before: [removed_on, listed_on], severity: fail",
    "id: after_birth, title_zh: 成立后, not_before: [listed_on, register.listed_on]",
    "id: one_open, title_zh: 唯一, unique_active: {by: [size], open: removed_on}",
    "id: settled, title_zh: 不变, constant: [listed_on, size]",
    "id: known, title_zh: 存在, refers_to: {column: no, table: others, when: {kind: a}}",
]


def test_every_kind_of_check_is_read() -> None:
    """The five forms of the guide are taken, and a check without severity warns."""
    found = parse(spec(*GOOD), DatasetSpec, where="listings.yaml").checks
    assert [item.kind for item in found] == ["not_before", "not_before", "unique_active", "constant", "refers_to"]
    assert [item.severity for item in found] == ["fail", "warn", "warn", "warn", "warn"]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("id: a, title_zh: x", "give exactly one of"),
        ("id: a, title_zh: x, constant: [size], not_before: [removed_on, listed_on]", "give exactly one of"),
        ("id: A-1, title_zh: x, constant: [size]", "lower-case letters"),
        ("id: one_subject, title_zh: x, constant: [size]", "is taken"),
        ("id: a, title_zh: x, constant: [gone]", "names 'gone', which is no column"),
        ("id: a, title_zh: x, constant: [uscc]", "reads the key"),
        ("id: a, title_zh: x, not_before: [size, listed_on]", "'size' is not a date column"),
        ("id: a, title_zh: x, unique_active: {open: size}", "'size' is not a date column"),
        ("id: a, title_zh: x, unique_active: {open: register.listed_on}", "which is no column"),
        ("id: a, title_zh: x, refers_to: {column: size, table: others}", "are texts"),
        ("id: a, title_zh: x, refers_to: {column: no, table: others, when: {size: '3'}}", "are texts"),
        ("id: a, title_zh: x, not_before: [removed_on]", "at least 2"),
        ("id: a, title_zh: x, constant: [size], severity: loud", "severity"),
    ],
)
def test_a_check_that_cannot_hold_is_refused(broken: str, words: str) -> None:
    """The message says which check and why."""
    with pytest.raises(ContentError) as caught:
        parse(spec(broken), DatasetSpec, where="listings.yaml")
    assert words in str(caught.value)


def test_two_checks_of_one_name_are_refused() -> None:
    """A rule id stands for one claim."""
    with pytest.raises(ContentError, match="'order' is taken"):
        parse(spec(GOOD[0], GOOD[0]), DatasetSpec, where="listings.yaml")


def test_checks_into_other_tables_are_linted_together(tmp_path: Path) -> None:
    """A register column or a table that does not exist, or whose records have no id of one column, is named by the lint."""
    (tmp_path / "data_schemas").mkdir()
    (tmp_path / "content.yaml").write_text("title_zh: 测试\ninherits: []\n", encoding="utf-8")

    def faults(**files: str) -> list[str]:
        for name, text in files.items():
            (tmp_path / f"data_schemas/{name}.yaml").write_text(text, encoding="utf-8")
        return [f"{item.code} {item.where} {item.what}" for item in check(Content.resolve(tmp_path))[0]]

    register = spec(table="firms", kind="entity", record="{column: uscc}")
    assert faults(firms=register, others=spec(table="others"), listings=spec(*GOOD)) == []
    absent = GOOD[1].replace("register.listed_on", "register.size")
    assert faults(listings=spec(absent)) == [
        "CT-CONTENT-027 data_schemas/listings.yaml after_birth the register has no date column 'size'."
    ]
    assert "there is no table 'nowhere'" in faults(listings=spec(GOOD[4].replace("others", "nowhere")))[0]
    assert "'b' is no value of kind" in faults(listings=spec(GOOD[4].replace("kind: a", "kind: b")))[0]
    composite = spec(table="others", record="{of: [uscc, listed_on]}")
    assert "have no id of one column" in faults(others=composite, listings=spec(GOOD[4]))[0]
