"""Applications for repair, in step with what the registers say: what was repaired was applied for, and some applied in vain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from credit_tier.data.city import lists, places, tables
from credit_tier.data.city.chance import NEVER, Days, Index, after_working_days, delay, stream
from credit_tier.data.city.columns import (
    Period,
    authorities,
    dates,
    delivered_rows,
    entry_rows,
    flags,
    numbers,
    versions,
    words,
)
from credit_tier.data.city.outcomes import Penalties
from credit_tier.data.city.population import Population
from credit_tier.data.city.registers import Entries

if TYPE_CHECKING:
    import polars as pl

RECORD_KINDS: Final = ("penalty", "abnormal_listing", "serious_listing")
DECISIONS: Final = ("granted", "refused", "not_accepted")
LATE_SHARE: Final = 0.03
"""Share of granted repairs after which some site goes on publishing for weeks."""

TOO_EARLY_SHARE: Final = 0.08
"""Share of penalties for which somebody applies within the first three months, in vain."""


@dataclass(frozen=True)
class _Applications:
    """Applications about records of one kind; `record` is the position among the delivered records of that kind."""

    subject: Index
    record: Index
    department: Index
    applied: Days
    decided: Days
    outcome: Index


def repair_applications(
    people: Population,
    decided: Penalties,
    listed: Entries,
    serious: lists.SeriousListings,
    period: Period,
    *,
    seed: int,
) -> pl.DataFrame:
    """Return the applications: when received, when decided, and if granted again when every site had ended the publicity."""
    import polars as pl

    rng = stream(seed, "repair applications")
    at = {
        "penalty": delivered_rows(decided.subject, decided.decided, decided.received, period),
        "abnormal_listing": entry_rows(listed, period),
        "serious_listing": lists.rows_of(serious, period),
    }
    prefixes = (tables.PENALTY_PREFIX, tables.LISTING_PREFIX, lists.PREFIX)
    record_numbers = pl.concat(
        [numbers(prefix, len(at[kind])) for prefix, kind in zip(prefixes, RECORD_KINDS, strict=True)]
    )
    offsets = np.cumsum([0, *(len(at[kind]) for kind in RECORD_KINDS[:-1])])
    parts = [
        _of_penalties(decided, at["penalty"], rng),
        _of_listings(listed, at["abnormal_listing"], rng),
        _of_serious(serious, at["serious_listing"]),
    ]
    kind = np.concatenate([np.full(len(part.subject), number) for number, part in enumerate(parts)])
    subject = np.concatenate([part.subject for part in parts])
    applied = np.concatenate([part.applied for part in parts])
    ended = np.concatenate([part.decided for part in parts])
    outcome = np.concatenate([part.outcome for part in parts])
    department = np.concatenate([part.department for part in parts])
    record = offsets[kind] + np.concatenate([part.record for part in parts])

    size = len(subject)
    received = (applied + delay(rng, size, median=1.5, spread=0.4)).astype(np.int32)
    told = np.maximum(received + 1, ended + delay(rng, size, median=3, spread=0.6, late=0.01)).astype(np.int32)
    accepted = np.minimum(after_working_days(applied, rng.integers(1, 3, size)), ended)
    accepted = np.where(outcome == DECISIONS.index("not_accepted"), NEVER, accepted)
    is_false = (outcome == DECISIONS.index("refused")) & (rng.random(size) < 0.08)
    later = stream(seed, "end of publicity")
    is_granted = outcome == DECISIONS.index("granted")
    is_slow = later.random(size) < LATE_SHARE
    days = np.where(is_slow, later.integers(6, 40, size), later.integers(0, 4, size))
    gone = np.where(is_granted, after_working_days(np.minimum(ended, NEVER - 1), days), NEVER).astype(np.int32)
    heard = np.maximum(told + 1, gone + later.integers(1, 6, size)).astype(np.int32)
    row = delivered_rows(subject, applied, received, period)
    columns = {
        "application_no": numbers("XF", len(row)),
        "uscc": words(people.code, subject[row]),
        "applied_on": dates(applied[row]),
        "record_kind": words(RECORD_KINDS, kind[row]),
        "record_no": record_numbers.gather(record[row]),
        "accepted_on": dates(accepted[row]),
        "forwarded_on": dates(accepted[row]),
        "repair_decision": words(DECISIONS, outcome[row]),
        "decided_on": dates(ended[row]),
        "publicity_ended_on": dates(gone[row]),
        "has_false_papers": flags(is_false[row]),
        "authority": authorities(people.district[subject[row]], department[row]),
    }
    ending = ("publicity_ended_on",)
    open_still = ("accepted_on", "forwarded_on", "repair_decision", "decided_on", "has_false_papers", *ending)
    return versions(
        columns,
        [
            (dates(received[row]), np.ones(len(row), dtype=np.bool_), open_still),
            (dates(told[row]), told[row] < period.cutoff, ending),
            (dates(heard[row]), is_granted[row] & (heard[row] < period.cutoff), ()),
        ],
        "application_no",
    )


def _of_penalties(decided: Penalties, row: Index, rng: np.random.Generator) -> _Applications:
    """Return one granted application per repaired penalty, and some made before three months were over."""
    granted = np.flatnonzero(decided.committed[row] < NEVER)
    hasty = (decided.received[row] + rng.integers(5, 60, len(row))).astype(np.int32)
    is_hasty = (rng.random(len(row)) < TOO_EARLY_SHARE) & (decided.published[row] < NEVER)
    early = np.flatnonzero(is_hasty & (hasty < decided.decided[row] + 80))
    record = np.concatenate([granted, early])
    refused = np.where(rng.random(len(early)) < 0.7, DECISIONS.index("refused"), DECISIONS.index("not_accepted"))
    return _Applications(
        subject=decided.subject[row[record]],
        record=record,
        department=decided.department[row[record]],
        applied=np.concatenate([decided.committed[row[granted]], hasty[early]]),
        decided=np.concatenate(
            [decided.repaired[row[granted]], after_working_days(hasty[early], rng.integers(2, 8, len(early)))]
        ),
        outcome=np.concatenate([np.zeros(len(granted), dtype=np.int64), refused]),
    )


def _of_listings(listed: Entries, row: Index, rng: np.random.Generator) -> _Applications:
    """Return applications for most removals that an enterprise brought about itself (reasons 1 to 5)."""
    removed = listed.closed[row]
    applied = np.maximum(listed.received[row] + 1, removed - rng.integers(2, 8, len(row))).astype(np.int32)
    is_own = (listed.closing[row] >= 1) & (listed.closing[row] <= 5) & (removed < NEVER) & (applied <= removed)
    record = np.flatnonzero(is_own & (rng.random(len(row)) < 0.85))
    return _Applications(
        subject=listed.subject[row[record]],
        record=record,
        department=np.full(len(record), places.DEPARTMENTS.index("market_regulation")),
        applied=applied[record],
        decided=removed[record],
        outcome=np.zeros(len(record), dtype=np.int64),
    )


def _of_serious(serious: lists.SeriousListings, row: Index) -> _Applications:
    record = np.flatnonzero(serious.applied[row] < NEVER)
    return _Applications(
        subject=serious.subject[row[record]],
        record=record,
        department=serious.department[row[record]],
        applied=serious.applied[row[record]],
        decided=serious.removed[row[record]],
        outcome=np.zeros(len(record), dtype=np.int64),
    )
