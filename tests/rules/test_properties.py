"""What must hold for any facts, under every shipped pack that decides about records, on any day."""

from __future__ import annotations

from datetime import date, timedelta
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier.content import Content
from credit_tier.rules.evaluate import evaluate
from credit_tier.rules.judge import Verdict
from credit_tier.rules.repair import Assessor, Step, decide_each, worklist
from credit_tier.rules.resolve import Shelf
from credit_tier.temporal import AsOf

CONTENT = Content.resolve()
SHELVES = {topic: Shelf(CONTENT, "cn-3205", topic) for topic in ("repair", "market_repair")}
FIRST = {"repair": date(2017, 7, 31), "market_repair": date(2021, 9, 1)}
OVER = {Verdict.EXPIRED, Verdict.NOT_PUBLISHED, Verdict.REPAIRED}
CHANGES = sorted({start for shelf in SHELVES.values() for _, start, _ in shelf.held()})
DECIDED = [day + timedelta(by) for day in CHANGES for by in (-1100, -400, -366, -100, -31, -1, 0, 1, 30, 200)]
LATER = (0, 1, 20, 40, 89, 92, 100, 184, 200, 365, 366, 400, 700, 1095, 1096, 1100)
"""Days since the decision, at both sides of the periods of the law."""


def choices_of(name, fact):
    """Return the values of one fact to choose from, the ordinary ones more often; a date as days since the decision."""
    if name == "decided_on":
        return DECIDED
    if name in {"repaired_on", "misconduct_on"}:
        return [None] * 12 + list(LATER)
    if fact.type == "date":
        return [None, *LATER[:10]]
    if fact.type == "code":
        return [None, *fact.vocabulary, *(["market"] * 8 if "market" in fact.vocabulary else [])]
    if fact.type == "codes":
        codes = sorted(fact.vocabulary)
        return [None, *({code} for code in codes), *({"fine", code} for code in codes), *[{"fine"}] * 10]
    if fact.type == "boolean":
        return [None, True, *[False] * 6]
    return [None, 0, 100_000, 9_999_999, 10_000_000, 10**9]


def facts_of(topic):
    """Return a strategy for facts of a topic, decided around the days on which the law changes."""
    declared = SHELVES[topic].facts
    drawn = {name: st.sampled_from(choices_of(name, fact)) for name, fact in declared.items()}
    return st.fixed_dictionaries(drawn).map(lambda chosen: dated(declared, chosen))


def dated(declared, chosen):
    """Return chosen values with days since the decision as dates."""
    return {
        name: chosen["decided_on"] + timedelta(value)
        if declared[name].type == "date" and isinstance(value, int)
        else value
        for name, value in chosen.items()
    }


def question_of(topic, facts, later):
    """Return topic, facts and a day of the question on which a pack is in force."""
    return topic, facts, max(facts["decided_on"] + timedelta(later), FIRST[topic])


TOPICS = st.sampled_from(sorted(SHELVES))
QUESTIONS = TOPICS.flatmap(
    lambda topic: st.builds(question_of, st.just(topic), facts_of(topic), st.sampled_from(LATER))
)


def ask(topic, facts, on):
    """Return what the law of a day says."""
    return SHELVES[topic].on(on).judge(facts, on)


@settings(max_examples=150, deadline=None)
@given(question=QUESTIONS, data=st.data())
def test_no_duty_done_earlier_makes_anything_worse(question, data):
    """Whichever requirement is met sooner, what was over stays over, who could apply still can, and no first day moves later."""
    topic, facts, on = question
    pack = SHELVES[topic].on(on)
    duty = data.draw(
        st.sampled_from(sorted({name for item in pack.spec.requirements for name in item.met_on} or {"decided_on"}))
    )
    if duty == "decided_on":
        return  # the notice of 2017 knows no requirement
    done = facts[duty] or on  # a duty that nobody has done yet could be done today at the earliest
    late = ask(topic, facts, on)
    soon = ask(topic, {**facts, duty: done - timedelta(data.draw(st.sampled_from(LATER)))}, on)
    if late.verdict in OVER:
        assert soon.verdict in OVER
    if late.verdict is Verdict.ELIGIBLE:
        assert soon.verdict in OVER | {Verdict.ELIGIBLE}
    if late.first_possible_on is not None and soon.verdict not in OVER:
        assert soon.first_possible_on is not None
        assert soon.first_possible_on <= late.first_possible_on


