"""Tables about no subject (inspectors, items, working days) live in the lake like all others, but for a subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

import pytest

from credit_tier.content import Content, parse
from credit_tier.data.ingest import ingest, load_specs
from credit_tier.data.lake import Lake
from credit_tier.data.quality import validate
from credit_tier.errors import ContentError, FeatureError
from credit_tier.features import build, spine
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.specs.feature import FeatureSpec

STAFF = """\
table: staff
title_zh: 检查人员
kind: reference
record_id: {column: staff_no}
known_at: {column: received_on}
source: 测试
legal_basis: 测试
columns:
  staff_no: {type: text, title_zh: 执法证号, sensitivity: personal}
  fields: {type: codes, title_zh: 资质, vocabulary: {food: 食品, fire: 消防}}
  until: {type: date, title_zh: 有效期止, nullable: true, empty_values: ["2099-12-31"]}
  received_on: {type: date, title_zh: 入库日期}
"""

CONFLICTS = """\
table: conflicts
title_zh: 回避
kind: event
key: uscc
record_id: {of: [uscc, staff_no]}
event_on: declared_on
known_at: {column: declared_on}
source: 测试
legal_basis: 测试
columns:
  uscc: {type: uscc, title_zh: 统一社会信用代码}
  staff_no: {type: text, title_zh: 执法证号}
  declared_on: {type: date, title_zh: 申报日期}
checks:
  - {id: staff_exists, title_zh: 人员在库, refers_to: {column: staff_no, table: staff}, severity: warn}
"""

Write = Callable[[str, Mapping[str, Sequence[object]]], Path]


@pytest.fixture
def wider(content: Content, tmp_path: Path) -> Content:
    for name, text in (("staff", STAFF), ("conflicts", CONFLICTS)):
        (tmp_path / "content" / "data_schemas" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return Content.resolve(tmp_path / "content")


def staff(**columns: list[object]) -> dict[str, list[object]]:
    rows: dict[str, list[object]] = {
        "执法证号": ["S2", "S1"],
        "资质": ["食品、消防", "food"],
        "有效期止": ["2099-12-31", "2024-12-31"],
        "入库日期": ["2024-01-02", "2024-01-02"],
    }
    return {**rows, **columns}


def test_such_a_table_has_versions_and_quarantine_like_any_other(
    wider: Content, first: Path, deliver: Callable[[str], Write], tmp_path: Path
) -> None:
    """Rows are told apart by their own number; a later delivery adds versions; the same one again changes nothing; faults go aside."""
    write = deliver("first")
    write("staff.csv", staff())
    ingest(tmp_path / "lake", first, wider)
    later = deliver("later")("staff.csv", staff(资质=["fire", "骑马"], 入库日期=["2024-03-01", "2024-03-01"]))
    report = ingest(tmp_path / "lake", later, wider)
    assert [(table.table, table.added, table.quarantined, table.rules) for table in report.tables] == [
        ("staff", 1, 1, {"staff.fields.vocabulary": 1})
    ]
    before = Lake.open(tmp_path / "lake").digest
    ingest(tmp_path / "lake", later, wider)
    lake = Lake.open(tmp_path / "lake")
    assert lake.digest == before
    rows = lake.frame("staff").collect().to_native()
    assert rows["staff_no"].to_list() == ["S1", "S2", "S2"]
    assert rows["fields"].to_list() == ["food", "food;fire", "fire"]
    assert rows["until"].null_count() == 2
    assert rows["enterprise_no"].unique().to_list() == [-1]
    assert rows["record_id"].to_list() == rows["staff_no"].to_list()


def test_validation_asks_it_nothing_about_subjects_and_follows_references_to_it(
    wider: Content, first: Path, deliver: Callable[[str], Write], codes: list[str], tmp_path: Path
) -> None:
    """No rule on subjects for the table itself; an entry that names an unknown inspector is found."""
    write = deliver("first")
    write("staff.csv", staff())
    write("conflicts.csv", {"uscc": codes[:2], "执法证号": ["S1", "S9"], "申报日期": ["2024-02-01", "2024-02-01"]})
    ingest(tmp_path / "lake", first, wider)
    found = validate(Lake.open(tmp_path / "lake"), as_of=date(2024, 6, 20))
    rules = {rule.rule: rule for rule in found.rules}
    assert "staff.one_subject" not in rules
    assert "staff.subject_in_register" not in rules
    assert rules["conflicts.staff_exists"].count.failed == 1


def test_no_feature_comes_from_it(wider: Content, first: Path, deliver: Callable[[str], Write], tmp_path: Path) -> None:
    """It says nothing about an enterprise, so a feature that names it is refused instead of being empty for all."""
    deliver("first")("staff.csv", staff())
    ingest(tmp_path / "lake", first, wider)
    lake = Lake.open(tmp_path / "lake")
    given = {"id": "f", "title_zh": "f", "dimension": "d", "source": "staff", "aggregate": "count", "unit": "x"}
    feature = FeatureSpec.model_validate({**given, "missing": {"policy": "zero"}, "direction": "0", "legal_basis": "x"})
    with pytest.raises(FeatureError, match=r"CT-FEAT-015 f: .*about no subject"):
        build.build(lake, (feature,), spine.grid(lake, (), [date(2024, 6, 1)]))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("kind: reference", "kind: reference\nkey: staff_no", "a reference table, which has none"),
        ("kind: reference", "kind: entity", "every table has a key"),
        (
            "  received_on: {type: date, title_zh: 入库日期}",
            "  received_on: {type: date, title_zh: 入库日期}\nchecks: [{id: x, title_zh: x, not_before: [until, register.received_on], severity: warn}]",
            "about no subject",
        ),
    ],
)
def test_a_contract_that_mixes_the_kinds_is_refused(old: str, new: str, words: str) -> None:
    """A key goes with a subject, and only with it."""
    with pytest.raises(ContentError, match=words):
        parse(STAFF.replace(old, new), DatasetSpec, where="staff.yaml")


def test_the_shipped_tables_of_the_draw_have_no_subject() -> None:
    """Inspectors, items and working days are about no enterprise; a recusal is about one."""
    specs = load_specs(Content.resolve())
    assert {name for name, spec in specs.items() if spec.key is None} == {"inspectors", "inspection_items", "calendar"}
    assert specs["recusals"].key == "uscc"
