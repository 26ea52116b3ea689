"""Machines of rpm, from fabricated databases: packages, owners, and what `rpm --verify` would say."""

from __future__ import annotations

import os
import sqlite3
import struct
from pathlib import Path

import pytest
from support import rpmdb
from support.rpmdb import Shipped

from scanner.rules import reasons

CONFIG, MISSING_OK, GHOST = 1, 8, 64
UID, GID = os.getuid(), os.getgid()
NOT_CONTENTS = 0xFFFFFFFF & ~0b100011


@pytest.fixture
def rpm(machine):
    """The machine's accounts have names, so that what the test's own user makes is as shipped."""
    machine.at("/var/lib/dpkg/status").unlink()
    machine.file("/etc/passwd", f"root:x:{UID}:0::/:/bin/sh\n".encode())
    machine.file("/etc/group", f"root:x:{GID}:\n".encode())

    def install(*files: Shipped, name: str = "tool", put: bool = True, **more: object) -> None:
        for one in files:
            if put and one.mode >> 12 == 8:
                os.utime(machine.file(one.path, one.data, one.mode & 0o7777), (one.mtime, one.mtime))
        rpmdb.write(machine.root, [rpmdb.header(name, files, **more)])

    machine.install = install
    return machine


def judged(machine, path):
    entry = machine.entries()[path]
    return entry.state, entry.reason, entry.package, entry.expected


def test_a_package_is_told_with_everything_that_its_header_has(rpm):
    rpm.install(tags={1003: 2, 1016: b"Tools", 1009: 4711, 5096: b"tools:1:2024:abc"})
    (one,) = rpm.scan().head.packages
    assert (one.manager, one.name, one.version, one.arch, one.source) == ("rpm", "tool", "2:1.0-1", "x86_64", "tool")
    assert (one.section, one.size, one.module, one.status) == ("Tools", 4711, "tools:1:2024:abc", "installed")


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512"])
def test_contents_are_held_against_the_digest_of_any_algorithm(rpm, algorithm):
    rpm.install(Shipped("/usr/bin/tool", b"binary"), Shipped("/usr/bin/other", b"other"), algorithm=algorithm)
    os.utime(rpm.file("/usr/bin/other", b"patch"), (0, 0))
    assert judged(rpm, "/usr/bin/tool") == ("managed", "digest-equal", "tool", {})
    state, reason, owner, expected = judged(rpm, "/usr/bin/other")
    assert (state, reason, owner) == ("managed-changed", "digest-differs", "tool")
    assert expected.keys() == {"digest"}
    assert expected["digest"].startswith(algorithm + ":")


def test_an_edited_configuration_file_is_told_apart(rpm):
    rpm.install(Shipped("/etc/tool.conf", b"x=1\n", flags=CONFIG))
    rpm.file("/etc/tool.conf", b"x=22\n")
    state, reason, _, expected = judged(rpm, "/etc/tool.conf")
    assert (state, reason) == ("conffile-changed", "conffile-digest")
    assert (expected["size"], expected["mtime"]) == ("4", "0")


def test_contents_that_rpm_is_told_not_to_verify_are_still_known_to_differ(rpm):
    rpm.install(Shipped("/etc/accounts", b"shipped", flags=CONFIG, verify=NOT_CONTENTS))
    rpm.file("/etc/accounts", b"lived in")
    state, reason, _, expected = judged(rpm, "/etc/accounts")
    assert (state, reason, expected.keys()) == ("conffile-changed", "conffile-digest", {"digest"})


def test_a_changed_mode_alone_is_a_change(rpm):
    rpm.install(Shipped("/etc/tool.conf", b"x", flags=CONFIG))
    rpm.at("/etc/tool.conf").chmod(0o600)
    assert judged(rpm, "/etc/tool.conf") == ("managed-changed", "mode-differs", "tool", {"mode": "0644"})


def test_another_owner_is_told_by_the_machines_own_names(rpm):
    rpm.install(Shipped("/usr/bin/tool", b"x", user="daemon", group="wheel"))
    rpm.file("/etc/passwd", f"daemon:x:{UID or 77}:0::/:/bin/sh\n".encode())
    rpm.file("/etc/group", f"other:x:{GID or 77}:\n".encode())
    expected = judged(rpm, "/usr/bin/tool")[3]
    assert expected == ({"user": "daemon", "group": "wheel"} if UID == 0 else {"group": "wheel"})


def test_a_new_time_alone_is_a_change(rpm):
    rpm.install(Shipped("/usr/bin/tool", b"x", mtime=1000))
    os.utime(rpm.at("/usr/bin/tool"), (2000, 2000))
    assert judged(rpm, "/usr/bin/tool")[1:] == ("mtime-differs", "tool", {"mtime": "1000"})


def test_links_are_held_against_where_they_should_point(rpm):
    rpm.install(Shipped("/usr/bin/good", mode=0o120777, target="tool"), Shipped("/usr/bin/bad", mode=0o120777, target="tool"))
    rpm.at("/usr/bin/good").symlink_to("tool")
    rpm.at("/usr/bin/bad").symlink_to("elsewhere")
    assert judged(rpm, "/usr/bin/good") == ("managed", "listed", "tool", {})
    assert judged(rpm, "/usr/bin/bad") == ("managed-changed", "target-differs", "tool", {"target": "tool"})


