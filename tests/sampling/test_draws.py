"""The scheduler's door: one draw per commitment, the same for the same arguments, and no class left out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from credit_tier import draws
from credit_tier.errors import CreditTierError, DrawError, RefusedError, UsageError, VerificationError

FILES = ("plan.json", "frame.jsonl", "rules.json", "commitment.json", "secret.json", "record.json", "public.json")


def test_the_same_arguments_give_the_same_bytes(drawn, tmp_path, spec, units, fixed):
    """Row order, frame library and extra columns change no byte of any file."""
    secret, beacon = fixed
    import pandas as pd
    import polars as pl

    mixed = [{"extra": i / 7, **row} for i, row in enumerate(reversed(units))]
    for name, form in {
        "list": mixed,
        "pandas": pd.DataFrame(mixed),
        "polars": pl.DataFrame(mixed),
        "arrow": pl.DataFrame(mixed).to_arrow(),
    }.items():
        folder = tmp_path / name
        draws.commit(draws.plan(form, spec), folder, secret=secret)
        draws.run(folder, beacon=beacon)
        for file in FILES:
            assert (folder / file).read_bytes() == (drawn / file).read_bytes(), (name, file)


def test_files_are_complete_and_the_secret_is_private(drawn):
    """The folder holds exactly the seven files; only the owner reads the secret."""
    assert {path.name for path in drawn.iterdir()} == set(FILES)
    assert (drawn / "secret.json").stat().st_mode & 0o777 == 0o600


def test_another_beacon_or_secret_gives_another_list(drawn, tmp_path, spec, units, fixed):
    """Both parties' chance enters the draw."""
    secret, beacon = fixed
    first = {entry["code"] for entry in draws.DrawRecord.open(drawn).entries()}
    for name, other_secret, other_beacon in (("beacon", secret, beacon + "1"), ("secret", "ab" * 32, beacon)):
        draws.commit(draws.plan(units, spec), tmp_path / name, secret=other_secret)
        assert {entry["code"] for entry in draws.run(tmp_path / name, beacon=other_beacon).entries()} != first


def test_everybody_left_in_has_a_chance_above_zero_and_chances_sum_to_the_size(spec, units):
    """Inclusion probabilities are exact, positive, at most 1, and sum to each stratum's size."""
    planned = draws.plan(units, spec).planned
    for layout in planned.layouts:
        for stratum in layout.strata:
            chances = stratum.chances()
            assert all(0 < chance <= 1 for chance in chances)
            assert sum(chances) == stratum.size
            assert stratum.size >= 1
    market, fire = planned.layouts
    assert market.units + sum(market.excluded.values()) == len(units)
    assert market.excluded == {"deregistered": sum(row["status"] == "deregistered" for row in units)}
    tiny = sum(row["staff"] <= 1 and row["opened_on"] is not None and row["opened_on"] >= "2020-06-01" for row in units)
    assert fire.excluded == {"tiny": tiny}
    assert tiny > 0
    assert fire.expected == 41


def test_the_record_lists_what_the_plan_promised(drawn, spec, units):
    """Counts lie within 1 of the exact sizes, certain classes are drawn in full, reserves follow, closed enterprises are absent."""
    record = draws.DrawRecord.open(drawn)
    closed = {row["code"] for row in units if row["status"] == "deregistered"}
    certain = {row["code"] for row in units if row["risk_class"] == "D"} - closed
    market = [entry for entry in record.entries() if entry["department"] == "market"]
    assert not closed & {entry["code"] for entry in market}
    assert certain == {
        entry["code"] for entry in market if entry["list"] == "drawn" and entry["stratum"].startswith("D/")
    }
    for department in record.document["departments"]:
        for stratum in department["strata"]:
            assert abs(stratum["count"] - Fraction(stratum["size"])) < 1
            assert len(stratum["drawn"]) == stratum["count"] >= 1
            assert len(stratum["reserves"]) == min(
                3 if department["department"] == "market" else 0, stratum["units"] - stratum["count"]
            )
    assert sum(stratum["count"] for stratum in record.document["departments"][1]["strata"]) == 41
    assert record.visits == len({entry["code"] for entry in record.entries() if entry["list"] == "drawn"})
    frame = record.frame()
    assert list(frame.columns)[-1] == "weight"
    assert len(frame) == len(list(record.entries()))
    assert frame.weight.ge(1).all()


def test_the_public_file_tells_no_class_stratum_rate_or_code(drawn, units):
    """Nothing in it is a code or a stratum value, and drawn tickets stand in the order of their leaves, not of their rank."""
    text = (drawn / "public.json").read_text(encoding="utf-8")
    assert not [row["code"] for row in units if row["code"] in text]
    public = json.loads(text)
    words = json.dumps({k: v for k, v in public.items() if k != "commitment"})
    for word in ("risk_class", "3205", "stratum", "chance", "rate", "size", "cut", "rank", "leaf_secret"):
        assert word not in words
    assert public["tickets"] == sorted(public["tickets"])
    assert public["visits"] == len(public["tickets"])
    record = json.loads((drawn / "record.json").read_text(encoding="utf-8"))
    assert record["leaf_secret"] not in text
    assert json.loads((drawn / "secret.json").read_text())["secret"] not in text + json.dumps(record)


