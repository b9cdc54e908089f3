"""What departments deliver: one frame per source table, columns named as in `data_schemas`, one row per version of a record.

A row is delivered when this authority received it before the cut-off and its event lies in the period; what comes later does not exist yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from credit_tier.data.city import places
from credit_tier.data.city.chance import NEVER, Days, Flags, Index, delay, stream
from credit_tier.data.city.filings import Filings
from credit_tier.data.city.outcomes import KINDS, Penalties
from credit_tier.data.city.population import (
    DISTRICT_CODES,
    DIVISION_CODES,
    ENTITY_CODES,
    SECTION_CODES,
    SIZE_CLASSES,
    STATUS_AFTER,
    Population,
)
from credit_tier.data.city.registers import TAX_KINDS, Entries
from credit_tier.data.city.supervision import RANDOM, RESULTS, STRATA, TRIGGERS
from credit_tier.data.city.world import Complaints, Visits

if TYPE_CHECKING:
    import polars as pl

VISIT_KINDS = ("random", "case", "special", "daily")
"""Kind of inspection by trigger: random draw, complaint, campaign, re-inspection."""

CHANNELS = ("hotline_12315", "hotline_12345", "letter", "other")
OUTCOMES = ("upheld", "unfounded", "settled", "not_accepted")


@dataclass(frozen=True)
class Period:
    """Day numbers of the first day delivered and of the cut-off (exclusive)."""

    first: int
    cutoff: int

    def holds(self, event: Days, received: Days) -> Flags:
        """Return which records are delivered at all."""
        return (event >= self.first) & (received < self.cutoff)


def enterprises(people: Population, period: Period, *, seed: int) -> pl.DataFrame:
    """Return the register: one version per enterprise, and a second when it has closed."""
    rng = stream(seed, "register")
    told = np.maximum(people.registered + 1, people.closed + delay(rng, len(people), median=5, spread=0.8, late=0.03))
    everyone, gone = np.arange(len(people)), np.flatnonzero(told < period.cutoff)
    subject = np.concatenate([everyone, gone])
    status = np.concatenate([np.zeros(len(people), dtype=np.int64), 1 + people.closed_as[gone]])
    ownership = [places.ENTITY_TYPES[code][0] for code in ENTITY_CODES]
    return _sorted(
        {
            "uscc": _words(people.code, subject),
            "district": _words(DISTRICT_CODES, people.district[subject]),
            "industry_section": _words(SECTION_CODES, people.section[subject]),
            "industry_division": _words(DIVISION_CODES, people.division[subject]),
            "established_on": _dates(people.established[subject]),
            "registered_capital": _whole(people.capital[subject]).cast(_text()),
            "entity_type": _words(ENTITY_CODES, people.entity_type[subject]),
            "ownership": _words(ownership, people.entity_type[subject]),
            "size_class": _words(SIZE_CLASSES, people.size_class[subject]),
            "status": _words(("active", *(name for name, _ in STATUS_AFTER)), status),
            "status_on": _dates(np.concatenate([people.established, people.closed[gone]])),
            "received_on": _dates(np.concatenate([people.registered, told[gone]])),
        },
        "uscc",
    )


def annual_reports(people: Population, filings: Filings, period: Period) -> pl.DataFrame:
    """Return the reports that were filed."""
    row = np.flatnonzero(period.holds(filings.filed, filings.received))
    return _sorted(
        {
            "uscc": _words(people.code, filings.subject[row]),
            "report_year": _whole(filings.year[row]),
            "filed_on": _dates(filings.filed[row]),
            "due_on": _dates(filings.due[row]),
            "is_late": _flags(filings.is_late[row]),
            "insured_staff": _whole(filings.staff[row]),
            "revenue": _whole(filings.revenue[row]).cast(_text()),
            "received_on": _dates(filings.received[row]),
        },
        "uscc",
        "report_year",
    )


def inspections(people: Population, visits: Visits, period: Period, *, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the visits as delivered, and the truth behind each of them."""
    import polars as pl

    rng = stream(seed, "inspection receipts")
    received = (visits.day + delay(rng, len(visits.day), median=12, spread=0.6, late=0.03)).astype(np.int32)
    row = np.flatnonzero(period.holds(visits.day, received))
    row = row[np.lexsort((visits.subject[row], visits.day[row]))]
    number = _numbers("JC", len(row))
    is_drawn = visits.trigger[row] == RANDOM
    month = visits.day[row].astype("datetime64[D]").astype("datetime64[M]").astype(str)
    draw_id = pl.Series("SZ" + np.char.replace(month, "-", "")).set(pl.Series(~is_drawn), None)
    subject = visits.subject[row]
    delivered = _sorted(
        {
            "inspection_no": number,
            "uscc": _words(people.code, subject),
            "inspected_on": _dates(visits.day[row]),
            "kind": _words(VISIT_KINDS, visits.trigger[row]),
            "trigger": _words(TRIGGERS, visits.trigger[row]),
            "department": _words(places.DEPARTMENTS, visits.department[row]),
            "district": _words(DISTRICT_CODES, people.district[subject]),
            "result": _words(RESULTS, visits.result[row]),
            "problem_found": _flags(visits.found[row]),
            "draw_id": draw_id,
            "inclusion_probability": pl.Series(visits.inclusion[row]).fill_nan(None),
            "received_on": _dates(received[row]),
        },
        "inspection_no",
    )
    truth = pl.DataFrame(
        {
            "inspection_no": number,
            "uscc": _words(people.code, subject),
            "stratum": _words((*STRATA, "none"), visits.stratum[row]).set(pl.Series(~is_drawn), None),
            "probability": pl.Series(visits.probability[row]),
            "in_violation": _flags(visits.found[row]),
        }
    )
    return delivered, truth


