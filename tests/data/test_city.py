"""The synthetic city: reproducible, deliverable as it is, and nobody's."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path

import polars as pl
import pytest
import stdnum.cn.uscc
import typer
from typer.testing import CliRunner

import credit_tier.data.city as city_module
from credit_tier.cli.city import city as city_command
from credit_tier.content import Content
from credit_tier.data.city import generate
from credit_tier.data.city.codes import SPACE, credit_codes
from credit_tier.data.ingest import ingest, load_specs
from credit_tier.data.lake import Lake
from credit_tier.data.quality import validate
from credit_tier.errors import UsageError
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.specs.quality import Outcome

SECTION_STARTS = (
    *(("A", 1), ("B", 6), ("C", 13), ("D", 44), ("E", 47), ("F", 51), ("G", 53), ("H", 61), ("I", 63), ("J", 66)),
    *(("K", 70), ("L", 71), ("M", 73), ("N", 76), ("O", 80), ("P", 83), ("Q", 84), ("R", 86), ("S", 91), ("T", 97)),
)
"""First division of each section of GB/T 4754-2017, written down here once more."""

RECORD_NUMBERS = {
    "inspections": "inspection_no",
    "complaints": "complaint_no",
    "penalties": "penalty_no",
    "abnormal_listings": "listing_no",
    "judgments": "judgment_no",
    "tax_arrears": "notice_no",
    "serious_listings": "listing_no",
    "repair_applications": "application_no",
    "commitments": "commitment_no",
    "relations": "relation_no",
    "enterprise_changes": "change_no",
    "honours": "honour_no",
    "recusals": "recusal_no",
}
MOVING = {"safety_incidents": "incident_no", "intellectual_property": "ip_no", "loans": "loan_no"}
"""Records whose later versions also change what was said: a count, a pledge, a balance."""

STOCK = {"licences", "relations", "intellectual_property"}
"""Tables that come with what was in force before the period."""

AHEAD = {"received_on", "due_on", "valid_to"}
"""Days that may lie after the day on which they became known, and that day itself."""


PLANNED = {("calendar", "day"), ("inspection_items", "valid_from")}
"""Days laid down in advance."""

FOR_ALL_CITIES = {"records/calendar.parquet", "records/inspection_items.parquet"}
"""What no seed decides."""


def _specs() -> dict[str, DatasetSpec]:
    return load_specs(Content.resolve())


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("city") / "small"
    generate(out, enterprises=3000, seed=11)
    return out


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _records(folder: Path, table: str) -> pl.DataFrame:
    return pl.read_parquet(folder / "records" / f"{table}.parquet")


def test_same_seed_same_bytes_other_seed_other_city(tmp_path: Path) -> None:
    """The seed decides every byte of every file."""
    first = generate(tmp_path / "a", enterprises=400, seed=5)
    again = generate(tmp_path / "b", enterprises=400, seed=5)
    other = generate(tmp_path / "c", enterprises=400, seed=6)
    assert _digests(tmp_path / "a") == _digests(tmp_path / "b")
    assert first == again
    assert other.digest != first.digest
    here, there = _digests(tmp_path / "a"), _digests(tmp_path / "c")
    assert {name for name, digest in here.items() if digest == there[name]} == FOR_ALL_CITIES


def test_ingested_without_one_rejected_row_from_either_format(small: Path, tmp_path: Path) -> None:
    """What the city delivers meets the shipped contracts and every check they declare over a lake, and CSV and Parquet make the same lake."""
    content = Content.resolve()
    report = ingest(tmp_path / "lake", small / "records", content)
    assert report.clean
    rejected = {table.table: (table.quarantined, table.duplicates) for table in report.tables}
    assert rejected == dict.fromkeys(_specs(), (0, 0))
    assert all(not file.unmapped_columns and not file.absent_columns for t in report.tables for file in t.files)

    validation = validate(Lake.open(tmp_path / "lake"))
    assert validation.count(Outcome.PASSED) > 80
    assert validation.count(Outcome.FAILED) == 0
    warned = {rule.rule for rule in validation.rules if rule.outcome is Outcome.WARNED}
    assert warned <= {"serious_listings.freshness"}, "rare in a town of this size, so weeks go by without one"

    generate(tmp_path / "csv", enterprises=3000, seed=11, format="csv")
    from_csv = ingest(tmp_path / "csv-lake", tmp_path / "csv" / "records", content)
    assert from_csv.clean
    assert Lake.open(tmp_path / "csv-lake").digest == Lake.open(tmp_path / "lake").digest


def test_columns_are_those_of_the_contracts_in_their_order(small: Path) -> None:
    """A reader of the contract finds the file as described."""
    for name, spec in _specs().items():
        assert _records(small, name).columns == list(spec.columns)


def test_nothing_is_known_before_it_happened_or_after_the_cutoff(small: Path) -> None:
    """Event day <= day of receipt < cut-off, in every row of every table."""
    for name, spec in _specs().items():
        frame = _records(small, name)
        assert frame.height > 0
        assert frame["received_on"].max() < date(2026, 1, 1)
        if spec.event_on:
            assert (frame[spec.event_on] <= frame["received_on"]).all()
            assert (frame[spec.event_on].min() >= date(2021, 1, 1)) is (name not in STOCK)
        for column, declared in spec.columns.items():
            if declared.type == "date" and column not in AHEAD and (name, column) not in PLANNED:
                assert (frame[column].is_null() | (frame[column] <= frame["received_on"])).all(), (name, column)


@pytest.mark.parametrize(("table", "number"), sorted(RECORD_NUMBERS.items()))
def test_later_versions_only_add(small: Path, table: str, number: str) -> None:
    """A repair, removal or closing comes as a later version of the same record that takes nothing back."""
    frame = _records(small, table).sort(number, "received_on")
    versions = frame.group_by(number, maintain_order=True).agg(pl.all())
    assert (frame.group_by(number, "received_on").len()["len"] == 1).all()
    repeated = versions.filter(pl.col("received_on").list.len() > 1)
    if table in {"inspections", "enterprise_changes"}:
        assert repeated.height == 0
        return
    assert repeated.height > (3 if table in {"serious_listings", "honours"} else 20)
    for column in frame.columns:
        if column in {number, "received_on"}:
            continue
        known = repeated[column].list.drop_nulls()
        assert (known.list.n_unique() <= 1).all(), column
        first_known = repeated[column].list.eval(pl.element().is_not_null().cast(pl.Int8).diff().min()).list.first()
        assert (first_known.fill_null(0) >= 0).all(), column


def test_loans_run_from_disbursement_to_an_end(small: Path) -> None:
    """Arrears, cure or default, then repayment or loss: in order, and nothing is lent to whoever is in default."""
    frame = _records(small, "loans").sort("loan_no", "received_on")
    assert frame.select("loan_no", "received_on").is_unique().all()
    assert (
        frame.group_by("loan_no")
        .agg(pl.col("principal", "due_on", "lender").n_unique() == 1)
        .drop("loan_no")
        .to_numpy()
        .all()
    )
    failed = frame.filter(pl.col("defaulted_on").is_not_null())
    assert failed.height > 10
    repaid = failed["repaid_on"].is_not_null()
    late = failed.filter(~repaid)
    assert ((late["defaulted_on"] - late["overdue_since"]).dt.total_days() == 90).all()
    closed = frame.filter(pl.col("repaid_on").is_not_null())
    assert (closed["balance"] == "0").all()
    assert closed["loan_class"].is_null().all()
    assert closed["overdue_since"].is_null().all()
    assert (closed.group_by("loan_no").len()["len"] == 1).all()
    first = failed.group_by("uscc").agg(pl.col("overdue_since").min().alias("began"))
    again = frame.join(first, on="uscc").filter(pl.col("disbursed_on") > pl.col("began"))
    assert again.height == 0


def test_incidents_are_counted_anew_and_concluded(small: Path) -> None:
    """A hurt person who dies moves from one count to the other; who is responsible is known with the conclusion only."""
    frame = _records(small, "safety_incidents").sort("incident_no", "received_on")
    assert (frame["is_responsible"].is_null() == frame["concluded_on"].is_null()).all()
    people = frame.group_by("incident_no").agg((pl.col("deaths") + pl.col("serious_injuries")).n_unique().alias("sums"))
    assert (people["sums"] == 1).all()
    assert (
        frame.group_by("incident_no", maintain_order=True).agg(pl.col("deaths").diff().min())["deaths"].fill_null(0)
        >= 0
    ).all()
    least = {"ordinary": (0, 2), "larger": (3, 9), "major": (10, 29)}
    for severity, deaths in frame.select("severity", "deaths").iter_rows():
        assert least[severity][0] <= deaths <= least[severity][1]


def test_a_raised_capital_stands_in_the_register_from_the_same_day(small: Path) -> None:
    """The register shows the capital before the change, then the capital after it, until the enterprise closes."""
    raised = _records(small, "enterprise_changes").filter(pl.col("change_item") == "capital")
    register = _records(small, "enterprises")
    assert raised.height > 20
    assert raised["uscc"].is_unique().all()
    for uscc, before, after, day in raised.select("uscc", "capital_before", "capital_after", "received_on").iter_rows():
        shown = register.filter(pl.col("uscc") == uscc)
        assert set(shown.filter(pl.col("received_on") < day)["registered_capital"]) == {before}
        assert set(shown.filter(pl.col("received_on") >= day)["registered_capital"]) == {after}


def test_penalties_go_through_duty_commitment_and_repair_in_order(small: Path) -> None:
    """Decision, publication, fulfilment, commitment and repair follow one another, with the waiting time of the field."""
    frame = _records(small, "penalties")
    repaired = frame.filter(pl.col("repaired_on").is_not_null())
    assert repaired.height > 10
    assert (repaired["commitment_on"] < repaired["repaired_on"]).all()
    assert (repaired["duty_fulfilled_on"] <= repaired["commitment_on"]).all()
    waited = (repaired["commitment_on"] - repaired["decided_on"]).dt.total_days()
    is_long = repaired["domain"].is_in(["food", "drug", "special_equipment", "work_safety", "fire"])
    assert (waited >= 92).all()
    assert (waited.filter(is_long) >= 365).all()
    warned = frame.filter(pl.col("kinds") == "warning")
    assert warned["published_on"].is_null().all()
    assert (warned["fine"] == "0.0000").all()
    assert frame.filter(pl.col("kinds") != "warning")["published_on"].is_not_null().all()


def test_credit_codes_are_valid_distinct_and_nobodys() -> None:
    """An independent validator accepts every code; the division 000000 does not exist, so no code is an enterprise's."""
    codes = [str(code) for code in credit_codes(4000, seed=3)]
    assert len(set(codes)) == 4000
    weights = (3, 7, 9, 10, 5, 8, 4, 2)
    for code in codes:
        assert stdnum.cn.uscc.is_valid(code)
        assert code[2:8] == "000000"
        check = 11 - sum(int(c, 36) * w for c, w in zip(code[8:16], weights, strict=True)) % 11
        assert code[16] == {10: "X", 11: "0"}.get(check, str(check))


