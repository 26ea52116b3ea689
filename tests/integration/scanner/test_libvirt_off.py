"""Domains of the real libvirt that are shut off, read from the host: whatever their disks look like, the system on them is the same."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.devices import attached

from scanner.errors import NotFound, StepFailed, UserError
from scanner.host import sweep
from scanner.host.disks import root_of
from scanner.progress import Silent
from scanner.report import Machine, Report
from scanner.scan import scan
from scanner.targets.contract import CHECKS
from scanner.targets.libvirt import LibvirtTarget

pytestmark = pytest.mark.libvirt

MIB = 1 << 20
XML = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>96</memory><vcpu>3</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type></os><devices>{disks}
<interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface></devices>
<seclabel type='static' model='dac' relabel='no'><label>+0:+0</label></seclabel></domain>"""
DISK = "<disk type='file' device='disk'><driver name='qemu' type='{format}'/><source file='{path}'/>{more}<target dev='{name}' bus='virtio'/></disk>"


def tool(*argv: str, data: str | None = None) -> str:
    return subprocess.run(argv, input=data, capture_output=True, check=True, text=True).stdout.strip()


def virsh(*words: str) -> str:
    return tool("virsh", "-q", "-c", "qemu:///system", *words)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("disks")


@pytest.fixture(scope="module")
def tree(folder: Path) -> Path:
    """A small system, with its /boot elsewhere."""
    root = folder / "tree"
    for name in ("etc", "usr/lib", "boot", "srv", "tmp"):
        (root / name).mkdir(parents=True)
    (root / "usr/lib/os-release").write_text('ID=debian\nVERSION_ID="12"\n')
    (root / "etc/os-release").symlink_to("../usr/lib/os-release")
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "etc/hostname").write_text("still\n")
    (root / "etc/fstab").write_text("LABEL=boots /boot ext4 defaults 0 2\n/dev/vda9 /srv ext4 defaults 0 2\nUUID=no-such none swap sw 0 0\nhost:/x /mnt nfs defaults\n")
    (root / "etc/hello").write_text("hello\n")
    (root / "etc/hello").chmod(0o640)
    subprocess.run(["setfattr", "-n", "user.note", "-v", "kept", str(root / "etc/hello")], check=True)
    (root / "tmp/gone").touch()
    boot = folder / "boot"
    boot.mkdir()
    (boot / "vmlinuz").write_text("a kernel\n")
    return root


def file_system(path: Path, content: Path, size: int, label: str = "") -> Path:
    path.write_bytes(b"")
    tool("truncate", "-s", str(size), str(path))
    tool("mke2fs", "-q", "-t", "ext4", *(["-L", label] if label else []), "-d", str(content), str(path))
    return path


def partitioned(path: Path, label: str, *parts: Path) -> Path:
    """A disk with the file systems `parts` behind one another, a swap partition before them."""
    script, offset, places = [f"label: {label}", "start=2048, size=2048, type=swap"], 2 * MIB, []
    for part in parts:
        script.append(f"start={offset // 512}, size={part.stat().st_size // 512}, type=linux")
        places.append((part, offset))
        offset += part.stat().st_size
    tool("truncate", "-s", str(offset + MIB), str(path))
    tool("sfdisk", "-q", str(path), data="\n".join(script) + "\n")
    for part, place in places:
        tool("dd", f"if={part}", f"of={path}", "bs=1M", f"seek={place // MIB}", "conv=notrunc,sparse", "status=none")
    return path


