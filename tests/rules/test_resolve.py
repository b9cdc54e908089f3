"""Which pack is in force: inheritance, dates, repeal, overlap, and no silent default."""

from __future__ import annotations

import ast
import re
from datetime import date
from pathlib import Path

import pytest

from credit_tier.canonical import combined_digest
from credit_tier.content import Content
from credit_tier.errors import ContentError, RuleError, UsageError
from credit_tier.rules.evaluate import evaluate
from credit_tier.rules.resolve import chain, resolve, topics
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.specs.rulepack import RulePackSpec
from credit_tier.specs.rulepack_check import together
from credit_tier.temporal import AsOf

ROOM = Path(__file__).resolve().parents[2] / "src" / "credit_tier" / "rules"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "rules.md"

CITY = """\
pack: cn-3205/small/2021-01-01
jurisdiction: cn-3205
topic: small
title_zh: 市规则
title_en: city rules
effective_from: 2021-01-01
extends: true
instruments:
  city: {number: 市令第2号, title_zh: 市办法, issuer: 某市, effective_from: 2021-01-01}
values:
  large:
    title_zh: 大额(市)
    title_en: large (city)
    amount: 2 万元
    reference: {instrument: city, source: press}
    verified: false
classes:
  - id: food
    title_zh: 食品
    title_en: food
    when: {fact: domain, equals: food}
    min: least
    max: most
    reference: {instrument: city, source: press}
    verified: false
"""


def newer(text: str, day: str, extra: str = "") -> str:
    return text.replace("cn/small/2020-01-01", f"cn/small/{day}").replace(
        "effective_from: 2020-01-01\ninstruments", f"effective_from: {day}\n{extra}instruments"
    )


@pytest.mark.parametrize(
    ("day", "pack"),
    [
        ("2017-07-31", "cn/repair/2017-07-31"),
        ("2019-06-30", "cn/repair/2017-07-31"),
        ("2019-07-01", "cn/repair/2019-07-01"),
        ("2023-04-30", "cn/repair/2019-07-01"),
        ("2023-05-01", "cn/repair/2023-05-01"),
        ("2026-03-31", "cn/repair/2023-05-01"),
        ("2026-04-01", "cn/repair/2026-04-01"),
        ("2050-01-01", "cn/repair/2026-04-01"),
    ],
)
def test_a_city_finds_the_national_pack_of_the_day(shipped, day, pack):
    """A pack is in force from its first day up to, not including, its last; a city without a pack uses the nation's."""
    assert resolve(shipped, "cn-3205", "repair", date.fromisoformat(day)).id == pack


def test_no_pack_in_force_is_an_error_that_says_what_exists(shipped):
    """Before the first pack nothing is guessed; the message lists the packs and their times."""
    with pytest.raises(RuleError, match=r"CT-RULE-001 .*2017-07-30.*cn/repair/2026-04-01 \(2026-04-01 – open\)"):
        resolve(shipped, "cn-3205", "repair", date(2017, 7, 30))
    with pytest.raises(RuleError, match=r"no pack of topic 'repare'.*cn/repair"):
        resolve(shipped, "cn", "repare", date(2026, 5, 1))


@pytest.mark.parametrize("wrong", ["", "CN", "cn-3", "cn-32050", "cn-32050512", "cn/32", "3205"])
def test_a_wrong_jurisdiction_is_refused(wrong):
    """A jurisdiction that is not a GB/T 2260 prefix is wrong use, not an empty answer."""
    with pytest.raises(UsageError, match="CT-RULE-002"):
        chain(wrong)


def test_a_city_lays_its_entries_over_the_nation(written, small):
    """An extending pack replaces values by name, asks its own classes first, and changes nothing elsewhere or earlier."""
    content = written(**{"cn/small/2020-01-01": small, "cn-3205/small/2021-01-01": CITY})
    facts = {"decided_on": date(2021, 5, 1), "fine": 2_000_000, "domain": "other"}
    as_of = AsOf(date(2021, 6, 1))
    city = resolve(content, "cn-320505", "small", as_of.on)
    nation = resolve(content, "cn-32", "small", as_of.on)
    assert city.labels == ("rule_packs/cn-3205/small/2021-01-01.yaml", "rule_packs/cn/small/2020-01-01.yaml")
    assert evaluate(city, facts, as_of).publicity.class_id == "large"
    assert evaluate(nation, facts, as_of).publicity.class_id == "any"
    assert evaluate(city, {**facts, "domain": "food"}, as_of).publicity.class_id == "food"
    assert resolve(content, "cn-3205", "small", date(2020, 12, 31)).labels == nation.labels
    assert city.since == date(2021, 1, 1)


