"""Overrides of risk classes: shipped rules reached one by one, floors and caps, order of records, broken packs."""

from __future__ import annotations

import itertools
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier.content import Content, parse
from credit_tier.errors import ContentError, RuleError
from credit_tier.rules.classification import Overrides, overrides_on
from credit_tier.rules.evaluate import evaluate
from credit_tier.rules.resolve import Shelf, resolve
from credit_tier.specs.rulepack import RulePackSpec
from credit_tier.specs.rulepack_check import together
from credit_tier.temporal import AsOf

DAY = date(2026, 1, 1)
SERIOUS, ABNORMAL = "serious_listings", "abnormal_listings"

PACK = """\
pack: cn/classification/2020-01-01
jurisdiction: cn
topic: classification
title_zh: 直接判定
title_en: overrides
effective_from: 2020-01-01
instruments:
  order: {number: 令第1号, title_zh: 办法, issuer: 某部, effective_from: 2020-01-01}
sources:
  text: {grade: P, title_zh: 全文}
facts:
  listed_on: {type: date, title_zh: 列入日, column: listed_on}
overrides:
  - id: listed
    title_zh: 列入
    title_en: listed
    records: {table: serious_listings, subject: uscc, record_id: listing_no}
    when: {fact: listed_on, has_happened: true}
    at_least: D
    reference: {instrument: order, article: 第1条, source: text}
    verified: true
"""


def listing(**row: object) -> dict[str, object]:
    return {"uscc": "X", "listing_no": "1", "listed_on": date(2025, 5, 1), "removed_on": None, **row}


@pytest.fixture(scope="module")
def shipped_rules() -> Overrides:
    found, why = overrides_on(Content.shipped(), "cn", DAY)
    assert found is not None
    assert why == ""
    return found


CASES = [
    (SERIOUS, {"list_name": "market"}, "serious_violations", 3),
    *((SERIOUS, {"list_name": name}, "other_serious_lists", 2) for name in ("tax", "wages", "work_safety")),
    *((SERIOUS, {"list_name": name}, "other_serious_lists", 2) for name in ("procurement", "other")),
    (ABNORMAL, {}, "abnormal_operation", 1),
]


@pytest.mark.parametrize(("table", "row", "rule", "rank"), CASES)
def test_each_shipped_override_holds_while_the_listing_stands(shipped_rules, table, row, rule, rank) -> None:
    """From the day of listing to the day before removal, and not otherwise; a class A becomes the declared one, a D stays."""

    def hits(**changes: object) -> list[str]:
        return [hit.rule for hit in shipped_rules.hits(table, [listing(**row, **changes)], DAY)]

    assert hits() == [rule]
    assert hits(listed_on=DAY) == hits(removed_on=DAY + timedelta(1)) == [rule]
    assert hits(listed_on=DAY + timedelta(1)) == hits(removed_on=DAY) == hits(listed_on=None) == []
    assert shipped_rules.settle(0, [rule]) == (rank, rule)
    assert shipped_rules.settle(3, [rule]) == (3, rule if rank == 3 else "")


def test_every_shipped_override_is_among_the_cases_and_says_that_it_is_not_verified(shipped_rules) -> None:
    """No rule goes untested, and none claims to have been compared with a text that nobody has seen."""
    assert set(shipped_rules.bounds) == {rule for _, _, rule, _ in CASES}
    assert not any(bound.reason.verified for bound in shipped_rules.bounds.values())
    assert all(bound.reason.citation is not None for bound in shipped_rules.bounds.values())


def test_before_the_instrument_no_override_is_in_force_and_that_is_told() -> None:
    """The day before 2022-01-13 there is none; content without the topic is told apart from it."""
    assert overrides_on(Content.shipped(), "cn", date(2022, 1, 12)) == (None, "not_in_force")
    assert overrides_on(Content.shipped(), "cn-3205", date(2022, 1, 13))[0] is not None
    assert overrides_on(Content.shipped(), "xx", DAY) == (None, "no_pack")


LIMITS = [f"{side}: {letter}" for side in ("at_least", "at_most") for letter in "ABCD"]


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Overrides:
    """Every limit there is, floors before caps, each held by any listing."""
    head, opening, rule = PACK.partition("overrides:\n")
    names = {limit: f"{'floor' if 'least' in limit else 'cap'}_{limit[-1].lower()}" for limit in LIMITS}
    rules = [rule.replace("id: listed", f"id: {n}").replace("at_least: D", limit) for limit, n in names.items()]
    path = tmp_path_factory.mktemp("eight") / "rule_packs/cn/classification/2020-01-01.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(head + opening + "".join(rules), encoding="utf-8")
    return Overrides(resolve(Content(path.parents[3]), "cn", "classification", DAY))