def complaints(people: Population, filed: Complaints, domain: Index, period: Period, *, seed: int) -> pl.DataFrame:
    """Return complaints: a version when filed, a second when closed."""
    rng = stream(seed, "complaint handling")
    size = len(filed.subject)
    received = (filed.day + delay(rng, size, median=2, spread=0.7, late=0.01)).astype(np.int32)
    closed = (filed.day + delay(rng, size, median=32, spread=0.5)).astype(np.int32)
    told = np.maximum(received + 1, closed + delay(rng, size, median=3, spread=0.6)).astype(np.int32)
    draw = rng.random(size)
    likely = np.where(filed.was_true, 0.62, 0.12)
    outcome = np.select([draw < likely, draw < likely + 0.2, draw > 0.96], [0, 2, 3], default=1)
    channel = rng.choice(len(CHANNELS), size, p=[0.55, 0.38, 0.04, 0.03])
    row = np.flatnonzero(period.holds(filed.day, received))
    row = row[np.lexsort((filed.subject[row], filed.day[row]))]
    first = {
        "complaint_no": _numbers("TS", len(row)),
        "uscc": _words(people.code, filed.subject[row]),
        "filed_on": _dates(filed.day[row]),
        "channel": _words(CHANNELS, channel[row]),
        "domain": _words(places.DOMAINS, domain[row]),
        "outcome": _words(OUTCOMES, outcome[row]),
        "closed_on": _dates(closed[row]),
    }
    return _versions(
        first,
        [
            (_dates(received[row]), np.ones(len(row), dtype=np.bool_), ("outcome", "closed_on")),
            (_dates(told[row]), told[row] < period.cutoff, ()),
        ],
        "complaint_no",
    )