def test_more_codes_than_there_are_is_refused() -> None:
    """Distinctness is never given up silently."""
    with pytest.raises(UsageError) as caught:
        credit_codes(SPACE + 1, seed=0)
    assert caught.value.code == "CT-CITY-001"


def test_every_subject_is_registered_before_its_first_record(small: Path) -> None:
    """Records speak of enterprises that the authority already knows."""
    register = _records(small, "enterprises").group_by("uscc").agg(pl.col("received_on").min().alias("known_on"))
    assert register.height == 3000
    for table in {name for name, spec in _specs().items() if spec.key} - {"enterprises"}:
        joined = _records(small, table).join(register, on="uscc", how="left")
        assert (joined["known_on"] <= joined["received_on"]).all(), table


def test_industry_and_district_are_real_codes(small: Path) -> None:
    """Divisions lie in the range of their section; districts are Suzhou's."""
    frame = _records(small, "enterprises")
    for section, divisions in frame.group_by("industry_section").agg("industry_division").iter_rows():
        owners = {[name for name, start in SECTION_STARTS if start <= int(division)][-1] for division in divisions}
        assert owners == {section}
    assert set(frame["district"]) == {
        *("320505", "320506", "320507", "320508", "320509", "320571", "320581", "320582", "320583", "320585"),
    }
    assert frame["industry_section"].n_unique() >= 15


