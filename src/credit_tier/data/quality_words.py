"""What the rules of a validation are called and what a person does about them, in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from credit_tier.data.report import ADVICE as ADVICE_ON_ROWS


@dataclass(frozen=True)
class Words:
    """Title of a rule and advice for when it fails; an empty English title leaves the Chinese one alone."""

    title_zh: str
    title_en: str
    advice_zh: str
    advice_en: str


ADVICE: Mapping[str, tuple[str, str]] = {
    "not_before": (
        "请报送部门核对两个日期,按同一记录编号送达更正版本。",
        "Ask the department to compare the two dates and to deliver a corrected version under the same record id.",
    ),
    "unique_active": (
        "请报送部门确认哪一条仍然有效,其余记录补送结束日期。",
        "Ask the department which record still holds, and to deliver the end date of the others.",
    ),
    "constant": (
        "同一编号的不同版本说法不一:请报送部门确认正确的版本,或确认编号是否被重复使用。",
        "Versions of one record disagree: ask which one is right, or whether the number was used twice.",
    ),
    "refers_to": (
        "被引用的记录不在数据湖中:请补送该表,或更正编号。",
        "The record referred to is not in the lake: deliver that table, or correct the number.",
    ),
    "contract": (
        "按下列规则逐条更正隔离区中的行,重新送达该文件。",
        "Correct the quarantined rows, rule by rule as listed, and deliver the file again.",
    ),
    "freshness": (
        "超过约定的更新周期没有新记录:请向报送部门确认是否漏送。",
        "No new record within the promised cadence: ask the department whether a delivery was missed.",
    ),
    "known_not_before_event": (
        "可知日期早于业务日期:核对契约中的 known_at,它决定模型能看到什么。",
        "Known before it happened: check known_at in the contract, it decides what a model may see.",
    ),
    "one_subject": (
        "同一记录编号先后属于不同主体:请确认编号是否被重复使用,或主体代码是否更正。",
        "One record id belonged to different subjects: was the number used twice, or the credit code corrected?",
    ),
    "subject_in_register": (
        "该日主体尚不在登记名录中:请补送登记信息,或核对其入库日期。",
        "At that date the register did not yet show the subject: deliver its registration, or check its day of receipt.",
    ),
}
"""Kind of rule to what to do, Chinese and English."""

TITLES: Mapping[str, tuple[str, str]] = {
    "contract": ("送达的行符合数据契约", "Delivered rows meet the contract"),
    "freshness": ("在约定的更新周期内有新记录", "There is a record within the promised cadence"),
    "known_not_before_event": ("可知日期不早于业务日期", "Nothing is known before it happens"),
    "one_subject": ("一条记录始终属于同一主体", "A record keeps its subject"),
    "subject_in_register": ("记录的主体在登记名录中", "The subject of a record is in the register"),
}


def rule_words(kind: str) -> Words:
    """Return the words of a rule that every table has.

    >>> rule_words("one_subject").title_en
    'A record keeps its subject'
    """
    return Words(*TITLES[kind], *ADVICE[kind])


def delivery_words(rule: str) -> Words:
    """Return the words of a rule that rows were quarantined by.

    >>> delivery_words("penalties.decided_on.unreadable_date").title_zh
    '日期无法识别'
    """
    title_zh, advice_zh, advice_en = ADVICE_ON_ROWS[rule.rsplit(".", 1)[-1]]
    return Words(title_zh, "", f"{advice_zh}。", advice_en[:1].upper() + advice_en[1:] + ".")
