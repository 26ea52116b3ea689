"""From capture to overlay to a tree again: what comes back, and what is refused."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.agent import archive
from scanner.errors import HostileInput
from scanner.overlay import CONTENTS, is_whiteout, open_overlay, unpack
from scanner.repack import repack
from scanner.report import FileEntry


def take_all_of(*prefixes: str):
    return lambda report: lambda entry: "overlay" if entry.path.startswith(prefixes) else None


def entry(path: str, kind: str = "file", **fields: object) -> FileEntry:
    return FileEntry(path=path, type=kind, state="unmanaged", reason="not-in-any-package", mode="0644", **fields)  # type: ignore[arg-type]


def stream(*members: tarfile.TarInfo, data: bytes = b"") -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            member.size = len(data) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(data))
    return io.BytesIO(out.getvalue())


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, 0o644
    info.uid, info.gid = os.getuid(), os.getgid()
    return info


def packed(folder: Path, *members: tarfile.TarInfo, data: bytes = b"") -> Path:
    """An overlay that no check of ours has seen."""
    path = folder / "evil.tar.zst"
    path.write_bytes(zstandard.compress(stream(*members, data=data).getvalue()))
    return path


@pytest.fixture
def lived_in(machine):
    machine.package("tool", {"/usr/bin/tool": b"binary", "/usr/share/doc/tool/a": b"a", "/usr/share/doc/tool/b": b"b"})
    os.utime(machine.file("/srv/plain", b"plain", 0o4750), ns=(5, 1_234_567_890_987_654_321))
    os.setxattr(machine.at("/srv/plain"), "user.bin", b"\0\n\xff=")
    machine.file(b"/srv/caf\xe9", b"latin")
    os.link(machine.at("/srv/plain"), machine.at("/srv/zlink"))
    machine.at("/srv/link").symlink_to("/etc/shadow")
    os.utime(machine.at("/srv/link"), ns=(7, 7_000_000_007), follow_symlinks=False)
    os.mkfifo(machine.at("/srv/fifo"), 0o640)
    with machine.at("/srv/sparse").open("wb") as out:
        out.seek(1 << 20)
        out.write(b"island")
        out.truncate(8 << 20)
    machine.at("/srv/folder").mkdir(mode=0o2751)
    machine.at("/srv/folder").chmod(0o2751)
    machine.file("/srv/folder/inside")
    os.setxattr(machine.at("/srv/folder"), "user.folder", b"1")
    os.utime(machine.at("/srv/folder"), ns=(9, 9_000_000_009))
    machine.at("/usr/share/doc/tool/a").unlink()
    return machine


def test_an_overlay_over_a_fresh_install_gives_the_source_tree_back(lived_in, make_machine):
    source = lived_in.scan(choose=lambda report: lambda one: "overlay" if one.state in ("unmanaged", "missing") else None)
    fresh = make_machine("fresh")
    fresh.package("tool", {"/usr/bin/tool": b"binary", "/usr/share/doc/tool/a": b"a", "/usr/share/doc/tool/b": b"b"})
    list(unpack(source.folder / CONTENTS, fresh.root))
    ours = {one.path: one for one in source.files()}
    theirs = {one.path: one for one in fresh.scan().files()}
    assert ours.keys() == theirs.keys()
    for path, one in ours.items():
        if path.startswith("/srv") or one.state == "missing":
            assert theirs[path] == one


def test_the_overlay_has_only_what_was_chosen_and_the_deletions_first(lived_in):
    report = lived_in.scan(choose=lambda report: lambda one: "overlay" if one.state == "missing" or one.path == "/srv/plain" else None)
    with open_overlay(report.folder / CONTENTS) as tar:
        assert [(one.name, is_whiteout(one)) for one in tar] == [("usr/share/doc/tool/a", True), ("srv/plain", False)]
    assert sorted(path.name for path in report.folder.iterdir()) == ["files.ndjson.zst", "foreign.tar.zst", "head.json", "known.zst", "overlay.tar.zst"]


def test_foreign_packages_go_to_an_archive_of_their_own(lived_in):
    report = lived_in.scan(choose=lambda report: lambda one: "foreign" if one.package == "tool" and one.type == "file" else None)
    with open_overlay(report.folder / "foreign.tar.zst") as tar:
        assert [one.name for one in tar] == ["usr/bin/tool", "usr/share/doc/tool/b"]


def test_a_deleted_folder_goes_only_when_it_is_empty(machine, make_machine):
    listed = {"/usr/share/doc/tool/a": b"a"}
    machine.package("tool", listed)
    machine.at("/usr/share/doc/tool/a").unlink()
    machine.at("/usr/share/doc/tool").rmdir()
    report = machine.scan(choose=lambda report: lambda one: "overlay" if one.state == "missing" else None)
    kept, emptied = make_machine("kept"), make_machine("emptied")
    kept.package("tool", listed)
    kept.file("/usr/share/doc/tool/mine")
    emptied.package("tool", listed)
    for fresh in (kept, emptied):
        list(unpack(report.folder / CONTENTS, fresh.root))
        assert not fresh.at("/usr/share/doc/tool/a").exists()
    assert kept.at("/usr/share/doc/tool/mine").exists()
    assert not emptied.at("/usr/share/doc/tool").exists()


def test_unpack_yields_what_it_did_and_skips_what_it_is_told(lived_in, make_machine):
    report = lived_in.scan(choose=take_all_of("/srv"))
    fresh = make_machine("fresh")
    done = list(unpack(report.folder / CONTENTS, fresh.root, skip=lambda path: path.startswith("/srv/folder")))
    assert "/srv/plain" in done
    assert "/srv/caf\udce9" in done
    assert not fresh.at("/srv/folder").exists()


@pytest.mark.parametrize("present", ["file", "folder", "link", "nothing"])
@pytest.mark.parametrize("wanted", ["plain", "folder", "link"])
def test_whatever_is_in_the_way_is_replaced_by_what_the_source_had(lived_in, make_machine, present, wanted):
    report = lived_in.scan(choose=take_all_of(f"/srv/{wanted}"))
    fresh = make_machine("fresh")
    outside = fresh.file("/etc/outside", b"untouched")
    place = fresh.at(f"/srv/{wanted}")
    if present == "file":
        fresh.file(f"/srv/{wanted}", b"old")
    elif present == "folder":
        fresh.file(f"/srv/{wanted}/old")
    elif present == "link":
        place.symlink_to("/etc/outside")
    list(unpack(report.folder / CONTENTS, fresh.root))
    source = lived_in.at(f"/srv/{wanted}")
    assert os.lstat(place).st_mode == os.lstat(source).st_mode
    assert os.lstat(place).st_mtime_ns == os.lstat(source).st_mtime_ns
    assert outside.read_bytes() == b"untouched"


def test_attributes_that_the_source_has_not_are_taken_away(lived_in, make_machine):
    report = lived_in.scan(choose=take_all_of("/srv/folder"))
    fresh = make_machine("fresh")
    fresh.at("/srv/folder").mkdir()
    os.setxattr(fresh.at("/srv/folder"), "user.stale", b"1")
    list(unpack(report.folder / CONTENTS, fresh.root))
    assert os.listxattr(fresh.at("/srv/folder")) == ["user.folder"]


def test_a_folder_that_takes_a_links_place_gets_its_own_contents(machine, make_machine):
    machine.package("tool", {"/var/lock/shipped": b"s"})
    machine.at("/var/lock/shipped").unlink()
    machine.file("/var/lock/mine", b"m")
    report = machine.scan(choose=lambda report: lambda one: "overlay" if one.path.startswith("/var/lock") else None)
    fresh = make_machine("fresh")
    fresh.file("/srv/lock/shipped")
    fresh.at("/var/lock").symlink_to("/srv/lock")
    list(unpack(report.folder / CONTENTS, fresh.root))
    assert fresh.at("/var/lock").is_symlink() is False
    assert fresh.at("/var/lock/mine").read_bytes() == b"m"
    assert not fresh.at("/srv/lock/mine").exists()


# Anyone but root can write and read back only what is his to write and read.
OWN = 0 if os.geteuid() == 0 else 0o600
CONTENT = st.one_of(st.binary(max_size=300), st.integers(1, 5).map(lambda blocks: bytes(blocks * 65536) + b"end"))


@settings(max_examples=25, deadline=None)
@given(
    files=st.dictionaries(
        st.binary(min_size=1, max_size=60).filter(lambda raw: not set(raw) & set(b"/\0") and raw not in (b".", b"..")),
        st.tuples(CONTENT, st.integers(0o400, 0o7777).map(lambda mode: mode | OWN), st.integers(0, 2**60), st.binary(max_size=50)),
        min_size=1,
        max_size=6,
    )
)
def test_any_tree_survives_capture_and_unpack(new_machine, files):
    machine = new_machine()
    for name, (data, mode, mtime, value) in files.items():
        place = machine.file(b"/srv/" + name, b"", mode)
        with place.open("wb") as out:
            out.seek(len(data) - len(data.lstrip(b"\0")))
            out.write(data.lstrip(b"\0"))
            out.truncate(len(data))
        os.setxattr(place, "user.value", value)
        place.chmod(mode)
        os.utime(place, ns=(mtime, mtime))
    report = machine.scan(choose=take_all_of("/srv"))
    fresh = new_machine()
    list(unpack(report.folder / CONTENTS, fresh.root))
    ours = {one.path: one for one in report.files() if one.path.startswith("/srv")}
    theirs = {one.path: one for one in fresh.scan().files() if one.path.startswith("/srv")}
    assert ours == theirs
    assert len(ours) == len(files) + 1
    assert report.head.blind_spots == []


# What is refused on the way in.


@pytest.mark.parametrize(
    "evil",
    [
        member("../outside"),
        member("srv/../../outside"),
        member("/etc/passwd//x"),
        member("srv/page", b"V"),
        member("srv/page", tarfile.CHRTYPE),
        member("srv/page", tarfile.LNKTYPE, "../../etc/shadow"),
        member("srv/page", tarfile.LNKTYPE, "srv/z"),
        member("srv/other"),
    ],
    ids=["dotdot", "dotdot-inside", "double-slash", "unknown-type", "whiteout", "link-outside", "link-forward", "not-asked"],
)
def test_a_lying_capture_is_refused_and_leaves_nothing(tmp_path, evil):
    into = tmp_path / "job"
    into.mkdir()
    with pytest.raises(HostileInput):
        repack(stream(evil), into / CONTENTS, [entry("/srv/page"), entry("/srv/z")], announced=100)
    assert list(into.iterdir()) == []
    assert list(tmp_path.iterdir()) == [into]


def test_an_honest_capture_is_kept_byte_for_byte(tmp_path):
    source = stream(member("srv/page"), data=b"hello")
    spots = repack(source, tmp_path / CONTENTS, [entry("/srv/page", size=5, sha256=sha(b"hello"))], announced=5)
    assert spots == []
    assert zstandard.ZstdDecompressor().decompressobj().decompress((tmp_path / CONTENTS).read_bytes()) == source.getvalue()


def sha(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("keep", [0, 100, 512, 700, 1024, 1536, -512, -1])
def test_a_capture_that_stops_early_is_refused_wherever_it_stops(tmp_path, keep):
    whole = io.BytesIO()
    writer = archive.Writer(whole)
    writer.add(archive.Member(b"/srv/page", archive.FILE, 0o644, 5))
    writer.data([b"hello"], 5)
    writer.end()
    with pytest.raises(HostileInput):
        repack(io.BytesIO(whole.getvalue()[:keep]), tmp_path / CONTENTS, [entry("/srv/page", size=5)], announced=5)
    assert list(tmp_path.iterdir()) == []


class Endless(io.RawIOBase):
    """A beginning, and zeros for ever."""

    def __init__(self, size: int) -> None:
        out = io.BytesIO()
        archive.Writer(out).add(archive.Member(b"/srv/page", archive.FILE, 0o644, size))
        self.head = out.getvalue()
        self.given = 0

    def read(self, size: int = -1) -> bytes:
        if self.given > 32 << 20:
            return b""
        chunk, self.head = (self.head or bytes(size))[:size], self.head[size:]
        self.given += len(chunk)
        return chunk


@pytest.mark.parametrize("size", [2**60, 5], ids=["one file", "behind the end"])
def test_a_capture_without_end_is_cut_off(tmp_path, monkeypatch, size):
    monkeypatch.setattr("scanner.repack.SLACK", 1 << 20)
    source = Endless(size)
    with pytest.raises(HostileInput):
        repack(source, tmp_path / CONTENTS, [entry("/srv/page", size=5)], announced=5)  # type: ignore[arg-type]
    assert source.given < 4 << 20
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("junk", [b"x" * 2048, b"\x1f\x8b" + b"x" * 1000, bytes(10)], ids=["text", "gzip", "zeros"])
def test_what_is_no_archive_is_refused(tmp_path, junk):
    with pytest.raises(HostileInput):
        repack(io.BytesIO(junk), tmp_path / CONTENTS, [entry("/srv/page")], announced=5)


def test_what_changed_or_went_since_the_inventory_is_told(tmp_path):
    asked = [entry("/srv/a", size=1, sha256=sha(b"a")), entry("/srv/gone"), entry("/srv/page", size=5, sha256=sha(b"other")), entry("/srv/caf\udce9")]
    spots = repack(stream(member("srv/page"), data=b"hello"), tmp_path / CONTENTS, asked, announced=6)
    assert [(spot.path, spot.reason) for spot in spots] == [
        ("/srv/a", "gone before it could be captured"),
        ("/srv/gone", "gone before it could be captured"),
        ("/srv/page", "changed between inventory and capture"),
        ("/srv/caf\\udce9", "gone before it could be captured"),
    ]


# What is refused, or kept inside, on the way out.


def test_unpack_never_writes_through_a_link_out_of_the_root(tmp_path):
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    root.mkdir()
    (root / "srv").symlink_to(outside)
    list(unpack(packed(tmp_path, member("srv/page"), data=b"x"), root))
    assert list(outside.iterdir()) == []
    assert (root / str(outside)[1:] / "page").read_bytes() == b"x"


def test_unpack_never_follows_a_link_that_the_archive_itself_brought(tmp_path):
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    root.mkdir()
    list(unpack(packed(tmp_path, member("srv", tarfile.SYMTYPE, "../../../../" + str(outside)), member("srv/page"), data=b"x"), root))
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("name", ["../page", "srv/../../page", "srv//page", "./srv/./page"])
def test_unpack_refuses_paths_that_are_not_plain(tmp_path, name):
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(HostileInput):
        list(unpack(packed(tmp_path, member(name), data=b"x"), root))
    assert list(root.iterdir()) == []


def test_unpack_refuses_a_hardlink_to_what_is_not_in_the_tree(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("outside")
    for link in ("../secret", "secret"):
        with pytest.raises(HostileInput):
            list(unpack(packed(tmp_path, member("page", tarfile.LNKTYPE, link)), root))


def test_unpack_refuses_a_damaged_archive(tmp_path):
    path = packed(tmp_path, member("srv/page"), data=b"x" * 100_000)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(HostileInput):
        list(unpack(path, tmp_path))
