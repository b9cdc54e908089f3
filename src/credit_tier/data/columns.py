"""Reading delivered columns, text or typed, as the types of a contract, whole columns at a time.

A value that cannot be read becomes null *and* a failure of its row; it is never a silent null.
Limits, vocabularies and other checks of values are the business of `contracts`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from credit_tier.data.spellings import folded_column, respelled, sets_of_words
from credit_tier.specs.dataset import folded

if TYPE_CHECKING:
    import polars as pl

    from credit_tier.specs.dataset import Column

FEN_DECIMALS = {"元": 2, "千元": 5, "万元": 6, "百万元": 8, "千万元": 9, "亿元": 10}
"""Decimal places of an amount that still are whole fen."""

CIVIL_ZONE = "Asia/Shanghai"

SERIAL_ZERO = date(1899, 12, 30)
"""Day 0 of spreadsheet day numbers, for all days since 1900-03-01."""

_SERIAL = r"^([1-9][0-9]{4})(?:\.[0-9]+)?$"
_CLOCK = r"(?:[ T][0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:\+08:?00)?)?"
_DATE = (
    r"^([0-9]{4})(?:-([0-9]{1,2})-([0-9]{1,2})|/([0-9]{1,2})/([0-9]{1,2})"
    r"|\.([0-9]{1,2})\.([0-9]{1,2})|年([0-9]{1,2})月([0-9]{1,2})日)" + _CLOCK + "$"
)
_GROUPED = r"^[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?$"
_INTEGER = r"^([+-]?[0-9]{1,18})(?:\.0*)?$"
_AMOUNT = r"^([+-]?)([0-9]{1,16})(?:\.([0-9]*))?$"
_UNIT = r"((?:千|万|百万|千万|亿)?元|万|亿)$"
_BOOLEANS = {"true": True, "1": True, "是": True, "false": False, "0": False, "否": False}


class WrongTypeError(Exception):
    """A typed source column can never be read as the contract's type; the file as a whole is refused."""


@dataclass(frozen=True)
class ReadColumn:
    """A column as typed values, and per failing rule a mask of the rows whose value could not be read.

    `day_numbers` counts the dates that stood there as day numbers of a spreadsheet.
    """

    values: pl.Series
    failures: Mapping[str, pl.Series]
    day_numbers: int = 0


def read_column(source: pl.Series, column: Column, *, unit: str | None = None) -> ReadColumn:
    """Return a delivered column as the type of its contract.

    Parameters
    ----------
    source : text as it stood in a file, or a typed Parquet column.
    column : the contract; date gives Date, money Int64 fen, integer Int64, number Float64, boolean Boolean, others String.
    unit : a key of `FEN_DECIMALS` if the file's header says it; otherwise the contract's unit. A unit inside a value goes before both.

    Raises
    ------
    WrongTypeError if a typed source column has nothing to do with the contract's type.

    Notes
    -----
    White space around a value is stripped; an empty text, and NaN of a float column, is "not given" (null).

    >>> import polars as pl
    >>> from credit_tier.specs.dataset import Column
    >>> fine = Column(type="money", title_zh="罚款金额", unit="万元", nullable=True)
    >>> read_column(pl.Series(["1.5", "200元", "", "0.00000001"]), fine).values.to_list()
    [1500000, 20000, None, None]
    """
    import polars as pl

    series = source.cast(pl.String) if isinstance(source.dtype, pl.Categorical | pl.Enum) else source
    if series.dtype == pl.Null:
        series = series.cast(pl.String)
    if series.dtype.is_float():
        series = series.fill_nan(None)
    if series.dtype.is_decimal() and column.type in {"money", "number", "integer"}:
        series = series.cast(pl.String)
    if series.dtype == pl.String:
        series = _stripped(series)
    if column.empty_values and series.dtype == pl.String:
        series = series.set(folded_column(series).is_in([folded(text) for text in column.empty_values]), None)
    read = _READERS[column.type](series, column, unit)
    return _without_no_end(read, column) if column.type == "date" and column.empty_values else read


def _stripped(text: pl.Series) -> pl.Series:
    import polars as pl

    return (
        text.to_frame("t")
        .select(pl.col("t").str.strip_chars().str.strip_chars("\ufeff\u200b").replace("", None))
        .to_series()
    )


def _read_text(series: pl.Series, column: Column, unit: str | None) -> ReadColumn:
    import polars as pl

    if series.dtype == pl.String:
        values = series.str.to_uppercase() if column.type == "uscc" else series
    elif series.dtype.is_integer():
        values = series.cast(pl.String)
    else:
        raise WrongTypeError
    return ReadColumn(values, {})


def _read_code(series: pl.Series, column: Column, unit: str | None) -> ReadColumn:
    """Read a value of a vocabulary by any of its spellings; what has none stays as it is, and the contract refuses it."""
    read = _read_text(series, column, unit)
    if not column.vocabulary:
        return read
    words, spellings = list(column.vocabulary), column.spellings()
    rows = (~read.values.is_in(words)).fill_null(False).arg_true()
    if not len(rows):
        return read
    text = read.values.gather(rows)
    return ReadColumn(read.values.scatter(rows, respelled(text, spellings)), {})


