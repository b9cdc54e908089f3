"""A table's contract as JSON Schema, for those who check rows before they send them or who generate code.

It describes a row in the contract's own types, as `contracts.schema` takes it: dates as ISO text, money as whole fen, sets of codes
joined by ``;``. What JSON Schema cannot say (check characters, comparisons between columns, duplicates) is left to ingestion.
"""

from __future__ import annotations

import re

from credit_tier.data.columns import FEN_DECIMALS
from credit_tier.data.contracts import MAX_CODE
from credit_tier.data.lake import schema_digest
from credit_tier.specs.dataset import JOINT, Column, DatasetSpec
from credit_tier.types import USCC_ALPHABET, USCC_WEIGHTS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NOTES = "x-credit-tier"
"""Keyword under which stands what JSON Schema has no word for; validators pass over it."""

_JSON_TYPES = {"integer": "integer", "money": "integer", "number": "number", "boolean": "boolean"}
_DATE = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"


def json_schema(spec: DatasetSpec) -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of one row of a table.

    Optional columns may be null or absent; columns that the contract does not know are refused.
    Keys stand in the order of the contract, so that equal contracts give equal files.
    """
    known = spec.known_at
    notes: dict[str, object] = {
        "table": spec.table,
        "kind": spec.kind,
        "key": spec.key,
        "record_id": list(spec.record_id.columns),
        "event_on": spec.event_on,
        "known_at": known.model_dump(mode="json"),
        "source": spec.source,
        "legal_basis": spec.legal_basis,
        "cadence": spec.cadence,
        "cadence_days": spec.cadence_days,
        "checks": [check.model_dump(mode="json", exclude_none=True) for check in spec.checks],
    }
    return {
        "$schema": DIALECT,
        "$id": f"urn:credit-tier:table:{spec.table}:{schema_digest(spec)}",
        "title": spec.title_zh,
        "description": spec.title_en,
        "type": "object",
        "properties": {name: _property(column) for name, column in spec.columns.items()},
        "required": [name for name, column in spec.columns.items() if not column.nullable],
        "additionalProperties": False,
        NOTES: notes,
    }


def _property(column: Column) -> dict[str, object]:
    kind = _JSON_TYPES.get(column.type, "string")
    result: dict[str, object] = {
        "title": column.title_zh,
        "description": column.title_en,
        "type": [kind, "null"] if column.nullable else kind,
    }
    result |= _limits(column)
    kept = {"type", "unit", "sensitivity", "aliases"}
    if column.vocabulary is not None:
        kept |= {"vocabulary", "vocabulary_verified", "vocabulary_source", "values"}
    notes = column.model_dump(mode="json", include=kept)
    if column.type == "money":
        notes["unit"] = "fen"
        notes["unit_when_delivered"] = column.unit
    result[NOTES] = {name: value for name, value in notes.items() if value not in (None, "", [], {})}
    return result


def _limits(column: Column) -> dict[str, object]:
    """Return the keywords that limit a value; every one lets null through where the type does."""
    result: dict[str, object] = {}
    patterns = []
    if column.type == "uscc":
        patterns.append(f"^[{USCC_ALPHABET}]{{{len(USCC_WEIGHTS) + 1}}}$")
    if column.type == "date":
        result["format"] = "date"
        patterns.append(_DATE)
    if column.type == "codes" and column.vocabulary is not None:
        one = "(?:" + "|".join(re.escape(word) for word in column.vocabulary) + ")"
        patterns.append(f"^{one}(?:{JOINT}{one})*$")
    elif column.vocabulary is not None:
        words: list[str | None] = list(column.vocabulary)
        result["enum"] = [*words, None] if column.nullable else words
    elif column.type == "code":
        result["maxLength"] = MAX_CODE
    if column.pattern is not None:
        patterns.append(f"^(?:{column.pattern})$")
    if len(patterns) == 1:
        result["pattern"] = patterns[0]
    elif patterns:
        result["allOf"] = [{"pattern": pattern} for pattern in patterns]
    factor = 10 ** FEN_DECIMALS[column.unit or "元"] if column.type == "money" else 1
    if column.minimum is not None:
        result["minimum"] = column.minimum * factor
    if column.maximum is not None:
        result["maximum"] = column.maximum * factor
    return result
