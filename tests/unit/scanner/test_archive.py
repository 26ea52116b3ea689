"""The tar writer, with GNU tar and Python's tarfile as witnesses that know nothing of it."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.agent import archive
from scanner.agent.capture import capture
from scanner.agent.tree import Root
from scanner.metadata import of_member

NAMES = st.binary(min_size=1, max_size=300).filter(lambda raw: not {b"", b".", b".."} & set(raw.split(b"/")) and b"\0" not in raw)
TIMES = st.integers(-(10**18), 4 * 10**18)
NUMBERS = st.integers(0, 2**32 - 2)


def written(*members: tuple[archive.Member, bytes]) -> bytes:
    out = io.BytesIO()
    writer = archive.Writer(out)
    for member, data in members:
        writer.add(member)
        if member.flag == archive.FILE:
            writer.data([data], len(data))
    writer.end()
    return out.getvalue()


def read(raw: bytes) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(raw), mode="r|", encoding="utf-8", errors="surrogateescape")


@settings(max_examples=120, deadline=None)
@given(path=NAMES, mode=st.integers(0, 0o7777), uid=NUMBERS, gid=NUMBERS, mtime=TIMES, data=st.binary(max_size=2000), owner=st.binary(max_size=60))
def test_a_member_comes_back_as_it_was_written(path, mode, uid, gid, mtime, data, owner):
    member = archive.Member(b"/" + path, archive.FILE, mode, len(data), mtime)
    member.uid, member.gid = uid, gid
    member.uname = owner.replace(b"\0", b"")
    with read(written((member, data))) as tar:
        found = tar.next()
        assert found is not None
        assert os.fsencode(found.name) == path
        assert (found.mode, found.uid, found.gid, found.size) == (mode, uid, gid, len(data))
        assert of_member(found).mtime == mtime
        assert found.uname.encode("utf-8", "surrogateescape") == member.uname
        assert tar.extractfile(found).read() == data
        assert tar.next() is None


@settings(max_examples=80, deadline=None)
@given(
    xattrs=st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40).map(lambda name: "user." + name),
        st.binary(max_size=400),
        max_size=5,
    )
)
def test_attributes_come_back_whatever_their_bytes(xattrs):
    member = archive.Member(b"/tagged", archive.FILE, 0o644)
    member.xattrs = xattrs
    with read(written((member, b""))) as tar:
        found = tar.next()
        assert found is not None
        assert of_member(found).xattrs == xattrs


@st.composite
def sparse_maps(draw):
    end, extents = 0, []
    for gap, length in draw(st.lists(st.tuples(st.integers(0, 9000), st.integers(1, 3000)), max_size=12)):
        extents.append([end + gap, length])
        end += gap + length
    return extents, end + draw(st.integers(0, 9000))


@settings(max_examples=80, deadline=None)
@given(sparse_maps(), NAMES)
def test_a_sparse_map_comes_back_with_its_data(sparse, path):
    extents, size = sparse
    expected = bytearray(size)
    parts = []
    for number, (offset, length) in enumerate(extents):
        parts.append(bytes([number + 1]) * length)
        expected[offset : offset + length] = parts[-1]
    member = archive.Member(b"/" + path, archive.FILE, 0o600, size)
    member.extents = extents
    after = archive.Member(b"/after", archive.FILE, 0o600, 5)
    with read(written((member, b"".join(parts)), (after, b"after"))) as tar:
        found = tar.next()
        assert found is not None
        assert (os.fsencode(found.name), found.size) == (path, size)
        assert tar.extractfile(found).read() == bytes(expected)
        following = tar.next()
        assert following is not None
        assert tar.extractfile(following).read() == b"after"


def test_a_records_length_counts_itself_at_every_size():
    for size in range(1200):
        record = archive._record(b"k", b"v" * size)
        assert int(record.split(b" ")[0]) == len(record)


@pytest.mark.parametrize("size", [8**11 - 1, 8**11, 2**40])
def test_sizes_beyond_the_octal_field_are_read_by_python(size):
    member = archive.Member(b"/huge", archive.FILE, 0o600, size)
    out = io.BytesIO()
    archive.Writer(out).add(member)
    with read(out.getvalue()) as tar:
        found = tar.next()
        assert found is not None
        assert found.size == size


def test_data_is_cut_or_filled_to_the_announced_size():
    out = io.BytesIO()
    writer = archive.Writer(out)
    assert writer.data([b"abc", b"def"], 6) is True
    assert writer.data([b"abc", b"def"], 4) is False
    assert writer.data([b"abc"], 6) is False
    blocks = [out.getvalue()[start : start + 512].rstrip(b"\0") for start in range(0, len(out.getvalue()), 512)]
    assert blocks == [b"abcdef", b"abcd", b"abc"]


def captured(machine, *paths: bytes) -> bytes:
    names = machine.folder / "paths"
    names.write_bytes(b"".join(path + b"\0" for path in paths))
    out = io.BytesIO()
    root = Root(os.fsencode(machine.root))
    capture(root, str(names), out)
    root.close()
    return out.getvalue()


@pytest.fixture
def lived_in(machine):
    machine.file("/etc/passwd", b"web:x:%d:%d::/:\n" % (os.getuid(), os.getgid()))
    os.utime(machine.file("/srv/plain", b"plain", 0o2750), ns=(5, 1_234_567_890_987_654_321))
    machine.file(b"/srv/caf\xe9", b"latin")
    machine.file("/srv/" + "long" * 60, b"long")
    machine.at("/srv/link").symlink_to("/nowhere/at/all")
    os.mkfifo(machine.at("/srv/fifo"))
    os.link(machine.at("/srv/plain"), machine.at("/srv/plain2"))
    with machine.at("/srv/sparse").open("wb") as out:
        out.seek(1 << 20)
        out.write(b"island")
        out.truncate(8 << 20)
    os.setxattr(machine.at("/srv/plain"), "user.bin", b"\0\n\xff=")
    return machine


PATHS = (b"/srv", b"/srv/caf\xe9", b"/srv/fifo", b"/srv/link", b"/srv/" + b"long" * 60, b"/srv/plain", b"/srv/plain2", b"/srv/sparse")


def check(root: Path) -> None:
    plain = root / "srv/plain"
    assert (plain.read_bytes(), oct(plain.stat().st_mode & 0o7777), plain.stat().st_mtime_ns) == (b"plain", "0o2750", 1_234_567_890_987_654_321)
    assert plain.stat().st_ino == (root / "srv/plain2").stat().st_ino
    assert Path(os.fsdecode(os.fsencode(root) + b"/srv/caf\xe9")).read_bytes() == b"latin"
    assert (root / ("srv/" + "long" * 60)).read_bytes() == b"long"
    assert str((root / "srv/link").readlink()) == "/nowhere/at/all"
    assert (root / "srv/fifo").is_fifo()
    sparse = root / "srv/sparse"
    assert sparse.stat().st_size == 8 << 20
    assert sparse.stat().st_blocks * 512 < 1 << 20
    assert sparse.read_bytes()[1 << 20 : (1 << 20) + 6] == b"island"


def test_gnu_tar_extracts_the_capture_with_times_links_holes_and_attributes(lived_in, tmp_path):
    there = tmp_path / "there"
    there.mkdir()
    done = subprocess.run(
        ["tar", "-x", "-p", "--xattrs", "--xattrs-include=*", "-C", str(there)], input=captured(lived_in, *PATHS), capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    check(there)
    assert os.getxattr(there / "srv/plain", "user.bin") == b"\0\n\xff="


def test_python_reads_the_capture_in_order_with_owner_names(lived_in):
    with read(captured(lived_in, *PATHS)) as tar:
        members = {os.fsencode("/" + member.name): member for member in tar}
    assert tuple(members) == PATHS
    assert members[b"/srv/plain"].uname == "web"
    assert (members[b"/srv/plain2"].type, members[b"/srv/plain2"].linkname) == (tarfile.LNKTYPE, "srv/plain")
    assert members[b"/srv/sparse"].sparse == [(1 << 20, 4096), (8 << 20, 0)]


def test_what_is_gone_is_left_out_and_the_rest_comes(lived_in):
    with read(captured(lived_in, b"/etc/gone", b"/no/folder/x", b"/srv/plain")) as tar:
        assert [member.name for member in tar] == ["srv/plain"]


def test_a_symlinked_folder_is_not_followed_out_of_the_root(lived_in, tmp_path):
    (tmp_path / "secret").write_text("outside")
    lived_in.at("/srv/out").symlink_to(tmp_path)
    with read(captured(lived_in, b"/srv/out/secret")) as tar:
        assert [member.name for member in tar] == []


def test_a_file_that_shrinks_while_it_is_copied_keeps_the_archive_whole(lived_in, monkeypatch):
    from scanner.agent import capture as module

    lived_in.file("/srv/log", b"x" * 5000)
    real = module._pieces

    def shrinking(fd, parts):
        os.truncate(f"/proc/self/fd/{fd}", 100)
        return real(fd, parts)

    monkeypatch.setattr(module, "_pieces", shrinking)
    with read(captured(lived_in, b"/srv/log", b"/srv/plain")) as tar:
        log = tar.next()
        assert log is not None
        assert tar.extractfile(log).read() == b"x" * 100 + bytes(4900)
        assert tar.next() is not None
