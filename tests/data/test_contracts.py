"""Contracts become pandera schemas whose rules have stable ids and agree with the plain definitions."""

from __future__ import annotations

import csv
import gzip
from datetime import date
from pathlib import Path

import pandas as pd
import pandera.errors
import pandera.pandas
import pandera.polars
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier.data.contracts import failing_rows, pandas_schema, schema, uscc_holds
from credit_tier.errors import DataError
from credit_tier.specs.dataset import Column, DatasetSpec
from credit_tier.types import USCC_ALPHABET, Uscc, uscc_check_character

CODES = Path(__file__).resolve().parents[2] / "../shared/data/cn_uscc_codes"
GOOD, BAD = "91000000MA0000007C", "91000000MA0000007D"


def typed() -> pl.DataFrame:
    """Four penalties as `columns` reads them; the first is sound, the others break rules."""
    return pl.DataFrame(
        {
            "doc": ["1", "2", "3", "3"],
            "uscc": [GOOD, BAD, None, GOOD],
            "decided_on": [date(2024, 1, 1), date(1900, 1, 1), date(2024, 5, 1), date(2024, 1, 1)],
            "amount": [100, None, -5, 10**10],
            "points": [1, -1, None, 3],
            "share": [0.5, None, 0.1, 0.2],
            "public": [True, None, False, True],
            "kind": ["fine", "gift", None, "fine"],
            "note": ["无", "第2条", None, None],
            "received_on": [date(2024, 1, 3)] * 4,
        }
    )


BROKEN = [
    (1, "fines.decided_on.impossible_date"),
    (1, "fines.kind.vocabulary"),
    (1, "fines.note.pattern"),
    (1, "fines.points.range"),
    (1, "fines.uscc.check_digit"),
    (2, "fines.amount.range"),
    (2, "fines.decided_on.after_known"),
    (2, "fines.kind.missing"),
    (2, "fines.record_id.duplicate"),
    (2, "fines.uscc.missing"),
    (3, "fines.record_id.duplicate"),
]


def test_each_broken_rule_is_named_with_its_row(fines_spec: DatasetSpec) -> None:
    """Rule ids are stable: table, column, rule; the limit of 1,000 万元 is 10^9 fen."""
    found = failing_rows(typed(), fines_spec).rows()
    assert found == sorted([*BROKEN, (3, "fines.amount.range")])


def test_a_sound_table_breaks_nothing(fines_spec: DatasetSpec) -> None:
    """A table that meets its contract has no failing rows."""
    assert failing_rows(typed().head(1), fines_spec).height == 0
    assert failing_rows(typed().clear(), fines_spec).height == 0


def test_schemas_are_pandera_objects_with_a_check_per_rule(fines_spec: DatasetSpec) -> None:
    """Whoever knows pandera can take the schema and go on from there."""
    for compiled, kind in (
        (schema(fines_spec), pandera.polars.DataFrameSchema),
        (pandas_schema(fines_spec), pandera.pandas.DataFrameSchema),
    ):
        assert isinstance(compiled, kind)
        assert [check.name for check in compiled.columns["uscc"].checks] == ["fines.uscc.check_digit"]
        assert [check.name for check in compiled.checks] == [
            "fines.decided_on.after_known",
            "fines.record_id.duplicate",
        ]
        assert compiled.columns["amount"].nullable


def test_pandas_schema_takes_a_sound_frame(fines_spec: DatasetSpec) -> None:
    """A pandas user gets the validated frame back, in nullable types."""
    result = pandas_schema(fines_spec).validate(typed().head(1).to_pandas())
    assert isinstance(result, pd.DataFrame)
    assert result["amount"].dtype == "Int64"
    assert result["decided_on"].dt.year.tolist() == [2024]


def test_pandas_schema_breaks_the_same_rules(fines_spec: DatasetSpec) -> None:
    """Both engines find the same rows for the same rules, whatever the index is."""
    table = typed().to_pandas().set_index(pd.Index([10, 11, 12, 13]))
    with pytest.raises(pandera.errors.SchemaErrors) as caught:
        pandas_schema(fines_spec).validate(table, lazy=True)
    cases = caught.value.failure_cases
    names = cases["check"].where(cases["check"] != "not_nullable", "fines." + cases["column"].astype(str) + ".missing")
    assert sorted({(int(at) - 10, name) for at, name in zip(cases["index"], names, strict=True)}) == sorted(
        [*BROKEN, (3, "fines.amount.range")]
    )


def test_columns_that_are_not_the_contracts_are_refused(fines_spec: DatasetSpec) -> None:
    """A frame of other types is a defect of the caller and is told so without values."""
    with pytest.raises(DataError, match="CT-DATA-111 fines"):
        failing_rows(typed().with_columns(pl.col("points").cast(pl.String)), fines_spec)


