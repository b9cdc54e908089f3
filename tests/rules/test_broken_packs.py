"""Broken packs are refused with file, line and advice; one test per way of breaking them."""

from __future__ import annotations

import pytest

from credit_tier.content import parse
from credit_tier.errors import ContentError
from credit_tier.specs.rulepack import RulePackSpec

BROKEN = [
    ("period: {months: 3}", "period: {}", "least", "give exactly one unit, for example {months: 3}"),
    ("period: {months: 3}", "period: {months: 3, years: 1}", "least", "units are months, years, working_days"),
    ("period: {months: 3}", "period: {weeks: 3}", "least", "not a known key"),
    ("period: {months: 3}", "period: {years: 2}", "min", "the minimum is longer than the maximum"),
    ("amount: 10 万元", "amount: 100000", "large", "units: 元, 万元, 亿元"),
    ("amount: 10 万元", "period: {months: 1}", "at_least", "is a period and cannot be compared with a money fact"),
    ("amount: 10 万元", "unknown: true\n    amount: 10 万元", "large", "give exactly one of"),
    (
        "at_least: large}",
        "at_least: huge}",
        "at_least",
        "there is no value 'huge'; declared are least, most, large, days",
    ),
    ("fact: fine, at_least", "fact: fines, at_least", "fact", "there is no fact 'fines'; declared are decided_on"),
    ("{fact: fine, at_least: large}", "{fact: domain, at_least: large}", "at_least", "cannot be asked of a code fact"),
    ("{fact: fine, at_least: large}", "{fact: domain, equals: foods}", "equals", "codes are food, other"),
    ("{fact: fine, at_least: large}", "{fact: fine, at_least: large, at_most: large}", "when", "give exactly one of"),
    ("{fact: fine, at_least: large}", "{at_least: large}", "when", "a test names a fact"),
    ("{fact: fine, at_least: large}", "{script: rm}", "script", "not a known key"),
    ("min: least", "min: days", "min", "days must be a period in months or years"),
    ("length: days", "length: least", "length", "least must be a period in working_days"),
    ("min: least", "min: large", "min", "large is no period; write for example period: {months: 3}"),
    (
        "instrument: order, article: 第1条",
        "instrument: law, article: 第1条",
        "instrument",
        "there is no instrument 'law'",
    ),
    ("article: 第1条, source: text", "article: 第1条, source: web", "source", "there is no source 'web'"),
    ("article: 第1条, source: text", "article: 第1条, source: press", "verified", "write verified: false"),
    ("instrument: order, article: 第1条", "instrument: order", "least", "add reference.article"),
    ("papers: [proof]", "papers: [letter]", "papers", "there is no paper 'letter'"),
    ("met_on: [duty_fulfilled_on]", "met_on: [fine]", "met_on", "there is no date fact 'fine'"),
    ("    met_on: [duty_fulfilled_on]\n", "", "requirements", "give either met_on"),
    ("  - id: any", "  - id: large", "classes", "the id classes.large stands twice; give each entry its own"),
    (
        "effective_from: 2020-01-01\ninstruments",
        "effective_from: 2021-01-01\ninstruments",
        "",
        "by the others pack is cn/small/2021",
    ),
    (
        "effective_from: 2020-01-01\ninstruments",
        "effective_from: 2020-01-01\neffective_to: 2019-01-01\ninstruments",
        "",
        "exclusive",
    ),
    ("jurisdiction: cn\n", "jurisdiction: china\n", "jurisdiction", "write cn, cn-32, cn-3205"),
    (
        "records: {table: penalties, subject: uscc, record_id: penalty_no}\n",
        "",
        "records",
        "a whole pack needs records; add it",
    ),
    ("min: least\n    max: most", "max: most", "least", "no rule uses this value; remove it or use it"),
    (
        "type: code, title_zh: 领域",
        "type: boolean, title_zh: 领域",
        "domain",
        "a fact of type code or codes has a vocabulary",
    ),
    ("verified: true", "verified: perhaps", "verified", "write true or false"),
    ("    title_en: least\n", "", "title_en", "is missing"),
    ("title_zh: 最短\n", "title_zh: 最短\n    title_zh: 最长\n", "title_zh", "stands twice"),
    ("period: {months: 3}", "period: {months: -3}", "months", "greater than or equal to 0"),
    ("period: {months: 3}", "period: {months: drei}", "months", "valid integer"),
    ("period: {years: 1}", "period: {years: 101}", "years", "less than or equal to 100"),
    ("period: {months: 3}", "unknown: true", "least", "an unknown value cannot be verified"),
    ("period: {months: 3}", "day: 2026-02-30", "day", "valid date"),
    ("fact: decided_on\n  basis", "fact: fine\n  basis", "clock_start.fact", "there is no date fact 'fine'"),
    ("basis: decision", "basis: service", "basis", "'decision', 'publication' or 'document'"),
    ("fact: decided_on\n  period", "fact: decided\n  period", "transition.fact", "there is no date fact 'decided'"),
    ("period: more_favourable", "period: newest", "period", "'governing' or 'more_favourable'"),
    ("start: decided_on", "start: domain", "start", "there is no date fact 'domain'"),
    (
        "max: most\n    reference",
        "max: most\n    max_extends_to: until\n    reference",
        "max_extends_to",
        "declared are decided_on",
    ),
    (
        "    met_on: [duty",
        "    classes: [small]\n    met_on: [duty",
        "classes",
        "there is no class 'small'; declared are large, any",
    ),
    ("papers:\n", "apply_with: [form]\npapers:\n", "apply_with", "there is no paper 'form'; declared are proof"),
    (
        "{fact: fine, at_least: large}",
        "{fact: domain, includes: [food]}",
        "includes",
        "cannot be asked of a code fact; it takes codes",
    ),
    (
        "{fact: fine, at_least: large}",
        "{fact: kinds, only: [fine, jail]}",
        "only",
        "'jail' is no code of kinds; codes are fine",
    ),
    ("{fact: fine, at_least: large}", "{fact: domain, has_happened: true}", "has_happened", "it takes date"),
    (
        "{fact: fine, at_least: large}",
        "{fact: fine, at_least: least}",
        "at_least",
        "is a period and cannot be compared",
    ),
    ("{fact: fine, at_least: large}", "{all: []}", "all", "at least 1 item"),
    (
        "{fact: fine, at_least: large}",
        "{fact: fine, not: {fact: fine, at_least: large}}",
        "when",
        "all, any and not name none",
    ),
    ("{fact: fine, at_least: large}", "fine >= 100000", "when", "valid dictionary"),
    (
        "type: money, title_zh: 罚款",
        "type: float, title_zh: 罚款",
        "type",
        "'date', 'code', 'codes', 'money', 'integer' or 'boolean'",
    ),
    (
        "sources:\n  text: {grade: P",
        "sources:\n  text: {grade: A",
        "grade",
        "'P', 'O', 'N', 'M', 'memory' or 'inference'",
    ),
    ("  - id: any", "  - id: Any one", "id", "lower-case letters"),
    ("    max: most\n", "", "max", "is missing"),
    ("instruments:\n  order:", "instruments:\n  order: &o", "anchors", "Write the value out"),
    ("topic: small\n", "topic: small\neval: 1+1\n", "eval", "not a known key"),
]