def _read_codes(series: pl.Series, column: Column, unit: str | None) -> ReadColumn:
    return ReadColumn(sets_of_words(_read_text(series, column, unit).values, column), {})


def _read_boolean(series: pl.Series, column: Column, unit: str | None) -> ReadColumn:
    import polars as pl

    if series.dtype == pl.Boolean:
        return ReadColumn(series, {})
    if series.dtype.is_integer() or series.dtype.is_float():
        values = series.replace_strict({0: False, 1: True}, default=None, return_dtype=pl.Boolean)
    elif series.dtype == pl.String:
        values = series.str.to_lowercase().replace_strict(_BOOLEANS, default=None, return_dtype=pl.Boolean)
    else:
        raise WrongTypeError
    return _unless_read(series, values, "unreadable_boolean")


def _read_integer(series: pl.Series, column: Column, unit: str | None) -> ReadColumn:
    import polars as pl

    if series.dtype.is_integer():
        return _unless_read(series, series.cast(pl.Int64, strict=False), "unreadable_integer")
    if series.dtype == pl.Boolean:
        return ReadColumn(series.cast(pl.Int64), {})
    if series.dtype.is_float():
        whole = series.is_between(-(2.0**53), 2.0**53) & (series == series.floor())
        values = series.set(~whole.fill_null(False), None).cast(pl.Int64)
    elif series.dtype == pl.String:
        values = _patched(series, series.cast(pl.Int64, strict=False), _integers_of_odd_text)
    else:
        raise WrongTypeError
    return _unless_read(series, values, "unreadable_integer")


def _integers_of_odd_text(text: pl.Series) -> pl.Series:
    import polars as pl

    return _ungrouped(text).str.extract(_INTEGER, 1).cast(pl.Int64, strict=False)


def _read_number(series: pl.Series, column: Column, unit: str | None) -> ReadColumn:
    import polars as pl

    if series.dtype.is_integer() or series.dtype.is_float():
        values = series.cast(pl.Float64)
    elif series.dtype == pl.String:
        values = _patched(
            series,
            series.cast(pl.Float64, strict=False),
            lambda text: _ungrouped(text).cast(pl.Float64, strict=False),
        )
    else:
        raise WrongTypeError
    finite = values.is_finite().fill_null(False)
    return _unless_read(series, values.set(~finite, None), "unreadable_number")


def _read_money(series: pl.Series, column: Column, unit: str | None) -> ReadColumn:
    """Read an amount as whole fen, exactly: text by its digits, integers by multiplication, floats only if close to a fen."""
    import polars as pl

    places = FEN_DECIMALS[unit or column.unit or "元"]
    if series.dtype == pl.String:
        return _read_money_text(series, places)
    if series.dtype.is_integer():
        limit = (2**63 - 1) // 10**places
        wide = series.cast(pl.Int64, strict=False)
        held = wide.is_between(-limit, limit).fill_null(False)
        return _unless_read(series, wide.set(~held, None) * 10**places, "unreadable_amount")
    if not series.dtype.is_float():
        raise WrongTypeError
    scaled = series.cast(pl.Float64) * 10.0**places
    whole = scaled.round()
    step = 2.0**-23 if series.dtype == pl.Float32 else 2.0**-52
    # beyond a quarter of the exact range the float no longer tells one fen from the next
    readable = (scaled.is_finite() & (whole.abs() * step < 0.25)).fill_null(False)
    off = (scaled - whole).abs()
    tolerated = ((off <= 2 * step * whole.abs() + 1e-9) & (off < 0.5)).fill_null(False)
    values = whole.set(~(readable & tolerated), None).cast(pl.Int64)
    return ReadColumn(
        values,
        {
            "unreadable_amount": series.is_not_null() & ~readable,
            "not_whole_fen": series.is_not_null() & readable & ~tolerated,
        },
    )


