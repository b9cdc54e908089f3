"""The joint list of rewards and restrictions: which apply today, by which law, until when, and which end on repair."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier.content import Content, parse
from credit_tier.errors import ContentError, RuleError
from credit_tier.rules.measures import Measures
from credit_tier.rules.resolve import resolve
from credit_tier.rules.wire import standing_json
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.specs.rulepack import RulePackSpec
from credit_tier.specs.rulepack_check import together

CONTENT = Content.resolve()
PACK = "cn/measures/2024-03-04"
KNOWN = Measures(resolve(CONTENT, "cn-3205", "measures", date(2026, 5, 1)))
LISTED = {"listing_no": "L1", "list_name": "market", "listed_on": date(2024, 5, 1)}
CASE = {"judgment_no": "J1", "kind": "failed_to_perform", "filed_on": date(2022, 5, 1)}
GRADE = {"tax_year": 2025, "tax_grade": "A", "evaluated_on": date(2026, 4, 20)}
MARKET = ["licence_caution", "focused_supervision", "no_notified_commitment", "no_honours"]

CASES = [
    ("serious_listings", LISTED, date(2026, 5, 1), MARKET, date(2027, 5, 1)),
    ("serious_listings", LISTED, date(2024, 4, 30), [], None),
    ("serious_listings", LISTED, date(2024, 5, 1), MARKET, date(2027, 5, 1)),
    ("serious_listings", LISTED, date(2027, 4, 30), MARKET, date(2027, 5, 1)),
    ("serious_listings", LISTED, date(2027, 5, 1), [], None),
    ("serious_listings", {**LISTED, "listed_on": date(2024, 2, 29)}, date(2027, 2, 27), MARKET, date(2027, 2, 28)),
    ("serious_listings", {**LISTED, "removed_on": date(2025, 6, 1)}, date(2025, 6, 1), [], None),
    ("serious_listings", {**LISTED, "removed_on": date(2025, 6, 1)}, date(2025, 5, 31), MARKET, date(2025, 6, 1)),
    *[
        ("serious_listings", {**LISTED, "list_name": name}, date(2030, 1, 1), ["listed_supervision"], None)
        for name in ("tax", "wages", "work_safety", "procurement", "other")
    ],
    ("abnormal_listings", {"listing_no": "A1", "listed_on": date(2020, 7, 8)}, date(2026, 5, 1), ["abnormal_operation"], None),
    ("abnormal_listings", {"listing_no": "A1", "listed_on": date(2020, 7, 8), "removed_on": date(2026, 5, 1)}, date(2026, 5, 1), [], None),
    ("judgments", CASE, date(2026, 5, 1), ["judgment_debtor"], None),
    ("judgments", {**CASE, "kind": "enforcement"}, date(2026, 5, 1), [], None),
    ("judgments", {**CASE, "performed_on": date(2026, 5, 1)}, date(2026, 5, 1), [], None),
    ("judgments", {**CASE, "removed_on": date(2026, 4, 1)}, date(2026, 5, 1), [], None),
    ("tax_grades", GRADE, date(2026, 5, 1), ["tax_grade_a"], date(2027, 4, 20)),
    ("tax_grades", GRADE, date(2027, 4, 19), ["tax_grade_a"], date(2027, 4, 20)),
    ("tax_grades", GRADE, date(2027, 4, 20), [], None),
    *[("tax_grades", {**GRADE, "tax_grade": grade}, date(2026, 5, 1), [], None) for grade in "BMCD"],
]  # fmt: skip


@pytest.mark.parametrize(("table", "row", "on", "ids", "end"), CASES, ids=[f"{n:02d}" for n in range(len(CASES))])
def test_a_measure_applies_while_its_record_stands(table, row, on, ids, end):
    """From listing, case or grade up to, and not on, the day of removal, performance or the end of the term."""
    found = KNOWN.standing({table: [{"uscc": "S", **row}]}, on)
    assert [item.measure.id for item in found] == ids
    assert {item.ends_on for item in found} == ({end} if ids else set())


def test_every_shipped_measure_is_among_the_cases_and_says_that_it_is_not_verified():
    """No measure goes without a case; each names instrument and source, and that nobody compared it with the official text."""
    assert {name for *_, ids, _ in CASES for name in ids} == {item.id for item in KNOWN.pack.spec.measures}
    (found, *_) = KNOWN.standing({"serious_listings": [{"uscc": "S", **LISTED}]}, date(2026, 5, 1))
    told = standing_json(found)
    assert told["reference"]["instrument"] == "国家市场监督管理总局令第44号"
    assert told["unverified"] == ["measures.licence_caution", "values.market_list_term"]
    assert (told["since"], told["ends_on"], told["ends_on_repair"]) == ("2024-05-01", "2027-05-01", True)
    assert (told["table"], told["record_id"], told["effect"]) == ("serious_listings", "L1", "sanction")
    assert all(not item.verified for item in KNOWN.pack.spec.measures)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.builds(
            lambda number, name, listed, stays: {
                "uscc": "S",
                "listing_no": f"L{number}",
                "list_name": name,
                "listed_on": listed,
                "removed_on": None if stays is None else listed + timedelta(stays),
            },
            st.integers(0, 99),
            st.sampled_from(["market", "tax"]),
            st.dates(date(2022, 1, 1), date(2026, 12, 31)),
            st.none() | st.integers(0, 1200),
        ),
        max_size=6,
        unique_by=lambda row: row["listing_no"],
    ),
    on=st.dates(date(2024, 3, 4), date(2028, 1, 1)),
    data=st.data(),
)
def test_no_measure_outlasts_its_end_and_order_does_not_matter(rows, on, data):
    """What applies has begun and not ended; a measure is gone on its end day; any order of the records gives the same list."""
    found = KNOWN.standing({"serious_listings": rows}, on)
    assert found == KNOWN.standing({"serious_listings": data.draw(st.permutations(rows))}, on)
    for item in found:
        assert item.since <= on
        assert item.ends_on is None or on < item.ends_on
        if item.ends_on is not None:
            then = KNOWN.standing({"serious_listings": rows}, item.ends_on)
            assert (item.measure.id, item.record_id) not in {(one.measure.id, one.record_id) for one in then}


def test_the_tables_hold_what_the_measures_read():
    """Each column exists with a fitting type; a table without it is told apart by measure."""
    spec = CONTENT.load("rule_packs", f"{PACK}.yaml", RulePackSpec)
    label = f"rule_packs/{PACK}.yaml"
    tables = {
        item.table: item
        for file in CONTENT.files("data_schemas")
        for item in [CONTENT.load("data_schemas", file.name, DatasetSpec)]
    }
    assert list(together({label: spec}, tables)) == []
    grades = tables["tax_grades"]
    columns = {name: column for name, column in grades.columns.items() if name != "evaluated_on"}
    (fault,) = together({label: spec}, {**tables, "tax_grades": grades.model_copy(update={"columns": columns})})
    assert (fault.code, "measures.tax_grade_a" in fault.where) == ("CT-RULE-013", True)
    assert set(KNOWN.tables) == {"serious_listings", "abnormal_listings", "judgments", "tax_grades"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("since: evaluated_on", "since: tax_grade", "there is no date fact 'tax_grade'"),
        ("since: evaluated_on", "since: evaluated", "there is no date fact 'evaluated'"),
        ("    term: tax_grade_term\n", "", "no rule uses this value"),
        ("term: tax_grade_term", "term: some_term", "there is no value 'some_term'"),
        ("period: {years: 1}", "period: {working_days: 1}", "must be a period in months or years"),
        ("effect: reward", "effect: gift", "'reward', 'sanction' or 'supervision'"),
        ("    ends_on_repair: false\n", "", "'measures.7.ends_on_repair' is missing"),
        ("day of evaluation, column: evaluated_on}", "day of evaluation}", "nobody gives the fact 'evaluated_on' of a measure"),
        ("measures:\n", "clocks:\n  - {id: c, start: filed_on, length: tax_grade_term, title_zh: 钟, title_en: clock, reference: {instrument: tax_a, source: memory}, verified: false}\nmeasures:\n", "a pack of measures decides about no record; move clocks"),
    ],
)  # fmt: skip
def test_a_broken_pack_of_measures_is_refused(old, new, words):
    """The message says what is wrong and where."""
    text = CONTENT.text("rule_packs", f"{PACK}.yaml")
    assert text.count(old) == 1
    with pytest.raises(ContentError) as caught:
        parse(text.replace(old, new), RulePackSpec, where="measures.yaml")
    fault = next(fault for fault in caught.value.faults if words in fault.what)
    assert fault.where.startswith("measures.yaml:")


def test_a_pack_of_measures_judges_no_record_and_the_other_way_round():
    """Each kind of pack says which question it answers."""
    with pytest.raises(RuleError, match="CT-RULE-006"):
        _ = KNOWN.pack.law
    with pytest.raises(RuleError, match="CT-RULE-008"):
        Measures(resolve(CONTENT, "cn", "repair", date(2026, 5, 1)))
    with pytest.raises(RuleError, match="CT-RULE-001"):
        resolve(CONTENT, "cn", "measures", date(2024, 3, 3))