def test_a_draw_without_commitment_is_refused(tmp_path, spec, units, beacon):
    """No seed is taken before the commitment exists."""
    draws.plan(units, spec).save(tmp_path / "d")
    with pytest.raises(RefusedError) as caught:
        draws.run(tmp_path / "d", beacon=beacon)
    assert caught.value.code == "CT-DRAW-010"
    assert caught.value.exit_code == 3
    assert {path.name for path in (tmp_path / "d").iterdir()} == {"plan.json", "frame.jsonl"}


def test_a_second_draw_is_refused_and_says_where_the_first_lies(drawn, beacon):
    """Neither the same nor another beacon draws again, and the record stays as it is."""
    before = (drawn / "record.json").read_bytes()
    for text in (beacon, "another"):
        with pytest.raises(RefusedError, match=r"CT-DRAW-012 .*record\.json"):
            draws.run(drawn, beacon=text)
    assert (drawn / "record.json").read_bytes() == before


def test_a_public_file_lost_between_two_writes_is_restored(drawn):
    """A run that died after its record is completed by the next attempt, with the first beacon."""
    before = (drawn / "public.json").read_bytes()
    (drawn / "public.json").unlink()
    with pytest.raises(RefusedError):
        draws.run(drawn, beacon="another")
    assert (drawn / "public.json").read_bytes() == before


def test_a_commitment_is_made_once(drawn, spec, units, secret):
    """A committed folder takes neither a new commitment nor a new plan."""
    made = draws.plan(units, spec)
    with pytest.raises(RefusedError, match="CT-DRAW-011"):
        draws.commit(made, drawn, secret=secret)
    with pytest.raises(RefusedError, match="CT-DRAW-011"):
        made.save(drawn)


def test_a_commit_that_died_is_continued_with_its_own_secret(committed, secret):
    """With secret.json but no commitment, only the same secret goes on."""
    from credit_tier.sampling.folder import commit_folder

    before = (committed / "commitment.json").read_bytes()
    (committed / "commitment.json").unlink()
    with pytest.raises(RefusedError, match="CT-DRAW-019"):
        commit_folder(committed, secret="ab" * 32)
    commit_folder(committed, secret=None)
    assert (committed / "commitment.json").read_bytes() == before


def test_the_next_draw_continues_the_chain(drawn, tmp_path, edited, units, fixed):
    """The next commitment names the record before it, and its salt lies one link deeper in the same chain."""
    secret, beacon = fixed
    from credit_tier.sampling.tickets import salt_chain

    later = edited("2026Q4", "2027Q1")
    second = draws.commit(draws.plan(units, later), tmp_path / "two", secret=secret, previous=drawn)
    first = draws.DrawRecord.open(drawn)
    assert (second.wave, second.previous) == (2, first.digest)
    record = draws.run(tmp_path / "two", beacon=beacon)
    assert salt_chain(str(record.document["salt"]), 1) == first.document["salt"]
    assert record.document["leaf_secret"] != first.document["leaf_secret"]
    assert draws.verify(tmp_path / "two").holds
    third = draws.commit(
        draws.plan(units, edited("2026Q4", "2027Q2")), tmp_path / "three", secret="cd" * 32, previous=tmp_path / "two"
    )
    assert (third.wave, third.previous) == (1, record.digest)
    with pytest.raises(UsageError, match="CT-DRAW-017"):
        draws.commit(
            draws.plan(units, edited("2026Q4", "2027Q3")), tmp_path / "four", secret=secret, previous=tmp_path / "three"
        )


def test_a_used_up_chain_is_refused(drawn, tmp_path, units, secret, edited):
    """A chain of one link serves one draw; another length is another chain."""
    once = edited("period: 2026Q4", "period: 2026Q1\nchain_length: 1")
    draws.commit(draws.plan(units, once), tmp_path / "one", secret=secret)
    draws.run(tmp_path / "one", beacon="x")
    with pytest.raises(DrawError, match="CT-DRAW-018"):
        draws.commit(
            draws.plan(units, edited("period: 2026Q4", "period: 2026Q2\nchain_length: 1")),
            tmp_path / "two",
            secret=secret,
            previous=tmp_path / "one",
        )
    with pytest.raises(UsageError, match="CT-DRAW-017"):
        draws.commit(
            draws.plan(units, edited("period: 2026Q4", "period: 2026Q2\nchain_length: 2")),
            tmp_path / "three",
            secret=secret,
            previous=drawn,
        )