def test_the_small_pack_is_sound(small):
    """The text that the others break is accepted as it is."""
    assert parse(small, RulePackSpec, where="small.yaml").pack == "cn/small/2020-01-01"


@pytest.mark.parametrize(("old", "new", "key", "words"), BROKEN, ids=[f"{n:02d}" for n in range(len(BROKEN))])
def test_a_broken_pack_is_refused_with_line_and_advice(small, old, new, key, words):
    """The message names the file, the line of the entry, the entry and what to write instead."""
    assert small.count(old) >= 1
    text = small.replace(old, new, 1)
    with pytest.raises(ContentError) as caught:
        parse(text, RulePackSpec, where="small.yaml")
    faults = [fault for fault in caught.value.faults if words in f"{fault.what} {fault.advice}"]
    assert faults, str(caught.value)
    fault = faults[0]
    assert fault.where.startswith("small.yaml:")
    assert key in fault.what
    line = int(fault.where.rpartition(":")[2])
    assert (line == 1) == (key in {"", "records"})  # faults of the whole pack stand on its first line
    assert line <= len(text.splitlines())


def test_the_line_is_that_of_the_entry(small):
    """An unknown fact deep inside a condition is reported on its own line, not on the pack's first."""
    text = small.replace(
        "when: {fact: fine, at_least: large}", "when:\n      all:\n        - {fact: fines, is_missing: true}"
    )
    line = next(n for n, row in enumerate(text.splitlines(), 1) if "fines" in row)
    with pytest.raises(ContentError) as caught:
        parse(text, RulePackSpec, where="small.yaml")
    assert f"small.yaml:{line}" in {fault.where for fault in caught.value.faults}


def test_all_faults_are_reported_at_once(small):
    """Three mistakes in different entries give three faults in one error."""
    text = (
        small.replace("papers: [proof]", "papers: [a]")
        .replace("min: least", "min: b")
        .replace("length: days", "length: c")
    )
    with pytest.raises(ContentError) as caught:
        parse(text, RulePackSpec, where="small.yaml")
    assert {"a", "b", "c"} <= {fault.what.split("'")[3] for fault in caught.value.faults if "there is no" in fault.what}
