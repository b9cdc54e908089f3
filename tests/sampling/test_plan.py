"""The plan's declaration refuses what would exempt anybody, and says where it is wrong."""

from __future__ import annotations

import pytest

from credit_tier.errors import ContentError
from credit_tier.specs.plan import share


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("A: 2%", "A: 0%", "exempt"),
        ("A: 2%", "A: 0/5", "exempt"),
        ("A: 2%", "A: 101%", "up to 1"),
        ("A: 2%", "A: 0.02e1", "fraction or per cent"),
        ("A: 2%", "A: 1/0", "fraction or per cent"),
        ("strata: [risk_class]", "strata: [district]", "leave out risk_class"),
        ("certainty: [D]", "certainty: [E]", "which has no rate"),
        ("certainty: [D]", "certainty: [C]", "its rate is 1"),
        ("caps: {A: 3%", "caps: {A: 0.5%", "below its rate"),
        ("column: status, one_of", "column: risk_class, one_of", "no risk class may be left out"),
        ("department: fire", "department: market", "same name"),
        ("size: staff", "size: risk_class", "cannot form strata"),
        ("period: 2026Q4", "period: a b", "period"),
        ("rule: 一行文字", "rule: '一行\n\n  文字'", "one line"),
        ("budget: 41", "budget: 0", "budget"),
        ("reserves: 3", "reserve: 3", "not a known key"),
        ("budget: 41", "budget: 41\n    inspector_days: '30'", "one of budget and inspector_days"),
        ("budget: 41", "inspector_days: 0", "days above zero"),
        ("budget: 41", "inspector_days: 3%", "days above zero"),
        ("budget: 41", "budget: 41\n    days: {column: risk_class, values: {A: 1/2}}", "goes with inspector_days"),
        ("budget: 41", "inspector_days: 3\n    days: {column: status, values: {A: 1/2}}", "one of the strata"),
        ("budget: 41", "budget: 41\n    allocation: {kind: neyman, expected: {A: 1%}}", "takes the place of rates"),
        (
            "rates: {A: 2%, B: 1/15, C: 35%, D: 100%}",
            "allocation: {kind: neyman, expected: {A: 1%, D: 5%}}",
            "needs a budget",
        ),
        ("rates: {A: 2%, B: 1/15, C: 35%, D: 100%}", "allocation: {kind: neyman, expected: {D: 100%}}", "below 1"),
        ("rates: {A: 2%, B: 1/15, C: 35%, D: 100%}", "budget: 5", "give every risk class a rate"),
        ("size: staff", "burden: {column: visits, factor: 0}", "exempt"),
        ("size: staff", "burden: {column: risk_class}", "cannot form strata"),
        (
            "departments:",
            "history: [{column: x, title_zh: x, table: inspections, count_in_year: true}]\ndepartments:",
            "no size, burden",
        ),
        (
            "departments:",
            "history: [{column: staff, title_zh: x, table: inspections}]\ndepartments:",
            "exactly one of count_within",
        ),
    ],
)
def test_a_wrong_plan_is_refused_with_a_line(edited, old, new, words):
    """The message holds the file, a line and the reason."""
    with pytest.raises(ContentError, match=words) as caught:
        edited(old, new)
    assert caught.value.faults[0].where.startswith("plan.yaml:")


def test_the_columns_that_a_plan_reads(spec):
    """Types follow from use: sizes and whole-number limits are integers, everything else is text."""
    assert spec.columns() == {
        "code": "text",
        "district": "text",
        "opened_on": "text",
        "risk_class": "text",
        "staff": "integer",
        "status": "text",
    }
    assert spec.required() == {"code", "district", "risk_class", "staff"}


def test_shares_are_exact():
    """Per cents and decimals become fractions in lowest terms without passing through doubles."""
    assert [share(text) for text in ("0.1%", "33.3%", "0.1", "7/21", "1")] == ["1/1000", "333/1000", "1/10", "1/3", "1"]
