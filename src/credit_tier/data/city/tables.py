"""What departments deliver of the main tables: one frame each, columns named as in `data_schemas`, one row per version of a record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from credit_tier.data.city import places
from credit_tier.data.city.chance import NEVER, Index, delay, stream
from credit_tier.data.city.changes import Changes
from credit_tier.data.city.columns import (
    Period,
    as_text,
    authorities,
    dates,
    delivered_rows,
    entry_rows,
    entry_versions,
    flags,
    in_order,
    numbers,
    ten_thousands,
    versions,
    whole,
    words,
)
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

PENALTY_PREFIX = "苏罚"
LISTING_PREFIX = "YC"
"""Begin the numbers of penalties and of abnormal listings."""

CHANNELS = ("hotline_12315", "hotline_12345", "letter", "other")
OUTCOMES = ("upheld", "unfounded", "settled", "not_accepted")


def enterprises(people: Population, changes: Changes, period: Period, *, seed: int) -> pl.DataFrame:
    """Return the register: one version per enterprise, a second when its capital has changed, and another when it has closed."""
    rng = stream(seed, "register")
    told = np.maximum(people.registered + 1, people.closed + delay(rng, len(people), median=5, spread=0.8, late=0.03))
    raised = np.flatnonzero((changes.capital_after >= 0) & (changes.received < period.cutoff))
    capital = people.capital.copy()
    capital[changes.subject[raised]] = changes.capital_after[raised]
    everyone, gone = np.arange(len(people)), np.flatnonzero(told < period.cutoff)
    subject = np.concatenate([everyone, changes.subject[raised], gone])
    is_first = np.arange(len(subject)) < len(people)
    as_before = np.zeros(len(people) + len(raised), dtype=np.int64)
    status = np.concatenate([as_before, 1 + people.closed_as[gone]])
    ownership = [places.ENTITY_TYPES[code][0] for code in ENTITY_CODES]
    return in_order(
        {
            "uscc": words(people.code, subject),
            "district": words(DISTRICT_CODES, people.district[subject]),
            "industry_section": words(SECTION_CODES, people.section[subject]),
            "industry_division": words(DIVISION_CODES, people.division[subject]),
            "established_on": dates(people.established[subject]),
            "registered_capital": as_text(whole(np.where(is_first, people.capital[subject], capital[subject]))),
            "entity_type": words(ENTITY_CODES, people.entity_type[subject]),
            "ownership": words(ownership, people.entity_type[subject]),
            "size_class": words(SIZE_CLASSES, people.size_class[subject]),
            "status": words(("active", *(name for name, _ in STATUS_AFTER)), status),
            "status_on": dates(np.where(status == 0, people.established[subject], people.closed[subject])),
            "received_on": dates(np.concatenate([people.registered, changes.received[raised], told[gone]])),
        },
        "uscc",
    )


def annual_reports(people: Population, filings: Filings, period: Period) -> pl.DataFrame:
    """Return the reports that were filed."""
    row = np.flatnonzero(period.holds(filings.filed, filings.received))
    return in_order(
        {
            "uscc": words(people.code, filings.subject[row]),
            "report_year": whole(filings.year[row]),
            "filed_on": dates(filings.filed[row]),
            "due_on": dates(filings.due[row]),
            "is_late": flags(filings.is_late[row]),
            "insured_staff": whole(filings.staff[row]),
            "revenue": as_text(whole(filings.revenue[row])),
            "received_on": dates(filings.received[row]),
        },
        "uscc",
        "report_year",
    )


def inspections(people: Population, visits: Visits, period: Period, *, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the visits as delivered, and the truth behind each of them."""
    import polars as pl

    rng = stream(seed, "inspection receipts")
    received = (visits.day + delay(rng, len(visits.day), median=12, spread=0.6, late=0.03)).astype(np.int32)
    row = delivered_rows(visits.subject, visits.day, received, period)
    number = numbers("JC", len(row))
    is_drawn = visits.trigger[row] == RANDOM
    month = visits.day[row].astype("datetime64[D]").astype("datetime64[M]").astype(str)
    draw_id = pl.Series("SZ" + np.char.replace(month, "-", "")).set(pl.Series(~is_drawn), None)
    subject = visits.subject[row]
    delivered = in_order(
        {
            "inspection_no": number,
            "uscc": words(people.code, subject),
            "inspected_on": dates(visits.day[row]),
            "kind": words(VISIT_KINDS, visits.trigger[row]),
            "trigger": words(TRIGGERS, visits.trigger[row]),
            "department": words(places.DEPARTMENTS, visits.department[row]),
            "district": words(DISTRICT_CODES, people.district[subject]),
            "result": words(RESULTS, visits.result[row]),
            "problem_found": flags(visits.found[row]),
            "draw_id": draw_id,
            "inclusion_probability": pl.Series(visits.inclusion[row]).fill_nan(None),
            "received_on": dates(received[row]),
        },
        "inspection_no",
    )
    truth = pl.DataFrame(
        {
            "inspection_no": number,
            "uscc": words(people.code, subject),
            "stratum": words((*STRATA, "none"), visits.stratum[row]).set(pl.Series(~is_drawn), None),
            "probability": pl.Series(visits.probability[row]),
            "in_violation": flags(visits.found[row]),
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
    row = delivered_rows(filed.subject, filed.day, received, period)
    first = {
        "complaint_no": numbers("TS", len(row)),
        "uscc": words(people.code, filed.subject[row]),
        "filed_on": dates(filed.day[row]),
        "channel": words(CHANNELS, channel[row]),
        "domain": words(places.DOMAINS, domain[row]),
        "outcome": words(OUTCOMES, outcome[row]),
        "closed_on": dates(closed[row]),
    }
    return versions(
        first,
        [
            (dates(received[row]), np.ones(len(row), dtype=np.bool_), ("outcome", "closed_on")),
            (dates(told[row]), told[row] < period.cutoff, ()),
        ],
        "complaint_no",
    )


def penalties(people: Population, decided: Penalties, period: Period) -> pl.DataFrame:
    """Return penalties: when first heard of, when the duty is known to be fulfilled, when committed, when repaired."""
    row = delivered_rows(decided.subject, decided.decided, decided.received, period)
    subject, told = decided.subject[row], decided.fulfilled_received[row]
    received, repaired = decided.received[row], decided.repaired_received[row]
    committed = decided.committed[row]
    # The commitment is filed with the repair platform, which reports it the next day.
    pledged = np.where(committed == NEVER, NEVER, np.maximum(committed, told) + 1)
    columns = {
        "penalty_no": numbers(PENALTY_PREFIX, len(row)),
        "uscc": words(people.code, subject),
        "decided_on": dates(decided.decided[row]),
        "published_on": dates(decided.published[row]),
        "kinds": words(KINDS, decided.kinds[row]),
        "procedure": words(("ordinary", "simple"), decided.is_simple[row].astype(np.int64)),
        "domain": words(places.DOMAINS, decided.domain[row]),
        "fine": ten_thousands(decided.fine[row]),
        "authority": authorities(people.district[subject], decided.department[row]),
        "duty_fulfilled_on": dates(np.where(told < period.cutoff, decided.fulfilled[row], NEVER)),
        "commitment_on": dates(decided.committed[row]),
        "repaired_on": dates(decided.repaired[row]),
    }
    later = ("commitment_on", "repaired_on")
    paid_at_once = told == received
    return versions(
        columns,
        [
            (dates(received), paid_at_once, later),
            (dates(received), ~paid_at_once, ("duty_fulfilled_on", *later)),
            (dates(told), ~paid_at_once & (told < period.cutoff), later),
            (dates(pledged), (pledged < repaired) & (pledged < period.cutoff), ("repaired_on",)),
            (dates(repaired), repaired < period.cutoff, ()),
        ],
        "penalty_no",
    )


def abnormal_listings(people: Population, entries: Entries, period: Period) -> pl.DataFrame:
    """Return abnormal listings, with a second version at removal."""
    row = entry_rows(entries, period)
    market = np.full(len(row), places.DEPARTMENTS.index("market_regulation"))
    columns = {
        "listing_no": numbers(LISTING_PREFIX, len(row)),
        "uscc": words(people.code, entries.subject[row]),
        "listed_on": dates(entries.opened[row]),
        "reason": words([str(n) for n in range(8)], entries.kind[row]),
        "removed_on": dates(entries.closed[row]),
        "removal_reason": words([str(n) for n in range(8)], entries.closing[row]),
        "authority": authorities(people.district[entries.subject[row]], market),
    }
    return entry_versions(columns, entries, row, period, ("removed_on", "removal_reason"))


def judgments(people: Population, entries: Entries, period: Period) -> pl.DataFrame:
    """Return enforcement cases, with a second version at full performance."""
    import polars as pl

    row = entry_rows(entries, period)
    is_plain = pl.Series(entries.kind[row] == 0)
    removed = np.where(entries.closed[row] < NEVER, entries.closed[row] + 3, NEVER)
    removed = np.minimum(removed, np.maximum(entries.closed_received[row], entries.closed[row]))
    columns = {
        "judgment_no": numbers("苏05执", len(row)),
        "uscc": words(people.code, entries.subject[row]),
        "filed_on": dates(entries.opened[row]),
        "kind": words(("enforcement", "failed_to_perform"), entries.kind[row]),
        "situation": words([str(n) for n in range(7)], entries.closing[row]).set(is_plain, None),
        "amount": as_text(whole(entries.amount[row])),
        "performed_on": dates(entries.closed[row]),
        "removed_on": dates(np.where(entries.kind[row] == 1, removed, NEVER)),
        "court": words(
            [f"{name}人民法院" for name, _, _ in places.DISTRICTS.values()], people.district[entries.subject[row]]
        ),
    }
    return entry_versions(columns, entries, row, period, ("performed_on", "removed_on"))


def tax_arrears(people: Population, entries: Entries, period: Period) -> pl.DataFrame:
    """Return notices of arrears, with a second version when paid."""
    row = entry_rows(entries, period)
    tax = np.full(len(row), places.DEPARTMENTS.index("tax"))
    columns = {
        "notice_no": numbers("QS", len(row)),
        "uscc": words(people.code, entries.subject[row]),
        "announced_on": dates(entries.opened[row]),
        "tax_kind": words(TAX_KINDS, entries.kind[row]),
        "amount": as_text(whole(entries.amount[row])),
        "settled_on": dates(entries.closed[row]),
        "authority": authorities(people.district[entries.subject[row]], tax),
    }
    return entry_versions(columns, entries, row, period, ("settled_on",))