@pytest.fixture(scope="module")
def disks(folder: Path, tree: Path) -> dict[str, tuple[Path, str]]:
    """Name -> path and format."""
    root = file_system(folder / "root.img", tree, 24 * MIB)
    boot = file_system(folder / "boot.img", folder / "boot", 8 * MIB, "boots")
    mbr = partitioned(folder / "mbr.raw", "dos", boot, root)
    gpt = partitioned(folder / "gpt.raw", "gpt", root, boot)
    base, middle, top = folder / "base.qcow2", folder / "middle.qcow2", folder / "top.qcow2"
    tool("qemu-img", "convert", "-O", "qcow2", str(gpt), str(base))
    tool("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "base.qcow2", str(middle))
    tool("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(middle), str(top))
    return {"mbr": (mbr, "raw"), "gpt": (gpt, "raw"), "whole": (root, "raw"), "qcow2": (base, "qcow2"), "chain": (top, "qcow2")}


@pytest.fixture
def define() -> Iterator[Callable[..., str]]:
    """Make a domain; gone at the end."""
    names = []

    def made(*disks: tuple[Path, str], more: str = "") -> str:
        names.append(f"forgelet-test-{uuid.uuid4().hex[:8]}")
        rows = [DISK.format(path=path, format=format, name=f"vd{'abc'[number]}", more=more) for number, (path, format) in enumerate(disks)]
        definition = disks[0][0].parent / f"{names[-1]}.xml"
        definition.write_text(XML.format(name=names[-1], disks="".join(rows)))
        virsh("define", str(definition))
        return names[-1]

    yield made
    for name in names:
        subprocess.run(["virsh", "-q", "-c", "qemu:///system", "destroy", name], capture_output=True, check=False)
        virsh("undefine", "--managed-save", name)


def states(report: Report) -> dict[str, tuple[str, str]]:
    return {entry.path: (entry.state, entry.reason) for entry in report.files()}


@pytest.mark.parametrize("kind", ["mbr", "gpt", "qcow2", "chain"])
def test_the_root_is_found_with_what_its_fstab_mounts(kind, disks, define, tmp_path: Path) -> None:
    name = define(disks[kind])
    before = disks[kind][0].read_bytes()
    report = scan(LibvirtTarget(name, work=tmp_path / "work"), tmp_path / "out", Silent())
    found = states(report)
    assert found["/boot/vmlinuz"] == ("unmanaged", "not-in-any-package")
    assert found["/etc/hello"] == ("unmanaged", "not-in-any-package")
    assert [spot.path for spot in report.head.blind_spots] == ["/srv"]
    assert "/dev/vda9 is on none of the disks" in report.head.blind_spots[0].reason
    assert (report.head.target, report.head.system.hostname, report.head.system.distribution) == (f"libvirt:{name}", "still", "Debian")
    assert disks[kind][0].read_bytes() == before, "the disk was written to"
    assert list((tmp_path / "work").iterdir()) == []
    assert not [line for line in Path("/proc/mounts").read_text().splitlines() if str(tmp_path) in line]
    assert attached(tmp_path) == []


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_domain_that_is_off_keeps_the_contract(check, disks, define, tmp_path: Path) -> None:
    check(LibvirtTarget(define(disks["whole"]), work=tmp_path / "work"), tmp_path)


def test_a_partition_on_the_second_disk_is_mounted_as_well(folder, disks, define, tmp_path: Path) -> None:
    name = define(disks["whole"], (folder / "boot.img", "raw"))
    assert "/boot/vmlinuz" in states(scan(LibvirtTarget(name, work=tmp_path / "work"), tmp_path / "out", Silent()))


def test_a_machine_that_was_switched_off_while_it_wrote_is_read_with_its_journal(folder, tree, define, tmp_path: Path) -> None:
    """The journal's own recovery flag is set on an image that is copied while it is mounted."""
    disk, mount, copy = file_system(folder / "dirty.img", tree, 24 * MIB), tmp_path / "mount", folder / "torn.img"
    mount.mkdir()
    tool("mount", "-o", "loop", str(disk), str(mount))
    try:
        (mount / "srv/late").write_text("written just before\n")
        tool("sync", "-f", str(mount))
        tool("cp", "--sparse=always", str(disk), str(copy))
    finally:
        tool("umount", str(mount))
    assert "needs_recovery" in tool("dumpe2fs", "-h", str(copy))
    before = copy.read_bytes()
    report = scan(LibvirtTarget(define((copy, "raw")), work=tmp_path / "work"), tmp_path / "out", Silent())
    assert "/srv/late" in states(report)
    assert copy.read_bytes() == before


def test_the_hypervisors_facts_are_in_the_head(disks, define, tmp_path: Path) -> None:
    name = define(disks["chain"])
    report = scan(LibvirtTarget(name, work=tmp_path / "work"), tmp_path / "out", Silent())
    facts = json.loads((tmp_path / "out/head.json").read_text())["system"]["machine"]
    assert isinstance(report.head.system.machine, Machine)
    assert report.head.system.container is None
    assert (facts["name"], facts["uuid"], facts["state"]) == (name, virsh("domuuid", name), "shut off")
    assert (facts["memory"], facts["cpus"], facts["firmware"], facts["arch"], facts["hypervisor"]) == (96, 3, "bios", "x86_64", "qemu")
    assert [(disk["target"], disk["bus"], disk["format"], disk["source"]) for disk in facts["disks"]] == [("vda", "virtio", "qcow2", str(disks["chain"][0]))]
    assert [(nic["mac"], nic["model"], nic["type"]) for nic in facts["nics"]] == [("52:54:00:00:00:01", "virtio", "user")]


def test_lvm_is_refused_with_its_reason(folder, define, tmp_path: Path) -> None:
    disk = folder / "lvm.raw"
    tool("truncate", "-s", str(8 * MIB), str(disk))
    with disk.open("r+b") as raw:
        # The label of a physical volume: LVM2's on-disk format, sector 1, with its checksum.
        told = ((32).to_bytes(4, "little") + b"LVM2 001" + b"a" * 32).ljust(492, b"\0")
        checksum = zlib.crc32(told, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
        raw.seek(512)
        raw.write(b"LABELONE" + (1).to_bytes(8, "little") + checksum.to_bytes(4, "little") + told)
    with pytest.raises(StepFailed, match="LVM"):
        scan(LibvirtTarget(define((disk, "raw")), work=tmp_path / "work"), tmp_path / "out", Silent())


def encrypted(disk: Path) -> None:
    """A disk under LUKS. qemu-img times the key's derivation first, and gives up when the machine's clock of used time is too coarse for that."""
    options = "encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10"
    for _ in range(50):
        made = subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "--object", "secret,id=key,data=open", "-o", options, str(disk), "8M"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if "accurate CPU usage" not in made.stderr:
            break
    assert made.returncode == 0, made.stderr


def test_an_encrypted_disk_is_refused_with_its_reason(folder, define, tmp_path: Path) -> None:
    disk = folder / "secret.qcow2"
    encrypted(disk)
    with pytest.raises(StepFailed, match="encrypted"):
        scan(LibvirtTarget(define((disk, "qcow2")), work=tmp_path / "work"), tmp_path / "out", Silent())


def test_a_missing_backing_file_is_named(folder, disks, define, tmp_path: Path) -> None:
    lonely, base = folder / "lonely.qcow2", folder / "away.qcow2"
    tool("qemu-img", "create", "-q", "-f", "qcow2", str(base), "8M")
    tool("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base), str(lonely))
    base.unlink()
    with pytest.raises(StepFailed, match="away"):
        scan(LibvirtTarget(define((lonely, "qcow2")), work=tmp_path / "work"), tmp_path / "out", Silent())


def test_a_domain_that_is_not_there_is_not_found_and_those_that_are_there_are_named(disks, define) -> None:
    name = define(disks["whole"])
    with pytest.raises(NotFound, match=name):
        LibvirtTarget("no-such-machine").facts()


def test_a_paused_machine_is_refused_and_a_running_one_without_agent_gets_the_ways_out(disks, define) -> None:
    name = define(disks["whole"])
    virsh("start", name, "--paused")
    with pytest.raises(UserError, match="paused"):
        LibvirtTarget(name).facts()
    virsh("resume", name)
    with pytest.raises(StepFailed, match="no channel") as caught:
        LibvirtTarget(name).facts()
    assert "qemu-guest-agent" in caught.value.hint and "--ip" in caught.value.hint and "shut" in caught.value.hint


def test_the_root_of_a_disk_is_where_a_system_is_not_where_the_first_partition_is(disks, tmp_path: Path) -> None:
    path, format = disks["mbr"]
    with root_of(path, format, tmp_path) as root:
        assert (root / "etc/hello").read_text() == "hello\n"


KILLED = """
import sys
from pathlib import Path
from scanner.host.systems import Disk, system_of
with system_of([Disk("vda", Path(sys.argv[1]), "qcow2")], Path(sys.argv[2])) as tree:
    print(tree.root, flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_scan_leaves_is_given_back(disks, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    with subprocess.Popen([sys.executable, "-c", KILLED, str(disks["qcow2"][0]), str(work)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert (Path(process.stdout.readline().strip()) / "etc/hello").exists()
        process.kill()
    assert attached(work), "nothing was left that could be given back"
    sweep.give_back(work)
    assert attached(work) == []
    assert str(work) not in Path("/proc/mounts").read_text()
    assert not [pid for pid in Path("/proc").glob("[0-9]*") if _names(pid, str(work))]
    assert not work.exists()


def _names(process: Path, folder: str) -> bool:
    try:
        return folder.encode() in (process / "cmdline").read_bytes()
    except OSError:
        return False
