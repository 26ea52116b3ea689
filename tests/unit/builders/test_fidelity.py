"""The comparison behind the proof: every kind of damage is found and unexplained, and only what a rule is made for is explained."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders.bootable import CLOUD_FILE
from builders.capture import pick
from builders.copydisk import Accounts, Copy, Mounted
from builders.explain import rules
from builders.fidelity import LOST, Comparison, compare
from scanner.progress import Silent
from scanner.report import FileEntry, Package, Report, Service, State
from scanner.scan import scan

from .conftest import Machine, Record, WriteReport, built, entry, head_of, recorded

MIB = 2**20
Damage = Callable[[Machine], object]


def lived_in(machine: Machine) -> Machine:
    """A system with a bit of everything. Two of them are the same to the nanosecond."""
    unit = b"[Service]\nExecStart=/usr/sbin/nginx\n[Install]\nWantedBy=multi-user.target\n"
    machine.package(
        "nginx",
        {"/usr/sbin/nginx": b"binary", "/usr/share/doc/nginx/a": b"a", "/usr/lib/systemd/system/nginx.service": unit},
        conffiles={"/etc/nginx/nginx.conf": b"shipped\n"},
        listed=["/var/log/nginx"],
    )
    machine.package("held", {"/usr/bin/held": b"held"}, status="hold ok installed")
    wants = machine.at("/etc/systemd/system/multi-user.target.wants")
    wants.mkdir(parents=True)
    (wants / "nginx.service").symlink_to("/usr/lib/systemd/system/nginx.service")
    machine.file("/etc/passwd", b"root:x:0:0:root:/root:/bin/bash\nanna:x:1000:1000:Anna:/home/anna:/bin/bash\n")
    machine.file("/etc/group", b"root:x:0:\nanna:x:1000:\nstaff:x:50:anna\n")
    machine.file("/etc/shadow", b"root:*:19000:0:99999:7:::\nanna:$y$hash:19001:0:99999:7:::\n", 0o640)
    machine.file("/etc/os-release", b"ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\n")
    machine.file("/srv/page", b"<h1>hello</h1>", 0o644)
    os.setxattr(machine.at("/srv/page"), "user.note", b"1")
    os.link(machine.at("/srv/page"), machine.at("/srv/twin"))
    machine.at("/srv/link").symlink_to("page")
    with machine.at("/srv/sparse").open("wb") as out:
        out.truncate(MIB)
    for path in ("/var/log/app/app.log", "/var/log/nginx/access.log", "/var/log/syslog", "/var/log/ledger"):
        machine.file(path, b"one\ntwo\n")
    os.mkfifo(machine.at("/var/log/app/pipe"))
    machine.file("/opt/app/data", b"data")
    settle(machine)
    return machine


def settle(machine: Machine) -> None:
    """Every time is decided by the path alone."""
    for path in [machine.root, *machine.root.rglob("*")]:
        name = os.fsencode(path.relative_to(machine.root)).replace(b"srv/twin", b"srv/page")
        moment = 1_500_000_000_000_000_000 + int.from_bytes(hashlib.sha256(name).digest()[:6], "big")
        os.utime(path, ns=(5, moment), follow_symlinks=False)


@pytest.fixture
def source(make_machine: Callable[[str], Machine]) -> Machine:
    return lived_in(make_machine("source"))


@pytest.fixture
def copy(make_machine: Callable[[str], Machine]) -> Machine:
    return lived_in(make_machine("copy"))


def proof(source: Machine, copy: Machine, *added: str, overlay: bool = True, record: Record | None = None, accounts: Accounts | None = None) -> Comparison:
    """`record`: what the build wrote down; unless given, it left the copy as it is now."""
    choose = (lambda report: lambda one: pick(one, set())) if overlay else None
    ours = source.scan(choose=choose)
    theirs = scan(copy.target(), copy.folder / f"read{len(list(copy.folder.iterdir()))}", Silent())
    record = recorded(ours, copy, *added) if record is None else record
    return judged(ours, Copy(theirs, Mounted(copy.root), set(added), record, accounts or {}))


def judged(ours: Report, copy: Copy) -> Comparison:
    """As `builders/verify.py` compares."""
    return compare(ours, copy)


def unexplained(found: Comparison) -> set[tuple[str, str, str]]:
    return {(one.scope, one.item, one.what) for one in found.differences if one.rule is None}


def explained(found: Comparison) -> dict[str, str]:
    return {one.item: one.rule for one in found.differences if one.rule}


def edit(path: str, old: bytes, new: bytes) -> Damage:
    def change(machine: Machine) -> None:
        place = machine.at(path)
        assert old in place.read_bytes()
        place.write_bytes(place.read_bytes().replace(old, new))

    return change


def twin_apart(machine: Machine) -> None:
    machine.at("/srv/twin").unlink()
    shutil.copyfile(machine.at("/srv/page"), machine.at("/srv/twin"))
    os.setxattr(machine.at("/srv/twin"), "user.note", b"1")


def relink(machine: Machine) -> None:
    machine.at("/srv/link").unlink()
    machine.at("/srv/link").symlink_to("pagf")


def folder_for_file(machine: Machine) -> None:
    machine.at("/opt/app/data").unlink()
    machine.at("/opt/app/data").mkdir(mode=0o644)


STATUS, WANTS = "/var/lib/dpkg/status", "/etc/systemd/system/multi-user.target.wants"
DAMAGE: dict[str, tuple[Damage, set[tuple[str, str, str]]]] = {
    "content": (lambda m: m.file("/srv/page", b"<h1>hullo</h1>"), {("files", path, "sha256") for path in ("/srv/page", "/srv/twin")}),
    "content of a package": (lambda m: m.file("/usr/sbin/nginx", b"Binary"), {("files", "/usr/sbin/nginx", "sha256")}),
    "content of a conffile": (lambda m: m.file("/etc/nginx/nginx.conf", b"shippeD\n"), {("files", "/etc/nginx/nginx.conf", "sha256")}),
    "size": (lambda m: m.file("/opt/app/data", b"data\n"), {("files", "/opt/app/data", "size, sha256")}),
    "mode": (lambda m: m.at("/opt/app/data").chmod(0o600), {("files", "/opt/app/data", "mode")}),
    "set-id bit": (lambda m: m.at("/usr/sbin/nginx").chmod(0o4644), {("files", "/usr/sbin/nginx", "mode")}),
    "mode of a folder": (lambda m: m.at("/opt/app").chmod(0o700), {("files", "/opt/app", "mode")}),
    "attribute lost": (lambda m: os.removexattr(m.at("/srv/page"), "user.note"), {("files", path, "xattrs") for path in ("/srv/page", "/srv/twin")}),
    "attribute more": (lambda m: os.setxattr(m.at("/opt/app/data"), "user.more", b"1"), {("files", "/opt/app/data", "xattrs")}),
    "missing": (lambda m: m.at("/opt/app/data").unlink(), {("files", "/opt/app/data", "only in source")}),
    "missing of a package": (lambda m: m.at("/usr/share/doc/nginx/a").unlink(), {("files", "/usr/share/doc/nginx/a", "only in source")}),
    "extra": (lambda m: m.file("/srv/extra"), {("files", "/srv/extra", "only in copy")}),
    "extra folder": (lambda m: m.at("/srv/extra").mkdir(), {("files", "/srv/extra", "only in copy")}),
    "hardlink broken": (twin_apart, {("files", "/srv/twin", "hardlink")}),
    "hole lost": (lambda m: m.file("/srv/sparse", bytes(MIB)), {("files", "/srv/sparse", "extents")}),
    "link elsewhere": (relink, {("files", "/srv/link", "target")}),
    "another type": (folder_for_file, {("files", "/opt/app/data", "type, size, sha256")}),
    "package version": (edit(STATUS, b"Version: 1.0-1\n\nPackage: held", b"Version: 1.0-2\n\nPackage: held"), set()),
    "hold": (edit(STATUS, b"hold ok installed", b"install ok installed"), {("packages", "held:amd64", "hold")}),
    "want": (edit(STATUS, b"Status: install ok installed", b"Status: deinstall ok installed"), {("packages", "nginx:amd64", "wanted")}),
    "broken": (edit(STATUS, b"Status: install ok installed", b"Status: install reinstreq installed"), {("packages", "nginx:amd64", "flag")}),
    "package gone": (edit(STATUS, b"hold ok installed", b"deinstall ok not-installed"), {("packages", "held:amd64", "only in source")}),
    "service disabled": (
        lambda m: m.at(f"{WANTS}/nginx.service").unlink(),
        {("services", "nginx.service", "state, wanted_by"), ("files", f"{WANTS}/nginx.service", "only in source")},
    ),
    "user id": (edit("/etc/passwd", b":1000:1000:", b":1001:1000:"), {("users", "anna", "uid")}),
    "shell": (edit("/etc/passwd", b"anna:/bin/bash", b"anna:/bin/dash"), {("users", "anna", "shell")}),
    "user gone": (edit("/etc/passwd", b"anna:x", b"bnna:x"), {("users", "anna", "only in source"), ("users", "bnna", "only in copy")}),
    "group member": (edit("/etc/group", b":50:anna", b":50:"), {("users", "group staff", "members")}),
    "password hash": (edit("/etc/shadow", b"$y$hash", b"$y$hasH"), {("users", "anna", "password hash or its age")}),
    "password age": (edit("/etc/shadow", b":19001:", b":19002:"), {("users", "anna", "password hash or its age")}),
    "password locked": (edit("/etc/shadow", b"$y$", b"!$y$"), {("users", "anna", "password"), ("users", "anna", "password hash or its age")}),
    "mode of the secrets": (lambda m: m.at("/etc/shadow").chmod(0o644), {("files", "/etc/shadow", "mode")}),
    "a second root": (
        edit("/etc/passwd", b"anna:x:1000", b"toor:x:0:0::/root:/bin/sh\nanna:x:1000"),
        {("users", "toor", "only in copy")},
    ),
}
DAMAGE["package version"] = (edit(STATUS, b"Architecture: amd64\nVersion: 1.0-1\nConffiles", b"Architecture: amd64\nVersion: 1.0-2\nConffiles"), {("packages", "nginx:amd64", "version")})


def test_a_copy_that_is_the_source_differs_in_nothing(source: Machine, copy: Machine) -> None:
    found = proof(source, copy)
    assert found.differences == []
    assert found.excuses() == []
    assert {name: (scope.explained, scope.unexplained) for name, scope in found.scopes.items()} == dict.fromkeys(
        ("system", "packages", "files", "users", "services", "blind spots"), (0, 0)
    )
    assert (found.scopes["packages"].equal, found.scopes["users"].equal, found.scopes["services"].equal) == (2, 5, 1)
    assert found.scopes["files"].equal == sum(1 for _ in copy.root.rglob("*")) + 1


@pytest.mark.parametrize("kind", DAMAGE)
def test_every_kind_of_damage_is_found_and_unexplained(source: Machine, copy: Machine, kind: str) -> None:
    damage, expected = DAMAGE[kind]
    damage(copy)
    settle(copy)
    found = proof(source, copy)
    assert unexplained(found) == expected
    assert sum(scope.unexplained for scope in found.scopes.values()) == len(expected)


@pytest.fixture
def both_removed(source: Machine, copy: Machine) -> None:
    """A package that is removed on both sides, with what dpkg keeps of it."""
    for machine in (source, copy):
        machine.package("gone", conffiles={"/etc/gone.conf": b"mine\n"}, status="deinstall ok config-files")
        machine.file("/var/lib/dpkg/info/gone.postrm", b"#!/bin/sh\n")
        settle(machine)


REMOVED: dict[str, tuple[Damage, set[tuple[str, str, str]]]] = {
    "nothing": (lambda m: None, set()),
    "forgotten": (edit(STATUS, b"deinstall ok config-files", b"purge ok not-installed"), {("packages", "gone:amd64", "only in source")}),
    "configuration": (lambda m: m.at("/etc/gone.conf").unlink(), {("files", "/etc/gone.conf", "only in source")}),
    "how to purge it": (lambda m: m.at("/var/lib/dpkg/info/gone.postrm").unlink(), {("files", "/var/lib/dpkg/info/gone.postrm", "only in source")}),
}


@pytest.mark.usefixtures("both_removed")
@pytest.mark.parametrize("kind", REMOVED)
def test_of_a_removed_package_dpkg_knows_what_it_knew(source: Machine, copy: Machine, kind: str) -> None:
    damage, expected = REMOVED[kind]
    damage(copy)
    settle(copy)
    assert unexplained(proof(source, copy)) == expected


def test_a_package_that_was_removed_on_the_source_may_be_added(source: Machine, copy: Machine) -> None:
    source.package("cloud", status="deinstall ok config-files")
    copy.package("cloud", {"/usr/bin/cloud": b"added"})
    settle(source), settle(copy)
    found = proof(source, copy, "cloud")
    assert unexplained(found) == set()
    assert explained(found)["cloud:amd64"] == "added-package"
    assert ("packages", "cloud:amd64", "status, wanted") in unexplained(proof(source, copy))


def test_of_a_simple_scan_the_records_of_removed_packages_cannot_be_brought(source: Machine, copy: Machine) -> None:
    source.package("gone", status="deinstall ok config-files")
    settle(source)
    assert unexplained(proof(source, copy, overlay=False)) == set()


def test_a_time_that_is_a_nanosecond_off_is_found(source: Machine, copy: Machine) -> None:
    place = copy.at("/opt/app/data")
    os.utime(place, ns=(5, place.stat().st_mtime_ns + 1))
    assert unexplained(proof(source, copy)) == {("files", "/opt/app/data", "mtime")}


@pytest.mark.parametrize(
    ("field", "value"), [("uid", 33), ("gid", 33), ("device", "1:3"), ("xattrs", {"security.capability": "AQAAAgAgAAAAAAAAAAAAAAAAAAA="})]
)
def test_what_only_root_could_change_is_found(write_report: WriteReport, tmp_path: Path, field: str, value: object) -> None:
    rows = [entry("/", "directory"), entry("/srv/x", state="unmanaged")]
    changed = [entry("/", "directory"), entry("/srv/x", state="unmanaged", **{field: value})]
    found = judged(write_report(rows), Copy(write_report(changed), Mounted(tmp_path), set()))
    assert unexplained(found) == {("files", "/srv/x", field)}


@pytest.mark.parametrize(("state", "rule"), [("unmanaged", "unpackaged-kernel"), ("managed", "boot")])
def test_a_kernel_that_stayed_behind_has_a_rule_of_its_own(write_report: WriteReport, tmp_path: Path, state: str, rule: str) -> None:
    rows = [entry("/", "directory"), entry("/boot/vmlinuz-6.9-own", state=state)]
    found = judged(write_report(rows), Copy(write_report(rows[:1]), Mounted(tmp_path), set()))
    assert [(one.item, one.rule) for one in found.differences] == [("/boot/vmlinuz-6.9-own", rule)]


def test_a_difference_shows_both_sides_printable(write_report: WriteReport, tmp_path: Path) -> None:
    ours = [entry("/", "directory"), entry("/srv/\udce9", "symlink", target="\udcff")]
    theirs = [entry("/", "directory"), entry("/srv/\udce9", "symlink", target="b")]
    (one,) = judged(write_report(ours), Copy(write_report(theirs), Mounted(tmp_path), set())).differences
    assert (one.item, one.source, one.copy_) == ("/srv/\\udce9", "target=\\udcff", "target=b")
    one.model_dump_json()


def test_unexplained_differences_come_first_and_the_sums_add_up(source: Machine, copy: Machine) -> None:
    copy.file("/boot/vmlinuz-6.1")
    copy.file("/srv/extra")
    copy.file("/etc/hostname", b"web\n")
    settle(copy)
    found = proof(source, copy)
    assert [one.rule is None for one in found.differences] == sorted((one.rule is None for one in found.differences), reverse=True)
    assert {excuse.rule: excuse.count for excuse in found.excuses()} == {"boot": 1, "host-name": 1, "added-folder": 1}
    assert found.scopes["files"].explained == sum(excuse.count for excuse in found.excuses())
    assert all(excuse.reason == rules()[excuse.rule].reason for excuse in found.excuses())


def add_cloud(machine: Machine) -> None:
    unit = b"[Service]\nExecStart=/usr/bin/cloud\n[Install]\nWantedBy=multi-user.target\n"
    machine.package("cloud", {"/usr/bin/cloud": b"added", "/usr/lib/systemd/system/cloud.service": unit}, listed=["/usr/share/cloud"])
    machine.at("/usr/share/cloud").mkdir(parents=True)
    machine.at(f"{WANTS}/cloud.service").symlink_to("/lib/systemd/system/cloud.service")


KEY = "/etc/ssh/ssh_host_rsa_key"


LOG = "/var/log/nginx/access.log"


# A scan without overlay: what could not be brought is counted by a rule of its own, damage is still damage.


def test_of_a_simple_scan_what_was_not_captured_is_explained_as_that(source: Machine, copy: Machine) -> None:
    for path in ("/opt/app/data", "/srv/page", "/srv/twin"):
        copy.at(path).unlink()
    source.file("/etc/nginx/nginx.conf", b"changed\n")
    edit("/etc/shadow", b"$y$hash", b"!")(copy)
    settle(source)
    settle(copy)
    record = recorded(source.scan(), copy) | built(*(one for one in copy.scan().files() if one.path == "/etc/nginx/nginx.conf"))
    found = proof(source, copy, overlay=False, record=record)
    assert unexplained(found) == set()
    assert unexplained(proof(source, copy, overlay=False)) == {("files", "/etc/nginx/nginx.conf", "sha256")}
    rule = explained(found)
    assert {rule[path] for path in ("/opt/app/data", "/srv/page", "/srv/twin", "/etc/nginx/nginx.conf", "anna")} == {"no-overlay"}


@pytest.mark.parametrize("kind", ["content of a package", "missing of a package", "mode of a folder", "extra", "hold", "user id", "shell", "a second root", "set-id bit"])
def test_of_a_simple_scan_damage_to_what_was_brought_is_unexplained(source: Machine, copy: Machine, kind: str) -> None:
    damage, expected = DAMAGE[kind]
    damage(copy)
    settle(copy)
    brought = {one for one in expected if one[1] != "/opt/app"}
    assert brought <= unexplained(proof(source, copy, overlay=False))


def test_states_and_owners_are_no_difference(write_report: WriteReport, tmp_path: Path) -> None:
    ours = [entry("/", "directory"), entry("/srv/x", state=State.MANAGED, package="nginx"), entry("/srv/y", state=State.MISSING)]
    theirs = [entry("/", "directory"), FileEntry("/srv/x", "file", State.UNMANAGED, "other", mode="0644", mtime=10**18)]
    assert judged(write_report(ours, head=head_of()), Copy(write_report(theirs), Mounted(tmp_path), set())).differences == []


TABLE = "a" * 64


@pytest.mark.parametrize(
    ("written", "changes", "rule"),
    [
        ({"/etc/fstab": TABLE}, {"sha256": TABLE, "size": 3}, "translated"),
        ({"/etc/fstab": "b" * 64}, {"sha256": TABLE, "size": 3}, None),
        ({}, {"sha256": TABLE}, None),
        ({"/etc/fstab": TABLE}, {"sha256": TABLE, "mode": "0600"}, None),
        ({"/etc/fstab": TABLE}, {"sha256": TABLE, "mtime": 7}, None),
        ({"/etc/other": TABLE}, {"sha256": TABLE}, None),
    ],
    ids=["as-written", "other-contents", "nothing-written", "mode", "time", "other-path"],
)
def test_translated_configuration_is_explained_only_as_the_build_wrote_it(
    write_report: WriteReport, tmp_path: Path, written: dict[str, str], changes: dict[str, Any], rule: str | None
) -> None:
    ours = entry("/etc/fstab", state="unmanaged", sha256="0" * 64)
    theirs = replace(ours, **changes)
    found = judged(write_report([ours]), Copy(write_report([theirs]), Mounted(tmp_path), set(), built(theirs), translated=written))
    assert [one.rule for one in found.differences] == [rule]
    if rule:
        since = built(replace(theirs, mode="0600"))
        assert [one.rule for one in judged(write_report([ours]), Copy(write_report([theirs]), Mounted(tmp_path), set(), since, translated=written)).differences] == [None]


FROM_THE_BUILD = ["/etc/cloud/cloud.cfg.d/90_forgelet.cfg", "/etc/systemd/network/90-forgelet-dhcp.network", "/etc/systemd/system/forgelet-container.service", "/etc/fstab", "/etc/hosts"]


@pytest.mark.parametrize("path", FROM_THE_BUILD)
@pytest.mark.parametrize(
    "since", [{}, {"sha256": "b" * 64}, {"type": "symlink", "target": "x", "sha256": None}, {"mode": "4755"}, {"uid": 33}, {"xattrs": {"security.capability": "AQAA"}}, None], ids=str
)
def test_what_the_build_wrote_is_excused_only_where_it_wrote_it_and_as_it_wrote_it(
    write_report: WriteReport, tmp_path: Path, path: str, since: dict[str, Any] | None
) -> None:
    there = entry(path, state="unmanaged", sha256=TABLE)
    record = built(there) if since is not None else {}
    found = judged(write_report([]), Copy(write_report([replace(there, **(since or {}))]), Mounted(tmp_path), set(), record))
    assert [bool(one.rule) for one in found.differences if one.item == path] == [since == {}]


@pytest.mark.parametrize(
    ("packages", "changes", "rule"),
    [
        (["cloud-init"], {"mtime": 9}, "grown-root"),
        (["cloud-init"], {"mtime": 1}, None),
        (["cloud-init"], {"mtime": 9, "mode": "0700"}, None),
        ([], {"mtime": 9}, None),
    ],
    ids=["later", "earlier", "more-than-the-time", "nobody-grows-it"],
)
def test_the_time_of_the_root_is_explained_where_cloud_init_grew_it(
    write_report: WriteReport, tmp_path: Path, packages: list[str], changes: dict[str, Any], rule: str | None
) -> None:
    root = entry("/", type="directory", mode="0755", mtime=5, state="unmanaged")
    there = [Package(name=name, version="1", arch="amd64") for name in packages]
    found = judged(write_report([root]), Copy(write_report([replace(root, **changes)], packages=there), Mounted(tmp_path), set()))
    assert [one.rule for one in found.differences if one.item == "/"] == [rule]


def test_what_the_build_wrote_and_is_gone_is_a_difference_though_the_source_never_had_it(write_report: WriteReport, tmp_path: Path) -> None:
    ours = entry("/srv/kept", state="unmanaged", sha256="0" * 64)
    copy = Copy(write_report([ours]), Mounted(tmp_path), set(), built(entry(CLOUD_FILE, sha256=TABLE), ours))
    found = judged(write_report([ours]), copy)
    assert [(one.item, one.what, one.rule) for one in found.differences] == [(CLOUD_FILE, LOST, None)]
    assert found.scopes["files"].equal == judged(write_report([ours]), Copy(write_report([ours]), Mounted(tmp_path), set())).scopes["files"].equal


@pytest.mark.parametrize(
    ("installed", "rules"),
    [("2.5", {"old:amd64": "nearest-version", "/usr/bin/old": "nearest-version", "/usr/lib/old.1": "nearest-version", "/usr/lib/old.2": "nearest-version"}), ("2.6", {"old:amd64": None})],
)
def test_another_version_is_explained_with_its_files_where_the_build_says_so(
    write_report: WriteReport, tmp_path: Path, installed: str, rules: dict[str, str | None]
) -> None:
    ours = [entry("/usr/bin/old", package="old", sha256="0" * 64), entry("/usr/lib/old.1", package="old"), entry("/usr/bin/mine", state="unmanaged", sha256="0" * 64)]
    theirs = [entry("/usr/bin/old", package="old", sha256="1" * 64), entry("/usr/lib/old.2", package="old"), entry("/usr/bin/mine", state="unmanaged", sha256="1" * 64)]
    record = built(theirs[0]) | built(theirs[1], rule="nearest-version")
    left = write_report(ours, packages=[Package(name="old", version="2.1", arch="amd64")])
    right = write_report(theirs, packages=[Package(name="old", version=installed, arch="amd64")])
    found = {one.item: one.rule for one in judged(left, Copy(right, Mounted(tmp_path), set(), record, nearest={"old": "2.5"})).differences}
    assert {item: found[item] for item in rules} == rules
    assert found["/usr/bin/mine"] is None


def test_what_another_version_does_not_do_is_unexplained(write_report: WriteReport, tmp_path: Path) -> None:
    ours = [entry("/usr/bin/old", package="old"), entry("/usr/bin/sold", package="sold")]
    theirs = [entry("/usr/bin/old", package="old", uid=4242), entry("/usr/bin/sold", package="sold", mode="4755")]
    held = [Package(name="old", version="2.1", arch="amd64", hold=hold) for hold in (True, False)]
    found = judged(write_report(ours, packages=held[:1]), Copy(write_report(theirs, packages=held[1:]), Mounted(tmp_path), set(), nearest={"old": "2.5"}))
    assert [one.rule for one in found.differences] == [None, None, None]


NETWORKD = "systemd-networkd.service"


@pytest.mark.parametrize(
    ("left", "right", "rule"),
    [
        (("disabled", []), ("enabled", ["multi-user.target"]), "network"),
        (("disabled", []), ("enabled", ["multi-user.target", "graphical.target"]), None),
        (("masked", []), ("enabled", ["multi-user.target"]), None),
        (("enabled", ["graphical.target"]), ("enabled", ["multi-user.target"]), None),
        (("enabled", ["multi-user.target"]), ("disabled", []), None),
        (("disabled", []), ("enabled", []), None),
    ],
)
def test_a_unit_of_the_sources_that_the_copy_starts_is_explained_by_the_rule_of_its_links(
    write_report: WriteReport, tmp_path: Path, left: tuple[str, list[str]], right: tuple[str, list[str]], rule: str | None
) -> None:
    units = [Service(name=NETWORKD, state=state, wanted_by=wanted, path="/usr/lib/systemd/system/x") for state, wanted in (left, right)]
    links = [entry(f"/etc/systemd/system/{target}.wants/{NETWORKD}", "symlink", "unmanaged", target="x") for target in right[1] if target not in left[1]]

    def found(name: str, record: Record) -> list[str | None]:
        ours, theirs = (write_report(rows, services=[unit.model_copy(update={"name": name})]) for rows, unit in zip(([], links), units, strict=True))
        differences = judged(ours, Copy(theirs, Mounted(tmp_path), set(), record)).differences
        return [one.rule for one in differences if one.scope == "services"]

    assert found(NETWORKD, built(*links)) == [rule]
    assert found(NETWORKD, {}) == [None]
    assert found("ssh.service", built(*links)) == [None]


@pytest.mark.parametrize(("type", "state", "rule"), [("file", "excluded", "left-out"), ("directory", "excluded", None), ("file", "unmanaged", None)])
def test_a_file_that_the_scan_left_out_is_not_missed_and_a_folder_is(write_report: WriteReport, tmp_path: Path, type: str, state: str, rule: str | None) -> None:
    found = judged(write_report([entry("/opt/cache.bin", type, state)]), Copy(write_report(), Mounted(tmp_path), set()))
    assert [one.rule for one in found.differences] == [rule]


@pytest.mark.parametrize(("reason", "rule"), [("user", "left-out"), ("mount", None)])
def test_below_a_folder_that_the_scan_was_told_to_leave_out_may_be_what_the_build_has_there(write_report: WriteReport, tmp_path: Path, reason: str, rule: str | None) -> None:
    """As the build left it; what came since is found there as everywhere."""
    opt, tool, edited, odd = entry("/opt", "directory", "unmanaged"), entry("/opt/tool"), entry("/opt/edited"), entry("/opt/odd")
    copy = Copy(write_report([opt, tool, replace(edited, mode="0666"), odd]), Mounted(tmp_path), set(), built(tool, edited))
    found = judged(write_report([replace(opt, state=State.EXCLUDED, reason=reason)]), copy)
    assert {one.item: one.rule for one in found.differences if one.item != "/opt"} == {"/opt/tool": rule, "/opt/edited": None, "/opt/odd": None}