@settings(max_examples=150, deadline=None)
@given(question=QUESTIONS, wait=st.integers(0, 2000))
def test_a_record_never_counts_after_its_repair_is_known(question, wait):
    """From the day of its repair on, under whichever pack, a record asks for nothing and saves nothing, whatever else is missing."""
    topic, facts, on = question
    if facts["repaired_on"] is None or facts["repaired_on"] < facts["decided_on"]:
        facts = {**facts, "repaired_on": max(facts["decided_on"], on)}
    on = max(on, facts["repaired_on"]) + timedelta(wait)
    pack = SHELVES[topic].on(on)
    row = {fact.column: facts[name] for name, fact in pack.facts.items() if fact.column is not None}
    row.pop("kinds", None) if wait % 2 else None
    found = Assessor(pack, AsOf(on))(row)
    assert (found.verdict, found.step, found.days_saved) == (Verdict.REPAIRED, Step.NOTHING, 0)
    assert worklist([found]) == []


@settings(max_examples=150, deadline=None)
@given(question=QUESTIONS, wait=st.integers(1, 1500))
def test_what_is_over_stays_over(question, wait):
    """Publicity that has ended, by law or by itself, does not begin again, also not two packs later."""
    topic, facts, on = question
    if facts["kinds"] is not None and ask(topic, facts, on).verdict in OVER:
        assert ask(topic, facts, on + timedelta(wait)).verdict in OVER


@settings(max_examples=150, deadline=None)
@given(question=QUESTIONS, data=st.data())
def test_facts_that_were_not_read_do_not_matter(question, data):
    """The trace is complete: any other value of a fact outside it gives the same decision."""
    topic, facts, on = question
    pack = SHELVES[topic].on(on)
    first = evaluate(pack, facts, AsOf(on))
    read = {name for name, _ in first.trace}
    other = {**data.draw(facts_of(topic)), **{name: value for name, value in facts.items() if name in read}}
    assert evaluate(pack, other, AsOf(on)) == first


@settings(max_examples=25, deadline=None)
@given(question=QUESTIONS, data=st.data())
def test_decisions_do_not_depend_on_the_order_of_records(question, data):
    """Any order of an enterprise's records gives the same decisions and the same worklist."""
    topic, _, on = question
    pack = SHELVES[topic].on(on)
    rows = []
    for number, facts in enumerate(data.draw(st.lists(facts_of(topic), min_size=2, max_size=6))):
        row = {fact.column: facts[name] for name, fact in pack.facts.items() if fact.column is not None}
        rows.append({**row, "uscc": f"U{number % 2}", "penalty_no": f"P{number}"})
    turned = data.draw(st.permutations(rows))
    assert decide_each(rows, AsOf(on), pack) == decide_each(turned, AsOf(on), pack)
    assessor = Assessor(pack, AsOf(on))
    assert worklist(map(assessor, rows)) == worklist(map(assessor, turned))


@pytest.mark.parametrize("topic", sorted(SHELVES))
def test_the_questions_reach_every_verdict(topic):
    """The strategies are no straw men: the values they choose from lead to every verdict."""
    declared = SHELVES[topic].facts

    def pick(number, name, values):
        return values[int(sha256(f"{number} {name}".encode()).hexdigest(), 16) % len(values)]

    seen = set()
    for number in range(3000):
        chosen = {name: pick(number, name, choices_of(name, fact)) for name, fact in declared.items()}
        seen.add(ask(*question_of(topic, dated(declared, chosen), pick(number, "as_of", LATER))).verdict)
    assert seen == set(Verdict)
