"""Loans of small enterprises: arrears, default, repayment; the truth behind them is a hazard that each enterprise keeps.

From 30 days after disbursement until repayment, arrears that end in default begin at the enterprise's constant hazard, whatever the loan.
Default is what 90 days overdue are called. Other arrears are cured. Lenders see a little of the distress and avoid it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from credit_tier.data.city.chance import NEVER, Days, Flags, Index, Reals, delay, on_working_day, pick, stream
from credit_tier.data.city.columns import Period, as_text, dates, delivered_rows, in_order, numbers, whole, words
from credit_tier.data.city.population import ENTITY_CODES, FRAILTY_SPREAD, SECTION_CODES, Population
from credit_tier.data.city.registers import arrivals

if TYPE_CHECKING:
    import polars as pl

INTERCEPT: Final = -3.65
SECTOR_EFFECT: Final = {"C": -0.05, "E": 0.35, "F": 0.1, "H": 0.45, "I": -0.25, "K": 0.5, "M": -0.3, "Q": -0.3}
"""Effect on the log of the yearly hazard of default."""

NO_BORROWERS: Final = ("2000",)
"""Branches do not borrow in their own name."""

MOST_STAFF: Final = 300
TERMS: Final = (6, 12, 24, 36)
SECURITIES: Final = ("credit", "guarantee", "mortgage", "pledge")
CLASSES: Final = ("normal", "special_mention", "substandard", "loss")
LENDERS: Final = tuple(f"合成银行第{number}支行" for number in range(1, 13))


def default_hazard(people: Population) -> Reals:
    """Return each enterprise's true hazard of default per year of an open loan; the chance within a year is 1 - exp(-hazard)."""
    effects = np.array([SECTOR_EFFECT.get(code, 0.0) for code in SECTION_CODES])
    log_hazard = INTERCEPT + effects[people.section] + 0.7 * people.distress + 0.3 * people.frailty / FRAILTY_SPREAD
    result: Reals = np.exp(np.minimum(log_hazard + 0.6 * people.is_shell, 0.0))
    return result


