"""`credit-tier draw` from a table of classes to a verified draw."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from credit_tier.cli.draw import app
from credit_tier.errors import CreditTierError

runner = CliRunner()


def call(*arguments: object) -> Result:
    return runner.invoke(app, [str(item) for item in arguments])


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    """Return a table of 200 classified enterprises."""
    path = tmp_path / "scores.csv"
    rows = [f"E{i:04d},{'AAAAAABBCD'[i % 10]},{320505 + i % 3},0.{i}" for i in range(200)]
    path.write_text("code,risk_class,district,probability\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_the_whole_way(tmp_path, scores):
    """Plan, commit, run, verify and proof end with 0 and name files and next steps in both languages."""
    folder = tmp_path / "draw"
    planned = call("plan", scores, "--out", folder, "--period", "2026-12")
    assert planned.exit_code == 0, planned.output
    assert "期望检查 expected visits" in planned.output
    assert "rates not checked" in planned.output
    committed = call("commit", folder)
    assert committed.exit_code == 0
    assert "承诺值 commitment" in committed.output
    drawn = call("run", folder, "--beacon", "2026150 01 02 03 04 05 06 07")
    assert drawn.exit_code == 0
    assert "抽中 drawn" in drawn.output
    assert call("verify", folder).exit_code == 0
    assert call("verify", folder / "public.json").exit_code == 0
    assert call("proof", folder, "E0007", "--out", tmp_path / "proof.json").exit_code == 0
    assert call("verify", tmp_path / "proof.json", "--public", folder / "public.json").exit_code == 0
    assert json.loads(call("proof", folder, "E0007").output)["row"]["code"] == "E0007"


def test_json_is_one_object_and_a_given_secret_repeats_the_draw(tmp_path, scores):
    """With --json standard output is one object; the same table as Parquet, secret and beacon give the same record digest."""
    import polars as pl

    pl.read_csv(scores, schema_overrides={"district": pl.Int64}).sample(fraction=1, shuffle=True, seed=3).write_parquet(
        tmp_path / "scores.parquet"
    )
    digests = []
    for name in ("scores.csv", "scores.parquet"):
        folder = tmp_path / name.replace(".", "_")
        planned = json.loads(call("plan", tmp_path / name, "--out", folder, "--json").stdout)
        assert planned["units"] == 200
        assert planned["unverified"] == ["market"]
        assert {item["binding"] for item in planned["strata"]} <= {"rate", "floor"}
        json.loads(call("commit", folder, "--secret", "ab" * 32, "--json").stdout)
        digests.append(json.loads(call("run", folder, "--beacon", "x", "--json").stdout)["record_digest"])
        assert json.loads(call("verify", folder, "--json").stdout)["holds"] is True
    assert digests[0] == digests[1]


def test_order_is_enforced_with_exit_3(tmp_path, scores):
    """Running before the commitment, committing twice and drawing twice are refused by policy."""
    folder = tmp_path / "draw"
    call("plan", scores, "--out", folder)
    codes = []
    for arguments in (
        ("run", folder, "--beacon", "x"),
        ("commit", folder),
        ("commit", folder),
        ("run", folder, "--beacon", "x"),
        ("run", folder, "--beacon", "y"),
    ):
        error = call(*arguments).exception
        codes.append((error.code, error.exit_code) if isinstance(error, CreditTierError) else None)
    assert codes == [("CT-DRAW-010", 3), None, ("CT-DRAW-011", 3), None, ("CT-DRAW-012", 3)]


def test_a_tampered_folder_ends_with_5(tmp_path, scores):
    """The command passes on the verifier's exit code."""
    folder = tmp_path / "draw"
    call("plan", scores, "--out", folder)
    call("commit", folder)
    call("run", folder, "--beacon", "x")
    frame = folder / "frame.jsonl"
    frame.write_bytes(frame.read_bytes().replace(b'"A"', b'"B"', 1))
    result = call("verify", folder)
    assert result.exit_code == 5
    assert "✗ frame" in result.output
    assert call("verify", tmp_path / "none").exit_code == 2


@pytest.mark.parametrize("name", ["none.csv", "scores.txt", "empty.csv", "rubbish.parquet"])
def test_a_table_that_cannot_be_read_is_named(tmp_path, name):
    """The file is named; its content is not echoed."""
    if name in {"empty.csv", "rubbish.parquet"}:
        (tmp_path / name).write_bytes(b"" if name == "empty.csv" else b"SECRETVALUE")
    error = call("plan", tmp_path / name, "--out", tmp_path / "d").exception
    assert isinstance(error, CreditTierError)
    assert error.code == "CT-DRAW-021"
    assert name in str(error)
    assert "SECRETVALUE" not in str(error)


def test_help_is_bilingual():
    """Every command says in Chinese and English what it does."""
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        assert " · " in (command.help or ""), name
