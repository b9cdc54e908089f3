"""The frame is canonical, and its tree opens one row without showing another."""

from __future__ import annotations

import hashlib
import json
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier.canonical import canonical_json
from credit_tier.errors import DrawError, VerificationError
from credit_tier.sampling.frame import build_frame, merkle_path, merkle_root, parse_frame, root_from_path, salt_of

TYPES = {"code": "text", "kind": "text", "staff": "integer"}
REQUIRED = frozenset({"code", "kind"})


def build(**columns):
    return build_frame(columns, types=TYPES, required=REQUIRED)


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(categories=["L", "Nd", "P", "S"]), min_size=1, max_size=12),
            st.sampled_from(["A", "乙", '"', "\\", "é"]),
            st.one_of(st.none(), st.integers(-(10**17), 10**17)),
        ),
        min_size=1,
        max_size=20,
        unique_by=lambda row: canonical_json(row[0]),
    ),
    st.randoms(use_true_random=False),
)
@settings(max_examples=150, deadline=None)
def test_lines_are_canonical_json_in_code_order_whatever_the_row_order(rows, random):
    """Every line is the canonical JSON of its row, lines are sorted by code bytes, and shuffling rows changes no byte."""
    frame = build(code=[r[0] for r in rows], kind=[r[1] for r in rows], staff=[r[2] for r in rows])
    lines = frame.to_bytes().decode().splitlines()
    parsed = [json.loads(line) for line in lines]
    assert [canonical_json(row).decode() for row in parsed] == lines
    codes = [row["code"].encode() for row in parsed]
    assert codes == sorted(codes)
    mixed = list(rows)
    random.shuffle(mixed)
    again = build(
        staff=[r[2] for r in mixed], kind=[r[1] for r in mixed], code=[r[0] for r in mixed], other=[0.5] * len(mixed)
    )
    assert again.to_bytes() == frame.to_bytes()
    assert parse_frame(frame.to_bytes(), where="f").columns == frame.columns


def test_cells_are_read_by_the_declared_type():
    """Texts of digits, integral doubles and numbers give the same integer; numbers, booleans and dates give texts."""
    frame = build(
        code=[1, "2", "3", "4"], kind=[320505, True, date(2026, 1, 2), "甲"], staff=["7", 7.0, 7, float("nan")]
    )
    assert frame.columns["staff"] == (7, 7, 7, None)
    assert frame.columns["kind"] == ("320505", "true", "2026-01-02", "甲")


@pytest.mark.parametrize(
    ("columns", "code", "words"),
    [
        ({"code": ["a"], "kind": ["x"]}, "CT-DRAW-001", "staff"),
        ({"code": ["a", "a"], "kind": ["x", "y"], "staff": [1, 1]}, "CT-DRAW-002", "1 codes stand twice"),
        ({"code": ["a", "b"], "kind": ["x", ""], "staff": [1, 1]}, "CT-DRAW-003", "units.kind: 1 cells are empty"),
        ({"code": ["a"], "kind": ["x"], "staff": ["SECRETVALUE"]}, "CT-DRAW-003", "units.staff: 1 different values"),
        ({"code": ["a"], "kind": [0.5], "staff": [1]}, "CT-DRAW-003", "units.kind"),
        ({"code": [" a"], "kind": ["x"], "staff": [1]}, "CT-DRAW-003", "units.code"),
        ({"code": ["a\nb"], "kind": ["x"], "staff": [1]}, "CT-DRAW-003", "units.code"),
        ({"code": [], "kind": [], "staff": []}, "CT-DRAW-006", "empty"),
    ],
)
def test_a_bad_frame_is_refused_with_column_and_count_and_no_value(columns, code, words):
    """The message names column and count, never a cell."""
    with pytest.raises(DrawError) as caught:
        build(**columns)
    assert caught.value.code == code
    assert words in str(caught.value)
    assert "SECRETVALUE" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}\n",
        b'{"code":"b"}\n{"code":"a"}\n',
        b'{"code": "a"}\n',
        b'{"code":"a"}',
        b"\xff\n",
        b"[]\n",
        b"[" * 100000,
    ],
)
def test_a_frame_file_that_is_not_canonical_is_refused(data):
    """Order, blanks, missing line ends, duplicates and rubbish are noticed."""
    with pytest.raises(VerificationError):
        parse_frame(data, where="frame.jsonl")


def reference_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + reference_root(leaves[:k]) + reference_root(leaves[k:])).digest()


def test_root_and_paths_are_those_of_rfc_6962():
    """All trees of 1 to 65 leaves: the root is the recursive one, and each path leads to it from its own place only."""
    for size in range(1, 66):
        leaves = [hashlib.sha256(bytes([i])).digest() for i in range(size)]
        root = reference_root(leaves)
        assert merkle_root(leaves) == root
        for i in range(size):
            path = merkle_path(leaves, i)
            assert root_from_path(leaves[i], i, size, path) == root
            assert root_from_path(leaves[i], (i + 1) % size, size, path) != root or size == 1
            assert root_from_path(leaves[i], i, size, [*path, b"x" * 32]) is None
            if path:
                assert root_from_path(leaves[i], i, size, path[:-1]) is None


def test_salts_differ_by_code_and_secret():
    """A leaf cannot be guessed from code and classes without the secret."""
    frame = build(code=["a", "b"], kind=["x", "x"], staff=[1, 1])
    assert len({salt_of(key, code) for key in (b"k" * 32, b"l" * 32) for code in ("a", "b")}) == 4
    assert frame.leaves(b"k" * 32) != frame.leaves(b"l" * 32)
    unsalted = {hashlib.sha256(b"\x00" + line).digest() for line in frame.lines}
    assert not unsalted & set(frame.leaves(b"k" * 32))
