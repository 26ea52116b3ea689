"""A live system to practise on, as data: what `systems/<name>/system.toml` says, and where its build steps are."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scanner.errors import NotFound
from scanner.host.mirrors import Mirrors

SYSTEMS = Path(__file__).parent / "systems"


@dataclass(frozen=True)
class Process:
    """What an init would have started: run as `user`; it is up when `port` accepts connections inside the container."""

    argv: tuple[str, ...]
    user: str
    port: int


@dataclass(frozen=True)
class LabSystem:
    """The recipe of one live system. `folder` also holds `build.sh` and `live.sh` (what they are: system.toml)."""

    name: str
    folder: Path
    summary: str
    release: str
    variant: str
    packages: tuple[str, ...]
    command: tuple[str, ...]
    ports: tuple[int, ...]
    processes: tuple[Process, ...]

    @property
    def live_steps(self) -> str:
        """The script for the running container."""
        return (self.folder / "live.sh").read_text(encoding="utf-8")

    def digest(self, mirrors: Mirrors) -> str:
        """Twelve hex digits that change with every file of the recipe and with the mirrors written into the system."""
        total = hashlib.sha256(f"{mirrors.archive}\0{mirrors.security}\0".encode())
        for path in sorted(p for p in self.folder.rglob("*") if p.is_file()):
            content = path.read_bytes()
            total.update(f"{path.relative_to(self.folder)}\0{len(content)}\0".encode() + content)
        return total.hexdigest()[:12]


def system_names() -> list[str]:
    """Every live system that can be put up."""
    return sorted(path.parent.name for path in SYSTEMS.glob("*/system.toml"))


def find_system(name: str) -> LabSystem:
    """The recipe called `name`. Raises `NotFound`, naming those that there are."""
    if name not in system_names():
        raise NotFound(f"there is no live system '{name}'", hint=f"forgelet lab up {system_names()[0]}")
    folder = SYSTEMS / name
    return parse(folder, tomllib.loads((folder / "system.toml").read_text(encoding="utf-8")))


def parse(folder: Path, said: dict[str, Any]) -> LabSystem:
    """The recipe in `folder`, whose `system.toml` says `said`."""
    return LabSystem(
        name=folder.name,
        folder=folder,
        summary=said["summary"],
        release=said["release"],
        variant=said["variant"],
        packages=tuple(said["packages"]),
        command=tuple(said["command"]),
        ports=tuple(said["ports"]),
        processes=tuple(Process(tuple(p["argv"]), p["user"], p["port"]) for p in said["process"]),
    )
