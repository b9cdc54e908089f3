"""Deliveries and lakes from the command line: exit codes, Chinese and English side by side, one JSON object on request."""

from __future__ import annotations

import json
import os
import sqlite3
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
columns:
  uscc: {type: uscc, title_zh: 统一社会信用代码, aliases: [社会信用代码]}
  size: {type: code, title_zh: 规模, vocabulary: {s: 小, l: 大}, nullable: true}
  received_on: {type: date, title_zh: 入库日期}
"""


def code(number: int) -> str:
    body = f"91320500MA{number:07d}"
    return body + uscc_check_character(body)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "content/data_schemas").mkdir(parents=True)
    (tmp_path / "content/content.yaml").write_text("title_zh: 测试\ninherits: []\n", encoding="utf-8")
    (tmp_path / "content/data_schemas/firms.yaml").write_text(FIRMS, encoding="utf-8")
    (tmp_path / "delivery").mkdir()
    lines = ["社会信用代码,规模,入库日期,电话", *(f"{code(n)},s,2024-01-0{n + 1},1" for n in range(4))]
    (tmp_path / "delivery/firms.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = "import sys\nimport credit_tier.cli.main as main\nfrom credit_tier.cli import data\nmain.app = data.app\nmain.run()"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CREDIT_TIER_CONTENT": str(home / "content")}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=60,
        env=environment,
        cwd=home,
    )


def test_a_clean_delivery_ends_with_zero_and_is_shown(home: Path) -> None:
    """Ingest, look, verify: counts for people, one JSON object for programs."""
    done = run(home, "ingest", "delivery", "lake")
    assert done.returncode == 0, done.stderr
    assert "主体名录" not in done.stderr
    assert "合格 accepted" in done.stdout
    assert "未用的列 unused columns: firms.csv: 电话" in done.stdout
    again = run(home, "ingest", "delivery", "lake", "--json")
    report = json.loads(again.stdout)
    assert (again.returncode, report["clean"], report["changed"]) == (0, True, False)
    assert report["tables"][0]["rows_read"] == 4
    shown = json.loads(run(home, "lake", "show", "lake", "--json").stdout)
    assert (shown["enterprises"], shown["cutoff"], shown["register"]) == (4, "2024-01-04", "firms")
    assert "2024-01-04" in run(home, "lake", "show", "lake").stdout
    verified = run(home, "lake", "verify", "lake")
    assert verified.returncode == 0
    assert shown["digest"] in verified.stdout


def test_quarantined_rows_end_with_one_and_say_what_to_do(home: Path) -> None:
    """Findings are exit code 1; the reason stands there in both languages, the value does not."""
    wrong = code(7)[:-1] + ("0" if code(7)[-1] != "0" else "1")
    with (home / "delivery/firms.csv").open("a", encoding="utf-8") as stream:
        stream.write(f"{wrong},s,2024-02-30,1\n")
    (home / "delivery/other.csv").write_text("a\n1\n", encoding="utf-8")
    done = run(home, "ingest", "delivery", "lake")
    assert done.returncode == 1
    for words in (
        "firms.uscc.check_digit",
        "校验位错误",
        "compare with the licence",
        "firms.received_on.impossible_date",
        "lake/_quarantine/firms-",
        "files of no table: other.csv",
    ):
        assert words in done.stdout
    assert wrong not in done.stdout + done.stderr


def test_a_refused_file_ends_with_one(home: Path) -> None:
    """The fault of the file is told with its code; what was sound is in the lake."""
    (home / "delivery/firms-2.csv").write_text("规模\ns\n", encoding="utf-8")
    done = run(home, "ingest", "delivery", "lake")
    assert done.returncode == 1
    assert "CT-DATA-008 firms-2.csv: the required column firms.uscc" in done.stdout
    assert run(home, "lake", "verify", "lake").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("ingest", "nowhere", "lake"), 2, "CT-DATA-002"),
        (("ingest", "delivery", "lake", "--received-on", "soon"), 2, "CT-TIME-001"),
        (("ingest", "delivery", "content"), 4, "CT-LAKE-008"),
        (("lake", "show", "nowhere"), 4, "CT-LAKE-001"),
        (("lake", "verify", "nowhere"), 4, "CT-LAKE-001"),
        (("schemas", "show", "weather"), 2, "Tables are: firms"),
    ],
)
def test_wrong_use_is_told_from_trouble(home: Path, arguments: tuple[str, ...], status: int, words: str) -> None:
    """Exit code 2 for wrong use, 4 for the machine and the lake."""
    done = run(home, *arguments)
    assert done.returncode == status
    assert words in done.stderr


def test_a_flipped_byte_ends_with_five(home: Path) -> None:
    """Verification names the damaged file and ends with 5; a missing file likewise."""
    run(home, "ingest", "delivery", "lake")
    path = next((home / "lake/firms").iterdir())
    sound = path.read_bytes()
    path.write_bytes(sound[:50] + bytes([sound[50] ^ 255]) + sound[51:])
    done = run(home, "lake", "verify", "lake")
    assert done.returncode == 5
    assert f"firms/{path.name}" in done.stderr
    path.unlink()
    assert run(home, "lake", "verify", "lake").returncode == 5


def test_contracts_are_listed_and_explained(home: Path) -> None:
    """A department reads from the command which headers and values are taken."""
    assert "主体名录" in run(home, "schemas", "list").stdout
    shown = run(home, "schemas", "show", "firms").stdout
    for words in ("社会信用代码", "s=小", "必填 required", "received_on", "来源 source: 测试"):
        assert words in shown
    assert json.loads(run(home, "schemas", "show", "firms", "--json").stdout)["columns"]["size"]["vocabulary"] == {
        "s": "小",
        "l": "大",
    }


def test_the_mapping_of_headers_is_told(home: Path) -> None:
    """Which header became which column, on which line it stood and what was guessed, for people and for programs."""
    lines = ["名录表,,,", "*社会信用代码:,规 模,入库日期,电话", f"{code(5)},小,2024-02-01,13900000000"]
    (home / "delivery/firms.csv").write_text("\n".join(lines) + "\n", encoding="gb18030")
    done = run(home, "ingest", "delivery", "lake")
    assert done.returncode == 0, done.stderr
    assert "列对应 columns: firms.csv → firms · 第 2 行 line 2" in done.stdout
    for words in (("*社会信用代码:", "uscc", "推测 guessed"), ("规 模", "size", "名称 title")):
        assert any(all(word in line for word in words) for line in done.stdout.splitlines())
    file = json.loads(run(home, "ingest", "delivery", "lake", "--json").stdout)["tables"][0]["files"][0]
    assert (file["header_row"], file["sheet"], file["unmapped_columns"]) == (2, None, ["电话"])
    assert [(item["column"], item["header"], item["how"]) for item in file["columns"]] == [
        ("uscc", "*社会信用代码:", "guessed"),
        ("size", "规 模", "title"),
        ("received_on", "入库日期", "title"),
    ]
    assert "139000" not in done.stdout + done.stderr


def test_a_database_is_taken_in_by_its_address(home: Path) -> None:
    """A URL in place of the folder, and a name for a table; options that need a URL say so."""
    with sqlite3.connect(home / "city.db") as connection:
        connection.execute("CREATE TABLE 主体 (社会信用代码 TEXT, 电话 TEXT)")
        connection.executemany("INSERT INTO 主体 VALUES (?, '139')", [(code(n),) for n in range(3)])
    url = f"sqlite:///{home / 'city.db'}"
    done = run(home, "ingest", url, "lake", "--table", "firms=主体", "--received-on", "2024-03-01", "--json")
    assert done.returncode == 0, done.stderr
    (table,) = json.loads(done.stdout)["tables"]
    assert (table["accepted"], table["files"][0]["name"], table["known_last"]) == (3, "主体 (SQL)", "2024-03-01")
    for arguments in (("delivery", "lake", "--schema", "s"), (url, "lake", "--table", "firms")):
        wrong = run(home, "ingest", *arguments)
        assert wrong.returncode == 2
        assert "CT-DATA-024" in wrong.stderr
