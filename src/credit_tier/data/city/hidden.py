"""The truth as tables, for judging estimators and models; no pipeline reads them."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from credit_tier.data.city.loans import default_hazard
from credit_tier.data.city.population import Population
from credit_tier.data.city.supervision import STRATA
from credit_tier.data.city.world import Ledger
from credit_tier.temporal import add_months

if TYPE_CHECKING:
    import polars as pl


def truth_tables(people: Population, ledger: Ledger, *, opening: date, burn_in: int) -> dict[str, pl.DataFrame]:
    """Return the hidden tables.

    ``enterprises`` one row per enterprise: what its log-odds are made of, and its chance to default on a loan open for a year; ``states`` one row per living enterprise and first month
    of a quarter: `enterprise` (row in ``enterprises``), probability and state; ``months`` the whole city by month;
    ``frames`` the frame of each month's random draw by stratum.
    """
    import polars as pl

    months = [add_months(opening, month) for month in range(len(ledger.alive))]
    lived = range(burn_in, len(months))
    frames = ledger.frames
    return {
        "enterprises": pl.DataFrame(
            {
                "uscc": people.code,
                "industry_effect": people.industry_effect,
                "district_effect": people.district_effect,
                "size_effect": people.size_effect,
                "frailty": people.frailty,
                "distress": people.distress,
                "default_probability": -np.expm1(-default_hazard(people)),
                "is_shell": people.is_shell,
                "staff": people.staff,
            }
        ),
        "states": pl.concat(
            [
                pl.DataFrame(
                    {
                        "month": pl.Series([months[shot.month]]).new_from_index(0, len(shot.subject)),
                        "enterprise": shot.subject.astype(np.int32),
                        "probability": shot.probability,
                        "in_violation": shot.in_violation,
                    }
                )
                for shot in ledger.snapshots
            ]
        ),
        "months": pl.DataFrame(
            {
                "month": months[burn_in:],
                "alive": ledger.alive[burn_in:],
                "in_violation": ledger.in_violation[burn_in:],
            }
        ),
        "frames": pl.DataFrame(
            {
                "draw_id": [f"SZ{months[month]:%Y%m}" for month in lived for _ in STRATA],
                "stratum": [name for _ in lived for name in STRATA],
                "size": frames.size[burn_in:].ravel(),
                "drawn": frames.drawn[burn_in:].ravel(),
                "in_violation": frames.in_violation[burn_in:].ravel(),
            }
        ),
    }
