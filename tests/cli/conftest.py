"""One demo, played once for all tests of this folder that look at what it leaves."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from credit_tier.cli.main import run

SCRIPT = [sys.executable, "-c", "from credit_tier.cli.main import run; run()"]


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("demo") / "demo-output"
    done = subprocess.run(
        [*SCRIPT, "demo", str(out), "--enterprises", "6000", "--seed", "5", "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=out.parent,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in out.parent.iterdir()) == ["demo-output"], (
        "nothing is written beside the output folder"
    )
    return out, json.loads(done.stdout)


@pytest.fixture
def call() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line in this process, which need not start an interpreter and load its libraries for every command."""

    def called(*words: object) -> subprocess.CompletedProcess[str]:
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "argv", ["credit-tier", *map(str, words)])
            with pytest.raises(SystemExit) as ended:
                run()
        return subprocess.CompletedProcess(words, int(ended.value.code or 0), out.getvalue(), err.getvalue())

    return called


@pytest.fixture
def told(call: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., dict]:
    """What a command that succeeds answers with `--json`."""

    def answered(*words: object) -> dict:
        done = call(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return answered
