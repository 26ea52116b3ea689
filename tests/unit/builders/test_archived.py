"""Archives of templates: read safely whatever they hold, and hammr's oddities accepted."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from builders.archived import Limits, add_file, add_text, configuration, packing, unpack_archive
from scanner.errors import HostileInput


def made(path: Path, *members: tarfile.TarInfo | tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "outer" / "into"
    folder.mkdir(parents=True)
    return folder


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_members_repeat_and_the_last_one_counts(tmp_path: Path, into: Path) -> None:
    archive = made(tmp_path / "a.tgz", ("bundles/b/1.0/src/x", b"old"), ("bundles/b/1.0/src/x", b"new"), ("./template.yml", b"stack:"))
    assert sorted(unpack_archive(archive, into)) == ["bundles/b/1.0/src/x", "template.yml"]
    assert (into / "bundles/b/1.0/src/x").read_bytes() == b"new"
    assert configuration(into).name == "template.yml"


def test_a_hard_link_to_an_earlier_member_is_that_file(tmp_path: Path, into: Path) -> None:
    archive = made(tmp_path / "a.tgz", ("one", b"same"), special("two", tarfile.LNKTYPE, "one"))
    assert unpack_archive(archive, into) == ["one", "two"]
    assert (into / "two").read_bytes() == b"same"


@pytest.mark.parametrize(
    "member",
    [
        ("../out", b"x"),
        ("/etc/passwd", b"x"),
        ("a/../../out", b"x"),
        ("a\\..\\out", b"x"),
        ("/".join("d" * 100), b"x"),
        ("n" * 300, b"x"),
        special("link", tarfile.SYMTYPE, "/etc"),
        special("node", tarfile.CHRTYPE),
        special("pipe", tarfile.FIFOTYPE),
        special("two", tarfile.LNKTYPE, "../../outside"),
    ],
)
def test_what_leads_out_of_the_archive_is_refused(tmp_path: Path, into: Path, member: tarfile.TarInfo | tuple[str, bytes]) -> None:
    (tmp_path / "outside").write_text("kept")
    before = everything(tmp_path)
    with pytest.raises(HostileInput):
        unpack_archive(made(tmp_path / "a.tgz", member), into)
    assert everything(tmp_path) - before - {"a.tgz"} == set()
    assert (tmp_path / "outside").read_text() == "kept"


def test_a_bomb_is_refused_before_it_goes_off(tmp_path: Path, into: Path) -> None:
    archive = made(tmp_path / "a.tgz", ("zeros", bytes(8 << 20)))
    with pytest.raises(HostileInput, match="more than it may"):
        unpack_archive(archive, into, Limits(ratio=10, free=1 << 20))
    assert not (into / "zeros").exists()


def test_a_header_without_end_is_refused(tmp_path: Path, into: Path) -> None:
    header = special("x", tarfile.XHDTYPE)
    header.size = 64 << 20
    archive = tmp_path / "a.tgz"
    archive.write_bytes(gzip.compress(header.tobuf() + bytes(64 << 20), 1))
    with pytest.raises(HostileInput, match="header"):
        unpack_archive(archive, into)


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b\x08", b"no archive", gzip.compress(b"no tar" * 200, mtime=0)])
def test_what_is_no_archive_says_so(tmp_path: Path, into: Path, data: bytes) -> None:
    (tmp_path / "a.tgz").write_bytes(data)
    with pytest.raises(HostileInput):
        unpack_archive(tmp_path / "a.tgz", into)


def test_two_configurations_are_one_too_many(into: Path) -> None:
    with pytest.raises(HostileInput, match="none of"):
        configuration(into)
    for name in ("template.yml", "template.json"):
        (into / name).touch()
    with pytest.raises(HostileInput, match="both"):
        configuration(into)


def test_what_is_packed_is_what_is_unpacked(tmp_path: Path, into: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    with packing(tmp_path / "a.tgz") as tar:
        add_file(tar, "bundles/a/1/file", tmp_path / "file")
        add_text(tar, "template.yml", "stack: {}\n")
    assert unpack_archive(tmp_path / "a.tgz", into) == ["bundles/a/1/file", "template.yml"]
    assert (into / "bundles/a/1/file").read_bytes() == b"data"
    assert (tmp_path / "a.tgz").read_bytes()[4:8] == bytes(4)