def penalties(people: Population, decided: Penalties, period: Period) -> pl.DataFrame:
    """Return penalties: when first heard of, when the duty is known to be fulfilled, when committed, when repaired."""
    row = np.flatnonzero(period.holds(decided.decided, decided.received))
    row = row[np.lexsort((decided.subject[row], decided.decided[row]))]
    subject, told = decided.subject[row], decided.fulfilled_received[row]
    received, repaired = decided.received[row], decided.repaired_received[row]
    committed = decided.committed[row]
    # The commitment is filed with the repair platform, which reports it the next day.
    pledged = np.where(committed == NEVER, NEVER, np.maximum(committed, told) + 1)
    columns = {
        "penalty_no": _numbers("苏罚", len(row)),
        "uscc": _words(people.code, subject),
        "decided_on": _dates(decided.decided[row]),
        "published_on": _dates(decided.published[row]),
        "kinds": _words(KINDS, decided.kinds[row]),
        "procedure": _words(("ordinary", "simple"), decided.is_simple[row].astype(np.int64)),
        "domain": _words(places.DOMAINS, decided.domain[row]),
        "fine": _ten_thousands(decided.fine[row]),
        "authority": _authorities(people.district[subject], decided.department[row]),
        "duty_fulfilled_on": _dates(np.where(told < period.cutoff, decided.fulfilled[row], NEVER)),
        "commitment_on": _dates(decided.committed[row]),
        "repaired_on": _dates(decided.repaired[row]),
    }
    later = ("commitment_on", "repaired_on")
    paid_at_once = told == received
    return _versions(
        columns,
        [
            (_dates(received), paid_at_once, later),
            (_dates(received), ~paid_at_once, ("duty_fulfilled_on", *later)),
            (_dates(told), ~paid_at_once & (told < period.cutoff), later),
            (_dates(pledged), (pledged < repaired) & (pledged < period.cutoff), ("repaired_on",)),
            (_dates(repaired), repaired < period.cutoff, ()),
        ],
        "penalty_no",
    )


def abnormal_listings(people: Population, entries: Entries, period: Period) -> pl.DataFrame:
    """Return abnormal listings, with a second version at removal."""
    row = _kept_rows(entries, period)
    market = np.full(len(row), places.DEPARTMENTS.index("market_regulation"))
    columns = {
        "listing_no": _numbers("YC", len(row)),
        "uscc": _words(people.code, entries.subject[row]),
        "listed_on": _dates(entries.opened[row]),
        "reason": _words([str(n) for n in range(8)], entries.kind[row]),
        "removed_on": _dates(entries.closed[row]),
        "removal_reason": _words([str(n) for n in range(8)], entries.closing[row]),
        "authority": _authorities(people.district[entries.subject[row]], market),
    }
    return _entry_versions(columns, entries, row, period, ("removed_on", "removal_reason"))


def judgments(people: Population, entries: Entries, period: Period) -> pl.DataFrame:
    """Return enforcement cases, with a second version at full performance."""
    import polars as pl

    row = _kept_rows(entries, period)
    is_plain = pl.Series(entries.kind[row] == 0)
    removed = np.where(entries.closed[row] < NEVER, entries.closed[row] + 3, NEVER)
    removed = np.minimum(removed, np.maximum(entries.closed_received[row], entries.closed[row]))
    columns = {
        "judgment_no": _numbers("苏05执", len(row)),
        "uscc": _words(people.code, entries.subject[row]),
        "filed_on": _dates(entries.opened[row]),
        "kind": _words(("enforcement", "failed_to_perform"), entries.kind[row]),
        "situation": _words([str(n) for n in range(7)], entries.closing[row]).set(is_plain, None),
        "amount": _whole(entries.amount[row]).cast(_text()),
        "performed_on": _dates(entries.closed[row]),
        "removed_on": _dates(np.where(entries.kind[row] == 1, removed, NEVER)),
        "court": _words(
            [f"{name}人民法院" for name, _, _ in places.DISTRICTS.values()], people.district[entries.subject[row]]
        ),
    }
    return _entry_versions(columns, entries, row, period, ("performed_on", "removed_on"))


