"""What offices agree on beforehand: the items that inspectors check, and the days on which offices work.

Neither depends on the seed. Items are invented after published lists.
Working days follow the State Council's notices for the years named here; other years have their weekends only.
The rest of the city knows weekends only, so some of its visits fall on holidays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from credit_tier.data.city.columns import Period
from credit_tier.temporal import date_of

if TYPE_CHECKING:
    import polars as pl

ITEMS: Final[tuple[tuple[str, str, str, str, bool, int, int, str], ...]] = (
    ("登记事项检查", "market_regulation", "registration", "general", False, 1, 60, "公司法;市场主体登记管理条例"),
    ("公示信息检查", "market_regulation", "registration", "general", False, 1, 60, "企业信息公示暂行条例"),
    ("产品质量监督检查", "market_regulation", "product_quality", "key", False, 2, 120, "产品质量法"),
    ("食品生产监督检查", "market_regulation", "food", "key", False, 2, 180, "食品安全法"),
    ("餐饮服务监督检查", "market_regulation", "food", "key", False, 2, 120, "食品安全法"),
    ("药品经营监督检查", "market_regulation", "drugs", "key", False, 2, 150, "药品管理法"),
    ("医疗器械经营监督检查", "market_regulation", "drugs", "general", False, 1, 120, "医疗器械监督管理条例"),
    ("特种设备使用单位检查", "market_regulation", "special_equipment", "key", True, 1, 150, "特种设备安全法"),
    ("价格行为检查", "market_regulation", "pricing", "general", False, 1, 90, "价格法"),
    ("广告行为检查", "market_regulation", "advertising", "general", False, 1, 60, "广告法"),
    ("危险化学品企业安全生产检查", "emergency", "work_safety", "key", True, 4, 240, "安全生产法"),
    ("工贸企业安全生产检查", "emergency", "work_safety", "general", False, 2, 180, "安全生产法"),
    ("消防安全检查", "fire", "fire_safety", "general", False, 2, 120, "消防法"),
    ("排污许可执行情况检查", "environment", "environment", "key", False, 2, 180, "排污许可管理条例"),
    ("危险废物管理检查", "environment", "environment", "key", False, 2, 150, "固体废物污染环境防治法"),
    ("建筑工程质量检查", "housing", "construction", "general", False, 2, 180, "建设工程质量管理条例"),
    ("施工现场安全检查", "housing", "work_safety", "key", False, 3, 180, "建设工程安全生产管理条例"),
    ("道路运输经营检查", "transport", "transport", "general", False, 1, 120, "道路运输条例"),
    ("劳动用工和工资支付检查", "labour", "labour", "general", False, 1, 120, "劳动保障监察条例"),
    ("公共场所卫生检查", "health", "health", "general", False, 1, 90, "公共场所卫生管理条例"),
    ("娱乐场所经营检查", "culture", "advertising", "general", False, 1, 90, "娱乐场所管理条例"),
    ("涉税事项检查", "tax", "tax", "general", False, 1, 240, "税收征收管理法"),
    ("户外广告设施检查", "other", "construction", "general", False, 1, 60, "城市市容和环境卫生管理条例"),
)
"""Name, department, field, kind, whether all are checked, most visits a year, minutes, law."""

ABOLISHED: Final = "户外广告设施检查"
"""No longer checked from 2024."""

CAPS_KNOWN: Final = date(2025, 3, 20)
"""From this day the list says how often one enterprise may be visited in a year (国办发〔2024〕54号)."""


@dataclass(frozen=True)
class Notice:
    """A notice on a year's holidays: its number, its day, runs of days off (first and last, as MM-DD) and weekend days that are worked."""

    number: str
    issued: date
    off: str
    worked: str


