"""The shipped data contracts: sound, complete, Chinese, and in line with the official vocabularies."""

from __future__ import annotations

import csv
import re
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from credit_tier.content import Content
from credit_tier.data.columns import read_column
from credit_tier.data.contracts import column_rules
from credit_tier.specs.dataset import DatasetSpec

TABLES = (
    *("abnormal_listings", "annual_reports", "calendar", "commitments", "complaints", "enterprise_changes"),
    *("enterprises", "environment_grades", "honours", "inspection_items", "inspections", "inspectors"),
    *("intellectual_property", "judgments", "licences", "loans", "penalties", "public_credit_grades", "recusals"),
    *("relations", "repair_applications", "safety_incidents", "sector_grades"),
    *("serious_listings", "social_insurance", "tax_arrears", "tax_grades"),
)
CATALOG = Path(__file__).resolve().parents[2] / "../shared/data/cn_double_publicity_fields/field_catalog.csv"
HAN = re.compile(r"[一-鿿]")


def _spec(table: str) -> DatasetSpec:
    return Content.resolve().load("data_schemas", f"{table}.yaml", DatasetSpec)


def test_no_contract_is_left_untested() -> None:
    """The list of this module is that of the room."""
    assert sorted(item.name for item in Content.resolve().files("data_schemas")) == [f"{t}.yaml" for t in TABLES]


@pytest.mark.parametrize("table", TABLES)
def test_every_contract_loads_and_names_itself(table: str) -> None:
    """A contract's file name and table name agree, so that a delivery file finds its contract."""
    assert _spec(table).table == table


@pytest.mark.parametrize("table", TABLES)
def test_every_column_has_a_chinese_title_and_a_department_header(table: str) -> None:
    """A clerk meets Chinese titles, and the headers departments really use are known."""
    spec = _spec(table)
    assert HAN.search(spec.title_zh)
    for name, column in spec.columns.items():
        assert HAN.search(column.title_zh), name
        assert any(HAN.search(alias) for alias in column.aliases), name


@pytest.mark.parametrize("table", TABLES)
def test_knowledge_time_is_the_day_of_receipt(table: str) -> None:
    """No table derives when a record was known from when it happened."""
    spec = _spec(table)
    assert spec.known_at.column == "received_on"
    assert spec.known_at.delay_days == 0
    assert spec.event_on != "received_on"


def test_penalties_take_the_official_export_headers() -> None:
    """A file with the headers of the 2019 double publicity layout needs no renaming; its personal fields have no place."""
    columns = _spec("penalties").columns
    expected = {
        "penalty_no": "CF_WSH",
        "uscc": "CF_XDR_SHXYM",
        "decided_on": "CF_JDRQ",
        "kinds": "CF_CFLB",
        "fine": "CF_NR_FK",
        "authority": "CF_CFJG",
    }
    assert {name: code for name, code in expected.items() if code in columns[name].aliases} == expected
    assert columns["fine"].unit == "万元"
    assert list(columns) == [
        "penalty_no",
        "uscc",
        "decided_on",
        "published_on",
        "kinds",
        "procedure",
        "domain",
        "fine",
        "authority",
        "duty_fulfilled_on",
        "commitment_on",
        "repaired_on",
        "received_on",
    ]


@pytest.mark.skipif(not CATALOG.is_file(), reason="the field catalogue is not on this machine")
@pytest.mark.parametrize(
    ("table", "layout", "prefix", "least"),
    [("penalties", "penalty_2019", "CF_", 6), ("licences", "permit_2019", "XK_", 8)],
)
def test_official_codes_carry_their_official_names_and_no_personal_field_is_taken(
    table: str, layout: str, prefix: str, least: int
) -> None:
    """Each CF_ or XK_ alias stands beside the Chinese name of the catalogue, and no field that may hold personal data is read."""
    with CATALOG.open(encoding="utf-8") as stream:
        rows = [
            row for row in csv.DictReader(stream) if row["layout"].split("_")[0] == layout.split("_", maxsplit=1)[0]
        ]
    names = {(row["layout"], row["code"]): row["name_zh"] for row in rows}
    known = {row["code"] for row in rows}
    personal = {row["code"] for row in rows if row["may_hold_personal_data"] == "1"}
    seen = 0
    for column in _spec(table).columns.values():
        for code in (alias for alias in column.aliases if alias.startswith(prefix)):
            assert code in known
            assert names.get((layout, code), column.title_zh) in {*column.aliases, column.title_zh}
            assert code not in personal
            seen += 1
    assert seen >= least


