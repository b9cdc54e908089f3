"""`credit-tier draw assign`: from a finished draw and a roster, out of a lake or of CSV files, to teams and days."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from credit_tier.cli.draw import app
from credit_tier.content import Content
from credit_tier.errors import CreditTierError, DrawError, UsageError
from credit_tier.sampling.certificate import check

runner = CliRunner()
WINDOW = ("--from", "2026-01-05", "--to", "2026-02-13")
TABLES = ("enterprises", "inspectors", "recusals", "inspection_items", "calendar")

RULES = """
teams: small
title_zh: 小例
district_column: district
departments:
  - department: market
    items: [A1]
    seats: [{role: lead, lead: true}, {role: member}]
    reference: 测试
    verified: true
"""
CSV = {
    "inspectors.csv": "inspector,department,district,lead,qualifications,valid_from,valid_to,most_visits\n"
    + "".join(f"P{i},market,32050{5 + i % 3},{'true' if i < 4 else 'false'},food;tax,2025-01-01,,\n" for i in range(9)),
    "recusals.csv": "code,inspector,ended_on\nE0001,P1,\nE0002,P2,2025-06-01\n",
    "visits.csv": "code,inspector,visited_on\nE0003,P3,2025-03-01\nE0003,P4,2024-03-01\nE0003,P5,2026-03-01\n",
    "items.csv": "item,qualification\nA1,food\n",
    "days.csv": "day,working\n" + "".join(f"2026-01-{d:02d},true\n" for d in range(1, 32)),
}


def call(*arguments: object) -> Result:
    return runner.invoke(app, [str(item) for item in arguments])


def done(*arguments: object) -> Result:
    result = call(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def draw(folder: Path, scores: Path) -> Path:
    """Plan, commit and run the shipped round."""
    done("plan", scores, "--out", folder)
    done("commit", folder, "--secret", "ab" * 32)
    done("run", folder, "--beacon", "2026001 01 02 03 04 05 06 07")
    return folder


@pytest.fixture(scope="module")
def _round(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("round")
    rows = [f"E{i:04d},{'AAAAAABBCD'[i % 10]},{320505 + i % 3}" for i in range(200)]
    (place / "scores.csv").write_text("code,risk_class,district\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return draw(place / "draw", place / "scores.csv")


@pytest.fixture
def small(_round: Path, tmp_path: Path) -> Path:
    """Return a folder with a finished draw, rules and a roster in CSV files."""
    shutil.copytree(_round, tmp_path / "draw")
    shutil.copy(_round.parent / "scores.csv", tmp_path)
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    for name, text in CSV.items():
        (tmp_path / "roster").mkdir(exist_ok=True)
        (tmp_path / "roster" / name).write_text(text, encoding="utf-8")
    return tmp_path


def assign(place: Path, *more: object) -> Result:
    options = (
        "--roster",
        place / "roster",
        "--teams",
        place / "rules.yaml",
        "--from",
        "2026-01-05",
        "--to",
        "2026-01-30",
    )
    return call("assign", place / "draw", *(more or options))


def verdict(folder: Path) -> str | None:
    documents = [json.loads((folder / name).read_bytes()) for name in ("teams.json", "record.json")]
    return check(documents[0], (folder / "roster.jsonl").read_bytes(), documents[1])[1]


def test_from_csv_files_in_both_languages(small):
    """Exit 0, a table in both languages, files whose certificate holds; recusals that hold and last visits stand in the roster."""
    result = assign(small)
    assert result.exit_code == 0, (result.output, result.exception)
    for words in ("检查组 teams", "可派 eligible", "publish before the visits"):
        assert words in result.output
    assert verdict(small / "draw") is None
    rows = {
        row["inspector"]: row for row in map(json.loads, (small / "draw" / "roster.jsonl").read_text().splitlines())
    }
    assert rows["P1"]["recused"] == ["E0001"]
    assert rows["P2"]["recused"] == []
    assert [name for name, row in rows.items() if row["last"]] == ["P3"]
    again = json.loads(call("assign", small / "draw", "--roster", small / "roster", "--teams", small / "rules.yaml", "--from", "2026-01-05", "--to", "2026-01-30", "--solver", "ortools", "--json").stdout)  # fmt: skip
    assert again["visits"] == json.loads((small / "draw" / "teams_public.json").read_text())["visits"]


def test_nobody_goes_where_he_went_in_the_draw_before(small):
    """With --previous the teams of the earlier draw are last visits: nobody meets the same enterprise again."""
    assert assign(small).exit_code == 0
    before = json.loads((small / "draw" / "teams.json").read_bytes())
    met = {(v["code"], m) for v in before["visits"] for s in v["seats"] for m in s["team"]}
    folder = draw(small / "next", small / "scores.csv")
    options = (
        "--roster",
        small / "roster",
        "--teams",
        small / "rules.yaml",
        "--from",
        "2026-01-05",
        "--to",
        "2026-01-30",
    )
    done("assign", folder, *options, "--previous", small / "draw")
    document = json.loads((folder / "teams.json").read_bytes())
    now = {(v["code"], m) for v in document["visits"] for s in v["seats"] for m in s["team"]}
    assert {code for code, _ in met} & {code for code, _ in now}
    assert not met & now
    missing = call("assign", folder, *options, "--previous", small / "roster")
    assert isinstance(missing.exception, UsageError)
    assert missing.exception.code == "CT-DRAW-015"


def test_a_roster_of_files_reports_all_faults_at_once(small):
    """Missing columns, malformed dates and empty cells of several files come in one message, without any cell."""
    (small / "roster" / "recusals.csv").write_text("code\nE0001\n", encoding="utf-8")
    (small / "roster" / "visits.csv").write_text("code,inspector,visited_on\nE0003,P3,SECRET\n", encoding="utf-8")
    (small / "roster" / "items.csv").write_text("item,qualification\nA1,\n", encoding="utf-8")
    (small / "roster" / "days.csv").write_bytes("day,working\n日,true\n".encode("gb18030"))
    result = assign(small)
    assert isinstance(result.exception, UsageError)
    assert [fault.code for fault in result.exception.faults] == ["CT-DRAW-037"] * 4
    assert "SECRET" not in str(result.exception)
    shutil.rmtree(small / "roster")
    assert isinstance(assign(small).exception, UsageError)


def test_no_teams_is_explained(small):
    """With one leader who may make three visits the message says what is short and what suffices, names no code; the codes stand in blocked.json until teams are found."""
    text = CSV["inspectors.csv"].replace(
        "P0,market,320505,true,food;tax,2025-01-01,,", "P0,market,320505,true,food;tax,2025-01-01,,3"
    )
    for i in range(1, 4):
        text = text.replace(f"P{i},market,32050{5 + i % 3},true", f"P{i},market,32050{5 + i % 3},false")
    (small / "roster" / "inspectors.csv").write_text(text, encoding="utf-8")
    result = assign(small)
    assert isinstance(result.exception, DrawError)
    message = str(result.exception)
    assert result.exception.code == "CT-DRAW-032"
    assert "再指定组长 name another leader" in message
    assert "E0" not in message
    assert "P0" not in message
    assert not (small / "draw" / "teams.json").exists()
    (block,) = json.loads((small / "draw" / "blocked.json").read_bytes())["blocks"]
    assert block["needed"] == len(block["visits"]) > block["available"]
    assert block["eligible"] == ["P0"]
    (small / "roster" / "inspectors.csv").write_text(CSV["inspectors.csv"], encoding="utf-8")
    assert assign(small).exit_code == 0
    assert not (small / "draw" / "blocked.json").exists()


@pytest.mark.parametrize("more", [(), ("--roster", "a", "--lake", "b"), ("--lake", "b", "--teams", "rules.yaml")])
def test_one_source_of_the_roster(small, more, monkeypatch):
    """None, two, or a lake without declared columns: exit 2."""
    monkeypatch.chdir(small)
    exception = call("assign", small / "draw", *WINDOW, *more).exception
    assert isinstance(exception, CreditTierError)
    assert (exception.code, exception.exit_code) == ("CT-DRAW-039", 2)


def test_from_the_tables_of_a_synthetic_city(tmp_path):
    """The shipped rules read the city's inspectors, recusals, items and calendar: teams of the same district, no visit on a holiday."""
    import polars as pl

    from credit_tier.data.city import generate
    from credit_tier.data.ingest import ingest

    generate(tmp_path / "city", enterprises=400, seed=7, first=date(2024, 1, 1), cutoff=date(2026, 1, 1))
    (tmp_path / "delivery").mkdir()
    for name in TABLES:
        (source,) = (tmp_path / "city" / "records").glob(f"{name}.*")
        shutil.copy(source, tmp_path / "delivery")
    ingest(tmp_path / "lake", tmp_path / "delivery", Content.shipped())
    register = pl.read_parquet(tmp_path / "delivery" / "enterprises.parquet").unique("uscc", keep="last").sort("uscc")
    scores = register.select(
        pl.col("uscc").alias("code"),
        pl.Series("risk_class", ["ABCD"[min(3, i % 23)] if i % 23 < 4 else "A" for i in range(len(register))]),
        "district",
    )
    scores.write_parquet(tmp_path / "scores.parquet")
    folder = draw(tmp_path / "draw", tmp_path / "scores.parquet")
    result = done("assign", folder, "--lake", tmp_path / "lake", *WINDOW, "--json")
    assert json.loads(result.stdout)["unverified"] == ["market"]
    assert verdict(folder) is None
    document = json.loads((folder / "teams.json").read_bytes())
    rows = {row["inspector"]: row for row in map(json.loads, (folder / "roster.jsonl").read_text("utf-8").splitlines())}
    assert document["days_known"]
    assert "2026-01-10" not in document["days"]
    for visit in document["visits"]:
        for seat in visit["seats"]:
            for who in (rows[name] for name in seat["team"]):
                assert who["department"] == "market_regulation"
                assert who["post"] in {visit["area"], "320500"}
                assert "registration" in who["qualified"]
    assert sum(len(row["recused"]) for row in rows.values()) > 0
