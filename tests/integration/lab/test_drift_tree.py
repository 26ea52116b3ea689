"""The drift proof for many seeds: on a folder that is a machine's root, where a look takes little time; and on an rpm system."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import truth
from support.drifting import Drifted, Subject
from support.fuzz import FACTOR

from emulator.lab.drift import records
from emulator.lab.drift.kinds import KINDS
from emulator.lab.engine import OURS, SYSTEM, docker_engine
from emulator.lab.image import ensure_image
from emulator.lab.system import find_system
from scanner.host.mirrors import debian_mirrors
from scanner.progress import Silent
from scanner.targets import open_target

pytestmark = pytest.mark.docker

SEEDS = tuple(range(101, 101 + 6 * FACTOR))
RPM_SEEDS = tuple(range(201, 201 + 3 * FACTOR))
COUNT = 50
BULK = ("/usr/lib", "/usr/bin", "/usr/sbin", "/usr/share/perl", "/usr/share/locale", "/var/lib/dpkg/info")
"""Many bytes and no place for a mutation: not looked at."""
SPEC = r"""
Name: {name}
Version: 1.0
Release: 1
Summary: {name}
License: MIT
BuildArch: noarch
%define __spec_install_post %{{nil}}
%define _build_id_links none
%description
{name}.
%install
mkdir -p %{{buildroot}}
tar -C {tree} -c --files-from {folder}/{name}.paths | tar -C %{{buildroot}} -x
%files -f {folder}/{name}.files
"""
PACKAGES = {
    "manuals": "usr/share/man usr/share/doc/[a-l]*",
    "documents": "usr/share/doc/[m-z]* usr/share/zoneinfo",
    "units": "usr/lib/systemd/system",
    "settings": "etc",
    **{f"empty-{number}": "" for number in range(30)},
}
"""Packages of rpm, and what of the tree each of them ships."""


@contextmanager
def machine(image: str, work: Path) -> Iterator[Path]:
    """The root of a container of that image, on ext4 whatever the temporary folder is on."""
    disk, mount = work / "disk", work / "root"
    mount.mkdir()
    with disk.open("wb") as out:
        out.truncate(2 << 30)
    subprocess.run(["mkfs.ext4", "-q", str(disk)], check=True)
    subprocess.run(["mount", "-o", "loop", str(disk), str(mount)], check=True)
    try:
        made = subprocess.run(["docker", "create", "--label", "forgelet.test=1", image, "true"], capture_output=True, check=True, text=True).stdout.strip()
        try:
            script = 'docker export "$1" | tar -x -C "$2" && rm -f "$2/dev/null" && mknod -m 666 "$2/dev/null" c 1 3'
            subprocess.run(["sh", "-c", script, "sh", made, str(mount)], check=True)
        finally:
            subprocess.run(["docker", "rm", made], check=True, capture_output=True)
        yield mount
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def subject(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    system = truth.System(truth.piped("chroot", str(root), "/bin/sh"), root, BULK)
    return Subject(str(root), lambda: open_target(f"directory:{root}"), system, lambda: tmp_path_factory.mktemp("scan"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    with docker_engine() as engine:
        return ensure_image(engine, find_system("debian12-web"), debian_mirrors(), tmp_path_factory.mktemp("image"), Silent())


@pytest.fixture(scope="module")
def drifts(base: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Drifted]]:
    with machine(base, tmp_path_factory.mktemp("debian")) as root:
        yield subject(root, tmp_path_factory).drifts(SEEDS, COUNT)


@pytest.mark.parametrize("number", range(len(SEEDS)), ids=[f"seed {seed}" for seed in SEEDS])
def test_everything_that_was_done_is_found_and_nothing_else(drifts: list[Drifted], number: int) -> None:
    assert len(drifts[number].done.mutations) == COUNT
    drifts[number].check()


def test_the_seeds_together_do_everything(drifts: list[Drifted]) -> None:
    made = {mutation.kind for drifted in drifts for mutation in drifted.done.mutations}
    assert KINDS.keys() - made == records.RPM.keys()


@pytest.fixture(scope="module")
def rpm_image(base: str) -> Iterator[str]:
    """The same system with the tool rpm in it."""
    tag = f"forgelet-test-rpm:{uuid.uuid4().hex[:8]}"
    recipe = f"FROM {base}\nLABEL forgelet.test=1 {OURS}=0 {SYSTEM}=\nRUN apt-get update && apt-get install -y --no-install-recommends rpm\n"
    subprocess.run(["docker", "build", "--quiet", "--network", "host", "--tag", tag, "-"], input=recipe.encode(), check=True, capture_output=True)
    yield tag
    subprocess.run(["docker", "image", "rm", "--force", tag], check=True, capture_output=True)


def become_rpm(root: Path, work: Path) -> None:
    """rpm takes over from dpkg: its packages ship what is there."""
    (root / "etc/dnf/plugins").mkdir(parents=True)
    (root / "etc/dnf/plugins/versionlock.list").write_text("# locks\n")
    for record in ("var/lib/dpkg", "var/lib/apt/extended_states"):
        subprocess.run(["rm", "-r", str(root / record)], check=True)
    for name, parts in PACKAGES.items():
        listed = subprocess.run(["sh", "-c", f"find {parts} ! -type d", "sh"], cwd=root, check=True, capture_output=True, text=True).stdout.splitlines() if parts else []
        (work / f"{name}.paths").write_text("".join(f"{path}\n" for path in listed))
        (work / f"{name}.files").write_text("%defattr(-,root,root)\n" + "".join(f'{"%config " if path.startswith("etc/") else ""}"/{path}"\n' for path in listed))
        (work / f"{name}.spec").write_text(SPEC.format(name=name, tree=root, folder=work))
    where = ["--define", f"_topdir {work}/top", "--define", f"_rpmdir {work}/out", "--define", "_binary_payload w0.gzdio"]
    subprocess.run(["rpmbuild", "-bb", "--quiet", *where, *(f"{work}/{name}.spec" for name in PACKAGES)], check=True, capture_output=True)
    built = sorted((work / "out").rglob("*.rpm"))
    for rpm in built:
        (root / "tmp" / rpm.name).write_bytes(rpm.read_bytes())
    install = f"mkdir -p /var/lib/rpm; cd /tmp; rpm --dbpath /var/lib/rpm -i --justdb --nodeps --noscripts {' '.join(rpm.name for rpm in built)}; rm *.rpm"
    truth.piped("chroot", str(root), "/bin/sh")(install.encode())


@pytest.fixture(scope="module")
def rpm_drifts(rpm_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Drifted]]:
    with machine(rpm_image, tmp_path_factory.mktemp("rpm")) as root:
        become_rpm(root, tmp_path_factory.mktemp("rpmbuild"))
        yield subject(root, tmp_path_factory).drifts(RPM_SEEDS, COUNT)


@pytest.mark.parametrize("number", range(len(RPM_SEEDS)), ids=[f"seed {seed}" for seed in RPM_SEEDS])
def test_on_an_rpm_system_everything_is_found_as_well(rpm_drifts: list[Drifted], number: int) -> None:
    drifted = rpm_drifts[number]
    assert {one.manager for one in drifted.before.report.head.packages} == {"rpm"}
    assert len(drifted.done.mutations) == COUNT
    drifted.check()


def test_the_seeds_do_to_an_rpm_system_everything_that_is_its_own(rpm_drifts: list[Drifted]) -> None:
    made = {mutation.kind for drifted in rpm_drifts for mutation in drifted.done.mutations}
    assert KINDS.keys() - made == records.DPKG.keys()
    states = {one.state for one in rpm_drifts[0].before.report.files() if one.package == "manuals"}
    assert states == {"managed"}
