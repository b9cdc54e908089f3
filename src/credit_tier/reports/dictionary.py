"""The data dictionary: one page that says of every table and column what it means, how it is written and on what law it rests."""

from __future__ import annotations

from collections.abc import Mapping

from credit_tier.reports.page import Block, Fact, Page, Section
from credit_tier.specs.dataset import Column, DatasetSpec
from credit_tier.specs.quality import QualityCheck

KINDS: Mapping[str, str] = {
    "entity": "主体 entity",
    "event": "事件 event",
    "snapshot": "快照 snapshot",
    "reference": "基础数据 reference",
}
TYPES: Mapping[str, str] = {
    "uscc": "统一社会信用代码 credit code",
    "text": "文本 text",
    "code": "代码 code",
    "codes": "代码集合 set of codes",
    "integer": "整数 integer",
    "number": "小数 decimal",
    "money": "金额 amount",
    "boolean": "是否 yes/no",
    "date": "日期 date",
}
SENSITIVITIES: Mapping[str, str] = {
    "public": "公开 public",
    "internal": "内部 internal",
    "personal": "个人信息 personal",
}


def dictionary(specs: Mapping[str, DatasetSpec]) -> Page:
    """Return the data dictionary of contracts by table name; the register comes first, then by name."""
    ordered = sorted(specs.values(), key=lambda spec: (spec.kind != "entity", spec.table))
    columns = [column for spec in ordered for column in spec.columns.values()]
    unverified = sum(not column.vocabulary_verified for column in columns)
    return Page(
        title_zh="数据字典",
        title_en="Data dictionary",
        verdict_zh=f"{len(ordered)} 张表、{len(columns)} 列:含义、类型、单位、代码、可用表头、敏感级别和法律依据,均取自 data_schemas 的数据契约。",
        verdict_en=f"{len(ordered)} tables, {len(columns)} columns: meaning, type, unit, codes, accepted headers, sensitivity "
        "and legal basis, all from the contracts in data_schemas.",
        facts=[
            Fact(str(len(ordered)), "张表", "tables"),
            Fact(str(len(columns)), "列", "columns"),
            Fact(
                str(sum(column.sensitivity == "personal" for column in columns)), "列为个人信息", "columns are personal"
            ),
            Fact(
                str(sum(column.sensitivity == "internal" for column in columns)), "列仅内部使用", "columns are internal"
            ),
            Fact(str(unverified), "个代码表尚未核对原文", "vocabularies not yet checked against their text"),
        ],
        sections=[_table(spec) for spec in ordered],
    )


def _table(spec: DatasetSpec) -> Section:
    known = spec.known_at
    when = f"{known.column} + {known.delay_days} 天 days" if known.column else str(known.fixed)
    facts = [
        ["种类 kind", KINDS[spec.kind]],
        ["主体 key", spec.key or "—"],
        ["记录 record", " + ".join(spec.record_id.columns)],
        ["业务日期 event date", spec.event_on or "—"],
        ["可知日期 known from", f"{when} {known.reason}".rstrip()],
        ["来源 source", spec.source],
        ["法律依据 legal basis", spec.legal_basis],
        ["更新 cadence", spec.cadence + (f"(≤ {spec.cadence_days} 天 days)" if spec.cadence_days else "")],
    ]
    columns = [[name, *_column(column)] for name, column in spec.columns.items()]
    headers = [
        "列 column",
        "名称 title",
        "类型 type",
        "单位 unit",
        "必填 required",
        "限制 limits",
        "可用表头 headers",
        "敏感级别 sensitivity",
    ]
    blocks = [
        Block("概况 · about", headers=["项 item", "内容 content"], rows=facts, wide=True),
        Block("列 · columns", headers=headers, rows=columns, wide=True),
    ]
    for name, column in spec.columns.items():
        if column.vocabulary is not None:
            blocks.append(_vocabulary(name, column))
    if spec.checks:
        checks = [[item.id, item.title_zh, item.title_en, _claim(item), item.severity.value] for item in spec.checks]
        titles = ["规则 rule", "含义 meaning", "英文 English", "声明 declaration", "级别 severity"]
        blocks.append(Block("入湖后的检查 · checks over the lake", headers=titles, rows=checks, wide=True))
    return Section(f"{spec.table} {spec.title_zh}", spec.title_en, blocks)


def _column(column: Column) -> list[str]:
    limits = []
    if column.vocabulary is not None:
        limits.append(f"{len(column.vocabulary)} 个代码 codes")
    if column.minimum is not None:
        limits.append(f"≥ {column.minimum}")
    if column.maximum is not None:
        limits.append(f"≤ {column.maximum}")
    if column.pattern is not None:
        limits.append(column.pattern)
    return [
        f"{column.title_zh} {column.title_en}".rstrip(),
        TYPES[column.type],
        column.unit or "",
        "可空 optional" if column.nullable else "必填 required",
        ", ".join(limits),
        "、".join(column.aliases),
        SENSITIVITIES[column.sensitivity],
    ]


def _vocabulary(name: str, column: Column) -> Block:
    spellings: dict[str, list[str]] = {}
    for spelling, value in column.values.items():
        spellings.setdefault(value, []).append(spelling)
    rows = [[code, meaning, "、".join(spellings.pop(code, []))] for code, meaning in (column.vocabulary or {}).items()]
    rows += [[codes, "", "、".join(others)] for codes, others in spellings.items()]
    origin = f" · {column.vocabulary_source}" if column.vocabulary_source else ""
    doubt = "" if column.vocabulary_verified else " · 尚未核对原文 not yet checked"
    return Block(
        f"代码 codes {name} {column.title_zh}{origin}{doubt}",
        headers=["代码 code", "含义 meaning", "也可写作 also written"],
        rows=rows,
        folded=True,
        wide=True,
    )


def _claim(check: QualityCheck) -> str:
    if check.not_before is not None:
        return " ≥ ".join(check.not_before)
    if check.unique_active is not None:
        by = ", ".join(check.unique_active.by)
        return f"主体 subject{', ' if by else ''}{by}: ≤ 1 ({check.unique_active.open} 为空 empty)"
    if check.constant is not None:
        return f"{', '.join(check.constant)}: 不变 constant"
    link = check.refers_to
    return (
        ""
        if link is None
        else ", ".join([f"{link.column} → {link.table}", *(f"{n} = {v}" for n, v in link.when.items())])
    )
