"""The shipped catalogue: complete, in the dimensions of the national index, over every table, and closed to what may not count."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from credit_tier.content import Content
from credit_tier.errors import ContentError
from credit_tier.features.online import Online
from credit_tier.specs import together
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.specs.feature import BODIES, FORBIDDEN_WORDS, STRATA, CatalogueSpec, FeatureSpec
from credit_tier.specs.model import ModelSpec
from credit_tier.temporal import AsOf

HAN = re.compile(r"[一-鿿]")
CONTENT = Content.resolve()
CATALOGUE = CONTENT.load("pipelines", "features.yaml", CatalogueSpec)
TABLES = {
    spec.table: spec
    for item in CONTENT.files("data_schemas")
    if (spec := CONTENT.load("data_schemas", item.name, DatasetSpec))
}
SOUND = {
    "id": "probe",
    "title_zh": "试",
    "dimension": "basic",
    "source": "penalties",
    "aggregate": "count",
    "missing": {"policy": "zero"},
    "unit": "次",
    "direction": "0",
    "legal_basis": "试",
}


def test_the_dimensions_are_the_five_of_the_national_index_and_two_of_the_profile() -> None:
    """A supervisor finds the dimensions of 国市监信发〔2022〕6号 under their own names, then performance and commitments."""
    titles = [item.title_zh for item in CATALOGUE.dimensions]
    assert titles == ["企业基本属性", "企业动态", "监管信息", "关联关系", "社会评价", "履约与经营", "信用承诺"]
    assert {f.dimension for f in CATALOGUE.features} == {item.id for item in CATALOGUE.dimensions}


def test_the_catalogue_is_full() -> None:
    """At least 120 features, and not one of them twice under two names."""
    assert len(CATALOGUE.features) >= 120
    meanings = [f.model_dump_json(exclude={"id", "title_zh", "title_en"}) for f in CATALOGUE.features]
    assert len(set(meanings)) == len(meanings)
    for title in ("title_zh", "title_en"):
        told = [getattr(f, title) for f in CATALOGUE.features]
        assert len(set(told)) == len(told)


@pytest.mark.parametrize("feature", CATALOGUE.features, ids=lambda f: f.id)
def test_every_entry_is_complete(feature: FeatureSpec) -> None:
    """Titles in both languages, unit, law, and a fill that suits the aggregate."""
    assert HAN.search(feature.title_zh)
    assert feature.title_en
    assert not HAN.search(feature.title_en)
    assert feature.unit
    assert HAN.search(feature.legal_basis)
    assert "memory" not in feature.legal_basis
    if feature.aggregate in {"share", "mean", "last"}:
        assert feature.missing.policy == "unknown", "no record is not a share or grade of zero"
    if feature.aggregate == "streak" and feature.direction == -1:
        assert feature.missing.policy == "unknown", "no record is not a failed record"
    if feature.aggregate == "days_since" and feature.direction == -1:
        assert (feature.missing.fill or 0) >= 3650, "never is not just now"


def test_every_table_about_enterprises_is_used() -> None:
    """What departments deliver is looked at, directly or as edges; whom an inspector may not visit says nothing of the enterprise."""
    used = {f.source for f in CATALOGUE.features} | {f.via.table for f in CATALOGUE.features if f.via}
    assert used == {name for name, spec in TABLES.items() if spec.key is not None} - {"recusals"}


def test_the_closed_vocabulary_is_in_use() -> None:
    """Counts, severity, recency, trends, streaks, rates of groups and relations are all there, over short and long windows."""
    assert {f.aggregate for f in CATALOGUE.features} >= {
        *("count", "exists", "sum", "mean", "max", "last", "days_since", "n_unique", "share", "trend", "streak")
    }
    assert {f.window.days for f in CATALOGUE.features} >= {91, 183, 365, 730, 1095, None}
    assert any(f.group_by == ("industry_division", "district") and f.shrink for f in CATALOGUE.features)
    kinds = {c.equals for f in CATALOGUE.features if f.via for c in f.via.filter if c.column == "kind"}
    assert kinds >= {"legal_representative", "same_address"}


@pytest.mark.parametrize(
    ("table", "closed"),
    [
        ("penalties", "repaired_on"),
        ("abnormal_listings", "removed_on"),
        ("serious_listings", "removed_on"),
        ("tax_arrears", "settled_on"),
    ],
)
def test_what_is_repaired_or_settled_counts_no_more(table: str, closed: str) -> None:
    """Every feature of such records asks that they are still open; the one of listings over three years is the older entry."""
    over = [f for f in CATALOGUE.features if f.source == table and f.id != "abnormal_listings_3y"]
    assert over
    for feature in over:
        assert any(c.column == closed and c.is_null for c in feature.filter), feature.id


CODE = "91000000MAQMC06P2E"
REGISTERED = {
    "uscc": CODE,
    "district": "320505",
    "industry_section": "C",
    "industry_division": "13",
    "established_on": "2015-03-01",
    "registered_capital": None,
    "entity_type": "1100",
    "ownership": "private",
    "size_class": "small",
    "status": "active",
    "status_on": "2015-03-01",
    "received_on": "2015-03-02",
}
OPEN: dict[str, dict[str, object]] = {
    "penalties": {
        "penalty_no": "a",
        "decided_on": "2025-02-01",
        "kinds": "fine",
        "procedure": "ordinary",
        "domain": "food",
        "fine": "1",
        "authority": "x",
    },
    "abnormal_listings": {"listing_no": "a", "listed_on": "2025-02-01", "reason": "4", "authority": "x"},
    "serious_listings": {"listing_no": "a", "listed_on": "2025-02-01", "list_name": "tax", "authority": "x"},
    "tax_arrears": {
        "notice_no": "a",
        "announced_on": "2025-02-01",
        "tax_kind": "vat",
        "amount": "1",
        "authority": "x",
    },
    "judgments": {
        "judgment_no": "a",
        "filed_on": "2025-02-01",
        "kind": "enforcement",
        "amount": "1",
        "court": "x",
    },
}


@pytest.mark.parametrize(
    ("table", "closed"),
    [
        ("penalties", "repaired_on"),
        ("abnormal_listings", "removed_on"),
        ("serious_listings", "removed_on"),
        ("tax_arrears", "settled_on"),
        ("judgments", "performed_on"),
    ],
)
def test_after_repair_an_enterprise_stands_as_if_the_record_had_never_been(table: str, closed: str) -> None:
    """The record counts until its repair is known; from the next day every feature is what it is without the record."""
    spec = TABLES[table]
    first = dict.fromkeys(spec.columns) | OPEN[table] | {"uscc": CODE, "received_on": "2025-02-05"}
    repaired = first | {closed: "2025-05-01", "received_on": "2025-05-06"}
    features = tuple(
        f
        for f in CATALOGUE.features
        if f.group_by is None and f.shrink is None and f.source != "spine" and f.id != "abnormal_listings_3y"
    )
    online = Online(TABLES, features)

    def at(day: str, *versions: dict[str, object]) -> list[float]:
        found = online.for_one(CODE, {"enterprises": [REGISTERED], table: [*versions]}, AsOf.parse(day))
        return [float(value) for value in found.values[:, 0]]

    never = at("2025-05-07")
    np.testing.assert_array_equal(at("2025-05-07", first, repaired), never)
    assert not np.array_equal(at("2025-05-06", first, repaired), at("2025-05-06"), equal_nan=True)


def test_a_commitment_is_overdue_from_its_due_day_until_it_is_known_to_be_fulfilled() -> None:
    """Unchecked it is told apart from found wanting; one without an end, or fulfilled, is neither."""
    online = Online(TABLES, CATALOGUE.subset(("commitments_overdue", "commitments_due_unchecked")))
    made = dict.fromkeys(TABLES["commitments"].columns) | {
        "uscc": CODE,
        "commitment_no": "a",
        "committed_on": "2025-02-01",
        "kind": "approval",
        "due_on": "2025-05-01",
        "authority": "x",
        "received_on": "2025-02-05",
    }
    partial = made | {"fulfilment": "partial", "checked_on": "2025-06-01", "received_on": "2025-06-02"}
    full = made | {"fulfilment": "full", "checked_on": "2025-07-01", "received_on": "2025-07-02"}
    endless = made | {"commitment_no": "b", "due_on": None, "fulfilment": "broken", "checked_on": "2025-03-01"}

    def at(day: str) -> list[float]:
        records = {"enterprises": [REGISTERED], "commitments": [made, partial, full, endless]}
        return [float(value) for value in online.for_one(CODE, records, AsOf.parse(day)).values[:, 0]]

    days = ["2025-04-30", "2025-05-01", "2025-06-02", "2025-06-03", "2025-07-02", "2025-07-03"]
    assert [at(day) for day in days] == [[0, 0], [0, 1], [0, 1], [1, 0], [1, 0], [0, 0]]


def test_a_penalty_of_several_kinds_counts_for_each_of_them() -> None:
    """A stop of business beside a fine is a stop of business; a fine alone is none, and neither touches a permit."""
    ids = ("penalties_permit_3y", "penalties_business_3y")
    online = Online(TABLES, CATALOGUE.subset(ids))
    blank = dict.fromkeys(TABLES["penalties"].columns) | OPEN["penalties"] | {"uscc": CODE, "received_on": "2025-02-05"}

    def told(*kinds: str) -> list[float]:
        penalties = [blank | {"penalty_no": str(number), "kinds": kind} for number, kind in enumerate(kinds)]
        found = online.for_one(CODE, {"enterprises": [REGISTERED], "penalties": penalties}, AsOf.parse("2025-03-01"))
        return [float(value) for value in found.values[:, 0]]

    assert told("fine", "warning;fine") == [0, 0]
    assert told("fine;order_suspension", "fine") == [0, 1]
    assert told("fine;suspend_permit;order_suspension", "revoke_permit") == [2, 1]


def test_models_name_their_features() -> None:
    """A growing catalogue changes no model."""
    for item in CONTENT.files("models"):
        if item.name.endswith("/model.yaml"):
            assert CONTENT.load("models", item.name, ModelSpec).features


def test_only_the_sizes_and_owners_of_the_tables_are_forbidden_words() -> None:
    """The words meet the columns they are meant for, and no other column of the shipped tables."""
    met = {
        f"{table}.{name}"
        for table, spec in TABLES.items()
        if spec.key is not None
        for name in spec.columns
        if any(word in name for word in FORBIDDEN_WORDS) or name in STRATA
    }
    assert met == {
        *("enterprises.ownership", "enterprises.size_class", "enterprises.entity_type", "enterprises.district"),
        *("enterprises.registered_capital", "annual_reports.insured_staff", "annual_reports.revenue"),
        *("social_insurance.insured_staff", "inspections.district"),
    }


FORBIDDEN = (*FORBIDDEN_WORDS, *(f"former_{word}" for word in FORBIDDEN_WORDS))


@pytest.mark.parametrize("name", [*FORBIDDEN, *STRATA])
@pytest.mark.parametrize(
    "place",
    [
        lambda name: {"aggregate": "n_unique", "column": name},
        lambda name: {"filter": [{"column": name, "equals": "x"}]},
        lambda name: {"aggregate": "share", "numerator": [{"column": name, "equals": "x"}]},
        lambda name: {"source": "spine", "aggregate": "attribute", "column": name},
        lambda name: {
            "aggregate": "exists",
            "via": {"table": "relations", "column": "related_uscc", "filter": [{"column": name, "equals": "x"}]},
        },
    ],
    ids=["column", "filter", "numerator", "spine", "edges"],
)
def test_owner_place_size_and_person_are_refused_with_the_article(name: str, place) -> None:
    """Wherever an entry reads them, the refusal names the article."""
    with pytest.raises(ValueError, match=rf"'{name}' may .*优化营商环境条例 art\. 1"):
        FeatureSpec.model_validate(SOUND | place(name))


@pytest.mark.parametrize("name", FORBIDDEN)
@pytest.mark.parametrize(
    "place",
    [
        lambda name: {"group_by": [name]},
        lambda name: {"aggregate": "share", "numerator": [{"column": "x", "equals": "x"}], "group_by": ["x", name]},
        lambda name: {"aggregate": "mean", "column": "x", "shrink": {"weight": "1", "towards": [name]}},
    ],
    ids=["group", "second group", "wider group"],
)
def test_owner_size_and_person_form_no_groups(name: str, place) -> None:
    """Nor do the rates of their group stand for them."""
    with pytest.raises(ValueError, match=rf"'{name}' may .*优化营商环境条例 art\. 10, 12, 13; 个人信息保护法 art\. 6"):
        FeatureSpec.model_validate(SOUND | place(name))


def test_a_place_may_form_groups() -> None:
    """Industry within district is a stratum of comparison, as the national index compares."""
    FeatureSpec.model_validate(SOUND | {"group_by": ["industry_section", "district"]})


@pytest.mark.parametrize("name", [*BODIES, "former_authority"])
@pytest.mark.parametrize(
    "place",
    [
        lambda name: {"filter": [{"column": name, "equals": "吴江区市场监督管理局"}]},
        lambda name: {"filter": [{"column": "fine", "at_least": "1"}, {"column": name, "one_of": ["x", "y"]}]},
        lambda name: {"filter": [{"column": name, "at_most": "吴"}]},
        lambda name: {"aggregate": "share", "numerator": [{"column": name, "not_one_of": ["x"]}]},
        lambda name: {"source": "spine", "aggregate": "exists", "filter": [{"column": name, "equals": "x"}]},
        lambda name: {"aggregate": "last", "column": name},
        lambda name: {
            "aggregate": "exists",
            "via": {"table": "relations", "column": "related_uscc", "filter": [{"column": name, "equals": "x"}]},
        },
    ],
    ids=["equals", "one of", "order", "numerator", "spine", "value", "edges"],
)
def test_no_feature_singles_out_a_body(name: str, place) -> None:
    """Records of one district's office are records of one district: refused with the articles, as the district itself."""
    with pytest.raises(
        ValueError, match=rf"'{name}' names bodies.*优化营商环境条例 art\. 13; 公平竞争审查条例 art\. 9"
    ):
        FeatureSpec.model_validate(SOUND | place(name))