def test_visits_are_made_on_working_days_and_say_what_caused_them(small: Path) -> None:
    """Only random visits carry a draw and a probability, and all of them do."""
    frame = _records(small, "inspections")
    assert (frame["inspected_on"].dt.weekday() <= 5).all()
    is_random = frame["trigger"] == "random"
    assert is_random.sum() > 100
    assert (frame["draw_id"].is_not_null() == is_random).all()
    assert (frame["inclusion_probability"].is_not_null() == is_random).all()
    drawn = frame.filter(is_random)
    assert (drawn["draw_id"] == "SZ" + drawn["inspected_on"].dt.strftime("%Y%m")).all()
    assert drawn["inclusion_probability"].is_between(0, 1, closed="right").all()
    assert set(frame["trigger"]) == {"random", "complaint", "campaign", "reinspection"}
    found = frame["result"].is_in(["no_problem", "no_activity"])
    assert (found != frame["problem_found"]).all()


def test_nobody_has_a_name(small: Path) -> None:
    """No column can hold a person's or an enterprise's name: texts are codes, record numbers and public bodies."""
    for name, spec in _specs().items():
        for column, declared in spec.columns.items():
            if declared.type != "text":
                continue
            assert column in {
                *RECORD_NUMBERS.values(),
                *MOVING.values(),
                "licence_no",
                "record_no",
                "authority",
                "court",
                "lender",
                "kinds",
                "draw_id",
                "inspector_no",
                "item_no",
                "item_name",
                "legal_text",
                "notice",
            }
            if column in {"authority", "court", "lender"}:
                assert all(
                    text.endswith(("局", "大队", "委员会", "人民法院", "支行"))
                    for text in _records(small, name)[column].unique()
                )


