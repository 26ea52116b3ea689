"""The real client in a container, for machines without Python 2.7: an image of Debian 11 with hammr, built from packages. No registry of images."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from emulator.lab.engine import docker_engine
from emulator.lab.image import ensure_image
from emulator.lab.system import LabSystem, parse
from scanner.host.mirrors import Mirrors
from scanner.host.run import run
from scanner.progress import Progress

FOLDER = Path(__file__).parent / "hammr-client"
TOOLS = ("pip==20.3.4", "setuptools==44.1.1", "wheel==0.37.1")
"""The last that run on Python 2.7; Debian's own pip for it does not."""
INSIDE = "/tmp/build"
"""Where the files that pip's settings name are in the new root."""
FILES = ("cert", "client-cert")
LISTS = ("find-links", "trusted-host", "extra-index-url")
TAKEN = ("index-url", "no-index", "proxy", "timeout", *FILES, *LISTS)
"""Of pip's settings, what says where packages come from."""


def recipe() -> LabSystem:
    """The image `hammr`, as a system of the lab that is never put up."""
    found = parse(FOLDER, tomllib.loads((FOLDER / "system.toml").read_text(encoding="utf-8")))
    return LabSystem(**{**vars(found), "name": "hammr"})


def client_image(mirrors: Mirrors, work: Path, progress: Progress) -> str:
    """The image's tag; it is built when it is not there. hammr comes from where this machine's pip gets packages.

    Raises `Unreachable` (no engine), `MissingTool`, `CommandFailed` (mmdebstrap, pip), `StepFailed`.
    """
    with docker_engine() as engine, tempfile.TemporaryDirectory(prefix="client-", dir=work) as folder:
        said = run([sys.executable, "-m", "pip", "config", "list"]).stdout.decode()
        environment = inside(settings(said), Path(folder))
        progress.stage("tools", "fetching pip for Python 2.7")
        run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", f"{folder}/tools", *TOOLS])
        return ensure_image(engine, recipe(), mirrors, work, progress, {**environment, "FORGELET_LAB_FILES": folder})


def settings(said: str) -> dict[str, str]:
    """`pip config list` as its settings by name, those of the environment before those of files."""
    found: dict[str, str] = {}
    for line in said.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.partition(".")
        if name in TAKEN and (name not in found or section == ":env:"):
            found[name] = value.strip().strip("'\"").replace("\\n", "\n").strip()
    return found


def inside(found: Mapping[str, str], files: Path) -> dict[str, str]:
    """The settings as environment variables that hold in the new root; what they name on this machine is copied into `files`."""
    told = {}
    for name, value in found.items():
        words = value.split() if name in LISTS else [value]
        moved = [_moved(word, files, f"{name}-{number}") if name in FILES or name == "find-links" else word for number, word in enumerate(words)]
        if any(moved):
            told[f"PIP_{name.upper().replace('-', '_')}"] = " ".join(word for word in moved if word)
    return told


def _moved(word: str, files: Path, name: str) -> str:
    """Where it is inside; an address stays what it is, and what is not there is left out."""
    parts = urlsplit(word)
    if parts.scheme not in ("", "file"):
        return word
    path = Path(unquote(parts.path)).expanduser()
    if path.is_dir():
        (files / name).mkdir()
        for file in path.iterdir():
            if file.is_file() and any(_project(file.name).startswith(f"{one}-") for one in _projects()):
                shutil.copy(file, files / name)
    elif path.is_file():
        shutil.copy(path, files / name)
    else:
        return ""
    return f"{INSIDE}/{name}"


def _projects() -> set[str]:
    lines = (FOLDER / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return {_project(line.partition("==")[0]) for line in lines if "==" in line}


def _project(name: str) -> str:
    """A project's name, as it is compared (PEP 503); `-` is where a file's name ends."""
    return re.sub(r"[-_.]+", "-", name).lower()