def test_capabilities_that_are_gone_are_a_change(rpm):
    rpm.install(Shipped("/usr/bin/ping", b"x", mode=0o100755, caps="cap_net_raw=ep"))
    assert judged(rpm, "/usr/bin/ping") == ("managed-changed", "caps-differs", "tool", {"caps": "cap_net_raw=ep"})


def test_something_else_in_its_place_is_a_change(rpm):
    rpm.install(Shipped("/usr/bin/tool", b"x"))
    rpm.at("/usr/bin/tool").unlink()
    rpm.at("/usr/bin/tool").mkdir()
    assert judged(rpm, "/usr/bin/tool") == ("managed-changed", "type-differs", "tool", {"type": "file"})


def test_what_is_deleted_is_missing_unless_it_may_be(rpm):
    rpm.install(
        Shipped("/usr/share/tool", mode=0o040755),
        Shipped("/usr/share/tool/a", b"a"),
        Shipped("/etc/maybe", b"m", flags=CONFIG | MISSING_OK),
        Shipped("/var/log/tool.log", flags=GHOST),
        Shipped("/usr/share/doc/skipped", b"d", state=2),
        Shipped("/usr/share/foreign", b"n", state=3),
        put=False,
    )
    missing = [(path, one.type) for path, one in rpm.entries().items() if one.state == "missing"]
    # The folder above is nobody's, and must be there for their sake.
    assert missing == [("/usr/share", "directory"), ("/usr/share/tool", "directory"), ("/usr/share/tool/a", "file")]


def test_a_ghosts_contents_do_not_come_with_its_package(rpm):
    rpm.install(Shipped("/var/log/tool.log", b"", flags=GHOST))
    rpm.file("/var/log/tool.log", b"entries")
    assert judged(rpm, "/var/log/tool.log") == ("unmanaged", "ghost", "tool", {})


def test_a_folder_of_two_packages_has_no_owner_and_the_links_of_a_merged_usr_are_as_they_should_be(rpm):
    folder, below = Shipped("/usr/share/both", mode=0o040755), Shipped("/bin", mode=0o040755)
    rpm.at("/usr/share/both").mkdir(parents=True)
    rpm.install(folder, below, name="one")
    rpm.install(folder, name="two")
    entries = rpm.entries()
    assert (entries["/usr/share/both"].state, entries["/usr/share/both"].package) == ("managed", None)
    assert entries["/bin"].state == "managed"


def test_packages_installed_twice_are_named_by_what_tells_them_apart(rpm):
    rpm.install(Shipped("/usr/lib/l32", b"3"), name="lib", tags={1022: b"i686"})
    rpm.install(Shipped("/usr/lib/l64", b"6"), name="lib")
    rpm.install(Shipped("/usr/lib/k1", b"1"), name="kernel", tags={1002: b"1"})
    rpm.install(Shipped("/usr/lib/k2", b"2"), name="kernel", tags={1002: b"2"})
    entries = rpm.entries()
    assert [entries[f"/usr/lib/{name}"].package for name in ("l32", "l64", "k1", "k2")] == ["lib:i686", "lib:x86_64", "kernel-1.0-1", "kernel-1.0-2"]


def test_a_file_that_another_package_replaced_is_the_others(rpm):
    rpm.install(Shipped("/usr/bin/tool", b"old", state=1), name="old")
    rpm.install(Shipped("/usr/bin/tool", b"new"), name="new")
    assert judged(rpm, "/usr/bin/tool") == ("managed", "digest-equal", "new", {})


@pytest.mark.parametrize("folder", ["usr/lib/sysimage/rpm", "var/lib/rpm"])
def test_the_database_is_found_where_distributions_keep_it(rpm, folder):
    rpmdb.write(rpm.root, [rpmdb.header("tool")], folder)
    assert [one.name for one in rpm.scan().head.packages] == ["tool"]


def test_packages_that_are_still_in_the_write_ahead_log_are_seen_and_nothing_is_written(rpm):
    place = rpmdb.write(rpm.root, [rpmdb.header("tool")], wal=True)
    before = {path.name: path.read_bytes() for path in place.parent.iterdir()}
    assert [one.name for one in rpm.scan().head.packages] == ["tool"]
    assert {path.name: path.read_bytes() for path in place.parent.iterdir()} == before