@pytest.mark.parametrize("name", ["plan.json", "frame.jsonl", "rules.json", "commitment.json", "secret.json"])
def test_a_changed_file_stops_the_draw(committed, name, beacon):
    """A file that no longer leads to the commitment is not drawn from."""
    data = bytearray((committed / name).read_bytes())
    data[len(data) // 2] ^= 1
    (committed / name).chmod(0o600)
    (committed / name).write_bytes(data)
    with pytest.raises(CreditTierError) as caught:
        draws.run(committed, beacon=beacon)
    assert isinstance(caught.value, VerificationError | UsageError)
    assert not (committed / "record.json").exists()


def test_a_plan_swapped_after_the_commitment_stops_the_draw(committed, tmp_path, edited, units, beacon):
    """A sound but different plan and frame in a committed folder are noticed."""
    draws.plan(units[1:], edited("B: 1/15", "B: 1/16")).save(tmp_path / "other")
    for name in ("plan.json", "frame.jsonl"):
        shutil.copy(tmp_path / "other" / name, committed / name)
    with pytest.raises(VerificationError, match="CT-DRAW-014"):
        draws.run(committed, beacon=beacon)


@pytest.mark.parametrize("beacon", ["", " x", "x\n", "a\x00b", "x" * 2001])
def test_a_malformed_beacon_is_refused(committed, beacon):
    """A beacon is one printable line without blanks at its ends: nothing is trimmed in silence."""
    with pytest.raises(UsageError, match="CT-DRAW-008"):
        draws.run(committed, beacon=beacon)


@pytest.mark.parametrize("secret", ["", "ab", "AB" * 32, "zz" * 32, "a" * 300])
def test_a_malformed_secret_is_refused(tmp_path, spec, units, secret):
    """Only 64 to 256 lower-case hexadecimal digits are a secret, and it is not echoed."""
    with pytest.raises(UsageError) as caught:
        draws.commit(draws.plan(units, spec), tmp_path / "d", secret=secret)
    assert caught.value.code == "CT-DRAW-007"
    assert not (tmp_path / "d" / "secret.json").exists()


def test_a_class_without_rate_is_refused(spec, units):
    """A risk class that the plan forgot would be exempt: the plan is refused."""
    with pytest.raises(DrawError, match="CT-DRAW-004"):
        draws.plan([{**units[0], "risk_class": "E"}, *units[1:]], spec)


def test_a_size_of_zero_is_refused(spec, units):
    """A size of zero would exempt an enterprise."""
    with pytest.raises(DrawError, match=r"CT-DRAW-003 units\.staff"):
        draws.plan([{**units[1], "staff": 0, "opened_on": None}, *units[2:]], spec)


RACE = """
import sys
from pathlib import Path
from credit_tier import draws
from credit_tier.errors import RefusedError
gate = Path(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
try:
    draws.run(sys.argv[1], beacon=sys.argv[3])
    print("won")
except RefusedError as error:
    print(error.code)
"""


def test_of_eight_racing_processes_exactly_one_draws(committed, tmp_path):
    """Eight processes with eight beacons: one record, one winner, seven refusals, and the folder verifies."""
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(committed), str(tmp_path), f"beacon {i}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(8)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("\n")
        racer.stdin.flush()
    answers = [racer.communicate()[0].strip() for racer in racers]
    assert sorted(answers) == ["CT-DRAW-012"] * 7 + ["won"]
    beacon = draws.DrawRecord.open(committed).document["beacon"]
    assert beacon == f"beacon {answers.index('won')}"
    assert draws.verify(committed).holds
    assert {path.name for path in committed.iterdir()} == set(FILES)


def test_the_shipped_plan_covers_every_class(tmp_path):
    """The shipped plan is read strictly, says that its rates are not checked, and leaves no class without a chance."""
    spec = draws.load_spec(period="2027Q1")
    assert spec.draw_id == "inspection_round/2027Q1"
    market = spec.departments[0]
    assert set(market.rates) == {"A", "B", "C", "D"}
    assert market.verified is False
    units = [{"code": f"E{i}", "risk_class": "ABCD"[i % 4], "district": "320505"} for i in range(40)]
    assert [str(item.chance) for item in draws.plan(units, spec).strata] == ["1/10", "1/10", "1", "1"]


def test_a_plan_with_sizes_tells_how_far_true_chances_lie(spec, units):
    """Without sizes the gap is 0; with sizes in small strata it is above 0 and within the known 3.5 per cent."""
    market, fire = (spec.model_copy(update={"departments": (item,)}) for item in spec.departments)
    assert draws.plan(units[:60], market).design_gap() == 0
    small = fire.model_copy(update={"departments": (fire.departments[0].model_copy(update={"budget": None}),)})
    assert 0 < draws.plan(units[:60], small).design_gap() < 0.035


def test_a_bad_period_is_refused():
    """A period is one short word."""
    with pytest.raises(CreditTierError, match="period"):
        draws.load_spec(period="2026 Q4/x")


def test_a_missing_folder_is_wrong_use(tmp_path: Path):
    """A folder without plan is named, exit 2."""
    with pytest.raises(UsageError, match="CT-DRAW-015"):
        draws.Plan.open(tmp_path / "none")
