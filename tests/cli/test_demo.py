"""The demo: the whole loop from the command line, as a user meets it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import polars as pl

SCRIPT = [sys.executable, "-c", "from credit_tier.cli.main import run; run()"]


def test_the_demo_leaves_everything_it_promises(played: tuple[Path, dict]) -> None:
    """Lake, store, scores, draw, worklist and page; the draw is verified."""
    out, told = played
    for name in (
        "lake/manifest.json",
        "mlflow/mlflow.db",
        "scores/scores.parquet",
        "draw/record.json",
        "draw/public.json",
        "repair_worklist.csv",
        "validation.html",
        "training.html",
        "index.html",
    ):
        assert (out / name).is_file(), name
    assert told["columns"]["alias"] > 150
    assert told["validation"] == "warn"
    planted = pl.read_parquet(out / "city" / "truth" / "dirty.parquet")
    assert told["quarantined"] == (planted["rule"] != "").sum() > 500
    assert told["draw"]["verified"] is True
    assert told["draw"]["visits"] > 0
    assert len(told["next"]) == 3


def test_the_draw_verifies_in_a_process_without_our_libraries(played: tuple[Path, dict]) -> None:
    """The verifier needs the standard library only (-S leaves site-packages out)."""
    out, _ = played
    source = Path(__file__).resolve().parents[2] / "src"
    done = subprocess.run(
        [sys.executable, "-S", "-m", "credit_tier.sampling.verify", str(out / "draw")],
        capture_output=True,
        text=True,
        check=False,
        cwd=source,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_reaches_nowhere_and_is_small(played: tuple[Path, dict]) -> None:
    """No address outside the page, under 1 MB."""
    text = (played[0] / "index.html").read_text("utf-8")
    assert not re.findall(r"(?:src|href)=", text)
    assert len(text) < 1_000_000
    for word in ("信用风险分类", "双随机抽取", "信用修复", "校准"):
        assert word in text


def test_the_public_file_shows_no_class_score_or_code(played: tuple[Path, dict]) -> None:
    """What is published names no enterprise's class, and no enterprise."""
    out, _ = played
    public = (out / "draw" / "public.json").read_text("utf-8")
    assert "risk_class" not in public
    assert "91000000" not in public


def test_a_folder_in_use_is_refused(played: tuple[Path, dict]) -> None:
    """Nothing is overwritten."""
    done = subprocess.run([*SCRIPT, "demo", str(played[0])], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "CT-CLI-002" in done.stderr


def test_profile_and_score_commands_work_on_the_demo(played: tuple[Path, dict], tmp_path: Path) -> None:
    """The commands the demo suggests do what they say; scoring again gives the same scores."""
    out, told = played
    code = told["next"][0].split()[-1]
    shown = subprocess.run(
        [*SCRIPT, "profile", str(out / "scores"), code, "--json"], capture_output=True, text=True, check=True
    )
    assert json.loads(shown.stdout)["risk_class"] == "D"
    scored = subprocess.run(
        [
            *SCRIPT,
            "score",
            str(out / "lake"),
            "--store",
            str(out / "mlflow"),
            "--as-of",
            "2026-01-01",
            "--out",
            str(tmp_path / "s"),
            "--json",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(scored.stdout)["digests"] == told["scores"]["digests"]
    nobody = subprocess.run(
        [*SCRIPT, "score", str(out / "lake"), "--as-of", "2026-01-01", "--out", str(tmp_path / "n")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert nobody.returncode == 2


README = Path(__file__).resolve().parents[2] / "README.md"


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", README.read_text("utf-8"), re.DOTALL)


def test_every_command_and_snippet_of_the_readme_runs(played: tuple[Path, dict], tmp_path: Path) -> None:
    """A newcomer can copy the README line by line; only the enterprise's code is that of this city."""
    out, told = played
    code = told["next"][0].split()[-1]
    (tmp_path / "demo-output").symlink_to(out)
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, body in {"credit-tier": "-c 'from credit_tier.cli.main import run; run()'", "python": ""}.items():
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} {body} "$@"\n', "utf-8")
        script.chmod(0o755)
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) > 15
    for line in lines:
        command = re.sub("91000000MA[0-9A-Z]{8}", code, line)
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=tmp_path,
            env={"PATH": f"{folder}:/usr/bin:/bin", "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    program = "\n".join(blocks("python"))
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("True")