def test_the_digest_covers_every_file_the_rules_come_from(written, small):
    """The digest is that of the files' bytes; a change of either layer changes it."""
    content = written(**{"cn/small/2020-01-01": small, "cn-3205/small/2021-01-01": CITY})
    city = resolve(content, "cn-3205", "small", date(2021, 6, 1))
    assert city.digest == combined_digest((f.label, f.digest) for f in content.files("rule_packs"))
    changed = written(**{"cn/small/2020-01-01": small.replace("title_zh: 最短", "title_zh: 至少")})
    assert resolve(changed, "cn-3205", "small", date(2021, 6, 1)).digest != city.digest


def test_an_extending_pack_that_does_not_fit_is_refused(written, small):
    """Faults that arise only from joining two packs name the nearer file."""
    content = written(
        **{"cn/small/2020-01-01": small, "cn-3205/small/2021-01-01": CITY.replace("equals: food", "equals: fish")}
    )
    with pytest.raises(RuleError, match=r"CT-RULE-004 rule_packs/cn-3205/small/2021-01-01.yaml: .*'fish' is no code"):
        resolve(content, "cn-3205", "small", date(2021, 6, 1))


def test_a_pack_that_extends_nothing_is_refused(written):
    """Without a wider pack in force the city's changes hang in the air; nothing is guessed."""
    with pytest.raises(RuleError, match="CT-RULE-003"):
        resolve(written(**{"cn-3205/small/2021-01-01": CITY}), "cn-3205", "small", date(2021, 6, 1))


def test_two_packs_in_force_on_one_day_are_refused(written, small):
    """An open-ended older pack overlaps; either an end date or the newer pack's repeal resolves it, from that very day."""
    old, new = "cn/small/2020-01-01", "cn/small/2022-01-01"
    with pytest.raises(RuleError, match=r"CT-RULE-011 .*in force together with rule_packs/cn/small/2020-01-01"):
        resolve(written(**{old: small, new: newer(small, "2022-01-01")}), "cn", "small", date(2022, 1, 1))
    repealing = newer(small, "2022-01-01", f"repeals: [{old}]\n")
    content = written(**{old: small, new: repealing})
    assert resolve(content, "cn", "small", date(2021, 12, 31)).id == old
    assert resolve(content, "cn", "small", date(2021, 12, 31)).until == date(2022, 1, 1)
    assert resolve(content, "cn", "small", date(2022, 1, 1)).id == new
    with pytest.raises(RuleError, match="CT-RULE-014"):
        resolve(
            written(**{new: newer(small, "2022-01-01", "repeals: [cn/other/2020-01-01]\n")}),
            "cn",
            "small",
            date(2022, 1, 1),
        )


def test_a_pack_in_the_wrong_place_is_refused(written, small):
    """The file's place says what it is; a pack copied elsewhere is not taken for another jurisdiction's law."""
    with pytest.raises(RuleError, match=r"CT-RULE-010 .*Move it to rule_packs/cn/small/2020-01-01.yaml"):
        resolve(written(**{"cn-32/small/2020-01-01": small}), "cn-32", "small", date(2021, 1, 1))


def test_packs_that_disagree_about_a_fact_are_refused(written, small):
    """A question may need an old and a new pack; one fact cannot be a date in one and money in the other."""
    other = newer(small, "2022-01-01", "repeals: [cn/small/2020-01-01]\n").replace("column: fine", "column: amount")
    content = written(**{"cn/small/2020-01-01": small, "cn/small/2022-01-01": other})
    with pytest.raises(RuleError, match="CT-RULE-015"):
        resolve(content, "cn", "small", date(2022, 1, 1))