def loans(people: Population, period: Period, *, seed: int) -> pl.DataFrame:
    """Return the loans: as disbursed, in arrears, cured or defaulted, repaid or written off."""
    import polars as pl

    rng = stream(seed, "loans")
    hazard = default_hazard(people)
    can_borrow = ~np.isin(people.entity_type, [ENTITY_CODES.index(code) for code in NO_BORROWERS])
    can_borrow &= (people.staff >= 2) & (people.staff <= MOST_STAFF)
    wanted = 0.1 * people.staff**0.15 * np.where(people.is_shell, 0.2, 1.0) * np.exp(-0.2 * people.distress)
    subject, day = arrivals(people, can_borrow * wanted, period.first, period.cutoff, rng)
    size = len(subject)
    disbursed = on_working_day(day)
    term = np.array(TERMS)[pick(rng, [0.1, 0.55, 0.15, 0.2], size)]
    due = disbursed + np.round(term * 365.25 / 12)
    early = disbursed + np.round(rng.uniform(0.3, 0.95, size) * (due - disbursed))
    closed = people.closed[subject]
    end = np.minimum(np.where(rng.random(size) < 0.15, early, due), closed)

    fatal = disbursed + 30 + np.ceil(rng.exponential(365.25 / hazard[subject]))
    defaulted = fatal + 90
    fails = (fatal <= end) & (defaulted < closed)
    mild = disbursed + 30 + np.round(rng.random(size) * np.maximum(end - disbursed - 120, 0))
    cured = mild + np.round(rng.uniform(5, 80, size))
    stumbles = ~fails & (cured < end) & (rng.random(size) < np.minimum(2.5 * hazard[subject], 0.6))
    overdue = np.where(fails, fatal, mild)
    turned = np.where(fails, defaulted, cured)
    recovers = fails & (rng.random(size) < 0.35)
    last = np.where(fails, defaulted + 60 + delay(rng, size, median=250, spread=0.5), end)
    recovers &= last < closed
    repaid = np.where(~fails | recovers, last, NEVER)

    events = np.stack([disbursed, overdue, turned, last])
    happens = np.stack([np.ones(size, dtype=np.bool_), fails | stumbles, fails | stumbles, ~fails | (last < closed)])
    received = _received(events, happens, rng)
    classes = np.zeros((4, size), dtype=np.int64)
    classes[1], classes[2] = CLASSES.index("special_mention"), np.where(fails, CLASSES.index("substandard"), 0)
    classes[3] = np.where(repaid < NEVER, len(CLASSES), CLASSES.index("loss"))
    elapsed = np.clip(
        (np.minimum(events, overdue * happens[1] + due * ~happens[1]) - disbursed) / (due - disbursed), 0, 1
    )
    principal = _principals(people.staff[subject], rng)
    owed = np.round(principal * np.where(term >= 24, 1 - 0.8 * elapsed, 1.0))
    owed[3] = np.where(repaid < NEVER, 0, owed[3])
    security = pick(rng, [0.45, 0.25, 0.22, 0.08], size)
    rate = np.round(4.1 + 0.5 * (security == 0) + 8 * hazard[subject] + 0.5 * rng.standard_normal(size), 2)
    lender = rng.integers(0, len(LENDERS), size)

    defaults = np.full(len(people), float(NEVER))
    np.minimum.at(defaults, subject[fails], fatal[fails])
    is_granted = disbursed <= defaults[subject]
    row = delivered_rows(subject, disbursed, np.where(is_granted, received[0], NEVER).astype(np.int32), period)
    stage, position = np.nonzero(happens[:, row] & (received[:, row] < period.cutoff))
    which = row[position]
    is_open_arrears = (stage == 1) | ((stage >= 2) & fails[which] & ~((stage == 3) & recovers[which]))
    return in_order(
        {
            "loan_no": numbers("DK", len(row)).gather(position),
            "uscc": words(people.code, subject[which]),
            "disbursed_on": dates(disbursed[which]),
            "principal": as_text(whole(principal[which].astype(np.int64))),
            "term_months": whole(term[which]),
            "annual_rate_percent": pl.Series(rate[which]),
            "security": words(SECURITIES, security[which]),
            "due_on": dates(due[which].astype(np.int64)),
            "overdue_since": dates(np.where(is_open_arrears, overdue[which], NEVER).astype(np.int64)),
            "defaulted_on": dates(np.where((stage >= 2) & fails[which], defaulted[which], NEVER).astype(np.int64)),
            "loan_class": words((*CLASSES, ""), classes[stage, which]).replace("", None),
            "balance": as_text(whole(owed[stage, which].astype(np.int64))),
            "repaid_on": dates(np.where(stage == 3, repaid[which], NEVER).astype(np.int64)),
            "lender": words(LENDERS, lender[which]),
            "received_on": dates(received[stage, which]),
        },
        "loan_no",
    )


def _received(events: Reals, happens: Flags, rng: np.random.Generator) -> Days:
    """Return when this authority hears of each stage, shape (stages, loans): in their order, never two on one day."""
    result = np.zeros(events.shape, dtype=np.int32)
    told = np.zeros(events.shape[1], dtype=np.int32)
    for stage, day in enumerate(events):
        result[stage] = np.maximum(told + 1, day + delay(rng, len(day), median=18, spread=0.4, late=0.01))
        told = np.where(happens[stage], result[stage], told).astype(np.int32)
    return result


def _principals(staff: Index, rng: np.random.Generator) -> Reals:
    """Return what is lent, in yuan: whole 万元, more to larger enterprises."""
    wanted = np.exp(np.log(18.0) + 0.5 * np.log(staff) + 0.8 * rng.standard_normal(len(staff)))
    result: Reals = 10_000 * np.maximum(1, np.round(wanted))
    return result
