"""The walk: order, odd names, types, links, holes, attributes, and what cannot be read."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import socket

import pytest

from scanner.agent import readers, reading, walk
from scanner.agent.__main__ import inventory
from scanner.agent.rules import Rules
from scanner.agent.tree import Root
from scanner.report import walk_key


def test_paths_come_depth_first_by_the_bytes_of_their_names(machine):
    for path in ("/srv/a/x", "/srv/a-b", "/srv/a.b", b"/srv/a\xff", "/srv/A"):
        machine.file(path)
    paths = [entry.path for entry in machine.scan().files()]
    assert paths[0] == "/"
    assert paths == sorted(paths, key=walk_key)
    inside = [path for path in paths if path.startswith("/srv/")]
    assert inside == ["/srv/A", "/srv/a", "/srv/a/x", "/srv/a-b", "/srv/a.b", "/srv/a\udcff"]


@pytest.mark.parametrize("name", [b"caf\xe9", b"new\nline", b'quote"\\', "snow☃".encode(), b"\xed\xb3\xbf", b" ", b"-rf", b"x" * 255])
def test_odd_names_survive_as_bytes(machine, name):
    machine.file(b"/srv/" + name, b"odd")
    raw = [entry.raw for entry in machine.scan().files()]
    assert b"/srv/" + name in raw


def test_a_file_is_told_with_mode_owner_size_time_and_digest(machine):
    place = machine.file("/srv/tool", b"binary", 0o4751)
    os.utime(place, ns=(1, 1_600_000_000_123_456_789))
    entry = machine.entries()["/srv/tool"]
    assert (entry.type, entry.mode, entry.size, entry.mtime) == ("file", "4751", 6, 1_600_000_000_123_456_789)
    assert (entry.uid, entry.gid) == (place.stat().st_uid, place.stat().st_gid)
    assert entry.sha256 == hashlib.sha256(b"binary").hexdigest()


def test_large_files_are_read_whole_and_in_order(machine):
    contents = {f"/srv/big{number}": bytes([number]) * (3_000_000 + number) for number in range(6)}
    for path, data in contents.items():
        machine.file(path, data)
    entries = machine.entries()
    assert {path: entries[path].sha256 for path in contents} == {path: hashlib.sha256(data).hexdigest() for path, data in contents.items()}


def test_symlinks_are_told_and_never_followed(machine, tmp_path):
    (tmp_path / "secret").write_text("outside")
    machine.at("/srv/out").symlink_to(tmp_path)
    machine.at("/srv/odd").symlink_to(os.fsdecode(b"caf\xe9"))
    entries = machine.entries()
    assert (entries["/srv/out"].type, entries["/srv/out"].target) == ("symlink", str(tmp_path))
    assert entries["/srv/odd"].target == "caf\udce9"
    assert "/srv/out/secret" not in entries


def test_system_files_are_read_inside_the_root_only(machine, tmp_path):
    (tmp_path / "passwd").write_text("outsider:x:0:0::/:/bin/sh\n")
    machine.at("/etc/passwd").symlink_to(tmp_path / "passwd")
    assert machine.scan().head.users == []


def test_fifos_and_sockets_are_told(machine):
    os.mkfifo(machine.at("/srv/fifo"))
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(machine.at("/srv"), os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
    entries = machine.entries()
    assert (entries["/srv/fifo"].type, entries["/srv/socket"].type) == ("fifo", "socket")


def test_a_hardlink_group_is_named_after_its_first_path(machine):
    machine.file("/srv/b")
    os.link(machine.at("/srv/b"), machine.at("/srv/z"))
    os.link(machine.at("/srv/b"), machine.at("/etc/first"))
    machine.file("/srv/alone")
    entries = machine.entries()
    assert {entries[path].hardlink for path in ("/srv/b", "/srv/z", "/etc/first")} == {"/etc/first"}
    assert len({entries[path].sha256 for path in ("/srv/b", "/srv/z", "/etc/first")}) == 1
    assert entries["/srv/alone"].hardlink is None


def test_each_inode_counts_once_in_the_bytes(machine):
    before = machine.scan().head.bytes
    machine.file("/srv/a", b"12345")
    os.link(machine.at("/srv/a"), machine.at("/srv/b"))
    assert machine.scan().head.bytes == before + 5


def test_holes_are_told_as_data_extents(machine):
    place = machine.at("/srv/disk")
    with place.open("wb") as out:
        out.seek(1 << 20)
        out.write(b"x" * 4096)
        out.truncate(4 << 20)
    machine.file("/srv/full", bytes(1 << 20))
    with machine.at("/srv/empty").open("wb") as out:
        out.truncate(1 << 20)
    entries = machine.entries()
    assert entries["/srv/disk"].extents == [[1 << 20, 4096]]
    assert entries["/srv/disk"].size == 4 << 20
    assert entries["/srv/full"].extents is None
    assert entries["/srv/empty"].extents == []


def test_attributes_are_told_binary_safe(machine):
    value = b"\x00\xff\n="
    os.setxattr(machine.file("/srv/tagged"), "user.odd=name", value)
    os.setxattr(machine.at("/srv"), "user.folder", b"1")
    entries = machine.entries()
    assert base64.b64decode(entries["/srv/tagged"].xattrs["user.odd=name"]) == value
    assert base64.b64decode(entries["/srv"].xattrs["user.folder"]) == b"1"


def test_the_users_excludes_prune_also_through_links(machine):
    machine.file("/usr/lib/secret/key")
    entries = machine.entries("/lib/secret/", "/not/there")
    assert (entries["/usr/lib/secret"].state, entries["/usr/lib/secret"].reason) == ("excluded", "user")
    assert "/usr/lib/secret/key" not in entries
    assert entries["/lib"].state != "excluded"


def test_a_mount_inside_is_one_row(machine, monkeypatch):
    machine.file("/srv/volume/inside")
    monkeypatch.setattr(walk.mounts, "mounts", lambda root: {b"/srv/volume": {"type": b"nfs", "source": b"host:/x"}})
    report = machine.scan()
    entries = {entry.path: entry for entry in report.files()}
    assert (entries["/srv/volume"].state, entries["/srv/volume"].reason) == ("excluded", "mount")
    assert "/srv/volume/inside" not in entries
    assert report.head.mounts == [{"path": "/srv/volume", "type": "nfs", "source": "host:/x"}]


def test_a_mount_that_is_to_be_crossed_is_walked_and_one_inside_it_is_not(machine, monkeypatch):
    machine.file("/srv/volume/deep/file")
    machine.file("/srv/volume/other/file")
    told = {path: {"type": b"ext4", "source": b"/dev/x"} for path in (b"/srv/volume", b"/srv/volume/other")}
    monkeypatch.setattr(walk.mounts, "mounts", lambda root: told)
    out = io.BytesIO()
    inventory(Root(os.fsencode(machine.root)), Rules([]), out, [b"/srv/volume"], [["/srv", "half of it was away"]])
    rows = [json.loads(line) for line in out.getvalue().splitlines()]
    reasons = {row["path"]: row["reason"] for row in rows if row["kind"] == "file"}
    assert reasons["/srv/volume/deep/file"] == "not-in-any-package"
    assert reasons["/srv/volume/other"] == "mount"
    assert "/srv/volume/other/file" not in reasons
    assert {"kind": "blind_spot", "path": "/srv", "reason": "half of it was away"} in rows
    assert rows[-1]["counts"]["blind_spot"] == 1


def test_the_mount_table_is_read_below_the_root_with_its_escapes(tmp_path, monkeypatch):
    root = os.fsencode(tmp_path)
    line = b"40 20 0:5 / " + root + rb"/a\040b rw - tmpfs none rw" + b"\n"
    other = b"41 20 0:5 / " + root + b"x/c rw - tmpfs none rw\n"
    monkeypatch.setattr(walk.mounts, "_table", lambda path: [row.split() for row in (line, other)])
    assert walk.mounts.mounts(root) == {b"/a b": {"type": b"tmpfs", "source": b"none"}}


def test_another_device_number_on_the_same_mount_is_not_a_mount(machine, monkeypatch):
    machine.file("/srv/layered")
    monkeypatch.setattr(walk.mounts, "mount_id", lambda fd: 7)
    monkeypatch.setattr(walk.Walk, "__init__", _with_device(walk.Walk.__init__, 0))
    assert machine.entries()["/srv/layered"].state == "unmanaged"


def test_another_device_number_on_another_mount_is_one(machine, monkeypatch):
    machine.file("/srv/over")
    ids = iter([1])
    monkeypatch.setattr(walk.mounts, "mount_id", lambda fd: next(ids, 2))
    monkeypatch.setattr(walk.Walk, "__init__", _with_device(walk.Walk.__init__, 0))
    assert machine.entries()["/srv"].reason == "mount"


def _with_device(init, device):
    def changed(self, *arguments):
        init(self, *arguments)
        self._devices = frozenset([device])
        self._readers = readers.Readers(0, self._reader())

    return changed


def test_a_file_that_cannot_be_read_is_a_blind_spot_and_still_a_row(machine, monkeypatch):
    machine.file("/srv/locked")
    real = reading.open_at

    def refusing(name, flags, folder):
        if name == b"locked":
            raise PermissionError(13, "Permission denied")
        return real(name, flags, folder)

    monkeypatch.setattr(reading, "open_at", refusing)
    report = machine.scan()
    entry = next(entry for entry in report.files() if entry.path == "/srv/locked")
    assert (entry.state, entry.sha256) == ("unmanaged", None)
    assert [(spot.path, spot.reason) for spot in report.head.blind_spots] == [("/srv/locked", "unreadable: Permission denied")]


def test_a_file_that_vanishes_is_a_blind_spot_with_a_printable_name(machine, monkeypatch):
    machine.file("/srv/here")
    real = walk._plain_names

    def haunted(folder):
        names = real(folder)
        return {**names, b"gh\xffst": True} if b"here" in names else names

    monkeypatch.setattr(walk, "_plain_names", haunted)
    report = machine.scan()
    assert [(spot.path, spot.reason) for spot in report.head.blind_spots] == [("/srv/gh\\udcffst", "vanished")]


def test_a_file_that_keeps_changing_is_read_twice_and_then_told(machine, monkeypatch):
    place = machine.file("/srv/log", b"0")
    from scanner.agent import content

    real = content._digests
    reads = []

    def growing(fd, size, with_md5):
        if os.fstat(fd).st_ino == place.stat().st_ino:
            reads.append(size)
            with place.open("ab") as out:
                out.write(b"more")
        return real(fd, size, with_md5)

    monkeypatch.setattr(content, "_digests", growing)
    report = machine.scan()
    assert [(spot.path, spot.reason) for spot in report.head.blind_spots] == [("/srv/log", "changed while being read")]
    assert len(reads) == 2


def test_a_file_that_changed_once_is_read_again_and_is_no_blind_spot(machine, monkeypatch):
    place = machine.file("/srv/log", b"0")
    from scanner.agent import content

    real = content._digests
    once = iter([True])

    def growing(fd, size, with_md5):
        found = real(fd, size, with_md5)
        if os.fstat(fd).st_ino == place.stat().st_ino and next(once, False):
            place.write_bytes(b"final")
        return found

    monkeypatch.setattr(content, "_digests", growing)
    report = machine.scan()
    entry = next(entry for entry in report.files() if entry.path == "/srv/log")
    assert report.head.blind_spots == []
    assert (entry.sha256, entry.size) == (hashlib.sha256(b"final").hexdigest(), 5)


def test_a_path_longer_than_the_kernel_takes_at_once_is_walked(machine):
    here = os.open(machine.at("/srv"), os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert "/srv" + ("/" + "d" * 200) * 30 in machine.entries()
