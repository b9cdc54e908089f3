"""Over many seeds everybody is drawn as often as designed."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from math import sqrt

import pytest

from credit_tier import draws
from credit_tier.sampling.record import draw, seal


def test_inclusion_rates_lie_within_the_binomial_band(spec, units, secret):
    """3,000 beacons on 60 enterprises: every inclusion rate and every mean size lies within 4.5 standard errors, no size leaves its two values.

    About 110 figures are looked at; by chance alone one would leave this band in about 1 of 1,300 such tests, and the beacons are fixed.
    """
    planned = draws.plan(units[1:61], spec.model_copy(update={"departments": (spec.departments[0],)})).planned
    sealed = seal(planned, secret)
    tries = 3000
    hits: Counter[str] = Counter()
    counts: Counter[int] = Counter()
    strata = planned.layouts[0].strata
    for number in range(tries):
        record, _ = draw(planned, sealed, beacon=f"beacon {number}")
        for place, (stratum, result) in enumerate(zip(strata, record["departments"][0]["strata"], strict=True)):
            assert abs(result["count"] - stratum.size) < 1
            counts[place] += result["count"]
            hits.update(entry["code"] for entry in result["drawn"])
    for place, stratum in enumerate(strata):
        part = float(stratum.size % 1)
        assert abs(counts[place] / tries - float(stratum.size)) <= 4.5 * sqrt(part * (1 - part) / tries)
        for i, chance in zip(stratum.members, stratum.chances(), strict=True):
            band = 4.5 * sqrt(float(chance * (1 - chance)) / tries)
            assert abs(hits[planned.frame.codes[i]] / tries - float(chance)) <= band
    assert any(stratum.size.denominator > 1 for stratum in strata)


@pytest.mark.slow
def test_unequal_chances_hold_over_many_seeds(spec, units, secret):
    """With sizes, over 20,000 beacons, the realised rates lie within 5 standard errors plus 3.5 per cent, the known error of Pareto sampling in tiny strata."""
    planned = draws.plan(
        units[1:61], spec.model_copy(update={"departments": (spec.departments[1].model_copy(update={"budget": 12}),)})
    ).planned
    sealed = seal(planned, secret)
    tries = 20_000
    hits: Counter[str] = Counter()
    for number in range(tries):
        record, _ = draw(planned, sealed, beacon=f"beacon {number}")
        hits.update(entry["code"] for stratum in record["departments"][0]["strata"] for entry in stratum["drawn"])
    for stratum in planned.layouts[0].strata:
        for i, chance in zip(stratum.members, stratum.chances(), strict=True):
            band = 5 * sqrt(float(chance * (1 - chance)) / tries) + 0.035 * float(chance)
            assert abs(hits[planned.frame.codes[i]] / tries - float(chance)) <= band
    assert sum(hits.values()) == tries * 12
    assert planned.layouts[0].expected == Fraction(12)
