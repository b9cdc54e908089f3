"""One demo, played once for all tests of this folder that look at what it leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

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
