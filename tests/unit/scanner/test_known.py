"""A second scan: what stayed as it was is not read again, and whatever changed is seen."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scanner.agent import content, known
from scanner.errors import HostileInput
from scanner.progress import Silent
from scanner.report import FileEntry, Report
from scanner.scan import KNOWN, scan

TOKEN = b"token: ghp_" + b"a1B2" * 9 + b"\n"


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """Everything is old enough at once."""
    monkeypatch.setattr(known, "SETTLED", -60.0)


@pytest.fixture
def reads(monkeypatch):
    """How many files' contents were read."""
    count = []
    real = content._digests
    monkeypatch.setattr(content, "_digests", lambda *words: count.append(words) or real(*words))
    return count


def again(machine, report: Report, **options) -> Report:
    machine.scans += 1
    return scan(machine.target(**options), machine.folder / f"scan{machine.scans}", Silent(), known=report.folder / KNOWN)


def unpacked(report: Report) -> bytes:
    with (report.folder / KNOWN).open("rb") as packed:
        return zstandard.ZstdDecompressor().stream_reader(packed).read()


def entry(report: Report, path: str) -> FileEntry:
    return next(one for one in report.files() if one.path == path)


@pytest.fixture
def lived_in(machine):
    machine.package("app", {"/usr/bin/app": b"app\n", "/usr/bin/tool": b"tool\n"}, conffiles={"/etc/app.conf": b"a=1\n"})
    machine.file("/etc/app.conf", b"a=2\n")
    machine.file("/etc/shadow", b"root:$6$x:1:\n", 0o600)
    machine.file(b"/srv/caf\xe9", b"odd name\n")
    machine.file("/srv/notes.txt", TOKEN)
    holes = machine.file("/srv/sparse", b"")
    with holes.open("r+b") as out:
        out.truncate(1 << 20)
        out.seek(1 << 19)
        out.write(b"x")
    machine.file("/usr/lib/python3/dist-packages/six-1.0.dist-info/METADATA", b"Name: six\nVersion: 1.0\n\n")
    return machine


def test_what_stayed_as_it_was_is_not_read_and_told_the_same(lived_in, reads):
    first = lived_in.scan()
    whole = len(reads)
    reads.clear()
    second = again(lived_in, first)
    assert list(second.files()) == list(first.files())
    assert second.head.digest == first.head.digest
    assert second.head.configuration == first.head.configuration
    assert (whole, len(reads)) == (whole, 1), "only the language package's description is read, for what it says"
    assert entry(second, "/etc/shadow").secret == "password hashes"
    assert entry(second, "/srv/notes.txt").secret == "token"


def test_a_third_scan_knows_what_the_second_did_not_read(lived_in, reads):
    second = again(lived_in, lived_in.scan())
    reads.clear()
    assert again(lived_in, second).head.digest == second.head.digest
    assert len(reads) == 1


def test_a_change_behind_an_old_mtime_is_seen(lived_in):
    first = lived_in.scan()
    place = lived_in.at("/usr/bin/app")
    before = place.stat()
    place.write_bytes(b"bad\n")
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = place.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
    assert entry(again(lived_in, first), "/usr/bin/app").reason == "md5-differs"


def test_an_attribute_and_a_mode_are_seen(lived_in):
    first = lived_in.scan()
    os.setxattr(lived_in.at("/usr/bin/app"), "user.note", b"new")
    lived_in.at("/usr/bin/tool").chmod(0o700)
    second = again(lived_in, first)
    assert entry(second, "/usr/bin/app").xattrs == {"user.note": "bmV3"}
    assert entry(second, "/usr/bin/tool").mode == "0700"


def test_a_file_that_another_name_took_over_is_another_one(lived_in):
    first = lived_in.scan()
    lived_in.at("/usr/bin/tool").rename(lived_in.at("/usr/bin/app"))
    second = again(lived_in, first)
    assert entry(second, "/usr/bin/app").reason == "md5-differs"
    assert entry(second, "/usr/bin/tool").state == "missing"


def test_what_is_secret_by_its_place_is_looked_at_when_a_folder_above_is_renamed(lived_in):
    lived_in.file("/srv/a/id_rsa", b"no key")
    lived_in.file("/srv/conf/credentials", b"x")
    first = lived_in.scan()
    lived_in.at("/srv/conf").rename(lived_in.at("/srv/.aws"))
    assert entry(again(lived_in, first), "/srv/.aws/credentials").secret == "token"


