"""What is handed out: the source archive, the wheel made from it, and that wheel installed where nothing else is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.service import Service

TOP = Path(__file__).parents[3]
ROOMS = ("scanner", "builders", "emulator", "cli")


def said(*argv: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git knows, and nothing that an earlier build left."""
    place = tmp_path_factory.mktemp("sources")
    for name in said("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=TOP).split("\0"):
        if name and (TOP / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, place / name)
    return place


@pytest.fixture(scope="module")
def wheel(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source archive, as those who pack it anew do."""
    out = tmp_path_factory.mktemp("dist")
    said(sys.executable, "-m", "build", "--outdir", out, sources, cwd=out)
    assert len(list(out.glob("forgelet-*.tar.gz"))) == 1
    return next(out.glob("forgelet-*.whl"))


@dataclass
class Installed:
    """Forgelet in an environment of its own, without any extra."""

    folder: Path
    env: dict[str, str]

    def forgelet(self, *words: str, code: int = 0) -> str:
        done = subprocess.run([self.folder / "bin/forgelet", *words], cwd=self.folder, env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """With its service running."""
    folder = tmp_path_factory.mktemp("clean")
    said(sys.executable, "-m", "venv", folder, cwd=folder)
    said(folder / "bin/pip", "install", "-q", "--no-compile", "--disable-pip-version-check", wheel, cwd=folder)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("FORGELET_", "PYTHON"))}
    service = Service(folder / "data", command=[str(folder / "bin/forgelet")], env=env)
    try:
        yield Installed(folder, {**env, "FORGELET_URL": f"{service.origin}/api"})
    finally:
        service.close()


def test_the_wheel_has_every_file_of_the_rooms_with_its_rights(sources: Path, wheel: Path) -> None:
    files = [path for room in ROOMS for path in (sources / room).rglob("*") if path.is_file()]
    with zipfile.ZipFile(wheel) as archive:
        packed = {one.filename: one.external_attr >> 16 for one in archive.infolist()}
    assert {str(path.relative_to(sources)) for path in files} <= set(packed)
    runs = {str(path.relative_to(sources)) for path in files if path.stat().st_mode & 0o111}
    assert runs
    assert [name for name in sorted(runs) if not packed[name] & 0o111] == []


def test_it_scans_out_of_the_box(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "page").write_text("here")
    installed.forgelet("scan", "run", "--root", str(tmp_path / "tree"), "--name", "tree", "--overlay")
    group = json.loads(installed.forgelet("scan", "list", "-o", "json"))["scannedInstances"]["scannedInstance"][0]
    rows = installed.forgelet("scan", "files", "--id", str(group["scans"]["scan"][0]["dbId"]), "-o", "ndjson").splitlines()
    assert "/page" in [json.loads(row)["path"] for row in rows]


def test_pytest_finds_the_plugin_where_the_wheel_is_installed(installed: Installed, wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert "forgelet_pytest/__init__.py" in archive.namelist()
        [points] = [archive.read(name).decode() for name in archive.namelist() if name.endswith("entry_points.txt")]
    assert "[pytest11]\nforgelet = forgelet_pytest" in points
    said(installed.folder / "bin/pip", "install", "-q", "--disable-pip-version-check", "pytest", cwd=tmp_path)
    told = said(installed.folder / "bin/pytest", "--fixtures", "-p", "no:cacheprovider", cwd=tmp_path, env=installed.env)
    assert {"forgelet", "forgelet_client", "live_system"} <= {line.split(" ")[0] for line in told.splitlines()}
    (tmp_path / "test_it.py").write_text("def test_it(forgelet_client):\n    assert forgelet_client.get('/_forgelet/version').status_code == 200\n")
    said(installed.folder / "bin/pytest", "-q", "-p", "no:cacheprovider", "test_it.py", cwd=tmp_path, env=installed.env)


def test_what_an_extra_brings_says_which_one_where_it_lacks(installed: Installed) -> None:
    assert "pip install 'forgelet[docker]'" in installed.forgelet("scan", "run", "--docker", "web", "--name", "web", code=3)
    assert "pip install 'forgelet[libvirt]'" in installed.forgelet("scan", "run", "--libvirt", "web", "--name", "web", code=3)
    assert "pip install 'forgelet[docker]'" in installed.forgelet("lab", "up", "debian12-web", code=3)
    told = installed.forgelet("doctor", code=3)
    assert "pip install 'forgelet[docker]'" in told
    assert "pip install 'forgelet[libvirt]'" in told
