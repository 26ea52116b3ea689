"""What the doctor says of a machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from emulator import prerequisites
from emulator.doctor import Diagnosis, examine
from emulator.machine import FakeMachine

DATA = Path("/data")


def verdict(diagnosis: Diagnosis, name: str) -> tuple[str, str]:
    """(verdict, remedy) of one finding."""
    return next((f.verdict, f.remedy) for f in diagnosis.findings if f.name == name)


def test_a_whole_machine_is_fit_and_needs_nothing() -> None:
    diagnosis = examine(FakeMachine(), DATA)
    assert diagnosis.fit
    assert diagnosis.remedies == []


@pytest.mark.parametrize(
    ("broken", "finding", "remedy"),
    [
        ("mmdebstrap", "mmdebstrap", "apt-get install -y mmdebstrap debian-archive-keyring"),
        ("docker", "docker engine", "make engines"),
        ("libvirt", "libvirt engine", "make engines"),
        ("disk-image-create", "disk-image-create", "pip install diskimage-builder"),
        ("/dev/fuse", "/dev/fuse", "modprobe fuse"),
        ("rights", "root's rights", "run as root, or allow sudo without a password"),
    ],
)
def test_what_the_main_job_needs_makes_the_machine_unfit(broken: str, finding: str, remedy: str) -> None:
    diagnosis = examine(FakeMachine({broken}), DATA)
    assert not diagnosis.fit
    assert verdict(diagnosis, finding) == ("missing", remedy)
    assert diagnosis.remedies == [remedy] or set(diagnosis.remedies[0].split()) == set(remedy.split())


def test_an_engine_that_is_not_installed_is_to_be_installed_not_started() -> None:
    diagnosis = examine(FakeMachine({"docker", "dockerd"}), DATA)
    assert verdict(diagnosis, "docker engine") == ("missing", "apt-get install -y docker.io")


def test_a_missing_extra_is_only_a_warning() -> None:
    diagnosis = examine(FakeMachine({"setfacl"}, gib=1.0), DATA)
    assert diagnosis.fit
    assert verdict(diagnosis, "setfacl")[0] == "warning"
    assert verdict(diagnosis, "disk space")[0] == "warning"


def test_an_old_python_is_named_with_the_one_that_is_wanted() -> None:
    diagnosis = examine(FakeMachine(version=(3, 9)), DATA)
    assert not diagnosis.fit
    assert "3.11" in verdict(diagnosis, "python")[1]


def test_the_missing_packages_are_gathered_into_one_command() -> None:
    diagnosis = examine(FakeMachine({"sfdisk", "qemu-img", "loop"}), DATA)
    assert diagnosis.remedies[0] == "apt-get install -y fdisk qemu-utils"
    assert diagnosis.remedies[1].startswith("modprobe loop")


def test_the_packages_are_printed_by_a_bare_python_for_the_installer() -> None:
    script = Path(prerequisites.__file__)
    said = subprocess.run(
        [sys.executable, "-I", "-S", str(script)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert said == prerequisites.packages()
    assert {"docker.io", "mmdebstrap", "qemu-system-x86", "libvirt-daemon-system"} <= set(said)