@pytest.mark.parametrize("name", BODIES)
def test_bodies_may_form_groups_and_be_counted(name: str) -> None:
    """The rate among those whom the same office inspects, how many offices acted, and whether one is named, tell no place."""
    FeatureSpec.model_validate(SOUND | {"group_by": [name]})
    FeatureSpec.model_validate(SOUND | {"aggregate": "n_unique", "column": name})
    FeatureSpec.model_validate(SOUND | {"filter": [{"column": name, "is_null": "true"}]})
    FeatureSpec.model_validate(SOUND | {"filter": [{"column": "department", "equals": "fire"}]})


def test_the_bodies_of_the_tables_are_known() -> None:
    """Every text column of a shipped table that names an acting body is among them; the department and the district are not."""
    met = {
        f"{table}.{name}"
        for table, spec in TABLES.items()
        if spec.key is not None
        for name in spec.columns
        if any(word in name for word in BODIES)
    }
    named = {
        f"{table}.{name}"
        for table, spec in TABLES.items()
        if spec.key is not None
        for name, column in spec.columns.items()
        if column.type == "text" and re.search("机关|部门|法院", column.title_zh)
    }
    assert met == named


PERSONAL = """
table: officers
title_zh: 人员
kind: event
key: uscc
record_id: {column: officer_no}
event_on: began_on
known_at: {column: received_on}
source: test
legal_basis: test
columns:
  officer_no: {type: text, title_zh: 编号}
  uscc: {type: uscc, title_zh: 代码}
  related_uscc: {type: uscc, title_zh: 关联}
  began_on: {type: date, title_zh: 起}
  phone: {type: text, title_zh: 电话, sensitivity: personal}
  received_on: {type: date, title_zh: 入库}
"""


