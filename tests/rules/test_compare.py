"""Two packs compared: in words, rule by rule; and by what becomes of the same records."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier.content import Content, parse
from credit_tier.errors import RuleError
from credit_tier.rules.compare import Direction, compare
from credit_tier.rules.resolve import resolve
from credit_tier.rules.words import condition_words, differences, entry_fields
from credit_tier.specs.rulepack import RulePackSpec
from credit_tier.specs.when import When
from credit_tier.temporal import AsOf

ON = AsOf(date(2026, 9, 1))
OLD, NEW = (resolve(Content.resolve(), "cn", "repair", date(2026, *day)) for day in ((3, 31), (4, 1)))
FINE = {
    "decided_on": date(2026, 5, 10),
    "kinds": "fine",
    "procedure": "ordinary",
    "domain": "market",
    "duty_fulfilled_on": date(2026, 5, 20),
    "commitment_on": date(2026, 5, 21),
}


def row(number, subject="S", **facts):
    return {"uscc": subject, "penalty_no": f"P{number}", **FINE, **facts}


def test_the_same_pack_differs_in_nothing(small):
    """A pack compared with itself yields no difference, and so does every shipped pack."""
    spec = parse(small, RulePackSpec, where="small.yaml")
    assert differences(spec, spec) == ()
    assert differences(OLD.spec, OLD.spec) == ()


@pytest.mark.parametrize(
    ("old", "new", "code", "kind", "field", "before", "after"),
    [
        ("period: {months: 3}", "period: {months: 4}", "values.least", "changed", "value", "3 months", "4 months"),
        ("amount: 10 万元", "unknown: true", "values.large", "changed", "value", "10 万元", "not seen"),
        ("met_on: [duty_fulfilled_on]", "met_on: [decided_on]", "requirements.duty", "changed", "met_on", "duty_fulfilled_on", "decided_on"),
        ("basis: decision", "basis: document", "clock_start", "changed", "basis", "decision", "document"),
        ("type: money, title_zh: 罚款", "type: integer, title_zh: 罚款", "facts.fine", "changed", "fact", "money; fine", "integer; fine"),
        ("fact: fine, at_least: large", "fact: domain, equals: food", "classes.large", "changed", "when", "fine at least 10 万元", "domain is food"),
        ("第3条", "第4条", "classes.any", "cited", "reference", "令第1号第3条 (verified)", "令第1号第4条 (verified)"),
        ("max: most\n    reference", "min: least\n    max: most\n    reference", "classes.large", "changed", "min", None, "3 months"),
        ("length: days", "length: days\n    starts_at_as_of: true", "clocks.answer", "changed", "starts_at_as_of", None, "yes"),
    ],
)  # fmt: skip
def test_each_change_is_told_with_both_sides(small, old, new, code, kind, field, before, after):
    """A change of one entry is told under its code, by field, with what was and what is."""
    first = parse(small, RulePackSpec, where="a")
    second = RulePackSpec.model_construct(**{**dict(first), **dict(_second(small.replace(old, new, 1)))})
    found = {item.code: item for item in differences(first, second)}
    assert found[code].kind == kind
    change = next(item for item in found[code].changes if item.field == field)
    sides = [None if side is None else side.en for side in (change.before, change.after)]
    assert sides == [before, after]


def _second(text):
    """Return a pack of which a limit may no longer fit the facts; only its words matter here."""
    extends = text.replace("effective_from: 2020-01-01\n", "effective_from: 2020-01-01\nextends: true\n", 1)
    return parse(extends, RulePackSpec, where="b")


def test_an_entry_that_comes_or_goes_is_told_whole(small):
    """An added class is told with all its fields, a removed one likewise."""
    first = parse(small, RulePackSpec, where="a")
    second = first.model_copy(update={"classes": first.classes[1:]})
    (gone,) = differences(first, second)
    (come,) = differences(second, first)
    assert (gone.code, gone.kind, come.kind) == ("classes.large", "removed", "added")
    assert gone.before == come.after
    assert gone.after is None
    assert [(change.field, change.before, change.after) for change in come.changes] == [
        (name, None, text) for name, text in entry_fields(first.classes[0], first).items()
    ]


def test_every_condition_of_the_shipped_packs_has_words_in_both_languages():
    """No condition reads as its code in Chinese; joins are bracketed so that they read one way only."""
    when = When.model_validate(
        {"any": [{"fact": "kinds", "only": ["fine"]}, {"not": {"fact": "commitment_on", "has_happened": "true"}}]}
    )
    assert condition_words(when, NEW.spec) == (
        "（处罚种类仅含罚款 或 并非 信用修复承诺日期已到）",
        "(kinds is only fine or not commitment_on has happened)",
    )
    for pack in (OLD, NEW):
        for _, condition in pack.spec.conditions():
            zh, en = condition_words(condition, pack.spec)
            assert not [name for name in pack.spec.facts if f"{name} " in zh]
            assert zh.count("（") == zh.count("）")
            assert en


def test_who_fares_better_and_why():
    """Sooner out of publicity is better, later is worse, a person's decision under one pack only is open."""
    rows = [
        row(1),
        row(2, kinds="warning;revoke_permit"),
        row(3, kinds="suspend_permit"),
        row(4, kinds="warning"),
        row(5, "T", kinds="confiscate_goods", duty_fulfilled_on=None),
    ]
    found = compare(rows, OLD, NEW, ON)
    assert found.records == {Direction.BETTER: 2, Direction.WORSE: 1, Direction.OPEN: 1, Direction.SAME: 1}
    assert found.enterprises == {Direction.BETTER: 1, Direction.WORSE: 0, Direction.OPEN: 1, Direction.SAME: 0}
    by = {record: group for group in found.groups for record in group.records}
    assert set(by) == {"P1", "P2", "P3", "P5"}
    assert [reason.code for reason in by["P1"].only_after] == ["classes.general", "values.min_general"]
    assert by["P1"] is not by["P5"]
    assert [group.direction for group in found.groups] == sorted(group.direction for group in found.groups)