@pytest.mark.parametrize(
    ("cell", "kinds"),
    [
        ("fine", "fine"),
        ("fine;warning;fine", "warning;fine"),
        ("警告;罚款", "warning;fine"),
        ("罚款；没收违法所得、没收非法财物", "fine;confiscate_gains;confiscate_goods"),
        ("没收违法所得、没收非法财物,警告", "warning;confiscate_gains;confiscate_goods"),
        ("罚款、责令停产停业", "fine;order_suspension"),
        ("吊销许可", "revoke_permit"),
        ("其他,罚款", "fine;other"),
    ],
)
def test_kinds_are_read_as_departments_write_them(cell: str, kinds: str) -> None:
    """Several Chinese kinds of article 9 in one cell, separated in any way, become the words of the contract."""
    spec = _spec("penalties")
    read = read_column(pl.Series([cell]), spec.columns["kinds"])
    assert read.values.to_list() == [kinds]
    assert [rule.holds(read.values).to_list() for rule in column_rules(spec, "kinds")] == [[True]]


@pytest.mark.parametrize("cell", ["暂扣或者吊销许可证", "一般程序处罚,罚款", "bad_fine"])
def test_a_kind_that_could_mean_two_is_refused(cell: str) -> None:
    """Suspension and revocation have different consequences: who writes both at once is asked."""
    spec = _spec("penalties")
    read = read_column(pl.Series([cell]), spec.columns["kinds"])
    assert [rule.holds(read.values).to_list() for rule in column_rules(spec, "kinds")] == [[False]]


def test_codes_follow_the_national_lists() -> None:
    """Twenty sections, 97 divisions, eleven areas of the city; every division belongs to exactly one section."""
    columns = _spec("enterprises").columns
    sections, divisions = columns["industry_section"].vocabulary, columns["industry_division"].vocabulary
    districts = columns["district"].vocabulary
    assert sections is not None
    assert divisions is not None
    assert districts is not None
    assert list(sections) == list("ABCDEFGHIJKLMNOPQRST")
    assert list(divisions) == [f"{number:02d}" for number in range(1, 98)]
    assert all(re.fullmatch(r"3205\d\d", code) for code in districts)
    assert _spec("inspections").columns["district"].vocabulary == districts


def test_inspection_results_are_the_nine_of_the_market_regulator() -> None:
    """The result vocabulary is the national one, word for word."""
    vocabulary = _spec("inspections").columns["result"].vocabulary
    assert vocabulary is not None
    assert list(vocabulary.values()) == [
        "未发现问题",
        "未按规定公示年报",
        "未按规定公示其他应公示信息",
        "公示信息隐瞒真实情况、弄虚作假",
        "通过登记的住所无法联系",
        "发现问题已责令改正",
        "不配合检查情节严重",
        "发现问题待后续处理",
        "未发现开展本次抽查涉及的经营活动",
    ]


def test_slices_say_that_they_are_no_features() -> None:
    """Ownership and size say in their own title that they may only slice an assessment."""
    columns = _spec("enterprises").columns
    for name in ("ownership", "size_class"):
        assert "不得作为特征" in columns[name].title_zh


