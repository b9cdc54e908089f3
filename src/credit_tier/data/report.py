"""What an ingestion tells: per table and file what was read, taken, rejected and why; for people and for machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Literal

from credit_tier.data.headers import HeaderMap, Match
from credit_tier.data.sources import SourceFile
from credit_tier.errors import Fault

ADVICE: Mapping[str, tuple[str, str, str]] = {
    "missing": (
        "必填项为空",
        "请报送部门补齐该必填项后重送",
        "a required value is empty: ask for it",
    ),
    "unreadable_date": (
        "日期无法识别",
        "请改写为 2026-04-01、2026/4/1、2026.4.1 或 2026年4月1日",
        "not a date: write 2026-04-01, 2026/4/1, 2026.4.1 or 2026年4月1日",
    ),
    "impossible_date": (
        "日期不可能",
        "该日不存在,或不在 1949-10-01 至 2100-12-31 之间:请对照原始文书更正",
        "a day that does not exist or lies outside 1949-10-01 to 2100-12-31: correct it",
    ),
    "unreadable_integer": (
        "整数无法识别",
        "请只写数字,不带单位和文字",
        "not a whole number: write digits only",
    ),
    "unreadable_number": (
        "数字无法识别",
        "请只写数字和一个小数点",
        "not a number: write digits and one decimal point",
    ),
    "unreadable_amount": (
        "金额无法识别",
        "请只写数字,可带单位元、千元、万元、百万元、亿元",
        "not an amount: write digits, and a unit from 元 to 亿元 if you like",
    ),
    "not_whole_fen": (
        "金额不足一分",
        "金额细于一分:请核对单位(元还是万元)和小数位",
        "an amount finer than one fen (0.01 元): check unit and decimals",
    ),
    "unreadable_boolean": (
        "是否值无法识别",
        "请写 是/否、1/0 或 true/false",
        "write true/false, 1/0 or 是/否",
    ),
    "check_digit": (
        "统一社会信用代码校验位错误",
        "请对照营业执照核对十八位代码,留意字母 O 与数字 0、I 与 1",
        "the credit code is malformed or its check character is wrong: compare with the licence",
    ),
    "vocabulary": (
        "不在代码表中",
        "请用契约代码表中的值(credit-tier schemas show 可查);确属新写法的,补入契约的 values",
        "the value is not in the contract's vocabulary: see credit-tier schemas show",
    ),
    "too_long": (
        "代码过长",
        "代码超过 60 个字符:请检查该行的列是否错位",
        "the code is longer than 60 characters: perhaps columns have shifted",
    ),
    "range": (
        "超出范围",
        "数值超出契约限值:请先核对单位,再核对数值",
        "the value is outside the contract's limits: check the unit",
    ),
    "pattern": (
        "格式不符",
        "请按契约规定的格式改写",
        "the value has not the form that the contract states",
    ),
    "after_known": (
        "业务日期晚于可知日期",
        "业务发生日不能晚于可知日:请核对这两个日期,更正其一",
        "the event lies after the day on which it became known: correct one of the dates",
    ),
    "duplicate": (
        "同一记录内容冲突",
        "同一记录在本次送达中内容不一:请确认正确的一行,只送这一行",
        "one record stands here several times with different contents: keep the right one",
    ),
    "not_in_register": (
        "主体不在登记名录中",
        "请先送达该主体的登记信息,再重送本文件;或核对代码",
        "the subject is not in the register: deliver the register first, then this file again",
    ),
    "known_after_delivery": (
        "可知日期晚于送达日期",
        "可知日期不能晚于送达日期:请更正该日期或 --received-on",
        "the row says it became known after the delivery arrived: correct the date",
    ),
}
"""Last part of a rule id to its Chinese label, Chinese advice and English advice."""


@dataclass(frozen=True)
class ColumnReport:
    """Which header carries a column of the contract, and what was assumed in reading it.

    Attributes
    ----------
    how : name, alias or title if the header is known; guessed if something was read past in it;
        received if the file has no such column and the day of receipt stands in for it.
    day_numbers : dates that stood there as day numbers of a spreadsheet, and were read as days.
    unit : of an amount, `unit_from` says whether the header or the contract gives it; None for other types.
    """

    column: str
    header: str
    how: Match
    unit: str | None = None
    unit_from: Literal["header", "contract"] | None = None
    day_numbers: int = 0


@dataclass(frozen=True)
class FileReport:
    """One file that was read."""

    name: str
    rows: int
    unmapped_columns: tuple[str, ...]
    """Headers that no column of the contract asks for; their values were left out."""
    absent_columns: tuple[str, ...]
    """Optional columns that the file does not have; they are null."""
    columns: tuple[ColumnReport, ...] = ()
    """Columns of the contract that the file has, in the contract's order."""
    header_row: int | None = None
    """Number of the line that holds the headers, from 1; None where headers are no line."""
    sheet: str | None = None
    """Sheet of a workbook."""
    footer: tuple[str, ...] = ()
    """Words with which the lines below the table begin, such as 合计; these lines are no rows."""