def _read_money_text(text: pl.Series, places: int) -> ReadColumn:
    import polars as pl

    parts = (
        text.to_frame("t")
        .with_columns(
            pl.col("t")
            .str.extract(_UNIT)
            .str.strip_suffix("元")
            .replace_strict({unit.removesuffix("元"): count for unit, count in FEN_DECIMALS.items()}, default=places)
            .alias("places"),
            pl.col("t").str.replace(r"^[¥¥]\s*", "").str.replace(rf"\s*{_UNIT}", "").alias("bare"),
        )
        .with_columns(
            pl.when(pl.col("bare").str.contains(_GROUPED))
            .then(pl.col("bare").str.replace_all(",", "", literal=True))
            .otherwise(pl.col("bare"))
            .str.extract_groups(_AMOUNT)
            .struct.rename_fields(["sign", "whole", "decimals"])
            .alias("amount")
        )
        .unnest("amount")
        .with_columns(pl.col("decimals").fill_null("").str.strip_chars_end("0"))
        .with_columns(
            (pl.col("decimals").str.len_bytes() <= pl.col("places")).alias("is_whole"),
            # digits of the whole part and as many decimals as fen need, read as one integer
            (
                pl.col("whole")
                + pl.col("decimals").str.pad_end(max(FEN_DECIMALS.values()), "0").str.slice(0, pl.col("places"))
            )
            .cast(pl.Int64, strict=False)
            .alias("size"),
        )
        .select(
            pl.col("whole").is_not_null().alias("matches"),
            pl.col("is_whole"),
            pl.when(pl.col("sign") == "-").then(-pl.col("size")).otherwise(pl.col("size")).alias("fen"),
        )
    )
    readable = parts["matches"].fill_null(False) & (parts["fen"].is_not_null() | ~parts["is_whole"])
    whole = parts["is_whole"].fill_null(False)
    return ReadColumn(
        parts["fen"].set(~(readable & whole), None).alias(text.name),
        {
            "unreadable_amount": text.is_not_null() & ~readable,
            "not_whole_fen": text.is_not_null() & readable & ~whole,
        },
    )


def _read_date(series: pl.Series, column: Column, unit: str | None) -> ReadColumn:
    import polars as pl

    if series.dtype == pl.Date:
        return ReadColumn(series, {})
    if isinstance(series.dtype, pl.Datetime):
        local = series if series.dtype.time_zone is None else series.dt.convert_time_zone(CIVIL_ZONE)
        return ReadColumn(local.dt.date(), {})
    if series.dtype != pl.String:
        raise WrongTypeError
    usual = series.str.contains(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$").fill_null(False)
    fast = series.set(~usual, None).str.to_date("%Y-%m-%d", strict=False)
    values = _patched(series, fast, _dates_of_odd_text)
    failed = series.is_not_null() & values.is_null()
    if not failed.any():
        return ReadColumn(values, {})
    serials = _days_of_serials(series.set(~failed, None))
    values = values.zip_with(serials.is_null(), serials)
    failed &= serials.is_null()
    count = len(serials) - serials.null_count()
    if not failed.any():
        return ReadColumn(values, {}, count)
    shaped = series.str.contains(_DATE).fill_null(False)
    return ReadColumn(values, {"impossible_date": failed & shaped, "unreadable_date": failed & ~shaped}, count)


def _days_of_serials(text: pl.Series) -> pl.Series:
    """Return the days of five-digit day numbers, as spreadsheets keep them; no date is written with five digits."""
    import polars as pl

    days = text.str.extract(_SERIAL, 1).cast(pl.Int32, strict=False)
    return (days + (SERIAL_ZERO - date(1970, 1, 1)).days).cast(pl.Date)


def _without_no_end(read: ReadColumn, column: Column) -> ReadColumn:
    """Return dates without the days that stand for "not given"."""
    import polars as pl

    days = _read_date(pl.Series(column.empty_values), column, None).values.drop_nulls()
    return ReadColumn(read.values.set(read.values.is_in(days.implode()), None), read.failures, read.day_numbers)


def _dates_of_odd_text(text: pl.Series) -> pl.Series:
    import polars as pl

    fields = ["y", "m1", "d1", "m2", "d2", "m3", "d3", "m4", "d4"]
    return (
        text.to_frame("t")
        .select(pl.col("t").str.extract_groups(_DATE).struct.rename_fields(fields))
        .unnest("t")
        .select(
            pl.concat_str(
                pl.col("y"),
                pl.coalesce("m1", "m2", "m3", "m4").str.zfill(2),
                pl.coalesce("d1", "d2", "d3", "d4").str.zfill(2),
                separator="-",
            ).str.to_date("%Y-%m-%d", strict=False)
        )
        .to_series()
    )


def _patched(text: pl.Series, values: pl.Series, slow: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Return the values, with those that the fast reader left empty read again by the slow one."""
    rows = (text.is_not_null() & values.is_null()).arg_true()
    if not len(rows):
        return values
    return values.scatter(rows, slow(text.gather(rows)))


def _ungrouped(text: pl.Series) -> pl.Series:
    import polars as pl

    return (
        text.to_frame("t")
        .select(
            pl.when(pl.col("t").str.contains(_GROUPED))
            .then(pl.col("t").str.replace_all(",", "", literal=True))
            .otherwise(pl.col("t"))
        )
        .to_series()
    )


def _unless_read(source: pl.Series, values: pl.Series, rule: str) -> ReadColumn:
    failed = source.is_not_null() & values.is_null()
    return ReadColumn(values, {rule: failed} if failed.any() else {})


_READERS: Mapping[str, Callable[[pl.Series, Column, str | None], ReadColumn]] = {
    "uscc": _read_text,
    "text": _read_text,
    "code": _read_code,
    "codes": _read_codes,
    "boolean": _read_boolean,
    "integer": _read_integer,
    "number": _read_number,
    "money": _read_money,
    "date": _read_date,
}
