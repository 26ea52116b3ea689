"""Domains without libvirt: the conversation with a guest agent, and what a definition says."""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.service import until

from scanner.errors import HostileInput, NotFound, StepFailed, UserError
from scanner.host import sweep
from scanner.host.systems import Disk
from scanner.progress import Silent
from scanner.report import Machine
from scanner.scan import scan
from scanner.targets import domain, guest, guestscan
from scanner.targets.contract import CHECKS
from scanner.targets.fakeguest import FakeAgent, FakeConnection, FakeDomain
from scanner.targets.libvirt import LibvirtTarget


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where the agent makes its folder in the guest; nobody else does."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def agent(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAgent]:
    monkeypatch.setattr(guest, "POLL", 0.01)
    monkeypatch.setattr(guestscan, "PLACES", (str(home),))
    made = FakeAgent()
    yield made
    made.close()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name in ("etc", "tmp"):
        (root / name).mkdir(parents=True)
    (root / "etc/hello").write_text("hello\n")
    (root / "etc/hello").chmod(0o640)
    return root


Make = Callable[..., LibvirtTarget]


@pytest.fixture
def make(agent: FakeAgent, tree: Path) -> Make:
    def target(number: int = 1, **options: str) -> LibvirtTarget:
        found = FakeDomain("vm", number, **options)
        return LibvirtTarget("vm", connect=lambda: FakeConnection(found), message=agent, root=str(tree))

    return target


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_running_domain_keeps_the_contract(check, make: Make, agent: FakeAgent, home: Path, tmp_path: Path) -> None:
    check(make(), tmp_path)
    assert list(home.iterdir()) == []
    assert agent.open_files == 0


def test_the_head_has_the_hypervisors_facts(make: Make, tmp_path: Path) -> None:
    report = scan(make(), tmp_path / "out", Silent())
    facts = report.head.system.machine
    assert isinstance(facts, Machine)
    assert (facts.name, facts.state, facts.memory, facts.cpus, facts.firmware, facts.machine) == ("vm", "running", 1024, 2, "efi", "q35")
    assert report.head.target == "libvirt:vm"