def lint(folder: Path, entry: str) -> str:
    """Return the faults of the shipped tables, one more table and a catalogue of one entry, as text."""
    for name, text in {
        "content.yaml": "title_zh: t\ninherits: [data_schemas]\n",
        "data_schemas/officers.yaml": PERSONAL,
        "pipelines/features.yaml": "title_zh: t\ndimensions: [{id: d, title_zh: d}]\nfeatures:\n"
        "  - {id: probe, title_zh: t, dimension: d, missing: {policy: zero}, unit: t, direction: 0, legal_basis: t, "
        + entry
        + "}\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    faults, _ = together.check(Content.resolve(folder))
    return "\n".join(f"{f.code} {f.where} {f.what}" for f in faults)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("source: penalties, aggregate: count", ""),
        ("source: nowhere, aggregate: count", "CT-CONTENT-023 .* no table 'nowhere'"),
        ("source: penalties, aggregate: sum, column: nothing", "CT-CONTENT-023 .* no column 'nothing'"),
        (
            "source: penalties, aggregate: count, filter: [{column: nothing, is_null: true}]",
            "023 .* no column 'nothing'",
        ),
        ("source: penalties, aggregate: count, filter: [{column: domain, equals: sea}]", "CT-CONTENT-026 .* 'sea'"),
        (
            "source: penalties, aggregate: exists, via: {table: nowhere, column: related_uscc}",
            "CT-CONTENT-023 .* no table 'nowhere'",
        ),
        ("source: penalties, aggregate: exists, via: {table: relations, column: x}", "CT-CONTENT-023 .* no column 'x'"),
        (
            "source: penalties, aggregate: exists, via: {table: relations, column: related_uscc, filter: [{column: x, is_null: true}]}",
            "CT-CONTENT-023 .* no column 'x'",
        ),
        ("source: penalties, aggregate: count, group_by: [nothing]", "CT-CONTENT-023 .* group column 'nothing'"),
        ("source: penalties, aggregate: n_unique, column: uscc", "CT-CONTENT-028 .* the key is no value"),
        (
            "source: penalties, aggregate: n_unique, column: uscc, via: {table: relations, column: related_uscc}",
            "",
        ),
        (
            "source: officers, aggregate: n_unique, column: phone",
            r"CT-CONTENT-029 .* personal .*个人信息保护法 art\. 6",
        ),
        ("source: officers, aggregate: count, filter: [{column: phone, is_null: true}]", "CT-CONTENT-029"),
        ("source: officers, aggregate: streak, numerator: [{column: phone, is_null: true}]", "CT-CONTENT-029"),
        ("source: officers, aggregate: count, group_by: [phone]", "CT-CONTENT-029"),
        (
            "source: officers, aggregate: share, numerator: [{column: began_on, at_most: as_of}], shrink: {weight: 1, towards: [phone]}",
            "CT-CONTENT-029",
        ),
        (
            "source: penalties, aggregate: exists, via: {table: officers, column: related_uscc, filter: [{column: phone, is_null: true}]}",
            r"CT-CONTENT-029 .*'officers\.phone' is personal",
        ),
    ],
)
def test_lint_finds_what_fits_no_table_and_what_is_personal(tmp_path: Path, entry: str, words: str) -> None:
    """An author hears of an unknown table, column or value, of an aggregated key and of a personal column before a lake does."""
    found = lint(tmp_path, entry)
    assert re.search(words, found) if words else found == ""