@settings(max_examples=60, deadline=None)
@given(rank=st.integers(0, 3), held=st.lists(st.sampled_from(range(8)), max_size=6), other=st.sampled_from(range(8)))
def test_floors_only_raise_caps_only_lower_and_order_never_matters(
    eight, rank: int, held: list[int], other: int
) -> None:
    """A floor never lowers a class, a cap never raises one, more floors never lower it, and the rule named gave the class."""
    names = list(eight.bounds)
    chosen = [names[i] for i in held]
    found, name = eight.settle(rank, chosen)
    assert all(
        eight.settle(rank, order) == (found, name) for order in itertools.islice(itertools.permutations(chosen), 24)
    )
    assert eight.settle(rank, [*chosen, *chosen]) == (found, name)
    least = max((eight.bounds[n].least for n in chosen), default=0)
    most = min((eight.bounds[n].most for n in chosen), default=3)
    assert found == max(least, min(rank, most))
    assert (name == "") == (found == rank and least < max(rank, 1))
    assert name == "" or found in {eight.bounds[name].least, eight.bounds[name].most}
    more, _ = eight.settle(rank, [*chosen, names[other]])
    assert more >= found if names[other].startswith("floor") else more <= max(found, least)
    higher, _ = eight.settle(min(rank + 1, 3), chosen)
    assert higher >= found


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(range(6)))
def test_what_holds_does_not_depend_on_the_order_of_records(shipped_rules, order: list[int]) -> None:
    """The same records in any order make the same overrides hold for the same enterprises."""
    rows = [
        listing(
            uscc=f"E{i % 3}",
            listing_no=str(i),
            list_name=("market", "tax", "wages")[i % 3],
            removed_on=DAY if i == 4 else None,
        )
        for i in range(6)
    ]
    straight = {(hit.code, hit.rule, hit.record_id) for hit in shipped_rules.hits(SERIOUS, rows, DAY)}
    mixed = {(hit.code, hit.rule, hit.record_id) for hit in shipped_rules.hits(SERIOUS, [rows[i] for i in order], DAY)}
    assert mixed == straight
    assert len(straight) == 5


def test_a_local_pack_adds_and_replaces_by_name(written) -> None:
    """A city's override stands beside the nation's; one of the same name takes its place."""
    local = (
        PACK.replace("cn/classification", "cn-3205/classification")
        .replace("jurisdiction: cn", "jurisdiction: cn-3205")
        .replace("effective_from: 2020-01-01\n", "effective_from: 2020-01-01\nextends: true\n", 1)
    )
    second = (
        local.partition("overrides:\n")[2].replace("id: listed", "id: pardoned").replace("at_least: D", "at_most: B")
    )
    content = written(
        **{
            "cn/classification/2020-01-01": PACK,
            "cn-3205/classification/2020-01-01": local.replace("at_least: D", "at_least: C") + second,
        }
    )
    found, _ = overrides_on(content, "cn-3205", DAY)
    assert found is not None
    assert {name: (bound.least, bound.most) for name, bound in found.bounds.items()} == {
        "pardoned": (0, 1),
        "listed": (2, 3),
    }
    nation, _ = overrides_on(content, "cn-32", DAY)
    assert nation is not None
    assert list(nation.bounds) == ["listed"]


BROKEN = [
    ("    at_least: D\n", "", "overrides", "give either at_least: CLASS"),
    ("    at_least: D\n", "    at_least: D\n    at_most: D\n", "overrides", "give either at_least: CLASS"),
    ("at_least: D", "at_least: E", "at_least", "A"),
    (", column: listed_on", "", "fact", "nobody gives the fact 'listed_on' of an override"),
    ("fact: listed_on, has", "fact: listed, has", "fact", "there is no fact 'listed'"),
    (
        "overrides:\n",
        "ending: {title_zh: 期满, title_en: end, reference: {instrument: order, source: text}, verified: false}\noverrides:\n",
        "ending",
        "a pack of overrides decides about no record",
    ),
    ("has_happened: true", "equals: D", "equals", "cannot be asked of a date fact"),
    ("    title_en: listed\n", "", "title_en", "is missing"),
]


@pytest.mark.parametrize(("old", "new", "place", "words"), BROKEN)
def test_a_broken_pack_is_refused_with_place_and_advice(old: str, new: str, place: str, words: str) -> None:
    """What does not fit together is named with its line and what to do."""
    assert old in PACK
    with pytest.raises(ContentError) as caught:
        parse(PACK.replace(old, new, 1), RulePackSpec, where="rule_packs/x.yaml")
    text = str(caught.value)
    assert words in text
    assert place in text
    assert "rule_packs/x.yaml:" in text


def test_the_table_of_each_override_must_hold_what_its_condition_reads() -> None:
    """A fact is looked for in the table of the override that asks it, and in no other."""
    from credit_tier.specs.dataset import DatasetSpec

    content = Content.shipped()
    tables = {name: content.load("data_schemas", f"{name}.yaml", DatasetSpec) for name in (SERIOUS, ABNORMAL)}
    label = "rule_packs/cn/classification/2022-01-13.yaml"
    pack = content.load("rule_packs", "cn/classification/2022-01-13.yaml", RulePackSpec)
    assert list(together({label: pack}, tables)) == []
    swapped = {SERIOUS: tables[ABNORMAL].model_copy(update={"table": SERIOUS}), ABNORMAL: tables[ABNORMAL]}
    assert {(f.code, f.where) for f in together({label: pack}, swapped)} == {
        ("CT-RULE-013", f"{label} overrides.serious_violations facts.list_name"),
        ("CT-RULE-013", f"{label} overrides.other_serious_lists facts.list_name"),
    }
    assert {f.code for f in together({label: pack}, {})} == {"CT-RULE-012"}


def test_a_pack_of_overrides_judges_no_record_and_the_other_way_round() -> None:
    """Asked for a repair decision it says what it is for; a repair pack under the topic of classes is refused."""
    content = Content.shipped()
    with pytest.raises(RuleError, match="CT-RULE-006"):
        evaluate(resolve(content, "cn", "classification", DAY), {}, AsOf(DAY))
    repair = Shelf(content, "cn", "repair").on(DAY)
    assert repair is not None
    with pytest.raises(RuleError, match="CT-RULE-007"):
        Overrides(repair)
