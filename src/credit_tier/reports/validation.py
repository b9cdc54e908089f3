"""The validation of a lake for programs (`as_json`) and for people (`page`): counts by table and rule, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from credit_tier.data.quality import RuleResult, TableResult, Validation
from credit_tier.data.quality_delivery import Delivered
from credit_tier.reports.page import Block, Fact, Page, Section
from credit_tier.specs.quality import Outcome, Severity

OUTCOMES: Mapping[Outcome, str] = {
    Outcome.PASSED: "✓ 通过 pass",
    Outcome.WARNED: "⚠ 提示 warn",
    Outcome.FAILED: "✗ 不合格 fail",
    Outcome.UNTESTED: "— 无可检验 untested",
}
SEVERITIES: Mapping[Severity, str] = {Severity.WARN: "提示 warn", Severity.FAIL: "不合格 fail"}
UNITS: Mapping[str, str] = {
    "row": "行 row",
    "version": "版本 version",
    "record": "记录 record",
    "group": "组 group",
    "table": "表 table",
}
TRENDS: Mapping[str | None, str] = {
    "better": "↓ 好转 better",
    "same": "→ 持平 same",
    "worse": "↑ 变差 worse",
    None: "—",
}


def broken(found: Validation) -> list[RuleResult]:
    """Return the rules that something breaks, failures before warnings, otherwise in their order."""
    return [item for wanted in (Outcome.FAILED, Outcome.WARNED) for item in found.rules if item.outcome == wanted]


def verdict(found: Validation) -> tuple[str, str]:
    """Return the verdict in one sentence, Chinese and English."""
    fails, warns, passes = (found.count(item) for item in (Outcome.FAILED, Outcome.WARNED, Outcome.PASSED))
    if fails:
        more_zh, more_en = (f",另有 {warns} 条提示", f", {warns} more warn") if warns else ("", "")
        return (
            f"不合格:{fails} 条规则被违反{more_zh};先更正,再用于分级和抽查。",
            f"Fail: {fails} rules are broken{more_en}; correct the records before classes and draws rest on them.",
        )
    if warns:
        return (
            f"可用,有提示:{warns} 条规则应有人核对,{passes} 条通过。",
            f"Usable with warnings: somebody should look at {warns} rules; {passes} passed.",
        )
    return f"合格:{passes} 条规则全部通过。", f"Pass: all {passes} rules hold."


def as_json(found: Validation) -> dict[str, object]:
    """Return plain values for JSON; dates as ISO text. No value of a row is among them."""
    sentence_zh, sentence_en = verdict(found)
    return {
        "verdict": found.verdict.value,
        "sentence_zh": sentence_zh,
        "sentence_en": sentence_en,
        "as_of": found.as_of.isoformat(),
        "lake_digest": found.lake_digest,
        "deliveries": found.deliveries,
        "outcomes": {item.value: found.count(item) for item in Outcome},
        "tables": {item.table: _table(item) for item in found.tables},
        "rules": [_rule(item) for item in found.rules],
    }


def _rule(item: RuleResult) -> dict[str, object]:
    return {
        "rule": item.rule,
        "table": item.table,
        "origin": item.origin,
        "unit": item.unit,
        "tested": item.count.tested,
        "passed": item.count.tested - item.count.failed,
        "failed": item.count.failed,
        "severity": item.severity.value,
        "outcome": item.outcome.value,
        "before": None if item.before is None else {"tested": item.before.tested, "failed": item.before.failed},
        "trend": item.trend,
        "title_zh": item.words.title_zh,
        "title_en": item.words.title_en,
        "advice_zh": item.words.advice_zh,
        "advice_en": item.words.advice_en,
    }


def _table(item: TableResult) -> dict[str, object]:
    return {
        "title_zh": item.title_zh,
        "title_en": item.title_en,
        "rows": item.rows,
        "freshness": {
            "last_known": _day(item.last_known),
            "age_days": item.age_days,
            "cadence": item.cadence,
            "cadence_days": item.cadence_days,
            "is_fresh": item.is_fresh,
        },
        "compared_with": _day(item.compared_with),
        "delivery": _delivery(item.delivered),
        "delivery_before": _delivery(item.delivered_before),
        "quarantine": {"rows": item.quarantined, "rules": dict(item.quarantine)},
    }


def _day(value: date | None) -> str | None:
    return None if value is None else value.isoformat()


def _delivery(value: Delivered | None) -> dict[str, object] | None:
    if value is None:
        return None
    return {
        "digest": value.digest,
        "rows": value.rows,
        "accepted": value.accepted,
        "quarantined": value.quarantined,
        "duplicates": value.duplicates,
    }


def page(found: Validation, *, lake: str) -> Page:
    """Return the page of a validation.

    Parameters
    ----------
    lake : the lake's folder as the person called it, for the command that repeats the page.
    """
    sentence_zh, sentence_en = verdict(found)
    return Page(
        title_zh="数据质量报告",
        title_en="Data quality report",
        verdict_zh=sentence_zh,
        verdict_en=sentence_en,
        facts=[
            Fact(found.as_of.isoformat(), "截止时点", "as_of: only what was known before"),
            Fact(f"{found.count(Outcome.FAILED):,}", "条规则不合格", "rules fail"),
            Fact(f"{found.count(Outcome.WARNED):,}", "条规则提示", "rules warn"),
            Fact(f"{found.count(Outcome.PASSED):,}", "条规则通过", "rules pass"),
            Fact(f"{sum(item.quarantined for item in found.tables):,}", "行在隔离区", "rows in quarantine"),
        ],
        sections=[_to_do(found), _rules(found), _freshness(found), _quarantine(found), _again(found, lake)],
    )


def _to_do(found: Validation) -> Section:
    rows = [
        [
            OUTCOMES[item.outcome],
            item.rule,
            _both(item.words.title_zh, item.words.title_en),
            f"{item.count.failed:,} / {item.count.tested:,}",
            _both(item.words.advice_zh, item.words.advice_en),
        ]
        for item in broken(found)
    ]
    headers = ["结果 outcome", "规则 rule", "含义 meaning", "未通过/检验 failed/tested", "怎么办 what to do"]
    block = Block("待处理 · open points", headers=headers, rows=rows, numeric=frozenset({3}), wide=True)
    return Section(
        "怎么办",
        "What to do",
        [block] if rows else [],
        "" if rows else "没有需要处理的规则。",
        "" if rows else "No rule asks for action.",
    )


def _rules(found: Validation) -> Section:
    titles = {item.table: _both(item.title_zh, item.title_en) for item in found.tables}
    headers = [
        "规则 rule",
        "含义 meaning",
        "单位 unit",
        "检验 tested",
        "通过 passed",
        "未通过 failed",
        "级别 severity",
        "此前 before",
        "结果 outcome",
    ]
    blocks = [
        Block(
            f"{table} {title}",
            headers=headers,
            rows=[_rule_row(item) for item in found.rules if item.table == table],
            numeric=frozenset({3, 4, 5, 7}),
            wide=True,
        )
        for table, title in titles.items()
    ]
    return Section(
        "逐表逐条",
        "Table by table, rule by rule",
        blocks,
        "行:最近一次送达的行,此前为上一次送达。版本:截止时点可见的版本;记录:其中有多个版本的记录;组:主体与取值的组合;此前为对比日。",
        "Row: of the table's last delivery, before: of the one before it. Version: visible at as_of; record: one with several versions; "
        "group: subject and values; before: at the date of comparison.",
    )


def _rule_row(item: RuleResult) -> list[str]:
    return [
        item.rule.removeprefix(f"{item.table}."),
        _both(item.words.title_zh, item.words.title_en),
        UNITS[item.unit],
        f"{item.count.tested:,}",
        f"{item.count.tested - item.count.failed:,}",
        f"{item.count.failed:,}",
        SEVERITIES[item.severity],
        _before(item),
        OUTCOMES[item.outcome],
    ]


def _before(item: RuleResult) -> str:
    if item.before is None:
        return TRENDS[None]
    return f"{item.before.failed:,} / {item.before.tested:,} {TRENDS[item.trend]}"


def _freshness(found: Validation) -> Section:
    kept = {True: "✓ 按期 kept", False: "⚠ 逾期 overdue", None: "— 未约定 none promised"}
    rows = [
        [
            item.table,
            f"{item.rows:,}",
            _day(item.last_known) or "—",
            "—" if item.age_days is None else f"{item.age_days:,}",
            "—" if item.cadence_days is None else f"{item.cadence_days:,}",
            item.cadence,
            _day(item.compared_with) or "—",
            kept[item.is_fresh],
        ]
        for item in found.tables
    ]
    headers = [
        "表 table",
        "行 rows",
        "最近可知 last known",
        "距今天数 age",
        "允许天数 allowed",
        "约定 cadence",
        "对比日 compared with",
        "结果 outcome",
    ]
    block = Block("更新 · cadence", headers=headers, rows=rows, numeric=frozenset({1, 3, 4}), wide=True)
    return Section("时效", "Freshness", [block])


def _quarantine(found: Validation) -> Section:
    deliveries = [
        [item.table, label, f"{part.rows:,}", f"{part.accepted:,}", f"{part.duplicates:,}", f"{part.quarantined:,}"]
        for item in found.tables
        for label, part in (("最近 last", item.delivered), ("上次 before", item.delivered_before))
        if part is not None
    ]
    rules = [[rule, f"{rows:,}"] for item in found.tables for rule, rows in item.quarantine.items()]
    blocks = [
        Block(
            "送达 · deliveries",
            headers=["表 table", "次 which", "读入 read", "合格 accepted", "重复 duplicate", "隔离 quarantined"],
            rows=deliveries,
            numeric=frozenset({2, 3, 4, 5}),
            wide=True,
        )
    ]
    if rules:
        blocks.append(
            Block(
                "隔离区累计 · quarantine since the lake was built",
                headers=["规则 rule", "行 rows"],
                rows=rules,
                numeric=frozenset({1}),
                wide=True,
            )
        )
    return Section(
        "送达与隔离",
        "Deliveries and quarantine",
        blocks,
        "隔离的行保留原值,存于数据湖的 _quarantine 目录;本页只有计数。更正后重新送达即可入湖,累计数不减。",
        "Quarantined rows keep their values in the lake's _quarantine folder; this page holds counts only. "
        "Corrected rows are taken in when delivered again; the sum does not shrink.",
    )


def _again(found: Validation, lake: str) -> Section:
    command = f"credit-tier validate {lake} --as-of {found.as_of.isoformat()} --report report.html"
    digests = (
        f"lake     {found.lake_digest}\nas_of    {found.as_of.isoformat()}\n送达次数 deliveries {found.deliveries}"
    )
    return Section(
        "复核",
        "Do it again",
        [Block("命令 · command", code=command, wide=True), Block("摘要 · digests", code=digests, wide=True)],
        "同一数据湖、同一截止时点给出同一页;规则写在 data_schemas 各表的契约里,方法见 docs/validation.md。",
        "The same lake and as_of give the same page; the rules stand in the contracts of data_schemas, the method in docs/validation.md.",
    )


def _both(zh: str, en: str) -> str:
    return f"{zh} · {en}" if en else zh


def lines(found: Validation) -> Sequence[Sequence[str]]:
    """Return one row per table for a terminal: name, title, age, rows of the last delivery, quarantined, outcomes of its rules."""
    result = []
    for table in found.tables:
        outcomes = [item.outcome for item in found.rules if item.table == table.table]
        last = table.delivered
        result.append(
            [
                table.table,
                table.title_zh,
                _day(table.last_known) or "—",
                "—" if table.age_days is None else str(table.age_days),
                "—" if last is None else f"{last.rows:,}",
                "—" if last is None else f"{last.quarantined:,}",
                *(str(outcomes.count(item)) for item in (Outcome.PASSED, Outcome.WARNED, Outcome.FAILED)),
            ]
        )
    return result