def ndb(blobs: list[bytes]) -> bytes:
    """rpm's own format: a page of slots, then the headers in blocks of 16 bytes."""
    slots, body = [], b""
    for number, blob in enumerate(blobs, 1):
        piece = struct.pack("<4sIII", b"BlbS", number, 1, len(blob)) + blob
        slots.append(struct.pack("<4sIII", b"Slot", number, (4096 + len(body)) // 16, -(-len(piece) // 16)))
        body += piece + b"\0" * (-len(piece) % 16)
    slots.append(struct.pack("<4sIII", b"Slot", 99, 0, 0))
    page = struct.pack("<4sIII16x", b"RpmP", 0, 1, 1) + b"".join(slots)
    return page.ljust(4096, b"\0") + body


def test_rpms_own_format_is_read(rpm):
    rpm.file("/var/lib/rpm/Packages.db", ndb([rpmdb.header("one"), rpmdb.header("two", [Shipped("/usr/bin/two", b"2")])]))
    report = rpm.scan()
    assert [one.name for one in report.head.packages] == ["one", "two"]
    assert [entry.state for entry in report.files() if entry.path == "/usr/bin/two"] == ["missing"]


@pytest.mark.parametrize(
    ("name", "raw", "why"),
    [
        ("Packages", b"not a hash table at all", "no hash table of Berkeley DB"),
        ("Packages", b"\0" * 12 + b"\x61\x15\x06\x00", "cannot be read"),
        ("Packages", b"\0" * 12 + b"\x61\x15\x06\x00" + b"\0" * 4 + b"\x03\x00\x00\x00" + b"\0" * 600, "damaged"),
        ("rpmdb.sqlite", b"this is no database, and long enough to be looked at" * 20, "cannot be read"),
        ("Packages.db", b"RpmP" + b"\0" * 8 + b"\1\0\0\0" + b"\0" * 16 + struct.pack("<4sIII", b"Slot", 1, 256, 1), "cannot be read"),
    ],
)
def test_a_database_that_cannot_be_read_is_a_blind_spot(rpm, name, raw, why):
    rpm.file(f"/var/lib/rpm/{name}", raw)
    (spot,) = rpm.scan().head.blind_spots
    assert spot.path == f"/var/lib/rpm/{name}"
    assert why in spot.reason


@pytest.mark.parametrize("keep", [0, 7, 40, 200])
def test_a_damaged_header_is_a_blind_spot_and_the_others_are_read(rpm, keep):
    rpmdb.write(rpm.root, [rpmdb.header("bad", [Shipped("/usr/bin/x", b"x")])[:keep], rpmdb.header("good")])
    head = rpm.scan().head
    assert [one.name for one in head.packages] == ["good"]
    assert "a package is not known" in head.blind_spots[0].reason


def test_what_came_as_a_dependency_and_what_is_locked_are_marked(rpm):
    for name in ("tool", "dep", "auto", "held"):
        rpm.install(name=name)
    history = rpm.at("/var/lib/dnf/history.sqlite")
    history.parent.mkdir(parents=True)
    with sqlite3.connect(history) as database:
        database.execute("CREATE TABLE rpm (item_id INTEGER, name TEXT, arch TEXT)")
        database.execute("CREATE TABLE trans_item (id INTEGER PRIMARY KEY, item_id INTEGER, reason INTEGER)")
        database.executemany("INSERT INTO rpm VALUES (?, ?, 'x86_64')", [(1, "tool"), (2, "dep"), (3, "held")])
        database.executemany("INSERT INTO trans_item (item_id, reason) VALUES (?, ?)", [(1, 1), (2, 1), (3, 2), (1, 2)])
    database.close()
    rpm.file("/var/lib/zypp/AutoInstalled", b"# by zypper\nauto\n")
    rpm.file("/etc/dnf/plugins/versionlock.list", b"# Added lock\nheld-0:1.0-1.*\n")
    packages = {one.name: one for one in rpm.scan().head.packages}
    assert [name for name, one in packages.items() if one.auto] == ["dep", "auto"]
    assert [name for name, one in packages.items() if one.hold] == ["held"]


def test_two_managers_on_one_machine_each_answer_for_their_own(machine):
    machine.package("debian", {"/usr/bin/deb": b"d"})
    machine.file("/usr/bin/rpm", b"patched")
    rpmdb.write(machine.root, [rpmdb.header("redhat", [Shipped("/usr/bin/rpm", b"r")])])
    entries = machine.entries()
    assert (entries["/usr/bin/deb"].reason, entries["/usr/bin/deb"].package) == ("md5-equal", "debian")
    assert (entries["/usr/bin/rpm"].reason, entries["/usr/bin/rpm"].package) == ("digest-differs", "redhat")
    assert {one.manager for one in machine.scan().head.packages} == {"dpkg", "rpm"}


def test_every_reason_is_explained(rpm):
    rpm.install(Shipped("/usr/bin/tool", b"x"), Shipped("/var/log/g", flags=GHOST))
    rpm.file("/var/log/g")
    assert {one.reason for one in rpm.entries().values()} <= reasons().keys()
    from scanner.agent.shipped import ORDER

    assert {f"{key}-differs" for key in ORDER} <= reasons().keys()


def test_a_database_behind_a_link_out_of_the_root_is_not_read(rpm, tmp_path):
    outside = rpmdb.write(tmp_path / "outside", [rpmdb.header("stranger")])
    rpm.at("/var/lib").mkdir(parents=True, exist_ok=True)
    rpm.at("/var/lib/rpm").symlink_to(Path(outside).parent)
    assert rpm.scan().head.packages == []
