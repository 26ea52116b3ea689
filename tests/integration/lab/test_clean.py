"""Clean on the real engines: what is marked as ours goes, what is not stays. Marks of its own keep other work out of reach."""

from __future__ import annotations

import io
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.devices import attached

from emulator import clean as module
from emulator.clean import clean


def said(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> str:
    """A label and a beginning of machine names that only this test uses."""
    unique = f"forgelet-test-{uuid.uuid4().hex[:8]}"
    monkeypatch.setattr(module, "OURS", unique)
    monkeypatch.setattr(module, "MACHINES", f"{unique}-")
    return unique


@pytest.fixture
def image() -> Iterator[str]:
    """An image that is nobody's: one empty folder."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("empty"))
    done = subprocess.run(["docker", "import", "-"], input=tar.getvalue(), capture_output=True, check=True)
    name = done.stdout.decode().strip()
    yield name
    subprocess.run(["docker", "rmi", "-f", name], capture_output=True, check=False)


@pytest.mark.docker
def test_labelled_containers_go_and_others_stay(mark: str, image: str, tmp_path: Path) -> None:
    ours = said("docker", "create", "--label", f"{mark}=1", image, "x").strip()
    foreign = said("docker", "create", "--label", f"{mark}=0", image, "x").strip()
    try:
        clean(tmp_path / "data")
        left = said("docker", "ps", "--all", "--quiet", "--no-trunc").split()
        assert ours not in left
        assert foreign in left
    finally:
        said("docker", "rm", "--force", foreign)


@pytest.mark.docker
def test_labelled_images_go_unless_the_cache_is_kept(mark: str, image: str, tmp_path: Path) -> None:
    tag = f"{mark}:1"
    tar = subprocess.run(["docker", "save", image], capture_output=True, check=True).stdout
    done = subprocess.run(
        ["docker", "import", "--change", f"LABEL {mark}=1", "-", tag], input=tar, capture_output=True, check=True
    )
    assert done.stdout
    clean(tmp_path / "data", keep_cache=True)
    assert said("docker", "images", "--quiet", tag)
    clean(tmp_path / "data")
    assert not said("docker", "images", "--quiet", tag)
    assert said("docker", "image", "inspect", image)


@pytest.mark.libvirt
def test_machines_of_our_name_go_and_others_stay(mark: str, tmp_path: Path) -> None:
    import libvirt

    connection = libvirt.open("qemu:///system")
    xml = "<domain type='qemu'><name>{}</name><memory unit='MiB'>32</memory><os><type arch='x86_64'>hvm</type></os></domain>"
    names = [f"{mark}-running", f"{mark}-stopped", f"{mark.replace('forgelet', 'other')}-stays"]
    connection.createXML(xml.format(names[0]))
    connection.defineXML(xml.format(names[1]))
    stays = connection.defineXML(xml.format(names[2]))
    try:
        clean(tmp_path / "data")
        left = {domain.name() for domain in connection.listAllDomains()}
        assert left.isdisjoint(names[:2])
        assert names[2] in left
    finally:
        stays.undefine()
        connection.close()


@pytest.mark.docker
def test_mounts_and_loops_below_the_data_folder_are_given_back(mark: str, tmp_path: Path) -> None:
    work = tmp_path / "data" / "jobs" / "7" / "work"
    (work / "tree").mkdir(parents=True)
    (work / "disk").write_bytes(bytes(1 << 20))
    said("losetup", "--find", str(work / "disk"))
    said("mount", "-t", "tmpfs", "tmpfs", str(work / "tree"))
    outside = tmp_path / "outside"
    outside.mkdir()
    said("mount", "-t", "tmpfs", "tmpfs", str(outside))
    try:
        clean(tmp_path / "data")
        mounts = Path("/proc/self/mounts").read_text()
        assert str(work) not in mounts
        assert attached(work) == []
        assert str(outside) in mounts
        assert not (tmp_path / "data").exists()
    finally:
        said("umount", str(outside))