def test_a_file_that_its_package_gave_up_is_looked_at_for_secrets(lived_in, reads):
    lived_in.package("vault", {"/opt/vault.txt": TOKEN})
    first = lived_in.scan()
    assert entry(first, "/opt/vault.txt").secret is None
    for one in lived_in.at("/var/lib/dpkg/info").glob("vault.*"):
        one.write_bytes(b"")
    reads.clear()
    told = entry(again(lived_in, first), "/opt/vault.txt")
    assert (told.state, told.secret) == ("unmanaged", "token")
    assert not [words for words in reads if words[1] == len(TOKEN)], "its first bytes are read, not its digests"


def test_a_file_that_a_package_takes_in_gets_its_digest(lived_in):
    lived_in.file("/usr/bin/late", b"late\n")
    first = lived_in.scan()
    lived_in.package("late", {"/usr/bin/other": b"o\n"}, listed=["/usr/bin/late"])
    with lived_in.at("/var/lib/dpkg/info/late.md5sums").open("a") as out:
        out.write("5df9f63916ebf8528697b629022993e8  usr/bin/late\n")
    told = entry(again(lived_in, first), "/usr/bin/late")
    assert (told.state, told.reason) in {("managed", "md5-equal"), ("managed-changed", "md5-differs")}


def test_what_was_changed_just_now_is_read_again(lived_in, reads, monkeypatch):
    monkeypatch.setattr(known, "SETTLED", 3600.0)
    first = lived_in.scan()
    whole = len(reads)
    again(lived_in, first)
    assert len(reads) == 2 * whole


@pytest.mark.parametrize("damage", [b"", b"no gzip at all", zstandard.compress(b'{"kind":"file","seen":"1:2:3",{broken}\n'), zstandard.compress(b'{"kind":"file","seen":"')[:-9]])
def test_a_damaged_memory_is_none(lived_in, damage):
    first = lived_in.scan()
    (first.folder / KNOWN).write_bytes(damage)
    assert again(lived_in, first).head.digest == first.head.digest


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_it_is_read_plain_and_packed(lived_in, pack, monkeypatch):
    monkeypatch.setattr(known, "CHUNK", 100)
    lines = unpacked(lived_in.scan())
    memory = known.Known()
    memory.read(io.BytesIO(pack(lines)))
    assert len(memory._lines) == lines.count(b"\n") > 10


def test_a_memory_that_lies_in_its_rows_is_none(lived_in):
    first = lived_in.scan()
    lines = unpacked(first).splitlines()
    rows = [json.loads(line) for line in lines]
    for row in rows:
        del row["sha256"]
    (first.folder / KNOWN).write_bytes(zstandard.compress(b"".join(json.dumps(row, separators=(",", ":")).encode() + b"\n" for row in rows)))
    assert again(lived_in, first).head.digest == first.head.digest


def test_a_stamp_that_is_none_is_refused(lived_in):
    def spoil(stream: bytes) -> bytes:
        return stream.replace(b'"seen":"', b'"seen":"../', 1)

    with pytest.raises(HostileInput, match="stamp"):
        again(lived_in, lived_in.scan(), spoil_inventory=spoil)


CHANGES: dict[str, Callable[[Path], object]] = {
    "write": lambda place: place.write_bytes(b"other\n"),
    "same size": lambda place: place.write_bytes(bytes(place.stat().st_size)),
    "append": lambda place: place.open("ab").write(b"more"),
    "mode": lambda place: place.chmod(0o711),
    "replace": lambda place: (place.unlink(), place.write_bytes(b"new\n")),
    "remove": lambda place: place.unlink(),
    "folder": lambda place: (place.unlink(), place.mkdir()),
    "link": lambda place: (place.unlink(), place.symlink_to("nowhere")),
    "hardlink": lambda place: os.link(place, place.with_name(place.name + "-too")),
    "attribute": lambda place: os.setxattr(place, "user.x", b"1"),
    "hole": lambda place: os.truncate(place, 1 << 20),
    "copy": lambda place: (shutil.copy2(place, place.with_name(place.name + ".new")), place.with_name(place.name + ".new").replace(place)),
    "nothing": lambda place: None,
}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 7), st.sampled_from(sorted(CHANGES))), max_size=6, unique_by=lambda one: one[0]))
def test_with_and_without_a_memory_the_same_is_told(new_machine, changes):
    machine = new_machine()
    machine.package("app", {f"/usr/bin/app{number}": b"content %d\n" % number for number in range(4)})
    places = [machine.at(f"/usr/bin/app{number}") for number in range(4)] + [machine.file(f"/srv/own{number}", b"own %d\n" % number) for number in range(4)]
    first = machine.scan()
    for number, change in changes:
        CHANGES[change](places[number])
    quick, slow = again(machine, first), machine.scan()
    assert list(quick.files()) == list(slow.files())
    assert quick.head.digest == slow.head.digest
