"""Scripts of the examples, run as `make` runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def run() -> Callable[[str, Path, Path, Path], subprocess.CompletedProcess[str]]:
    """Run an example's script on data, with this interpreter's `credit-tier` and `python`, in a folder of its own."""

    def started(example: str, folder: Path, data: Path, out: Path) -> subprocess.CompletedProcess[str]:
        programs = folder / "bin"
        programs.mkdir()
        for name, words in {"credit-tier": "-c 'from credit_tier.cli.main import run; run()'", "python": ""}.items():
            (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n', "utf-8")
            (programs / name).chmod(0o755)
        given = {"BIN": str(programs), "DATA": str(data), "OUT": str(out), "THREADS": "1", "DO_NOT_TRACK": "true"}
        return subprocess.run(
            ["/bin/sh", str(ROOT / "examples" / example / "run.sh")],
            cwd=folder,
            env={**os.environ, **given, "MLFLOW_DISABLE_TELEMETRY": "true"},
            capture_output=True,
            text=True,
            check=False,
        )

    return started


@pytest.fixture(scope="session")
def refuses(run) -> Callable[[str, str, Path], None]:
    """Assert that an example's script refuses a folder without its data, and an output that is there, before anything is computed."""

    def asserted(example: str, file: str, folder: Path) -> None:
        (folder / "out").mkdir()
        absent = run(example, folder, folder / "nowhere", folder / "fresh")
        assert (absent.returncode, "give DATA=folder" in absent.stderr) == (4, True)
        assert not (folder / "fresh").exists()
        (folder / file).touch()
        (folder / "again").mkdir()
        used = run(example, folder / "again", folder, folder / "out")
        assert (used.returncode, "remove it" in used.stderr) == (2, True)

    return asserted
