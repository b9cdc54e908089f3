"""The validation for programs and people: a fixed shape, a verdict in one sentence, what to do, nothing from outside."""

from __future__ import annotations

import re
from datetime import date

import pytest

from credit_tier.data.quality import RuleResult, TableResult, Validation
from credit_tier.data.quality_checks import Count
from credit_tier.data.quality_delivery import Delivered
from credit_tier.data.quality_words import Words, rule_words
from credit_tier.reports.page import render
from credit_tier.reports.validation import as_json, broken, page, verdict
from credit_tier.specs.quality import Severity

HOSTILE = "<script src=https://example.org/x.js></script><img src=x onerror=alert(1)>&\"'"


def rule(
    name: str, tested: int, failed: int, severity: Severity = Severity.WARN, before: Count | None = None
) -> RuleResult:
    words = Words(f"{name}含义", f"{name} meaning", f"{name}怎么办", f"{name} advice")
    return RuleResult(f"t.{name}", "t", "lake", "version", severity, Count(tested, failed), before, words)


def table(name: str = "t", title: str = "表", cadence: str = "每月") -> TableResult:
    return TableResult(
        table=name,
        title_zh=title,
        title_en="Table",
        cadence=cadence,
        cadence_days=31,
        rows=12,
        last_known=date(2026, 3, 1),
        age_days=31,
        compared_with=date(2026, 3, 1),
        delivered=Delivered("ab" * 32, 10, 8, 1, 1, {"t.c.range": 1}),
        delivered_before=None,
        quarantined=1,
        quarantine={"t.c.range": 1},
    )


def validation(*rules: RuleResult, tables: tuple[TableResult, ...] = (table(),)) -> Validation:
    return Validation(date(2026, 4, 1), "cd" * 32, 3, tables, rules)


GOOD = rule("good", 5, 0)
IDLE = rule("idle", 0, 0, Severity.FAIL)
WARNS = rule("warns", 9, 2, before=Count(9, 1))
FAILS = rule("fails", 4, 3, Severity.FAIL, before=Count(4, 4))


@pytest.mark.parametrize(
    ("rules", "outcome", "sentence"),
    [
        ((GOOD, IDLE), "pass", "Pass: all 1 rules hold."),
        ((GOOD, WARNS), "warn", "Usable with warnings: somebody should look at 1 rules; 1 passed."),
        ((FAILS, GOOD), "fail", "Fail: 1 rules are broken; correct the records before classes and draws rest on them."),
        (
            (FAILS, WARNS),
            "fail",
            "Fail: 1 rules are broken, 1 more warn; correct the records before classes and draws rest on them.",
        ),
    ],
)
def test_the_verdict_is_the_worst_outcome_in_one_sentence(
    rules: tuple[RuleResult, ...], outcome: str, sentence: str
) -> None:
    """The same verdict for programs, in Chinese and in English; what had nothing to test changes nothing."""
    found = validation(*rules)
    assert as_json(found)["verdict"] == outcome
    assert verdict(found)[1] == as_json(found)["sentence_en"] == sentence
    html = render(page(found, lake="lake"))
    assert sentence in html
    assert verdict(found)[0] in html