def test_records_made_of_columns_that_may_be_empty_are_compared_with_them() -> None:
    """In an identity of several columns an empty value is a value: two such rows are one record."""
    spec = DatasetSpec.model_validate(
        {
            "table": "calls",
            "title_zh": "投诉",
            "kind": "event",
            "key": "firm",
            "record_id": {"of": ["firm", "topic"]},
            "event_on": "on",
            "known_at": {"column": "on"},
            "source": "x",
            "legal_basis": "x",
            "columns": {
                "firm": {"type": "text", "title_zh": "主体"},
                "topic": {"type": "text", "title_zh": "事由", "nullable": True},
                "on": {"type": "date", "title_zh": "日期"},
                "n": {"type": "integer", "title_zh": "数"},
            },
        }
    )
    table = pl.DataFrame({"firm": ["a", "a"], "topic": [None, None], "on": [date(2024, 1, 1)] * 2, "n": [1, 2]})
    table = table.with_columns(pl.col("topic").cast(pl.String))
    assert failing_rows(table, spec)["row"].to_list() == [0, 1]


def test_a_pattern_that_needs_backtracking_is_refused(fines_spec: DatasetSpec) -> None:
    """Patterns run over millions of rows in linear time, so look-around is named as the fault."""
    note = fines_spec.columns["note"].model_copy(update={"pattern": "(?=a)b"})
    spec = fines_spec.model_copy(update={"columns": {**fines_spec.columns, "note": note}})
    with pytest.raises(DataError, match=r"CT-DATA-110 fines\.note"):
        schema(spec)


def test_a_code_without_vocabulary_has_a_length(fines_spec: DatasetSpec) -> None:
    """A free code of more than sixty characters is taken for shifted columns."""
    kind = Column(type="code", title_zh="种类")
    spec = fines_spec.model_copy(update={"columns": {**fines_spec.columns, "kind": kind}})
    rows = typed().head(1)
    assert failing_rows(rows.with_columns(kind=pl.lit("长" * 60)), spec).height == 0
    assert failing_rows(rows.with_columns(kind=pl.lit("长" * 61)), spec)["rule"].to_list() == ["fines.kind.too_long"]


@given(st.lists(st.text(st.sampled_from(USCC_ALPHABET + "IOSVZ中a "), min_size=16, max_size=19), max_size=20))
@settings(max_examples=80, deadline=None)
def test_check_digits_agree_with_the_plain_definition(texts: list[str]) -> None:
    """Whole columns and single codes are judged alike, near misses included."""
    spoilt = [GOOD[:at] + letter + GOOD[at + 1 :] for at in (0, 8, 17) for letter in "07CX"]
    column = pl.Series([*texts, *spoilt, GOOD], dtype=pl.String)
    assert uscc_holds(column).to_list() == [Uscc.is_valid(text) for text in column]


@pytest.mark.skipif(not CODES.is_dir(), reason="shared data are not here")
def test_real_codes_are_judged_as_published(fines_spec: DatasetSpec) -> None:
    """Every real code holds, every wrong one that authorities published does not, for the reason noted there; both judges agree."""
    with gzip.open(CODES / "valid_codes.csv.gz", "rt", encoding="utf-8") as stream:
        valid = [row["uscc"] for row in csv.DictReader(stream)]
    with gzip.open(CODES / "invalid_codes_as_published.csv.gz", "rt", encoding="utf-8") as stream:
        reasons = {row["code"]: row["reason"] for row in csv.DictReader(stream)}
    assert valid
    assert uscc_holds(pl.Series(valid)).sum() == sum(map(Uscc.is_valid, valid)) == len(valid)
    assert uscc_holds(pl.Series(list(reasons))).sum() == sum(map(Uscc.is_valid, reasons)) == 0
    letters = {code for code in reasons if set(code) - set(USCC_ALPHABET)}
    digits = {code for code in set(reasons) - letters if uscc_check_character(code[:17]) != code[17]}
    assert letters == {code for code, reason in reasons.items() if reason == "character outside the alphabet"}
    assert digits == {code for code, reason in reasons.items() if reason == "check digit"}
    rows = pl.concat([typed().head(1)] * len(reasons)).with_columns(pl.Series("uscc", list(reasons)))
    found = failing_rows(rows, fines_spec, across_rows=False)
    assert found.rows() == [(row, "fines.uscc.check_digit") for row in range(len(reasons))]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"table": "../fines"}, "table name"),
        ({"record_id": {"column": "note"}}, "record_id column cannot be empty"),
        ({"record_id": {"of": ["doc", "share"]}}, "cannot rest on a number"),
    ],
)
def test_contracts_that_cannot_identify_records_are_refused(
    change: dict[str, object], words: str, fines_spec: DatasetSpec
) -> None:
    """A record has an identity, and a table a name that is a safe folder."""
    with pytest.raises(ValueError, match=words):
        DatasetSpec.model_validate(fines_spec.model_dump() | change)
