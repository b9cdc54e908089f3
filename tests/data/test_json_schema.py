"""Contracts as JSON Schema: what the schema accepts is what the contract accepts, value by value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier.content import Content, parse
from credit_tier.data.contracts import failing_rows
from credit_tier.data.ingest import load_specs
from credit_tier.data.json_schema import DIALECT, NOTES, json_schema
from credit_tier.specs.dataset import DatasetSpec

TABLE = """\
table: fines
title_zh: 处罚
title_en: Fines
kind: event
key: uscc
record_id: {column: doc}
event_on: decided_on
known_at: {column: received_on}
source: 测试
legal_basis: 测试法第1条
cadence: 每日
cadence_days: 3
columns:
  doc: {type: text, title_zh: 文号, pattern: 'F[0-9]+|G'}
  uscc: {type: uscc, title_zh: 代码}
  decided_on: {type: date, title_zh: 决定日期}
  amount: {type: money, unit: 万元, minimum: 0, maximum: 10, title_zh: 罚款, nullable: true, aliases: [罚款金额]}
  points: {type: integer, title_zh: 记分, minimum: 0, maximum: 12}
  share: {type: number, title_zh: 占比, minimum: 0, maximum: 1, nullable: true}
  public: {type: boolean, title_zh: 公示}
  kind: {type: code, title_zh: 种类, vocabulary: {warning: 警告, fine: 罚款}, nullable: true}
  kinds: {type: codes, title_zh: 种类集, vocabulary: {a.b: 甲, c: 乙}}
  free: {type: code, title_zh: 代号, nullable: true}
  received_on: {type: date, title_zh: 入库日期}
checks:
  - {id: order, title_zh: 次序, not_before: [received_on, decided_on]}
"""
SPEC = parse(TABLE, DatasetSpec, where="fines.yaml")
GOOD: dict[str, Any] = {
    "doc": "F12",
    "uscc": "91000000MA0000007C",
    "decided_on": "2024-02-29",
    "amount": 1_000_000,
    "points": 12,
    "share": 0.5,
    "public": True,
    "kind": "fine",
    "kinds": "a.b;c",
    "free": "x",
    "received_on": "2024-03-01",
}
JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def accepts(schema: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Judge a row by the keywords that our schemas use; an unknown keyword is an error, so that none goes untested."""
    assert set(schema) == {
        "$schema", "$id", "title", "description", "type", "properties", "required", "additionalProperties", NOTES
    }  # fmt: skip
    columns = schema["properties"]
    return (
        set(row) <= set(columns)
        and set(schema["required"]) <= set(row)
        and all(accepts_value(columns[name], value) for name, value in row.items())
    )


def accepts_value(keywords: Mapping[str, Any], value: Any) -> bool:
    allowed = keywords["type"] if isinstance(keywords["type"], list) else [keywords["type"]]
    fitting = [name for name in allowed if isinstance(value, JSON_TYPES[name])]
    if not fitting or (isinstance(value, bool) and fitting != ["boolean"]):
        return False
    for keyword, limit in keywords.items():
        match keyword:
            case "title" | "description" | "type" | "format" | "x-credit-tier":
                continue
            case "enum":
                held = value in limit
            case "pattern":
                held = not isinstance(value, str) or re.search(limit, value) is not None
            case "allOf":
                held = all(accepts_value({"type": allowed, **part}, value) for part in limit)
            case "maxLength":
                held = not isinstance(value, str) or len(value) <= limit
            case "minimum":
                held = value is None or value >= limit
            case "maximum":
                held = value is None or value <= limit
            case _:
                raise AssertionError(keyword)
        if not held:
            return False
    return True


