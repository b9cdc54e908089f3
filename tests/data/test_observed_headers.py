"""Headers of 272 real published tables: what means a column of ours is mapped, nothing is mapped wrongly, nothing is lost.

The golden file was reviewed line by line; it holds names of columns only. `tables` says for each published table, in order, with which
contract it is read (lists that are no table of ours with the register's), `mapped` what each header stands for there.
Write it anew with CREDIT_TIER_WRITE_GOLDEN=1, and review the difference.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from credit_tier.content import Content
from credit_tier.data.delivery import prepared, read_source
from credit_tier.data.headers import KnownHeaders, match_headers
from credit_tier.data.ingest import load_specs
from credit_tier.data.sources import SourceFile
from credit_tier.specs.dataset import DatasetSpec

OBSERVED = Path(__file__).resolve().parents[2] / "../shared/data/cn_double_publicity_fields/observed_headers.csv"
GOLDEN = Path(__file__).parent / "golden" / "observed_headers.json"

pytestmark = pytest.mark.skipif(not OBSERVED.exists(), reason="the observed headers are not on this machine")

NEVER = {
    "uscc": (
        "机关",
        "部门",
        "数据来源",
        "组织机构代码",
        "工商",
        "税务登记",
        "注册号",
        "建设单位",
        "产权单位",
        "法人代码",
        "证件",
    ),
    "fine": ("没收", "所得"),
    "authority": ("代码", "来源", "相对人"),
    "decided_on": ("有效期", "截止", "更新", "立案", "入库"),
    "inspected_on": ("复查", "更新"),
    "result": ("复查", "处罚"),
}
"""Words that show that a header means something else than the column: an oracle of its own beside the golden file."""


@cache
def observed() -> tuple[dict[str, str], ...]:
    with OBSERVED.open(encoding="utf-8") as stream:
        return tuple(csv.DictReader(stream))


@cache
def specs() -> dict[str, DatasetSpec]:
    return load_specs(Content.resolve())


@cache
def golden() -> dict[str, object]:
    return json.loads(GOLDEN.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def tables() -> list[str]:
    return golden()["tables"]  # type: ignore[return-value]


def found() -> dict[str, dict[str, str]]:
    """Return per table what each mapped header of the corpus stands for: column, how it was known, and its unit."""
    result: dict[str, dict[str, str]] = {}
    for row, table in zip(observed(), tables(), strict=True):
        known = KnownHeaders(specs()[table])
        for header in row["columns"].split("|"):
            match = known.find(header)
            if match is not None:
                words = [match.column, match.how, match.unit or ""]
                result.setdefault(table, {})[header] = " ".join(words).strip()
    return {table: dict(sorted(headers.items())) for table, headers in sorted(result.items())}


def test_every_real_header_is_mapped_as_reviewed() -> None:
    """All headers of all 272 tables stand for the columns that a reviewer found, and no other header for any."""
    assert len(observed()) == len(tables()) == 272
    mapped = found()
    if os.environ.get("CREDIT_TIER_WRITE_GOLDEN") == "1":
        text = json.dumps({"tables": tables(), "mapped": mapped}, ensure_ascii=False, indent=1)
        GOLDEN.write_text(text + "\n", encoding="utf-8")
    assert mapped == json.loads(GOLDEN.read_text(encoding="utf-8"))["mapped"]
    assert GOLDEN.stat().st_size < 300_000


def test_no_header_is_mapped_that_says_something_else() -> None:
    """Codes of authorities, other numbers and other days never pass for the column: not even where the review slept."""
    headers = {header for row in observed() for header in row["columns"].split("|")}
    for spec in specs().values():
        known = KnownHeaders(spec)
        for header in headers:
            match = known.find(header)
            if match is not None and not (match.column == "uscc" and "统一社会信用代码" in header):
                assert not [word for word in NEVER.get(match.column, ()) if word in header], (spec.table, header)
    assert len(headers) == 675


def test_fifteen_spellings_of_the_credit_code_are_known() -> None:
    """However a table that ours can hold calls the credit code, it is the key."""
    spellings = {
        header
        for row, table in zip(observed(), tables(), strict=True)
        for column, header in match_headers(row["columns"].split("|"), specs()[table])[0].headers.items()
        if column == "uscc"
    }
    assert len(spellings) >= 12
    assert {"社会统一信用代码", "统一社会代码", "行政相对人代码1(统一社会信用代码)", "纳税人识别号"} <= spellings


def test_every_header_is_mapped_or_reported(tmp_path: Path) -> None:
    """As CSV files with titles above, in their real encodings: the line is found, and each header is mapped or listed."""
    checked = 0
    for number, (row, table) in enumerate(zip(observed(), tables(), strict=True)):
        headers, above = row["columns"].split("|"), int(row["header_row"])
        lines = [["标题"] + [""] * (len(headers) - 1)] * above + [headers, ["值"] * len(headers)]
        path = tmp_path / f"{table}-{number}.csv"
        with path.open("w", encoding=row["encoding"], newline="") as stream:
            csv.writer(stream).writerows(lines)
        file = prepared(SourceFile(path, table, "", specs()[table]), tmp_path)
        mapped, several = match_headers([header for header in headers if header], specs()[table])
        if not mapped.headers:
            assert file.layout.header_row is None
            continue
        checked += 1
        assert file.layout.header_row == above + 1
        assert several == {}
        frame = read_source(file)
        again, _ = match_headers(frame.columns, specs()[table])
        assert again.headers == mapped.headers
        assert sorted([*again.headers.values(), *again.unmapped]) == sorted(frame.columns)
        assert (frame.height, frame.width) == (1, len(headers))
    assert checked > 120


def test_the_official_codes_and_their_names_say_the_same(catalogue: Mapping[str, str]) -> None:
    """A double publicity export maps alike, whether it is headed by the official codes or by their Chinese names."""
    spec = specs()["penalties"]
    by_code, _ = match_headers(list(catalogue), spec)
    by_name, _ = match_headers(list(catalogue.values()), spec)
    assert {name: catalogue[header] for name, header in by_code.headers.items()} == dict(by_name.headers)
    assert {"penalty_no", "uscc", "decided_on", "kinds", "fine", "authority"} == set(by_code.headers)
    assert by_name.units == {"fine": "万元"}


@pytest.fixture
def catalogue() -> dict[str, str]:
    with (OBSERVED.parent / "field_catalog.csv").open(encoding="utf-8") as stream:
        return {row["code"]: row["name_zh"] for row in csv.DictReader(stream) if row["layout"] == "penalty_2019"}