def test_wrong_arguments_are_all_told_at_once(tmp_path: Path) -> None:
    """A person corrects all arguments in one go."""
    with pytest.raises(UsageError) as caught:
        generate(tmp_path / "x", enterprises=3, seed=-1, first=date(2021, 1, 2), cutoff=date(2020, 1, 1))
    assert [fault.where for fault in caught.value.faults] == ["enterprises", "seed", "first, cutoff", "first, cutoff"]
    assert not (tmp_path / "x").exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    """A city never overwrites."""
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "mine.txt").write_text("keep", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        generate(tmp_path / "x", enterprises=100, seed=1)
    assert caught.value.code == "CT-CITY-003"
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["mine.txt"]


def test_a_run_that_dies_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder appears whole or not at all."""

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(city_module, "truth_tables", full_disk)
    with pytest.raises(OSError, match="No space"):
        generate(tmp_path / "x", enterprises=100, seed=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("first", "cutoff"), [(date(2024, 1, 1), date(2024, 2, 1)), (date(2018, 7, 1), date(2019, 4, 1))]
)
def test_short_and_early_periods_work(tmp_path: Path, first: date, cutoff: date) -> None:
    """A period may be one month long or lie elsewhere; empty tables keep their columns."""
    summary = generate(tmp_path / "x", enterprises=60, seed=2, first=first, cutoff=cutoff)
    assert summary.rows["enterprises"] >= 60
    for name, spec in _specs().items():
        assert _records(tmp_path / "x", name).columns == list(spec.columns)


def test_command_prints_one_json_object_with_the_digest(tmp_path: Path) -> None:
    """The command and the function write the same city."""
    app = typer.Typer()
    app.command("city")(city_command)
    wanted = generate(tmp_path / "a", enterprises=200, seed=9)
    result = CliRunner().invoke(app, [str(tmp_path / "b"), "--enterprises", "200", "--seed", "9", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == wanted.to_json()
    people = CliRunner().invoke(app, [str(tmp_path / "c"), "--enterprises", "200", "--seed", "9", "--format", "csv"])
    assert people.exit_code == 0
    assert "合成城市" in people.stdout
    assert (tmp_path / "c" / "records" / "penalties.csv").is_file()
