"""The rehearsal: every kind of point, with its evidence, its weight and the next step; and what is refused by it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders import plan as plans
from builders import rehearse as module
from builders.accountclashes import clashes
from builders.additions import additions
from builders.archive import PackageId
from builders.bootable import CLOUD_FILE, NETWORK_FILE
from builders.cache import entries
from builders.errors import Blocked, BuildFailed, NotCached, SpecError, Unresolved
from builders.rehearsal import SHOWN, Outlook, Rehearsal, Weight, point, refuse
from builders.rehearse import rehearse
from builders.size import GENERATED_MIB
from builders.spec import BuilderSpec
from scanner.configuration import Configuration, Connection, FileSystem, Setting
from scanner.errors import Unreachable, UserError
from scanner.report import BlindSpot, Group, Machine, Package, Redacted, Report, System, User

from .conftest import WriteReport, entry, head_of

SPEC = BuilderSpec("openstack", 4000, 1024, line=6)
BASE = Package(name="base-files", version="12", arch="amd64")
KERNEL = PackageId("linux-image-6.1", "amd64", "6.1")


class FakeArchive:
    """Offers `offered` and everything that Forgelet adds; `down` and `clash` are how it fails."""

    def __init__(self, offered: Iterable[PackageId] = (), lacking: Iterable[str] = (), down: str = "", clash: str = "") -> None:
        added = {PackageId(one.item, "amd64", "1") for one in additions("bookworm", set())} | {KERNEL}
        self.offered = {one for one in {*added, PackageId("base-files", "amd64", "12"), *offered} if one.name not in set(lacking)}
        self.down, self.clash = down, clash
        self.asked: list[tuple[list[PackageId], list[str]]] = []
        self.told: list[Path | None] = []
        """The dpkg status of each question."""

    def refresh(self) -> None:
        if self.down:
            raise BuildFailed(self.down, hint="start the mirror")

    def offers(self) -> set[PackageId]:
        return self.offered

    def resolve(self, wanted: Iterable[PackageId], extra: Iterable[str], status: Path | None = None) -> list[PackageId]:
        if self.clash:
            raise Unresolved(f"the packages cannot be installed together:\n{self.clash}")
        extra = list(extra)
        self.told.append(status)
        self.asked.append((list(wanted), extra))
        names = set(extra) | ({KERNEL.name} if "linux-image-amd64" in extra else set())
        return sorted({*wanted, *(one for one in self.offered if one.name in names)})

    def stanzas(self, packages: Iterable[PackageId]) -> dict[PackageId, dict[str, str]]:
        return {one: {"Installed-Size": "300000" if one == KERNEL else "1024"} for one in packages}


Rehearse = Callable[..., Rehearsal]


@pytest.fixture
def one(write_report: WriteReport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Rehearse:
    """The rehearsal of one builder of a source told by fields of its head; its archive is a fake."""

    def run(spec: BuilderSpec = SPEC, archive: FakeArchive | None = None, rows: Iterable[Any] = (), captured: Iterable[str] = (), **head: Any) -> Rehearsal:
        fake = archive or FakeArchive()
        monkeypatch.setattr(plans, "archive_of", lambda head, cache, **about: fake)
        monkeypatch.setattr(plans, "captured", lambda scan: frozenset(captured))
        monkeypatch.setattr(module, "Archive", lambda *about, **more: fake)
        head.setdefault("packages", [BASE])
        told = rehearse(write_report(rows, head=head_of(**head)), [spec], tmp_path)
        assert len(told) == 1
        return told[0]

    return run


def codes(rehearsal: Rehearsal, *weights: Weight) -> list[str]:
    return [one.code for one in rehearsal.points if not weights or one.weight in weights]


def test_a_source_with_nothing_special_is_ready(one: Rehearse) -> None:
    told = one()
    assert told.points == []
    assert told.verdict is Outlook.READY
    assert told.packages == {"archive": 1}
    assert told.proven


def test_everything_that_would_be_added_is_told_with_its_reason_before_the_build(one: Rehearse) -> None:
    told = {addition.item: addition.reason for addition in one().additions}
    asked = {addition.item: addition.reason for addition in additions("bookworm", {"base-files"})}
    files = {path: reason for path, reason in told.items() if path.startswith("/")}
    assert {path: reason for path, reason in told.items() if path not in files} == {**asked, KERNEL.name: "needed by an added package"}
    assert set(files) == {NETWORK_FILE, CLOUD_FILE}


def test_the_disk_is_computed_from_entries_and_added_packages(one: Rehearse) -> None:
    told = one(rows=[entry("/a", size=100 * 2**20)])
    assert told.disk is not None
    added = 300000 / 1024 + len(additions("bookworm", {"base-files"})) + GENERATED_MIB
    assert abs(told.disk.used - (100 + added)) <= 2
    assert told.disk.asked == 4000


def test_a_disk_that_is_too_small_blocks_with_its_line_and_the_size_that_would_do(one: Rehearse) -> None:
    told = one(replace(SPEC, disk_size=300), rows=[entry("/a", size=100 * 2**20)])
    assert told.verdict is Outlook.BLOCKED
    assert told.disk is not None
    (blocking,) = told.of(Weight.BLOCKS)
    assert blocking.problem == f"line 6, builders[0].installation.diskSize: 300 MiB is too small for the contents; {told.disk.least} would do"
    assert one(replace(SPEC, disk_size=told.disk.least), rows=[entry("/a", size=100 * 2**20)]).verdict is Outlook.READY


def test_builders_are_named_by_their_place_in_the_file(one: Rehearse, write_report: WriteReport, tmp_path: Path) -> None:
    one()
    told = rehearse(write_report(packages=[BASE]), [SPEC, replace(SPEC, disk_size=100, line=12)], tmp_path)
    assert [rehearsal.verdict for rehearsal in told] == [Outlook.READY, Outlook.BLOCKED]
    assert told[1].of(Weight.BLOCKS)[0].place == "line 12, builders[1].installation.diskSize"


@pytest.mark.parametrize(
    ("system", "code"),
    [
        (System(distribution="Ubuntu", version="22.04", codename="jammy", package_arch="amd64"), "distribution"),
        (System(distribution="Debian", version="12", codename="bookworm", package_arch="arm64"), "architecture"),
        (System(), "distribution"),
    ],
)
def test_what_cannot_be_built_here_is_blocked_before_any_archive_is_asked(one: Rehearse, system: System, code: str) -> None:
    told = one(archive=FakeArchive(down="asked"), system=system)
    assert codes(told) == [code]
    assert told.verdict is Outlook.BLOCKED
    assert not told.proven


def test_an_unreachable_mirror_blocks_and_the_report_is_told_all_the_same(one: Rehearse) -> None:
    told = one(archive=FakeArchive(down="the lists could not be fetched: refused"), blind_spots=[BlindSpot(path="/x", reason="denied")])
    assert codes(told) == ["mirror-unreachable", "blind-spots"]
    assert told.points[0].next == "start the mirror"
    with pytest.raises(Unreachable, match="refused"):
        refuse([told], "b.yml")


OLD = Package(name="old", version="1.0", arch="amd64")


def test_a_version_that_is_gone_blocks_and_says_both_ways_out(one: Rehearse) -> None:
    told = one(packages=[BASE, OLD])
    (blocking,) = told.of(Weight.BLOCKS)
    assert (blocking.code, blocking.evidence) == ("package-unavailable", ["old 1.0"])
    assert "--overlay" in blocking.next
    assert "packages: nearest" in blocking.next


def test_a_version_that_is_gone_is_packed_again_when_the_scan_captured_it(one: Rehearse) -> None:
    told = one(packages=[BASE, OLD], captured=["old"])
    assert told.verdict is Outlook.CONDITIONS
    assert told.packages == {"archive": 1, "repack": 1}
    assert told.points[0].evidence == ["old 1.0"]


def test_the_nearest_version_is_a_condition_and_among_the_additions(one: Rehearse) -> None:
    told = one(replace(SPEC, packages="nearest"), FakeArchive([PackageId("old", "amd64", "1.2")]), packages=[BASE, OLD, Package(name="none", version="3", arch="all")])
    assert [(p.code, p.weight, p.evidence) for p in told.points] == [
        ("package-unavailable", Weight.CONDITION, ["old 1.0: 1.2"]),
        ("package-unavailable", Weight.CONDITION, ["none 3"]),
    ]
    assert "old=1.2" in {addition.item for addition in told.additions}
    assert told.packages == {"archive": 1, "nearest": 1, "absent": 1}


@pytest.mark.parametrize("status", ["half-installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending"])
def test_a_source_with_which_dpkg_is_not_done_blocks_with_what_is_to_be_done_there(one: Rehearse, status: str) -> None:
    told = one(packages=[BASE, Package(name="half", version="1", arch="amd64", status=status)])
    (blocking,) = told.of(Weight.BLOCKS)
    assert (blocking.code, blocking.evidence) == ("packages-unfinished", [f"half 1: {status}"])
    assert "dpkg --configure -a" in blocking.next and "apt -f install" in blocking.next


def test_so_does_one_of_which_dpkg_says_that_it_is_broken_and_no_removed_one(one: Rehearse) -> None:
    assert one(packages=[BASE, Package(name="gone", version="1", arch="amd64", status="config-files")]).verdict is Outlook.READY
    told = one(packages=[BASE, Package(name="gone", version="1", arch="amd64", status="config-files", flag="reinstreq")])
    assert [point.evidence for point in told.of(Weight.BLOCKS)] == [["gone 1: reinstreq"]]


def test_packages_that_exclude_each_other_are_told_in_apts_words(one: Rehearse) -> None:
    told = one(archive=FakeArchive(clash=" a : Conflicts: b\nE: held broken packages"))
    (blocking,) = told.of(Weight.BLOCKS)
    assert (blocking.code, blocking.evidence) == ("packages-clash", [" a : Conflicts: b", "E: held broken packages"])


@pytest.mark.parametrize("name", ["linux-image-amd64", "grub-pc"])
def test_without_kernel_or_bootloader_in_reach_it_is_blocked(one: Rehearse, name: str) -> None:
    told = one(archive=FakeArchive(lacking=[name]))
    assert codes(told, Weight.BLOCKS) == ["no-kernel"]
    assert name in told.points[0].evidence[0]


def test_a_kernel_of_the_sources_own_is_enough(one: Rehearse) -> None:
    kernel = PackageId("linux-image-6.1.0-9-cloud-amd64", "amd64", "6.1")
    told = one(archive=FakeArchive([kernel], lacking=["linux-image-amd64"]), packages=[BASE, Package(name=kernel.name, version="6.1", arch="amd64")])
    assert told.verdict is Outlook.READY
    assert "linux-image-amd64" not in {addition.item for addition in told.additions}


ETH0 = Connection(renderer="ifupdown", file="/etc/network/interfaces", interface="eth0", addresses=["192.0.2.17/24"])


@pytest.mark.parametrize(
    ("row", "network", "packages", "weight", "word"),
    [
        (ETH0, "dhcp", [], Weight.CONDITION, "translated"),
        (ETH0, "keep", [], Weight.CONDITION, "stay"),
        (ETH0, "dhcp", ["network-manager"], Weight.CONDITION, "network-manager"),
        (None, "dhcp", [], Weight.NOTE, "no file names"),
    ],
)
def test_interfaces_that_change_their_names_are_told(one: Rehearse, row: Connection | None, network: str, packages: list[str], weight: Weight, word: str) -> None:
    extra = [Package(name=name, version="1", arch="amd64") for name in packages]
    offered = FakeArchive([PackageId(name, "amd64", "1") for name in packages])
    told = one(replace(SPEC, network=network), offered, packages=[BASE, *extra], network={"interfaces": ["lo", "eth0"]}, configuration={"connections": [row] if row else []})
    (found,) = told.points
    assert (found.code, found.weight) == ("interface-names", weight)
    assert word in found.what
    assert "eth0" in found.evidence[0]


@pytest.mark.parametrize("name", ["lo", "en*", "eth* en*"])
def test_patterns_and_the_loopback_are_no_names_that_change(one: Rehearse, name: str) -> None:
    assert one(configuration={"connections": [ETH0.model_copy(update={"interface": name})]}).points == []


def test_disks_that_the_new_machine_does_not_have_are_told(one: Rehearse) -> None:
    table = [("UUID=1", "/"), ("UUID=2", "/var"), ("tmpfs", "/tmp"), ("/dev/sdb1", "none")]
    told = one(configuration={"file_systems": [FileSystem(source=source, path=path, type="x") for source, path in table]})
    assert told.points[0].code == "file-systems"
    assert told.points[0].evidence == ["UUID=2 at /var (x)", "/dev/sdb1 at none (x)"]


@pytest.mark.parametrize(
    ("head", "code", "evidence"),
    [
        ({"redacted": [Redacted(path="/etc/k", secret="private key")]}, "secrets-redacted", "/etc/k (private key)"),
        ({"blind_spots": [BlindSpot(path="/x", reason="denied")]}, "blind-spots", "/x: denied"),
        ({"overlay": False}, "simple-scan", "/srv/x"),
        ({"users": [User(name="app", uid=33, gid=33)]}, "uid-clash", "www-data gets another number"),
    ],
)
def test_what_the_report_alone_tells_is_a_condition(one: Rehearse, head: dict[str, Any], code: str, evidence: str) -> None:
    told = one(rows=[entry("/srv/x", state="unmanaged")], **head)
    assert codes(told) == [code]
    assert told.verdict is Outlook.CONDITIONS
    assert any(evidence in item for item in told.points[0].evidence)


def test_a_source_that_starts_by_efi_is_told(one: Rehearse) -> None:
    system = head_of().system.model_copy(update={"machine": Machine(name="m", firmware="efi")})
    assert codes(one(system=system)) == ["firmware"]


def test_a_release_that_was_not_proven_is_a_condition(one: Rehearse) -> None:
    system = head_of().system.model_copy(update={"codename": "forky"})
    assert codes(one(system=system)) == ["release"]


@pytest.mark.parametrize(
    ("users", "groups", "said"),
    [
        ([User(name="www-data", uid=33, gid=33)], [Group(name="staff", gid=50)], []),
        ([User(name="www-data", uid=48, gid=48)], [], ["user www-data is 48 on the source and 33"]),
        ([User(name="app", uid=33, gid=33), User(name="www-data", uid=133, gid=33)], [], ["user www-data is 133"]),
        ([], [Group(name="scanners", gid=43)], ["group scanners has 43, which is utmp's"]),
        ([User(name="messagebus", uid=1500, gid=1)], [], ["user messagebus (1500) is what dbus calls"]),
        ([User(name="messagebus", uid=105, gid=1)], [], []),
    ],
)
def test_clashes_of_accounts_are_told_one_by_one(users: list[User], groups: list[Group], said: list[str]) -> None:
    found = list(clashes(head_of(users=users, groups=groups)))
    assert len(found) == len(said)
    assert all(line.startswith(start) for line, start in zip(found, said, strict=True))


def test_long_evidence_is_cut_and_says_so() -> None:
    told = point("x", Weight.NOTE, "many", [str(number) for number in range(50)])
    assert len(told.evidence) == SHOWN + 1
    assert told.evidence[-1] == f"… and {50 - SHOWN} more"


def refused(*rows: tuple[str, Weight, str]) -> UserError:
    points = [point(code, weight, "what", place=place) for code, weight, place in rows]
    with pytest.raises(UserError) as caught:
        refuse([Rehearsal(builder=0, type="openstack", points=points)], "b.yml")
    return caught.value


def test_conditions_and_notes_refuse_nothing() -> None:
    refuse([Rehearsal(builder=0, type="openstack", points=[point("a", Weight.CONDITION, "x"), point("b", Weight.NOTE, "y")])], "b.yml")


def test_every_blocking_point_is_named_once() -> None:
    same = Rehearsal(builder=0, type="openstack", points=[point("no-kernel", Weight.BLOCKS, "none"), point("mirror-unreachable", Weight.BLOCKS, "down")])
    with pytest.raises(Blocked) as caught:
        refuse([same, same], "b.yml")
    assert caught.value.problems == ("no-kernel: none", "mirror-unreachable: down")
    assert caught.value.exit_code == 1


def test_what_the_file_can_mend_is_a_mistake_of_the_file() -> None:
    assert type(refused(("disk-too-small", Weight.BLOCKS, "line 6, x"), ("z", Weight.NOTE, ""))) is SpecError
    assert type(refused(("disk-too-small", Weight.BLOCKS, "line 6, x"), ("no-kernel", Weight.BLOCKS, ""))) is Blocked


def test_two_builders_ask_the_archive_once(one: Rehearse, write_report: WriteReport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one()
    fake = FakeArchive()
    monkeypatch.setattr(module, "Archive", lambda *about, **more: fake)
    report: Report = write_report(packages=[BASE])
    rehearse(report, [SPEC, replace(SPEC, memory=512)], tmp_path)
    assert len(fake.asked) == 1


# What the boot asks of a source.


def settings(*rows: tuple[str, str, str, str]) -> Configuration:
    return Configuration(settings=[Setting(area=area, file=file, key=key, value=value) for area, file, key, value in rows])


def test_encrypted_disks_are_a_condition(one: Rehearse) -> None:
    told = one(configuration=settings(("crypt", "/etc/crypttab", "vault", "UUID=1"), ("crypt", "/etc/crypttab", "file", "/srv/vault.img")))
    (only,) = told.of(Weight.CONDITION)
    assert (only.code, only.evidence) == ("encrypted-disks", ["vault: UUID=1"])


def test_settings_of_grub_come_along_and_words_that_name_disks_are_named(one: Rehearse) -> None:
    rows = [entry("/etc/default/grub", state="unmanaged")]
    (note,) = one(rows=rows, configuration=settings(("cmdline", "/etc/default/grub", "GRUB_CMDLINE_LINUX", "quiet"), ("cmdline", "/proc/cmdline", "", "root=/dev/sda1"))).points
    assert (note.code, note.weight, note.evidence) == ("boot-settings", Weight.NOTE, ["/etc/default/grub"])
    (condition,) = one(rows=rows, configuration=settings(("cmdline", "/etc/default/grub", "GRUB_CMDLINE_LINUX", "quiet resume=UUID=1"))).points
    assert (condition.code, condition.weight, condition.evidence) == ("boot-settings", Weight.CONDITION, ["resume=UUID=1"])


def test_settings_of_grub_that_no_menu_can_be_made_of_are_a_condition(one: Rehearse) -> None:
    rows = [entry("/etc/default/grub", state="unmanaged"), entry("/etc/grub.d/00_header", state="unmanaged", type="directory", mode="0711")]
    (condition,) = one(rows=rows).of(Weight.CONDITION)
    assert (condition.code, condition.evidence) == ("boot-settings", ["/etc/grub.d/00_header"])
    assert one(rows=rows[1:]).points == []


def test_modules_of_no_package_are_a_condition_where_their_kernel_is_not_a_package(one: Rehearse) -> None:
    rows = [entry(f"/usr/lib/modules/{kernel}/updates/dkms/zfs.ko", state="unmanaged") for kernel in ("5.10", "6.1")]
    told = one(rows=rows, packages=[BASE, Package(name="linux-image-6.1", version="6.1", arch="amd64"), Package(name="grub-pc", version="1", arch="amd64")], captured=["grub-pc"])
    found = {point.weight: point.evidence for point in told.points if point.code == "kernel-modules"}
    assert found == {Weight.CONDITION: ["/usr/lib/modules/5.10/updates/dkms/zfs.ko"], Weight.NOTE: ["/usr/lib/modules/6.1/updates/dkms/zfs.ko"]}


def test_a_kernel_of_no_package_is_a_condition(one: Rehearse) -> None:
    (only,) = one(rows=[entry("/boot/vmlinuz-6.9-own", state="unmanaged")]).points
    assert (only.code, only.weight) == ("unpackaged-kernel", Weight.CONDITION)


REPLICATE = replace(SPEC, strategy="replicate")
BOOTS = [Package(name=name, version="6.1", arch="amd64") for name in ("linux-image-6.1.0-9-amd64", "grub-pc")]


def test_a_source_whose_repositories_are_out_of_reach_is_replicated_when_it_boots_by_itself(one: Rehearse) -> None:
    packages = [BASE, *BOOTS]
    told = one(REPLICATE, FakeArchive(down="refused", lacking=[name.item for name in additions("bookworm", set())]), packages=packages, captured=[p.name for p in packages])
    assert told.verdict is Outlook.CONDITIONS
    assert codes(told) == ["mirror-unreachable", "addition-unavailable"]
    assert told.packages == {"repack": 3}
    assert [addition.item for addition in told.additions] == ["/etc/systemd/network/90-forgelet-dhcp.network"]
    assert any(row.startswith("cloud-init: ") for row in told.points[1].evidence)


def test_without_a_kernel_or_bootloader_in_reach_replicating_is_blocked_with_the_reason(one: Rehearse) -> None:
    told = one(REPLICATE, FakeArchive(down="refused", lacking=["linux-image-amd64", "grub-pc"]), captured=["base-files"])
    assert [p.code for p in told.of(Weight.BLOCKS)] == ["no-kernel", "no-kernel"]
    assert [p.code for p in told.of(Weight.CONDITION)] == ["mirror-unreachable", "addition-unavailable"]


def test_replicating_what_was_not_captured_whole_is_blocked_with_the_way_out(one: Rehearse) -> None:
    (blocking,) = one(REPLICATE).of(Weight.BLOCKS)
    assert (blocking.code, blocking.evidence) == ("package-unavailable", ["base-files 12"])
    assert blocking.next.endswith("--overlay --whole")


def test_what_apt_is_told_of_a_replicated_source_lies_in_the_cache_once(one: Rehearse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "records", lambda scan: [{"Package": "base-files", "Version": "12", "Architecture": "amd64", "Status": "install ok installed"}])
    archives = [FakeArchive(), FakeArchive()]
    for fake in archives:
        one(REPLICATE, fake, captured=["base-files"])
    (first,), (second,) = (fake.told for fake in archives)
    assert first is not None and first == second
    assert [(entry.kind, entry.place) for entry in entries(tmp_path)] == [("resolution", first)]
    assert "Status: hold ok installed" in first.read_text()


# Offline.

OFFLINE = replace(SPEC, offline=True)


@pytest.mark.parametrize("known", [True, False])
def test_offline_names_every_package_that_the_cache_lacks_unless_the_base_is_there(one: Rehearse, monkeypatch: pytest.MonkeyPatch, known: bool) -> None:
    archive = FakeArchive()
    archive.lacking = lambda packages, stanzas: [package for package in packages if package.name in ("base-files", "udev")]  # type: ignore[attr-defined]
    monkeypatch.setattr(module, "is_cached", lambda *about: known)
    told = one(OFFLINE, archive)
    if known:
        assert told.verdict is Outlook.READY
        return
    (lacking,) = told.of(Weight.BLOCKS)
    assert (lacking.code, lacking.evidence) == ("not-cached", ["base-files:amd64=12", "udev:amd64=1"])
    assert lacking.next == "build once without --offline"
    assert one(SPEC, archive).verdict is Outlook.READY


def test_offline_lists_that_are_not_in_the_cache_block_by_their_name(one: Rehearse, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = FakeArchive()

    def refresh() -> None:
        raise NotCached("the package lists of bookworm (main) are not in the cache", hint="build once")

    monkeypatch.setattr(archive, "refresh", refresh)
    told = one(OFFLINE, archive)
    assert codes(told, Weight.BLOCKS) == ["not-cached"]
    with pytest.raises(Blocked, match="blocked; nothing was started"):
        refuse([told], "b.yml")


def test_a_scan_s_copy_has_the_swap_of_its_source(one: Rehearse) -> None:
    told = one(replace(SPEC, swap_size=64))
    assert "swap-size" in codes(told, Weight.BLOCKS)
    assert "swap-size" not in codes(one(SPEC))


def test_a_template_s_swap_takes_room(write_report: WriteReport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = FakeArchive()
    monkeypatch.setattr(plans, "archive_of", lambda head, cache, **about: fake)
    monkeypatch.setattr(module, "Archive", lambda *about, **more: fake)
    report = write_report((), head=head_of(packages=[BASE]))

    def least(swap: int, spec: BuilderSpec = SPEC) -> int:
        (told,) = module.Rehearser(report, lambda spec: plans.make_plan(report, spec, tmp_path), tmp_path, swap).run([spec])
        assert told.disk is not None and "swap-size" not in codes(told)
        return told.disk.used

    assert least(512) == least(0) + 512
    assert least(512, replace(SPEC, swap_size=100)) == least(0) + 100
