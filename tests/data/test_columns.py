"""Values are read exactly or refused, never guessed and never silently lost."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from credit_tier.data.columns import WrongTypeError, read_column
from credit_tier.specs.dataset import Column

YUAN = Column(type="money", unit="元", title_zh="金额", nullable=True)
TEN_THOUSAND = Column(type="money", unit="万元", title_zh="金额", nullable=True)


def column(kind: str) -> Column:
    return Column(type=kind, title_zh="列", nullable=True)  # type: ignore[arg-type]


def read(values: list[object], contract: Column, **options: str) -> tuple[list[object], dict[str, list[int]]]:
    result = read_column(pl.Series("列", values), contract, **options)
    rows = {rule: mask.arg_true().to_list() for rule, mask in result.failures.items()}
    return result.values.to_list(), {rule: found for rule, found in rows.items() if found}


@pytest.mark.parametrize(
    "text",
    [
        "2024-03-05",
        "2024-3-5",
        "2024/03/05",
        "2024/3/5",
        "2024.03.05",
        "2024年03月05日",
        "2024年3月5日",
        " 2024-03-05 ",
        "\u30002024-03-05",
        "2024-03-05 23:59",
        "2024-03-05 23:59:59.123",
        "2024-03-05T00:00:00",
        "2024-03-05T00:00:00+08:00",
        "2024年3月5日 9:05",
    ],
)
def test_every_way_of_writing_a_date_is_read(text: str) -> None:
    """Departments write dates in five ways, with or without time of day."""
    assert read([text], column("date")) == ([date(2024, 3, 5)], {})


@pytest.mark.parametrize("text", ["2024-02-30", "2023/2/29", "2024年13月1日", "2024-00-10", "2024-06-31 10:00"])
def test_a_day_that_does_not_exist_is_called_impossible(text: str) -> None:
    """A typing error in a day is told apart from a text that is no date."""
    assert read([text], column("date")) == ([None], {"impossible_date": [0]})


@pytest.mark.parametrize(
    "text",
    ["长期", "2024-03/05", "20240305", "4535", "453567", "05.03.2024", "2024-03-05T00:00:00Z", "24-3-5", "2024-03"],
)
def test_what_is_no_date_is_not_guessed(text: str) -> None:
    """Another zone, two-digit years and mixed signs are refused, not interpreted."""
    assert read([text], column("date")) == ([None], {"unreadable_date": [0]})


@given(day=st.dates(date(1949, 10, 1), date(2100, 12, 31)), clock=st.sampled_from(["", ".0", ".75"]))
@settings(max_examples=40, deadline=None)
def test_day_numbers_of_spreadsheets_are_days_and_are_counted(day: date, clock: str) -> None:
    """Unformatted date cells arrive as five digits; they are read, and how many there were is told."""
    number = (day - date(1899, 12, 30)).days
    found = read_column(pl.Series(["2024-01-01", f"{number}{clock}", None]), column("date"))
    assert found.values.to_list() == [date(2024, 1, 1), day, None]
    assert found.day_numbers == 1


def test_a_day_for_no_end_is_not_given() -> None:
    """2099-12-31, in whatever form, and 长期 mean that there is no end; other days stay."""
    end = Column(type="date", title_zh="截止期", nullable=True, empty_values=("2099-12-31", "9999-12-31", "长期"))
    texts = ["2099-12-31", "2099/12/31", "2099年12月31日 00:00:00", "73050", "9999-12-31", " 长 期", "2099-12-30"]
    assert read(texts, end) == ([None] * 6 + [date(2099, 12, 30)], {})
    typed = pl.Series([date(2099, 12, 31), date(2024, 1, 1)])
    assert read_column(typed, end).values.to_list() == [None, date(2024, 1, 1)]


WORDS = ("warning", "fine", "closure")
CODES = Column(
    type="codes",
    title_zh="种类",
    vocabulary={"warning": "警告", "fine": "罚款", "closure": "责令关闭、停业"},
    values={"罚金": "fine", "罚 款（并警告）": "warning;fine"},
)


@given(
    st.lists(st.sampled_from([*WORDS, "警告", "罚款", "罚金", " 警 告 ", "FINE"]), min_size=1, max_size=6),
    st.sampled_from([";", "；", ",", "，", "、", " / ", "|"]),
)
@settings(max_examples=60, deadline=None)
def test_cells_of_several_values_are_sets(parts: list[str], sign: str) -> None:
    """Whatever the order, the sign, the language and the repeats, equal sets read equal."""
    means = {"警告": "warning", "罚款": "fine", "罚金": "fine", "警 告": "warning", "FINE": "fine"}
    wanted = {means.get(part.strip(), part) for part in parts}
    assert read([sign.join(parts)], CODES)[0] == [";".join(word for word in WORDS if word in wanted)]


def test_odd_cells_of_several_values() -> None:
    """A spelling that holds a separator is known as a whole; what is unknown stays, last, for the contract to refuse."""
    cells = ["责令关闭、停业", "罚款(并警告)", "礼物;罚款", ";", "", None, "fine;", "罚款"]
    found = ["closure", "warning;fine", "fine;礼物", None, None, None, "fine", "fine"]
    assert read(list(cells), CODES) == (found, {})
    assert read_column(pl.Series([], dtype=pl.String), CODES).values.to_list() == []


def test_a_code_is_read_by_meaning_and_by_declared_spellings() -> None:
    """A vocabulary column takes its key, its Chinese meaning and the spellings of `values`; nothing is guessed beyond."""
    size = Column(
        type="code",
        title_zh="规模",
        nullable=True,
        vocabulary={"s": "小", "l": "大", "S": "特"},
        values={"小 型": "s"},
        empty_values=("无", "/"),
    )
    cells = ["s", "小", "小型", "大", "L", "S", "特", "/", "无", "中", None]
    assert read(list(cells), size)[0] == ["s", "s", "s", "l", "l", "S", "S", None, None, "中", None]
    free = Column(type="code", title_zh="代码")
    assert read(["s", "小"], free)[0] == ["s", "小"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "text"}, "only a code or codes column has a vocabulary"),
        ({"vocabulary": None}, "needs a vocabulary"),
        ({"separators": ""}, "separators"),
        ({"values": {"甲": "b"}}, "not in the vocabulary"),
        ({"values": {"a": "a"}}, "value of the vocabulary itself"),
        ({"values": {"甲": "a", " 甲": "a"}}, "stand twice"),
        ({"vocabulary": {"a;b": "甲"}}, "cannot hold ';'"),
        ({"empty_values": ["无"]}, "nullable"),
    ],
)
def test_spellings_that_contradict_are_refused(change: dict[str, object], words: str) -> None:
    """An author hears of a mapping that leads nowhere, or to two places, before any file does."""
    base: dict[str, object] = {"type": "codes", "title_zh": "种类", "vocabulary": {"a": "甲"}}
    with pytest.raises(ValidationError, match=words):
        Column.model_validate(base | change)


def test_typed_dates_keep_their_civil_day() -> None:
    """A Parquet instant belongs to the day it has in China, a naive one to its own day."""
    naive = pl.Series([datetime(2024, 3, 5, 23)])  # noqa: DTZ001
    instant = pl.Series([datetime(2024, 3, 5, 23)]).dt.replace_time_zone("UTC")  # noqa: DTZ001
    assert read_column(naive, column("date")).values.to_list() == [date(2024, 3, 5)]
    assert read_column(instant, column("date")).values.to_list() == [date(2024, 3, 6)]


@given(st.dates(date(1949, 10, 1), date(2100, 12, 31)), st.sampled_from(["%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "年月日"]))
@settings(max_examples=60, deadline=None)
def test_dates_round_trip(day: date, form: str) -> None:
    """What is written from a date is read as that date."""
    text = f"{day.year}年{day.month}月{day.day}日" if form == "年月日" else day.strftime(form)
    assert read([text], column("date")) == ([day], {})


@pytest.mark.parametrize(
    ("text", "fen"),
    [
        ("1234.5", 123450),
        ("1,234.50", 123450),
        ("1,234.50元", 123450),
        ("¥1,234.5", 123450),
        ("3.5万元", 3500000),
        ("3.5 万", 3500000),
        ("0.000001万元", 1),
        ("2.5千元", 250000),
        ("1.2百万元", 120000000),
        ("3千万元", 3000000000),
        ("0.0000000001亿元", 1),
        ("1,000.5亿", 10005000000000),
        ("-2.10", -210),
        ("+7", 700),
        ("7.", 700),
        ("1.50000", 150),
        ("9999999999999999", 999999999999999900),
        ("-0", 0),
    ],
)
def test_amounts_become_whole_fen(text: str, fen: int) -> None:
    """Amounts are read by their digits, whatever unit or grouping stands in them."""
    assert read([text], YUAN) == ([fen], {})


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("1.505", "not_whole_fen"),
        ("0.0000001万元", "not_whole_fen"),
        ("0.00000000001亿元", "not_whole_fen"),
        ("1e5", "unreadable_amount"),
        ("12,34", "unreadable_amount"),
        ("五万元", "unreadable_amount"),
        ("5元元", "unreadable_amount"),
        (".5", "unreadable_amount"),
        ("元", "unreadable_amount"),
        ("100美元", "unreadable_amount"),
        ("9999999999999999万元", "unreadable_amount"),
        ("1000000000亿元", "unreadable_amount"),
        ("5千", "unreadable_amount"),
        ("١٢", "unreadable_amount"),
    ],
)
def test_amounts_that_are_not_whole_fen_are_refused(text: str, rule: str) -> None:
    """Nothing is rounded and nothing overflows in silence."""
    assert read([text], YUAN) == ([None], {rule: [0]})


def test_the_unit_of_the_header_goes_before_the_contract_and_the_unit_of_the_value_before_both() -> None:
    """A column headed 万元 is read so, but '200元' in it stays 200 yuan."""
    assert read(["2", "200元"], YUAN, unit="万元")[0] == [2_000_000, 20_000]
    assert read(["2"], TEN_THOUSAND)[0] == [2_000_000]


@given(
    st.integers(-(10**15), 10**15),
    st.integers(0, 10**8 - 1),
    st.integers(0, 8),
    st.sampled_from([("元", 100), ("万元", 1_000_000)]),
)
@settings(max_examples=150, deadline=None)
def test_amounts_agree_with_exact_fractions(whole: int, decimals: int, places: int, unit: tuple[str, int]) -> None:
    """The column reader agrees with rational arithmetic, value by value."""
    fraction = f"{decimals:08d}"[:places]
    text = f"{whole}.{fraction}" if places else str(whole)
    sign = -1 if text.startswith("-") else 1
    exact = sign * (abs(whole) + (Fraction(int(fraction), 10**places) if places else 0)) * unit[1]
    values, failures = read([text + unit[0]], TEN_THOUSAND)
    if exact.denominator == 1 and abs(exact) < 2**63:
        assert (values, failures) == ([int(exact)], {})
    else:
        assert values == [None]
        assert failures


def test_float_amounts_are_taken_only_if_they_stand_for_a_fen() -> None:
    """A binary float that is a fen but for its last bits is read as that fen; half a fen is not."""
    assert read([0.1 + 0.2, 1.1, -2.1, 1e13 + 0.01, None], YUAN) == ([30, 110, -210, 10**15 + 1, None], {})
    assert read([1.005, 1e20, float("inf")], YUAN) == ([None] * 3, {"not_whole_fen": [0], "unreadable_amount": [1, 2]})
    assert read([Decimal("1.50")], YUAN) == ([150], {})
    assert read([3, 2**62], YUAN) == ([300, None], {"unreadable_amount": [1]})
    single = pl.Series([338.46, 0.1], dtype=pl.Float32)
    assert read_column(single, YUAN).values.to_list() == [33846, 10]
    coarse = pl.Series([123456.78], dtype=pl.Float32)
    assert list(read_column(coarse, YUAN).failures) == ["unreadable_amount", "not_whole_fen"]
    assert read_column(coarse, YUAN).values.to_list() == [None], "a single-precision float has no fen at this size"


@given(st.integers(-(2**50) + 1, 2**50 - 1))
@settings(max_examples=100, deadline=None)
def test_fen_written_as_float_yuan_come_back(fen: int) -> None:
    """Every fen amount that a float can tell from its neighbours survives a trip through float yuan."""
    assert read([fen / 100], YUAN)[0] == [fen]


def test_integers_and_numbers() -> None:
    """Grouped digits and a pandas '3.0' are whole numbers; 3.5 is not; infinity and words are no numbers."""
    assert read(["3", "3.0", "1,234", "-7", "3.5", "x", "1e3"], column("integer")) == (
        [3, 3, 1234, -7, None, None, None],
        {"unreadable_integer": [4, 5, 6]},
    )
    assert read([3.0, 3.5, float("nan"), 1e300], column("integer")) == (
        [3, None, None, None],
        {"unreadable_integer": [1, 3]},
    )
    assert read(["0.5", "1,000.5", "1e-3", "inf", "nan", "x"], column("number")) == (
        [0.5, 1000.5, 0.001, None, None, None],
        {"unreadable_number": [3, 4, 5]},
    )


def test_booleans() -> None:
    """true/false, 1/0 and 是/否 are read, nothing else."""
    assert read(["true", "False", "1", "0", "是", "否", "", "有"], column("boolean")) == (
        [True, False, True, False, True, False, None, None],
        {"unreadable_boolean": [7]},
    )
    assert read([1, 0, 2], column("boolean")) == ([True, False, None], {"unreadable_boolean": [2]})


def test_texts_are_stripped_and_codes_written_large() -> None:
    """Spaces of any width and byte-order marks around a value go; a lower-case credit code is the same code."""
    assert read([" 甲 \u3000", "\ufeff乙", "  ", None], column("text")) == (["甲", "乙", None, None], {})
    assert read(["91000000ma0000007c"], column("uscc"))[0] == ["91000000MA0000007C"]
    assert read([7, None], column("code"))[0] == ["7", None]
    assert read_column(pl.Series(["a"], dtype=pl.Categorical), column("code")).values.to_list() == ["a"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [([1.5], "text"), ([1], "date"), ([timedelta(1)], "integer"), ([date(2024, 1, 1)], "boolean"), ([b"x"], "number")],
)
def test_a_typed_column_of_another_kind_is_refused(values: list[object], kind: str) -> None:
    """A Parquet column that cannot mean what the contract says is not converted by force."""
    with pytest.raises(WrongTypeError):
        read_column(pl.Series(values), column(kind))


def test_a_typed_column_that_is_no_money_is_refused() -> None:
    """Dates are no amounts."""
    with pytest.raises(WrongTypeError):
        read_column(pl.Series([date(2024, 1, 1)]), YUAN)


def test_an_all_null_column_is_not_given() -> None:
    """A Parquet column without type is a column without values."""
    for kind in ("text", "date", "integer", "number", "boolean", "uscc", "code"):
        assert read([None, None], column(kind)) == ([None, None], {})