def test_packs_of_different_tables_are_not_compared():
    """A caseload comes from one table."""
    other = NEW.spec.records.model_copy(update={"table": "judgments"})
    spec = NEW.spec.model_copy(update={"records": other})
    with pytest.raises(RuleError, match="CT-RULE-050"):
        compare([], OLD, type(NEW)(spec, NEW.since, NEW.until, NEW.labels, NEW.digest, NEW.shelf), ON)


ROWS = st.lists(
    st.builds(
        row,
        st.integers(0, 99),
        st.sampled_from("STU"),
        kinds=st.sampled_from(["fine", "warning", "revoke_permit", "suspend_permit"]),
        decided_on=st.dates(date(2023, 1, 1), date(2026, 8, 1)),
        domain=st.sampled_from(["food", "market", None]),
        duty_fulfilled_on=st.none() | st.dates(date(2023, 1, 1), date(2026, 8, 1)),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_a_comparison_turned_round_is_its_mirror(rows):
    """What is better from old to new is worse from new to old; every record is counted once; a pack compared with itself changes nothing."""
    there, back = compare(rows, OLD, NEW, ON), compare(rows[::-1], NEW, OLD, ON)
    swap = {Direction.BETTER: Direction.WORSE, Direction.WORSE: Direction.BETTER}
    for counts, mirror in ((there.records, back.records), (there.enterprises, back.enterprises)):
        assert counts == {way: mirror[swap.get(way, way)] for way in Direction}
    assert sum(there.records.values()) == len(rows)
    assert sum(there.enterprises.values()) == len({item["uscc"] for item in rows})
    assert compare(rows, OLD, OLD, ON).records[Direction.SAME] == len(rows)
