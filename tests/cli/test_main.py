"""The command line as a whole: quick help, exit codes, one JSON object, no traceback, no row value."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = [sys.executable, "-c", "from credit_tier.cli.main import run; run()"]


def call(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SCRIPT, *words], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


def test_help_answers_in_half_a_second_after_the_first_call() -> None:
    """No heavy library is imported on the way to --help: half a second of processor time, however busy the machine is."""
    call("--help")
    seconds = []
    for _ in range(3):
        before = os.times()
        assert call("--help").returncode == 0
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(seconds) < 0.5


@pytest.mark.parametrize("heavy", ["pandas", "polars", "lightgbm", "sklearn", "mlflow", "pandera", "scipy", "numpy"])
def test_help_imports_no_heavy_library(heavy: str) -> None:
    """The reason behind the half second, library by library."""
    code = f"import sys\nimport credit_tier.cli.main\nsys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_wrong_use_is_exit_2_and_a_missing_lake_exit_4(tmp_path: Path) -> None:
    """Exit codes tell a script what happened."""
    assert call("nonsense").returncode == 2
    assert call("lake", "show", str(tmp_path / "none")).returncode == 4
    assert call("features", "explain", "no_such_feature").returncode == 2


def test_json_is_one_object_even_for_an_error(tmp_path: Path) -> None:
    """With --json nothing but one JSON object is on standard output."""
    done = call("lake", "show", str(tmp_path / "none"), "--json")
    found = json.loads(done.stdout)
    assert found["error"][0]["code"].startswith("CT-LAKE-")
    assert "Traceback" not in done.stderr
    listed = call("features", "list", "--json")
    assert len(json.loads(listed.stdout)["features"]) > 30


def test_a_defect_shows_a_place_and_no_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unforeseen exception names file and line, not its text, which may hold a row value."""
    from credit_tier.cli import main

    def broken() -> None:
        raise ValueError("91320500MA0000007J")

    monkeypatch.setattr(main, "app", broken)
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert ended.value.code == 4
    told = capsys.readouterr().err
    assert "test_main.py" in told
    assert "91320500" not in told


def test_every_command_has_help_in_chinese_and_english() -> None:
    """Chinese first, English beside it."""
    import typer

    from credit_tier.cli.main import app

    root = typer.main.get_command(app)

    def walk(command, path):
        text = command.help or ""
        assert any("一" <= c <= "鿿" for c in text), path
        assert any(c.isascii() and c.isalpha() for c in text), path
        for name, child in getattr(command, "commands", {}).items():
            walk(child, f"{path} {name}")

    walk(root, "credit-tier")