def tax_arrears(people: Population, entries: Entries, period: Period) -> pl.DataFrame:
    """Return notices of arrears, with a second version when paid."""
    row = _kept_rows(entries, period)
    tax = np.full(len(row), places.DEPARTMENTS.index("tax"))
    columns = {
        "notice_no": _numbers("QS", len(row)),
        "uscc": _words(people.code, entries.subject[row]),
        "announced_on": _dates(entries.opened[row]),
        "tax_kind": _words(TAX_KINDS, entries.kind[row]),
        "amount": _whole(entries.amount[row]).cast(_text()),
        "settled_on": _dates(entries.closed[row]),
        "authority": _authorities(people.district[entries.subject[row]], tax),
    }
    return _entry_versions(columns, entries, row, period, ("settled_on",))


# ----------------------------------------------------------------------------------------------------------------- columns


def _kept_rows(entries: Entries, period: Period) -> Index:
    row = np.flatnonzero(period.holds(entries.opened, entries.received))
    return row[np.lexsort((entries.subject[row], entries.opened[row]))]


def _entry_versions(
    columns: Mapping[str, pl.Series], entries: Entries, row: Index, period: Period, later: Sequence[str]
) -> pl.DataFrame:
    """Return a register's frame; its first column is the record number, `later` is known only with the closing."""
    told = entries.closed_received[row]
    everyone = np.ones(len(row), dtype=np.bool_)
    return _versions(
        columns,
        [(_dates(entries.received[row]), everyone, later), (_dates(told), told < period.cutoff, ())],
        next(iter(columns)),
    )


def _versions(
    columns: Mapping[str, pl.Series], versions: Sequence[tuple[pl.Series, Flags, Sequence[str]]], number: str
) -> pl.DataFrame:
    """Return one frame of all versions: each is (day of receipt, which records have it, columns not known yet)."""
    import polars as pl

    whole = pl.DataFrame(dict(columns))
    parts = [
        whole.with_columns(
            *(pl.lit(None, dtype=whole.schema[name]).alias(name) for name in unknown), received.alias("received_on")
        ).filter(pl.Series(which))
        for received, which, unknown in versions
    ]
    return pl.concat(parts).sort("received_on", number)


def _sorted(columns: Mapping[str, pl.Series], *keys: str) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(dict(columns)).sort("received_on", *keys)


def _text() -> type[pl.String]:
    import polars as pl

    return pl.String


def _words(words: Sequence[str] | npt.NDArray[np.str_], index: Index) -> pl.Series:
    import polars as pl

    return pl.Series(list(words) if isinstance(words, tuple | list) else words, dtype=pl.String).gather(index)


def _dates(day: npt.NDArray[np.integer]) -> pl.Series:
    """Return day numbers as dates; NEVER and later is null."""
    import polars as pl

    return pl.Series(day.astype(np.int32)).set(pl.Series(day >= NEVER), None).cast(pl.Date)


def _whole(number: Index) -> pl.Series:
    """Return whole numbers; negative ones stand for null."""
    import polars as pl

    return pl.Series(number.astype(np.int64)).set(pl.Series(number < 0), None)


def _flags(flag: Flags) -> pl.Series:
    import polars as pl

    return pl.Series(flag)


def _numbers(prefix: str, count: int) -> pl.Series:
    """Return record numbers in the order of the events."""
    import polars as pl

    frame = pl.DataFrame({"n": np.arange(1, count + 1)})
    return frame.select(pl.concat_str(pl.lit(prefix), pl.col("n").cast(pl.String).str.zfill(8))).to_series()


def _ten_thousands(yuan: Index) -> pl.Series:
    """Return whole yuan as text in 万元 with four decimals, without a detour over binary fractions."""
    import polars as pl

    frame = pl.DataFrame({"whole": yuan // 10_000, "rest": yuan % 10_000})
    return frame.select(
        pl.concat_str(pl.col("whole").cast(pl.String), pl.lit("."), pl.col("rest").cast(pl.String).str.zfill(4))
    ).to_series()


def _authorities(district: Index, department: Index) -> pl.Series:
    names = [
        district_name + places.DEPARTMENT_NAMES[code]
        for district_name, _, _ in places.DISTRICTS.values()
        for code in places.DEPARTMENTS
    ]
    return _words(names, district * len(places.DEPARTMENTS) + department)