def test_lint_finds_a_personal_group_of_the_register(tmp_path: Path) -> None:
    """A group column that only the register has is looked up there."""
    register = PERSONAL.replace("kind: event", "kind: entity").replace("event_on: began_on\n", "")
    visits = PERSONAL.replace("table: officers", "table: visits").replace("  phone:", "  note:")
    for name, text in {
        "content.yaml": "title_zh: t\ninherits: []\n",
        "data_schemas/officers.yaml": register.replace("record_id: {column: officer_no}", "record_id: {column: uscc}"),
        "data_schemas/visits.yaml": visits,
        "pipelines/features.yaml": "title_zh: t\ndimensions: [{id: d, title_zh: d}]\nfeatures:\n"
        "  - {id: probe, title_zh: t, dimension: d, missing: {policy: zero}, unit: t, direction: 0, legal_basis: t, "
        "source: visits, aggregate: count, group_by: [phone]}\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    faults, _ = together.check(Content.resolve(tmp_path))
    assert [(f.code, f.what.split()[0]) for f in faults] == [("CT-CONTENT-029", "'officers.phone'")]


def test_missing_is_compulsory(tmp_path: Path) -> None:
    """An entry that leaves open what stands for nothing is refused."""
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "content.yaml").write_text("title_zh: t\ninherits: []\n", encoding="utf-8")
    (tmp_path / "pipelines/features.yaml").write_text(
        "title_zh: t\ndimensions: [{id: d, title_zh: d}]\nfeatures:\n  - {id: probe, title_zh: t, dimension: d, "
        "source: penalties, aggregate: count, unit: t, direction: 0, legal_basis: t}\n",
        encoding="utf-8",
    )
    with pytest.raises(ContentError, match=r"CT-CONTENT-006.*'features\.0\.missing' is missing"):
        Content.resolve(tmp_path).load("pipelines", "features.yaml", CatalogueSpec)
