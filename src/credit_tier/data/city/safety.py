"""Work safety incidents: rare, where work is dangerous; counted anew when somebody dies later, concluded after an investigation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from credit_tier.data.city import places
from credit_tier.data.city.chance import NEVER, Reals, delay, pick, stream
from credit_tier.data.city.columns import (
    Period,
    as_text,
    authorities,
    dates,
    delivered_rows,
    in_order,
    numbers,
    whole,
    words,
)
from credit_tier.data.city.population import DIVISION_CODES, FRAILTY_SPREAD, SECTION_CODES, Population
from credit_tier.data.city.registers import arrivals

if TYPE_CHECKING:
    import polars as pl

SEVERITIES: Final = ("ordinary", "larger", "major")
"""Extraordinary incidents do not happen here."""

YEARLY: Final = {"B": 0.01, "C": 0.0022, "D": 0.0015, "E": 0.0045, "G": 0.0025, "H": 0.0005, "": 0.0002}
"""Incidents a year at an enterprise of one person, by section; the empty key stands for all not named."""

DANGEROUS: Final = ("25", "26", "28", "31", "32", "33")
"""Divisions with twice as many."""

_DEATHS: Final = ((0, 3), (3, 10), (10, 30))
_INJURIES: Final = ((0, 4), (0, 12), (2, 30))
_LOSSES: Final = (60.0, 1400.0, 5500.0)
_MOST_LOSS: Final = (999, 4999, 9999)


def safety_incidents(people: Population, period: Period, *, seed: int) -> pl.DataFrame:
    """Return the incidents: as reported, counted anew if a hurt person died, and with the conclusion."""
    rng = stream(seed, "safety incidents")
    subject, occurred = arrivals(people, _yearly(people), period.first, period.cutoff, rng)
    size = len(subject)
    reported = (occurred + delay(rng, size, median=2, spread=0.7, late=0.02)).astype(np.int32)
    severity = pick(rng, [0.965, 0.032, 0.003], size)
    deaths = rng.integers(*np.array(_DEATHS)[severity].T)
    injured = rng.integers(*np.array(_INJURIES)[severity].T)
    injured = np.where(deaths + injured == 0, 1, injured)
    loss = np.round(np.array(_LOSSES)[severity] * np.exp(0.9 * rng.standard_normal(size))).astype(np.int64)
    loss = np.minimum(loss, np.array(_MOST_LOSS)[severity])
    most = np.array([high - 1 for _, high in _DEATHS])[severity]
    dies = (injured > 0) & (deaths < most) & (rng.random(size) < 0.12)
    recounted = np.where(dies, reported + delay(rng, size, median=14, spread=0.5), NEVER).astype(np.int32)
    frailty = people.frailty[subject] / FRAILTY_SPREAD
    is_responsible = rng.random(size) < 1 / (1 + np.exp(-0.6 - 0.5 * frailty))
    concluded = np.where(
        rng.random(size) < 0.95, occurred + 20 + delay(rng, size, median=90, spread=0.5), NEVER
    ).astype(np.int32)
    last = np.where(dies, recounted, reported)
    told = np.maximum(last + 1, concluded + delay(rng, size, median=8, spread=0.6)).astype(np.int32)

    row = delivered_rows(subject, occurred, reported, period)
    first = np.arange(len(row))
    again = np.flatnonzero(recounted[row] < period.cutoff)
    ended = np.flatnonzero(told[row] < period.cutoff)
    at = np.concatenate([first, again, ended])
    which = row[at]
    is_again = np.arange(len(at)) >= len(first)
    is_ended = np.arange(len(at)) >= len(first) + len(again)
    extra = (is_again & dies[which]).astype(np.int64)
    received = np.select([is_ended, is_again], [told[which], recounted[which]], reported[which])
    department = np.full(len(at), places.DEPARTMENTS.index("emergency"))
    return in_order(
        {
            "incident_no": numbers("SG", len(row)).gather(at),
            "uscc": words(people.code, subject[which]),
            "occurred_on": dates(occurred[which]),
            "severity": words(SEVERITIES, severity[which]),
            "deaths": whole(deaths[which] + extra),
            "serious_injuries": whole(injured[which] - extra),
            "direct_loss": as_text(whole(np.where(is_ended, loss[which], -1))),
            "is_responsible": whole(np.where(is_ended, is_responsible[which], -1)).cast(bool),
            "concluded_on": dates(np.where(is_ended, concluded[which], NEVER)),
            "authority": authorities(people.district[subject[which]], department),
            "received_on": dates(received),
        },
        "incident_no",
    )


def _yearly(people: Population) -> Reals:
    of_section = np.array([YEARLY.get(code, YEARLY[""]) for code in SECTION_CODES])
    is_dangerous = np.isin(people.division, [DIVISION_CODES.index(code) for code in DANGEROUS])
    rate = of_section[people.section] * np.where(is_dangerous, 2.0, 1.0) * people.staff**0.5
    result: Reals = np.minimum(rate * np.exp(0.45 * people.frailty / FRAILTY_SPREAD), 0.5)
    return result