def test_a_good_row_is_accepted_with_and_without_optional_columns() -> None:
    """Optional columns may be null or absent."""
    schema = json_schema(SPEC)
    assert accepts(schema, GOOD)
    optional = {"amount", "share", "kind", "free"}
    assert accepts(schema, GOOD | dict.fromkeys(optional))
    assert accepts(schema, {name: value for name, value in GOOD.items() if name not in optional})


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("doc", "F"), ("doc", "xF1"), ("doc", "GG"), ("doc", None),
        ("uscc", "91000000MA000000"), ("uscc", "91000000MA000000IC"),
        ("decided_on", "2024-13-01"), ("decided_on", "2024/02/01"), ("decided_on", 19000),
        ("amount", -1), ("amount", 10_000_001), ("amount", 0.5), ("amount", "1"),
        ("points", 13), ("points", -1), ("points", None), ("points", True),
        ("share", 1.01), ("share", "0.5"),
        ("public", 1), ("public", "true"),
        ("kind", "prison"), ("kinds", "axb"), ("kinds", ""), ("kinds", "c;"), ("kinds", "c;d"),
        ("free", "y" * 61),
        ("stranger", 1),
    ],
)  # fmt: skip
def test_a_bad_value_is_rejected(column: str, value: object) -> None:
    """One fault in an otherwise good row is enough."""
    assert not accepts(json_schema(SPEC), GOOD | {column: value})


@pytest.mark.parametrize("column", ["doc", "uscc", "decided_on", "points", "public", "kinds", "received_on"])
def test_a_required_column_cannot_be_left_out(column: str) -> None:
    """Columns that are never empty are required."""
    assert not accepts(json_schema(SPEC), {name: value for name, value in GOOD.items() if name != column})


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "doc": st.sampled_from(["F1", "F", "G", "GF1", "g", ""]),
    "amount": st.none() | st.sampled_from([0, 1, -1, 9_999_999, 10_000_000, 10_000_001]),
    "points": st.integers(-2, 14),
    "share": st.none() | st.sampled_from([0.0, 1.0, -0.001, 1.001, 0.25]),
    "kind": st.sampled_from(["warning", "fine", "other", "", None]),
    "kinds": st.lists(st.sampled_from(["a.b", "c", "axb", ""]), min_size=1, max_size=3).map(";".join),
    "free": st.none() | st.sampled_from(["x", "y" * 60, "y" * 61]),
}


@settings(max_examples=80, deadline=None)
@given(changes=st.fixed_dictionaries(VALUES))
def test_schema_and_contract_agree(changes: dict[str, Any]) -> None:
    """The JSON Schema accepts a row exactly if the contract finds no fault in its values."""
    row = GOOD | changes
    types: dict[str, Any] = {"amount": pl.Int64, "points": pl.Int64, "share": pl.Float64, "public": pl.Boolean}
    days = {name: date.fromisoformat(row[name]) for name in ("decided_on", "received_on")}
    frame = pl.DataFrame(
        {name: [value] for name, value in (row | days).items()},
        schema={name: pl.Date if name in days else types.get(name, pl.String) for name in SPEC.columns},
    )
    assert accepts(json_schema(SPEC), row) == (failing_rows(frame, SPEC).height == 0)


def test_the_schema_says_what_the_contract_says() -> None:
    """Dialect, identity, units, headers, law and checks are there for those who generate code from it."""
    schema: dict[str, Any] = json_schema(SPEC)
    assert schema["$schema"] == DIALECT == "https://json-schema.org/draft/2020-12/schema"
    assert re.fullmatch("urn:credit-tier:table:fines:[0-9a-f]{64}", schema["$id"])
    assert schema["properties"]["amount"][NOTES] == {
        "type": "money",
        "unit": "fen",
        "unit_when_delivered": "万元",
        "sensitivity": "internal",
        "aliases": ["罚款金额"],
    }
    assert schema["properties"]["kind"][NOTES]["vocabulary"] == {"warning": "警告", "fine": "罚款"}
    assert list(schema["properties"]) == list(SPEC.columns)
    notes = schema[NOTES]
    assert (notes["legal_basis"], notes["cadence_days"], notes["record_id"]) == ("测试法第1条", 3, ["doc"])
    assert notes["checks"] == [
        {
            "id": "order",
            "title_zh": "次序",
            "title_en": "",
            "severity": "warn",
            "not_before": ["received_on", "decided_on"],
        }
    ]


def test_every_shipped_contract_has_a_schema_of_known_keywords() -> None:
    """No shipped table needs a keyword that these tests do not judge; patterns are such as other languages read."""
    for name, spec in load_specs(Content.resolve()).items():
        schema: dict[str, Any] = json_schema(spec)
        assert not accepts(schema, {}), name
        for column in schema["properties"].values():
            for pattern in [column.get("pattern", ""), *(part["pattern"] for part in column.get("allOf", []))]:
                re.compile(pattern)
                assert "(?P" not in pattern
            accepts_value(column, None)