NOTICES: Final[dict[int, Notice]] = {
    2021: Notice(
        "国办发明电〔2020〕27号",
        date(2020, 11, 25),
        "01-01/01-03 02-11/02-17 04-03/04-05 05-01/05-05 06-12/06-14 09-19/09-21 10-01/10-07",
        "02-07 02-20 04-25 05-08 09-18 09-26 10-09",
    ),
    2022: Notice(
        "国办发明电〔2021〕11号",
        date(2021, 10, 25),
        "01-01/01-03 01-31/02-06 04-03/04-05 04-30/05-04 06-03/06-05 09-10/09-12 10-01/10-07",
        "01-29 01-30 04-02 04-24 05-07 10-08 10-09",
    ),
    2023: Notice(
        "国办发明电〔2022〕16号",
        date(2022, 12, 8),
        "12-31/01-02 01-21/01-27 04-05/04-05 04-29/05-03 06-22/06-24 09-29/10-06",
        "01-28 01-29 04-23 05-06 06-25 10-07 10-08",
    ),
    2024: Notice(
        "国办发明电〔2023〕7号",
        date(2023, 10, 25),
        "01-01/01-01 02-10/02-17 04-04/04-06 05-01/05-05 06-10/06-10 09-15/09-17 10-01/10-07",
        "02-04 02-18 04-07 04-28 05-11 09-14 09-29 10-12",
    ),
    2025: Notice(
        "国办发明电〔2024〕12号",
        date(2024, 11, 12),
        "01-01/01-01 01-28/02-04 04-04/04-06 05-01/05-05 05-31/06-02 10-01/10-08",
        "01-26 02-08 04-27 09-28 10-11",
    ),
    2026: Notice(
        "国办发明电〔2025〕7号",
        date(2025, 11, 4),
        "01-01/01-03 02-15/02-23 04-04/04-06 05-01/05-05 06-19/06-21 09-25/09-27 10-01/10-07",
        "01-04 02-14 02-28 05-09 09-20 10-10",
    ),
}


def inspection_items(period: Period) -> pl.DataFrame:
    """Return the list of items: as published before the period, revised by quarters of the list each January, one abolished, caps since 2025."""
    import polars as pl

    first, cutoff = date_of(period.first), date_of(period.cutoff)
    published = date(first.year - 1, 12, 20)
    rows = []
    for number, (name, department, field, kind, is_full_cover, cap, minutes, law) in enumerate(ITEMS, start=1):
        revised = [date(year, 1, 18) for year in range(first.year, cutoff.year + 1) if (year + number) % 4 == 0]
        ends = date(2023, 12, 31) if name == ABOLISHED else None
        told = {published, *revised, CAPS_KNOWN, *([date(2023, 12, 22)] if ends else [])}
        for received in sorted(day for day in told if published <= day < cutoff and (not ends or day <= ends)):
            round_ = (received.year + number) // 4 % 2
            rows.append(
                {
                    "item_no": f"SX{number:03d}",
                    "item_name": name,
                    "department": department,
                    "qualification": field,
                    "kind": kind,
                    "is_full_cover": is_full_cover,
                    "yearly_cap": cap if received >= CAPS_KNOWN else None,
                    "minutes": minutes + 10 * round_,
                    "legal_text": law,
                    "valid_from": date(first.year, 1, 1),
                    "valid_to": ends if received >= date(2023, 12, 22) else None,
                    "received_on": received,
                }
            )
    schema = {"yearly_cap": pl.Int64, "valid_to": pl.Date}
    return pl.DataFrame(rows, schema_overrides=schema).sort("received_on", "item_no")


def calendar(period: Period) -> pl.DataFrame:
    """Return all days of the years whose calendar was known before the cut-off; a day that a later notice changes has a second version."""
    import polars as pl

    first, cutoff = date_of(period.first), date_of(period.cutoff)
    rows = []
    for year in range(first.year, cutoff.year + 2):
        notice = NOTICES.get(year)
        received = (notice.issued if notice else date(year - 1, 11, 20)) + timedelta(days=2)
        if received >= cutoff:
            break
        reasons = _reasons(year, notice) if notice else {}
        days = {date(year, 1, 1) + timedelta(days=n) for n in range(366)}
        for day in sorted({day for day in days if day.year == year} | set(reasons)):
            reason = reasons.get(day, "weekend" if day.weekday() >= 5 else "ordinary")
            number = notice.number if notice and day in reasons else None
            rows.append((day, reason in {"ordinary", "shifted"}, reason, number, received))
    schema = {"day": pl.Date, "is_working_day": pl.Boolean, "reason": pl.String, "notice": pl.String}
    return pl.DataFrame(rows, schema={**schema, "received_on": pl.Date}, orient="row").sort("received_on", "day")


def _reasons(year: int, notice: Notice) -> dict[date, str]:
    """Return what a notice says of each day that it names; a run may begin in the last days of the year before."""
    reasons = {_day(year, text): "shifted" for text in notice.worked.split()}
    for run in notice.off.split():
        begin, end = run.split("/")
        last = _day(year, end)
        day = _day(year - 1 if begin > end else year, begin)
        while day <= last:
            reasons[day] = "holiday"
            day += timedelta(days=1)
    return reasons


def _day(year: int, month_and_day: str) -> date:
    return date.fromisoformat(f"{year}-{month_and_day}")