def test_the_json_keeps_its_shape() -> None:
    """Programs read these keys; a change of them is a change of the interface."""
    assert as_json(validation(GOOD, IDLE, WARNS, FAILS)) == {
        "verdict": "fail",
        "sentence_zh": "不合格:1 条规则被违反,另有 1 条提示;先更正,再用于分级和抽查。",
        "sentence_en": "Fail: 1 rules are broken, 1 more warn; correct the records before classes and draws rest on them.",
        "as_of": "2026-04-01",
        "lake_digest": "cd" * 32,
        "deliveries": 3,
        "outcomes": {"pass": 1, "warn": 1, "fail": 1, "untested": 1},
        "tables": {
            "t": {
                "title_zh": "表",
                "title_en": "Table",
                "rows": 12,
                "freshness": {
                    "last_known": "2026-03-01",
                    "age_days": 31,
                    "cadence": "每月",
                    "cadence_days": 31,
                    "is_fresh": True,
                },
                "compared_with": "2026-03-01",
                "delivery": {"digest": "ab" * 32, "rows": 10, "accepted": 8, "quarantined": 1, "duplicates": 1},
                "delivery_before": None,
                "quarantine": {"rows": 1, "rules": {"t.c.range": 1}},
            }
        },
        "rules": [
            _rule("good", 5, 0, "warn", "pass"),
            _rule("idle", 0, 0, "fail", "untested"),
            _rule("warns", 9, 2, "warn", "warn", before={"tested": 9, "failed": 1}, trend="worse"),
            _rule("fails", 4, 3, "fail", "fail", before={"tested": 4, "failed": 4}, trend="better"),
        ],
    }


def _rule(
    name: str,
    tested: int,
    failed: int,
    severity: str,
    outcome: str,
    *,
    before: dict[str, int] | None = None,
    trend: str | None = None,
) -> dict[str, object]:
    return {
        "rule": f"t.{name}",
        "table": "t",
        "origin": "lake",
        "unit": "version",
        "tested": tested,
        "passed": tested - failed,
        "failed": failed,
        "severity": severity,
        "outcome": outcome,
        "before": before,
        "trend": trend,
        "title_zh": f"{name}含义",
        "title_en": f"{name} meaning",
        "advice_zh": f"{name}怎么办",
        "advice_en": f"{name} advice",
    }


def test_the_page_says_what_to_do_first_and_counts_every_rule() -> None:
    """Failures before warnings, each with advice; then one line per rule with tested, passed, failed."""
    found = validation(GOOD, WARNS, FAILS)
    assert [item.rule for item in broken(found)] == ["t.fails", "t.warns"]
    html = render(page(found, lake="my lake"))
    assert html.index("fails advice") < html.index("warns advice") < html.index("good meaning")
    assert "good advice" not in html
    row = re.search(r"<tr><td>warns</td>.*?</tr>", html)
    assert row is not None
    assert re.findall(r"<td[^>]*>([^<]*)</td>", row.group())[3:] == [
        "9", "7", "2", "提示 warn", "1 / 9 ↑ 变差 worse", "⚠ 提示 warn",
    ]  # fmt: skip
    assert "credit-tier validate my lake --as-of 2026-04-01 --report report.html" in html
    assert "没有需要处理的规则" in render(page(validation(GOOD), lake="lake"))


def test_the_page_escapes_every_text_and_reaches_nowhere() -> None:
    """Contracts and folders may be hostile: no tag, script or address of theirs becomes markup."""
    hostile = RuleResult(
        f"t.{HOSTILE}",
        "t",
        "lake",
        "group",
        Severity.FAIL,
        Count(1, 1),
        None,
        Words(HOSTILE, HOSTILE, HOSTILE, HOSTILE),
    )
    html = render(page(validation(hostile, tables=(table(title=HOSTILE, cadence=HOSTILE),)), lake=HOSTILE))
    assert "<script" not in html
    assert "<img" not in html
    assert not re.findall(r"<[^>]+(?:src|href)=", html)
    assert "default-src 'none'" in html
    assert html.count("&lt;script") >= 7


def test_a_page_of_many_tables_stays_under_a_megabyte() -> None:
    """Sixty tables with twelve rules each: four times what is shipped."""
    names = [f"table_{number}" for number in range(60)]
    rules = [
        RuleResult(
            f"{name}.rule_{n}", name, "lake", "version", Severity.WARN, Count(10**7, n), None, rule_words("one_subject")
        )
        for name in names
        for n in range(12)
    ]
    html = render(page(validation(*rules, tables=tuple(table(name) for name in names)), lake="lake"))
    assert len(html.encode()) < 1_000_000