def file_report(
    source: SourceFile, headers: HeaderMap, rows: int, day_numbers: Mapping[str, int], *, footer: tuple[str, ...] = ()
) -> FileReport:
    """Return what is told about a file that was read; `day_numbers` counts those of spreadsheets by column."""

    def column_report(name: str) -> ColumnReport:
        unit = headers.units.get(name)
        declared = source.spec.columns[name].unit if source.spec.columns[name].type == "money" else None
        return ColumnReport(
            column=name,
            header=headers.headers[name],
            how=headers.how[name],
            unit=unit or declared,
            unit_from="header" if unit else "contract" if declared else None,
            day_numbers=day_numbers.get(name, 0),
        )

    columns = [column_report(name) for name in headers.headers]
    if headers.received is not None:
        columns.append(ColumnReport(headers.received, header="--received-on", how="received"))

    return FileReport(
        name=source.name,
        rows=rows,
        unmapped_columns=headers.unmapped,
        absent_columns=headers.absent,
        columns=tuple(columns),
        header_row=source.layout.header_row,
        sheet=source.layout.sheet,
        footer=footer,
    )


@dataclass(frozen=True)
class TableReport:
    """One table of a delivery: ``rows_read = accepted + duplicates + quarantined``.

    Attributes
    ----------
    accepted : rows that meet the contract; `added` of them were new versions, `unchanged` were in the lake already.
    duplicates : rows identical to another row of the delivery, left out.
    quarantined : rows that break at least one rule.
    rules : rule id to the number of rows that break it.
    quarantine_file : path inside the lake of the rejected rows, or None.
    known_first, known_last : earliest and latest known_at of the accepted rows.
    """

    table: str
    files: tuple[FileReport, ...]
    rows_read: int
    accepted: int
    added: int
    unchanged: int
    duplicates: int
    quarantined: int
    rules: Mapping[str, int]
    quarantine_file: str | None
    known_first: date | None
    known_last: date | None


@dataclass(frozen=True)
class IngestReport:
    """One ingestion.

    Attributes
    ----------
    changed : whether the lake is different now; a delivery applied twice changes nothing.
    refused : files that could not be used at all, and why.
    unknown_files : names in the folder that belong to no table.
    """

    lake: str
    delivery_digest: str
    lake_digest: str
    changed: bool
    tables: tuple[TableReport, ...]
    refused: tuple[Fault, ...]
    unknown_files: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Return whether every file was used and every row met its contract."""
        return not self.refused and not any(table.quarantined for table in self.tables)

    def to_json(self) -> dict[str, object]:
        """Return the report as plain values for JSON; dates as ISO text."""

        def plain(value: object) -> object:
            if isinstance(value, date):
                return value.isoformat()
            if isinstance(value, Mapping):
                return {str(key): plain(item) for key, item in sorted(value.items())}
            if isinstance(value, tuple | list):
                return [plain(item) for item in value]
            return value

        return {"clean": self.clean, **{key: plain(value) for key, value in asdict(self).items()}}


def advice_of(rule: str) -> str:
    """Return Chinese label, Chinese advice and English advice for a rule id.

    >>> advice_of("penalties.decided_on.unreadable_date").split(":")[0]
    '日期无法识别'
    """
    label, chinese, english = ADVICE[rule.rsplit(".", 1)[-1]]
    return f"{label}:{chinese} · {english}"