def test_an_overlay_may_add_but_not_silently_replace(shipped, tmp_path):
    """A published pack is immutable: an overlay with another text under its name is refused."""
    name = "cn/repair/2026-04-01.yaml"
    path = tmp_path / "rule_packs" / name
    path.parent.mkdir(parents=True)
    path.write_text(shipped.text("rule_packs", name).replace("months: 3", "months: 1"), encoding="utf-8")
    with pytest.raises(ContentError, match="CT-CONTENT-011"):
        Content.resolve(tmp_path)


def test_shipped_packs_fit_the_shipped_tables(shipped):
    """Each fact's column exists in the named table with a fitting type and no code the fact does not know."""
    packs = {f.label: shipped.load("rule_packs", f.name, RulePackSpec) for f in shipped.files("rule_packs")}
    tables = {
        s.table: s for f in shipped.files("data_schemas") for s in [shipped.load("data_schemas", f.name, DatasetSpec)]
    }
    assert list(together(packs, tables)) == []
    assert topics(shipped) == (("cn", "classification"), ("cn", "market_repair"), ("cn", "measures"), ("cn", "repair"))
    label = "rule_packs/cn/repair/2026-04-01.yaml"
    assert [f.code for f in together({label: packs[label]}, {})] == ["CT-RULE-012"]
    penalties = tables["penalties"]
    columns = {name: column for name, column in penalties.columns.items() if name != "commitment_on"}
    columns["fine"] = penalties.columns["decided_on"]
    columns["procedure"] = penalties.columns["procedure"].model_copy(update={"vocabulary": {"swift": "速裁程序"}})
    found = list(together({label: packs[label]}, {"penalties": penalties.model_copy(update={"columns": columns})}))
    assert {f.where.split()[1] for f in found} == {"facts.commitment_on", "facts.fine", "facts.procedure"}
    assert {f.code for f in found} == {"CT-RULE-013"}


def test_only_primary_text_is_marked_verified(shipped):
    """Nothing that rests on press, mirrors, memory or inference claims to have been compared with the official text."""
    checked = 0
    for file in shipped.files("rule_packs"):
        spec = shipped.load("rule_packs", file.name, RulePackSpec)
        for _, _, item in spec.entries():
            assert not item.verified or spec.sources[item.reference.source].grade == "P"
            checked += item.verified
    assert checked > 0


def test_the_rules_room_names_no_table_column_or_class(shipped):
    """Law is data: no fact, column, table, class or paper of a shipped pack appears as a literal in the engine."""
    named: set[str] = set()
    for file in shipped.files("rule_packs"):
        spec = shipped.load("rule_packs", file.name, RulePackSpec)
        rules = (*spec.classes, *spec.overrides, *spec.measures)
        tables = (item.records.table for item in (spec, *spec.overrides, *spec.measures) if item.records is not None)
        named |= {*spec.facts, *spec.values, *spec.papers, *(item.id for item in rules), *tables}
        named |= {code for fact in spec.facts.values() for code in fact.vocabulary or ()}
    found = set()
    for path in sorted(ROOM.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        found |= {f"{path.name}: {text}" for text in (texts & named) - {"none"}}  # an ordinary word of messages
    assert found == set()


def test_the_documented_local_pack_works(shipped, tmp_path):
    """The example of a province's threshold in docs/rules.md, taken as it stands, turns a small fine into a three-month one."""
    text = DOCS.read_text(encoding="utf-8")
    example = next(block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "extends: true" in block)
    path = tmp_path / "rule_packs" / "cn-32" / "market_repair" / "2027-01-01.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(example, encoding="utf-8")
    facts = {
        "decided_on": date(2027, 2, 1),
        "published_on": date(2027, 2, 10),
        "kinds": "fine",
        "domain": "market",
        "fine": 500_000,
    }
    on = AsOf(date(2027, 3, 1))
    local = evaluate(resolve(Content.resolve(tmp_path), "cn-3205", "market_repair", on.on), facts, on)
    national = evaluate(resolve(shipped, "cn-3205", "market_repair", on.on), facts, on)
    assert (local.publicity.class_id, local.publicity.max_end_on) == ("light", date(2027, 5, 10))
    assert (national.publicity.class_id, national.publicity.max_end_on) == ("other", date(2030, 2, 10))
