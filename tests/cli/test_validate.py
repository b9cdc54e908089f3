"""`credit-tier validate` as a process: exit codes by severity, one JSON object, a page, and no value of a row anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from credit_tier.types import uscc_check_character

FIRMS = """\
table: firms
title_zh: 主体名录
kind: entity
key: uscc
record_id: {column: uscc}
known_at: {column: received_on}
source: 测试
legal_basis: 测试
cadence: 每月
cadence_days: 40
columns:
  uscc: {type: uscc, title_zh: 统一社会信用代码}
  opened_on: {type: date, title_zh: 成立日期}
  closed_on: {type: date, title_zh: 注销日期, nullable: true}
  received_on: {type: date, title_zh: 入库日期}
checks:
  - {id: closed_after_opened, title_zh: 注销不早于成立, title_en: Closed after opening, not_before: [closed_on, opened_on], severity: fail}
"""


def code(number: int) -> str:
    body = f"91320500MA{number:07d}"
    return body + uscc_check_character(body)


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CREDIT_TIER_CONTENT": str(home / "content")}
    return subprocess.run(
        [sys.executable, "-c", "from credit_tier.cli.main import run; run()", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=120,
        env=environment,
        cwd=home,
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "content/data_schemas").mkdir(parents=True)
    (tmp_path / "content/content.yaml").write_text("title_zh: 测试\ninherits: []\n", encoding="utf-8")
    (tmp_path / "content/data_schemas/firms.yaml").write_text(FIRMS, encoding="utf-8")
    return tmp_path


def lake(home: Path, *rows: str) -> None:
    (home / "delivery").mkdir()
    good = [f"{code(n)},2020-01-01,,2024-01-0{n + 1}" for n in range(4)]
    lines = ["uscc,opened_on,closed_on,received_on", *good, *rows]
    (home / "delivery/firms.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = run(home, "ingest", "delivery", "lake", "--json")
    assert done.returncode in {0, 1}, done.stderr


def test_a_sound_lake_ends_with_zero_in_all_three_forms(home: Path) -> None:
    """Text, JSON and page agree; standard output carries one object and nothing else."""
    lake(home)
    told = run(home, "validate", "lake")
    assert told.returncode == 0, told.stderr
    assert "Pass: all 2 rules hold." in told.stdout
    done = run(home, "validate", "lake", "--json", "--report", "out/report.html")
    result = json.loads(done.stdout)
    assert (done.returncode, result["verdict"], result["as_of"]) == (0, "pass", "2024-01-05")
    assert result["report"] == "out/report.html"
    assert {item["rule"]: item["outcome"] for item in result["rules"]} == {
        "firms.contract": "pass",
        "firms.freshness": "pass",
        "firms.one_subject": "untested",
        "firms.closed_after_opened": "untested",
    }
    html = (home / "out/report.html").read_text("utf-8")
    assert result["sentence_zh"] in html
    assert result["lake_digest"] in html
    assert "src=" not in html


def test_warnings_end_with_one_unless_allowed(home: Path) -> None:
    """A quarantined row warns; the office decides whether that stops a pipeline."""
    lake(home, f"{code(7)},2020-13-01,,2024-01-09")
    done = run(home, "validate", "lake", "--json")
    result = json.loads(done.stdout)
    assert (done.returncode, result["verdict"]) == (1, "warn")
    assert result["tables"]["firms"]["quarantine"] == {"rows": 1, "rules": {"firms.opened_on.impossible_date": 1}}
    assert run(home, "validate", "lake", "--allow-warnings").returncode == 0


def test_failures_end_with_one_and_no_value_is_shown(home: Path) -> None:
    """An interval that runs backwards fails whatever is allowed; neither text nor page nor JSON holds the row."""
    lake(home, f"{code(7)},2023-11-11,2022-12-12,2024-01-04", f"{code(8)},2023-02-31,,2024-01-04")
    told = run(home, "validate", "lake", "--allow-warnings", "--report", "report.html")
    assert told.returncode == 1
    assert "firms.closed_after_opened" in told.stdout
    assert "1 / 1" in told.stdout
    shown = (
        told.stdout
        + told.stderr
        + (home / "report.html").read_text("utf-8")
        + run(home, "validate", "lake", "--json").stdout
    )
    for value in (code(7), code(8), "2023-11-11", "2022-12-12", "2023-02-31"):
        assert value not in shown


def test_an_overdue_table_warns_at_a_later_date(home: Path) -> None:
    """Ages are measured to the date given, never to a clock."""
    lake(home)
    done = run(home, "validate", "lake", "--as-of", "2024-02-14", "--json")
    fresh = json.loads(done.stdout)["tables"]["firms"]["freshness"]
    assert (done.returncode, fresh["age_days"], fresh["is_fresh"]) == (1, 41, False)
    assert run(home, "validate", "lake", "--as-of", "2024-02-13").returncode == 0


def test_a_check_added_later_is_asked_with_the_contents_contract(home: Path) -> None:
    """`--content` asks the contracts of today of a lake that was built before."""
    lake(home)
    added = FIRMS + "  - {id: opened_once, title_zh: 同日, not_before: [opened_on, received_on], severity: warn}\n"
    (home / "content/data_schemas/firms.yaml").write_text(added, encoding="utf-8")
    assert "firms.opened_once" not in run(home, "validate", "lake", "--json").stdout
    done = run(home, "validate", "lake", "--json", "--content", "content")
    rules = {item["rule"]: item for item in json.loads(done.stdout)["rules"]}
    assert (done.returncode, rules["firms.opened_once"]["failed"]) == (1, 4)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--as-of", "2019-01-01"), 2, "CT-DATA-120"),
        (("--as-of", "yesterday"), 2, "CT-TIME-001 --as-of"),
        (("--since", "2025-01-01"), 2, "CT-DATA-121"),
    ],
)
def test_dates_that_make_no_sense_are_wrong_use(
    home: Path, arguments: tuple[str, ...], status: int, words: str
) -> None:
    """Exit code 2 with what is wrong and what to do."""
    lake(home)
    done = run(home, "validate", "lake", *arguments)
    assert done.returncode == status
    assert words in done.stderr


def test_no_lake_is_a_matter_of_the_machine(home: Path) -> None:
    """Exit code 4, and the way to build one."""
    done = run(home, "validate", "nowhere")
    assert done.returncode == 4
    assert "CT-LAKE-001" in done.stderr