def test_grades_of_different_scales_never_share_a_column() -> None:
    """Each departmental scale has a table and a column of its own, and the internal risk class is no table's business."""
    owners = {
        "tax_grade": "tax_grades",
        "environment_grade": "environment_grades",
        "sector_grade": "sector_grades",
        "public_credit_grade": "public_credit_grades",
    }
    seen = {name: table for table in TABLES for name in _spec(table).columns if "grade" in name or "class" in name}
    assert seen == {**owners, "size_class": "enterprises", "loan_class": "loans"}


@pytest.mark.parametrize(
    ("table", "column", "order"),
    [
        ("tax_grades", "tax_grade", ["A", "B", "M", "C", "D"]),
        ("environment_grades", "environment_grade", ["green", "blue", "yellow", "red", "black"]),
        ("public_credit_grades", "public_credit_grade", ["A", "B", "C", "D"]),
        ("safety_incidents", "severity", ["ordinary", "larger", "major", "extraordinary"]),
        ("loans", "loan_class", ["normal", "special_mention", "substandard", "doubtful", "loss"]),
    ],
)
def test_graded_vocabularies_stand_in_their_order(table: str, column: str, order: list[str]) -> None:
    """Scales that have an order are written down in it."""
    vocabulary = _spec(table).columns[column].vocabulary
    assert vocabulary is not None
    assert list(vocabulary) == order


def test_vocabularies_nobody_has_checked_say_so_and_say_where_they_come_from() -> None:
    """What is known from memory only carries the flag, and a flag never stands without a source."""
    unverified = {}
    for table in TABLES:
        for name, column in _spec(table).columns.items():
            if not column.vocabulary_verified:
                unverified[f"{table}.{name}"] = column.vocabulary_source
    assert all(HAN.search(source) for source in unverified.values())
    assert {
        *("licences.licence_kind", "licences.licence_status", "loans.loan_class", "safety_incidents.severity"),
        *("serious_listings.list_name", "serious_listings.domain", "public_credit_grades.public_credit_grade"),
        *("sector_grades.sector_grade", "commitments.fulfilment", "enterprise_changes.change_item"),
    } <= set(unverified)


def test_relations_hold_enterprises_only() -> None:
    """An edge joins two credit codes; the only persons anywhere are the authority's own inspectors, by number."""
    columns = _spec("relations").columns
    assert [name for name, column in columns.items() if column.type == "uscc"] == ["uscc", "related_uscc"]
    assert [name for name, column in columns.items() if column.type == "text"] == ["relation_no"]
    personal = {
        f"{table}.{name}"
        for table in TABLES
        for name, column in _spec(table).columns.items()
        if column.sensitivity == "personal"
    }
    assert personal == {"inspectors.inspector_no", "recusals.inspector_no", "recusals.ground"}


def test_fields_of_enforcement_are_those_of_penalties() -> None:
    """Penalties, complaints and licences speak of the same ten fields."""
    wanted = _spec("penalties").columns["domain"].vocabulary
    assert _spec("licences").columns["domain"].vocabulary == wanted
    assert _spec("complaints").columns["domain"].vocabulary == wanted


@pytest.mark.parametrize(
    ("table", "column", "sent", "meant"),
    [
        ("tax_grades", "tax_grade", "M级", "M"),
        ("tax_grades", "tax_grade", "A级(90分以上)", "A"),
        ("public_credit_grades", "public_credit_grade", "优", "A"),
        ("public_credit_grades", "public_credit_grade", "D级", "D"),
        ("environment_grades", "environment_grade", "黄", "yellow"),
        ("licences", "licence_kind", "普通许可", "ordinary"),
        ("licences", "valid_to", "2099-12-31", None),
        ("licences", "valid_to", "长期有效", None),
        ("licences", "valid_to", "2030-12-31", date(2030, 12, 31)),
    ],
)
def test_values_are_read_as_offices_write_them(table: str, column: str, sent: str, meant: str | date | None) -> None:
    """Grades with 级, colours without 色 and licences without end need no rewriting before they are sent."""
    read = read_column(pl.Series([sent]), _spec(table).columns[column])
    assert read.values.to_list() == [meant]
    assert not any(mask.any() for mask in read.failures.values())