def test_requests_are_short_and_every_answer_is_asked_for_in_pieces(make: Make, agent: FakeAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    agent.spoil["guest-file-write"] = lambda told: (sizes.append(told["count"]), told)[1]
    monkeypatch.setattr(guest, "CHUNK", 100)
    with make().inventory([]) as stream:
        assert b'"kind":"end"' in stream.read()
    assert max(sizes) <= guest.PUSHED
    assert agent.asked.count("guest-file-read") > 3


def test_a_folder_of_the_agents_own_that_could_be_scanned_is_excluded(make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    elsewhere = tmp_path / "tree/var"
    elsewhere.mkdir()
    monkeypatch.setattr(guestscan, "PRUNED", "/nothing/")
    monkeypatch.setattr(guestscan, "FOLDER", f'd="{elsewhere}/d"; mkdir "$d"; : > "$d/out"; : > "$d/$1"; chmod 700 "$d/$1"; echo "$d"')
    told: list[str] = []

    def words(folder) -> list[str]:
        told.extend(folder)
        return ["inventory", "--root", "/nowhere"]

    found = FakeDomain("vm")
    with pytest.raises(StepFailed, match="/nowhere"), guestscan.answer(make()._guest(found, found.xml), words) as stream:
        stream.read()
    assert told == [f"{elsewhere}/d"]
    assert not (elsewhere / "d").exists()


@pytest.mark.parametrize(
    ("number", "state"), [(3, "paused"), (4, "shutting down"), (7, "suspended")]
)
def test_a_machine_in_between_is_refused(make: Make, number: int, state: str) -> None:
    with pytest.raises(UserError, match=state) as caught:
        make(number).facts()
    assert "virsh resume vm" in caught.value.hint


def test_a_machine_that_is_not_there_is_not_found_and_those_that_are_there_are_named(agent: FakeAgent) -> None:
    connection = FakeConnection(FakeDomain("other"))
    with pytest.raises(NotFound, match="known: other"):
        LibvirtTarget("vm", connect=lambda: connection, message=agent).facts()
    assert connection.closed


def test_without_a_channel_or_an_answer_the_ways_out_are_told(make: Make, agent: FakeAgent) -> None:
    agent.refuse["guest-ping"] = "Guest agent is not responding"
    for target in (make(channel="com.redhat.spice.0"), make()):
        with pytest.raises(StepFailed, match="agent") as caught:
            target.facts()
        assert all(word in caught.value.hint for word in ("qemu-guest-agent", "--ip", "virsh shutdown vm"))


def test_an_agent_that_may_not_run_programs_is_told_apart(make: Make, agent: FakeAgent) -> None:
    agent.refuse["guest-exec"] = "unable to execute QEMU agent command 'guest-exec': The command guest-exec has been disabled for this instance"
    with pytest.raises(StepFailed, match="disabled") as caught, make().inventory([]):
        pass
    assert "allow it in the guest" in caught.value.hint


def test_an_agent_that_is_lost_on_the_way_fails_the_scan_and_leaves_nothing(make: Make, agent: FakeAgent, home: Path) -> None:
    with pytest.raises(StepFailed, match="gone"), make().inventory([]) as stream:
        agent.refuse["guest-file-read"] = "gone"
        stream.read()
    assert list(home.iterdir()) == []


def test_output_that_is_cut_fails_the_scan(make: Make, agent: FakeAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guestscan, "RUN", 'cd "$1" && name=$2 && shift 2 && sh "./$name" "$@" | gzip -1 | head -c 200 > out; echo 0 > status')
    with pytest.raises(StepFailed, match="cut"), make().inventory([]) as stream:
        stream.read()


@pytest.mark.parametrize(
    ("script", "message", "hint"),
    [
        ("echo 'no usable Python' > said; echo 69 > status; : | gzip > out", "no usable Python", "install python3"),
        ("echo 'uforge-scan: No space left on device' > said; echo 1 > status; : | gzip > out", "No space left", "make space"),
        ("echo 'gzip: stdout: No space left on device' > packing; echo 1 > status", "No space left", "make space"),
        ("echo 'uforge-scan: it broke' > said; echo 1 > status; : | gzip > out", "it broke", "scan again"),
    ],
)
def test_what_the_agent_in_the_guest_says_of_its_end_is_told(make: Make, monkeypatch: pytest.MonkeyPatch, script: str, message: str, hint: str) -> None:
    monkeypatch.setattr(guestscan, "RUN", f'cd "$1"; {script}')
    with pytest.raises(StepFailed, match=message) as caught, make().inventory([]) as stream:
        stream.read()
    assert hint in caught.value.hint


def test_no_folder_that_lets_programs_run_is_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guestscan, "FOLDER", "exit 126")
    with pytest.raises(StepFailed, match="programs run"), make().inventory([]):
        pass


@pytest.mark.parametrize(
    "spoil",
    [
        lambda told: {"buf-b64": "!"},
        lambda told: ["nothing"],
        lambda told: {"buf-b64": base64.b64encode(bytes(guest.CHUNK + 1)).decode()},
        lambda told: {"buf-b64": base64.b64encode(b"not gzip at all").decode()},
    ],
)
def test_nonsense_from_the_guest_is_hostile(make: Make, agent: FakeAgent, spoil) -> None:
    with pytest.raises(HostileInput), make().inventory([]) as stream:
        agent.spoil["guest-file-read"] = spoil
        stream.read()


def test_a_bomb_is_unpacked_in_portions(agent: FakeAgent, tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(gzip.compress(bytes(64 << 20)))
    talk = guest.Guest(lambda request, timeout: agent(None, request, timeout), "vm")
    stream = guest.Growing(talk, str(tmp_path / "out"), talk.start("/bin/true"))
    buffer = bytearray(1000)
    assert 0 < stream.readinto(buffer) <= 1000
    assert len(stream._packed) < 1 << 20
    stream.close()


@pytest.mark.parametrize("chunk", [1, 3, 1 << 20])
def test_what_did_not_fit_is_not_lost_at_the_end(agent: FakeAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    content = bytes(5000) + bytes(range(256)) * 20
    monkeypatch.setattr(guest, "CHUNK", chunk)
    (tmp_path / "out").write_bytes(gzip.compress(content))
    talk = guest.Guest(lambda request, timeout: agent(None, request, timeout), "vm")
    stream = guest.Growing(talk, str(tmp_path / "out"), talk.start("/bin/true"))
    buffer, read = bytearray(7), b""
    while count := stream.readinto(buffer):
        read += buffer[:count]
    assert read == content
    stream.close()


def test_what_is_read_is_what_was_written_while_it_was_written(agent: FakeAgent, tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    talk = guest.Guest(lambda request, timeout: agent(None, request, timeout), "vm")
    pid = talk.start("/bin/sh", "-c", 'for i in 1 2 3 4 5; do echo $i; sleep 0.05; done | gzip > "$1"', "sh", str(tmp_path / "out"))
    stream = guest.Growing(talk, str(tmp_path / "out"), pid)
    assert stream.read() == b"1\n2\n3\n4\n5\n"
    stream.close()


DISKS = """<domain type='kvm'><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/a b.qcow2'/><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='cdrom'><driver type='raw'/><source file='/cd.iso'/><target dev='hda' bus='ide'/><readonly/></disk>
<disk type='block'><source dev='/dev/sdx'/><target dev='vdb'/></disk>
<disk type='volume' device='disk'><driver type='raw'/><source pool='p' volume='v'/><target dev='vdc'/></disk>
<disk type='network' device='disk'><driver type='raw'/><source protocol='rbd' name='pool/image'/><target dev='vdd'/></disk>
<disk type='file' device='disk'><driver type='qcow2'/><source file='/s'><encryption format='luks'/></source><target dev='vde'/></disk>
<disk type='file' device='disk'><driver type='vmdk'/><source file='/w'/><target dev='vdf'/></disk>
<disk type='file' device='disk'><target dev='vdg'/></disk>
<interface type='network'><mac address='52:54:00:00:00:01'/><source network='default'/><model type='e1000'/></interface>
</devices></domain>"""


def test_disks_are_told_apart_by_whether_they_can_be_opened_here() -> None:
    found, others = domain.disks(DISKS, lambda pool, volume: f"/{pool}/{volume}")
    assert found == [Disk("vda", Path("/a b.qcow2"), "qcow2"), Disk("vdb", Path("/dev/sdx"), "raw"), Disk("vdc", Path("/p/v"), "raw")]
    assert [why.split()[1] for why in others] == ["vdd", "vde", "vdf"]
    assert "network" in others[0] and "encrypted" in others[1] and "vmdk" in others[2]


def test_every_disk_and_interface_is_in_the_facts() -> None:
    facts = domain.machine(DISKS, "shut off")
    assert [(disk.target, disk.device, disk.type, disk.source, disk.read_only) for disk in facts.disks][:5] == [
        ("vda", "disk", "file", "/a b.qcow2", False),
        ("hda", "cdrom", "file", "/cd.iso", True),
        ("vdb", "disk", "block", "/dev/sdx", False),
        ("vdc", "disk", "volume", "p/v", False),
        ("vdd", "disk", "network", "pool/image", False),
    ]
    assert (facts.nics[0].model, facts.nics[0].source, facts.firmware) == ("e1000", "default", "bios")


def test_a_machine_without_readable_disks_says_which_and_why(agent: FakeAgent) -> None:
    found = FakeDomain("vm", 5, devices="<disk type='network' device='disk'><source name='x'/><target dev='vda'/></disk>")
    with pytest.raises(UserError) as caught:
        LibvirtTarget("vm", connect=lambda: FakeConnection(found), message=agent).facts()
    assert caught.value.problems == ("disk vda is of type 'network', which is not on this machine",)


@pytest.fixture
def asked(agent: FakeAgent, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the sweep asked libvirt's command for; it reaches `agent` and is done when it answers."""
    asked: list[list[str]] = []

    def virsh(argv: list[str], **_options: object) -> subprocess.CompletedProcess[bytes]:
        if argv[0] == "virsh":
            asked.append(argv)
            pid = json.loads(agent(None, argv[-1], 1))["return"]["pid"]
            while not json.loads(agent(None, json.dumps({"execute": "guest-exec-status", "arguments": {"pid": pid}}), 1))["return"]["exited"]:
                time.sleep(0.02)
        return subprocess.CompletedProcess(argv, 0, b"", b"")

    monkeypatch.setattr(sweep, "run", virsh)
    monkeypatch.setattr(sweep, "available", lambda tool: tool == "virsh")
    return asked


def test_a_scan_whose_reader_died_is_ended_by_the_sweep_of_its_folder(
    agent: FakeAgent, asked: list[list[str]], tree: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = tmp_path / "job"
    monkeypatch.setattr(guestscan, "RUN", 'cd "$1" && : > out && exec sleep 60')
    found = FakeDomain("vm")
    target = LibvirtTarget("vm", connect=lambda: FakeConnection(found), message=agent, root=str(tree), work=job / "target")
    abandoned = target.inventory([])
    abandoned.__enter__()
    (folder,) = home.iterdir()
    living = lambda: [link for link in Path("/proc").glob("[0-9]*/cwd") if os.path.realpath(link) == str(folder)]  # noqa: E731
    until(living)
    assert "ended the scan in vm" in sweep.give_back(job)
    assert [argv[-2] for argv in asked] == ["vm"]
    assert list(home.iterdir()) == []
    until(lambda: not living())


def test_so_is_one_whose_folder_was_still_being_made(
    agent: FakeAgent, asked: list[list[str]], tree: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Nothing of ours runs any more."""

    def dies(_seconds: float) -> None:
        raise Killed

    job = tmp_path / "job"
    monkeypatch.setattr(guestscan, "FOLDER", f"sleep 2; {guestscan.FOLDER}")
    monkeypatch.setattr(guest.clock, "sleep", dies)
    found = FakeDomain("vm")
    target = LibvirtTarget("vm", connect=lambda: FakeConnection(found), message=agent, root=str(tree), work=job / "target")
    with pytest.raises(Killed):
        target.inventory([]).__enter__()
    assert "ended the scan in vm" in sweep.give_back(job)
    assert len(asked) == 1
    time.sleep(2.5)
    assert list(home.iterdir()) == []


def test_a_scan_that_ends_by_itself_leaves_no_mark(agent: FakeAgent, tree: Path, tmp_path: Path) -> None:
    found = FakeDomain("vm")
    target = LibvirtTarget("vm", connect=lambda: FakeConnection(found), message=agent, root=str(tree), work=tmp_path / "target")
    with target.inventory([]) as stream:
        assert len(list((tmp_path / "target").glob("*.guest"))) == 1
        stream.read()
    assert list((tmp_path / "target").iterdir()) == []


def test_what_a_scan_left_long_ago_goes_with_the_next_one(make: Make, home: Path) -> None:
    for name, age in ((".uforge-scan.abcdefgh", 2 * 86400), (".uforge-scan.ijklmnop", 3600)):
        (home / name).mkdir()
        os.utime(home / name, (time.time() - age, time.time() - age))
    with make().inventory([]) as stream:
        stream.read()
    assert [one.name for one in home.iterdir()] == [".uforge-scan.ijklmnop"]
