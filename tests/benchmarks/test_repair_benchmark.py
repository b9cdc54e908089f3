"""The repair benchmark runs on a small city; its short and its full answers agree, or it stops."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_small_city_is_assessed() -> None:
    """Sizes, seconds and the ratio to the full answer are printed; every record of the lake is counted."""
    command = [sys.executable, "-m", "benchmarks.repair", "--enterprises", "600", "--records", "900"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    city, one = done.stdout.splitlines()
    assert "900 adverse records of 600 enterprises" in city
    assert float(re.search(r"([0-9.]+) times less than the full answer", one).group(1)) > 1
    assert int(re.search(r"([0-9,]+) on the worklist", city).group(1)) > 50
