"""The wheel holds exactly the tracked content, works far from the checkout, and verifies a draw without any dependency."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("data_schemas", "models", "pipelines", "rule_packs")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)],
        check=True,
        capture_output=True,
    )
    return next(out.glob("*.whl"))


def test_the_wheel_ships_the_content_rooms_and_nothing_ignored(wheel: Path) -> None:
    """Every YAML and Markdown file of the rooms, no other file."""
    inside = {
        name.removeprefix("credit_tier/_content/")
        for name in zipfile.ZipFile(wheel).namelist()
        if name.startswith("credit_tier/_content/")
    }
    wanted = {
        p.relative_to(ROOT).as_posix()
        for room in ROOMS
        for p in (ROOT / room).rglob("*")
        if p.suffix in {".yaml", ".md"}
    }
    assert inside == wanted
    assert len(inside) > 10


def test_templates_and_typing_marker_are_shipped(wheel: Path) -> None:
    """What the package reads beside its code comes along."""
    names = zipfile.ZipFile(wheel).namelist()
    assert "credit_tier/py.typed" in names
    assert "credit_tier/reports/templates/report.html.j2" in names


def test_an_installed_wheel_reads_its_own_content(wheel: Path, tmp_path: Path) -> None:
    """Beside a foreign models/ folder, and without the checkout, the shipped rooms are found."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    (tmp_path / "models").mkdir()
    code = "from credit_tier.content import Content; c = Content.resolve(); print(c.base); print(len(c.files('data_schemas')))"
    # The libraries come from this environment; the package itself only from the extracted wheel.
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); {code}"],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    base, count = done.stdout.splitlines()
    assert Path(base) == tmp_path / "site" / "credit_tier" / "_content"
    assert int(count) == len(list((ROOT / "data_schemas").glob("*.yaml")))


def test_a_draw_verifies_with_the_standard_library_alone(wheel: Path, tmp_path: Path, drawn_folder: Path) -> None:
    """A wheel installed with --no-deps checks a published draw; one changed byte is exit 5."""
    venv.create(tmp_path / "bare", with_pip=True)
    python = tmp_path / "bare" / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)],
        check=True,
        capture_output=True,
    )
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze"], check=True, capture_output=True, text=True
    ).stdout
    assert not any(line.startswith(("numpy", "pydantic", "PyYAML")) for line in listed.splitlines())
    good = subprocess.run(
        [python, "-m", "credit_tier.sampling.verify", str(drawn_folder)], capture_output=True, text=True, check=False
    )
    assert good.returncode == 0, good.stdout + good.stderr
    frame = drawn_folder / "frame.jsonl"
    frame.write_bytes(frame.read_bytes().replace(b'"A"', b'"B"', 1))
    bad = subprocess.run(
        [python, "-m", "credit_tier.sampling.verify", str(drawn_folder)], capture_output=True, text=True, check=False
    )
    assert bad.returncode == 5, bad.stdout + bad.stderr
    assert "frame" in bad.stdout + bad.stderr


@pytest.fixture
def drawn_folder(tmp_path: Path) -> Path:
    from credit_tier import draws

    units = [{"code": f"E{i:03d}", "risk_class": "AAAB"[i % 4], "district": "320506"} for i in range(200)]
    folder = tmp_path / "draw"
    draws.commit(draws.plan(units, draws.load_spec()), folder, secret="5a" * 32)
    draws.run(folder, beacon="test:1")
    return folder
