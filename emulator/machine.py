"""This machine, as the doctor asks about it: one Protocol, the real one, and a fake that answers what it was told."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from scanner.errors import StepFailed, Unreachable
from scanner.host.engines import docker_client, libvirt_connection
from scanner.host.run import available, run, text

SHORT = 5
"""Seconds that an engine may take to answer."""


class Machine(Protocol):
    """What the doctor wants to know. The questions that can fail raise a `ForgeletError` that says why."""

    def python(self) -> tuple[int, int]:
        """The version that runs Forgelet."""

    def rights(self) -> str:
        """How root's rights are had: `root` or `sudo`."""

    def program(self, name: str) -> bool:
        """Whether the program is on root's path."""

    def docker(self) -> str:
        """The version of the Docker engine that answers."""

    def libvirt(self) -> str:
        """The version of the libvirt daemon that answers."""

    def disk_image_create(self) -> str:
        """The version of diskimage-builder."""

    def loop(self) -> str:
        """A loop device that a file could be attached to (it is given back at once)."""

    def device(self, path: str) -> bool:
        """Whether the device node is there."""

    def free_gib(self, folder: Path) -> float:
        """Free space where `folder` is or would be made."""


class ThisMachine:
    """The machine that Forgelet runs on."""

    def python(self) -> tuple[int, int]:
        return sys.version_info[:2]

    def rights(self) -> str:
        if os.geteuid() == 0:
            return "root"
        if not available("sudo") or run(["sudo", "-n", "true"], check=False).returncode:
            raise Unreachable("not root, and sudo does not work without a password")
        return "sudo"

    def program(self, name: str) -> bool:
        return available(name)

    def docker(self) -> str:
        client = docker_client(timeout=SHORT)
        try:
            return str(client.version()["Version"])
        except OSError as error:
            raise Unreachable(f"the Docker engine does not answer: {error}") from error
        finally:
            client.close()

    def libvirt(self) -> str:
        connection = libvirt_connection()
        try:
            number = int(connection.getLibVersion())
        finally:
            connection.close()
        return f"{number // 1_000_000}.{number // 1_000 % 1_000}.{number % 1_000}"

    def disk_image_create(self) -> str:
        from importlib.metadata import PackageNotFoundError, version

        beside = Path(sys.executable).parent / "disk-image-create"
        if not beside.exists() and not available("disk-image-create"):
            raise Unreachable("disk-image-create is not installed")
        try:
            return version("diskimage-builder")
        except PackageNotFoundError:
            return "of this machine"

    def loop(self) -> str:
        with tempfile.NamedTemporaryFile(prefix="forgelet-doctor-") as file:
            file.truncate(1 << 20)
            device = text(["losetup", "--find", "--show", file.name], root=True)
            run(["losetup", "--detach", device], root=True)
        return device

    def device(self, path: str) -> bool:
        return Path(path).exists()

    def free_gib(self, folder: Path) -> float:
        there = next(part for part in (folder.absolute(), *folder.absolute().parents) if part.exists())
        return shutil.disk_usage(there).free / (1 << 30)


@dataclass
class FakeMachine:
    """A machine on which all is well, but for what is named in `broken`: questions, programs or devices."""

    broken: set[str] = field(default_factory=set)
    version: tuple[int, int] = (3, 11)
    gib: float = 100.0

    def _answer(self, question: str, answer: str) -> str:
        if question in self.broken:
            raise StepFailed(f"{question} is broken")
        return answer

    def python(self) -> tuple[int, int]:
        return self.version

    def rights(self) -> str:
        return self._answer("rights", "root")

    def program(self, name: str) -> bool:
        return name not in self.broken

    def docker(self) -> str:
        return self._answer("docker", "1.0")

    def libvirt(self) -> str:
        return self._answer("libvirt", "1.0.0")

    def disk_image_create(self) -> str:
        return self._answer("disk-image-create", "1.0.0")

    def loop(self) -> str:
        return self._answer("loop", "loop0")

    def device(self, path: str) -> bool:
        return path not in self.broken

    def free_gib(self, folder: Path) -> float:
        return self.gib
