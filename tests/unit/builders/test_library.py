"""Bundles of a library: from archives and back, under plain names, byte for byte; templates that take them from there."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders.bundle import parse_bundle
from builders.errors import SpecError
from builders.library import Kept, keep, read_archive, write_archive
from builders.template import Template
from builders.template import read_archive as read_template
from scanner.errors import HostileInput, UserError

BUNDLE = {
    "name": "my tools",
    "version": "1.0",
    "destination": "/opt/tools",
    "license": {"name": "l", "source": "bundles/my_tools/license.txt"},
    "files": [
        {"name": "run me", "source": "somewhere/run.sh", "rights": "755"},
        {"name": "src", "source": "bundles/my_tools/1.0/src", "files": [{"name": "b.txt", "source": "bundles/my_tools/1.0/srcsub/b.txt"}]},
        {"name": "curl", "source": "whatever", "tag": "ospkg"},
    ],
}
FILES = {"bundles/my_tools/license.txt": b"MIT", "somewhere/run.sh": b"#!/bin/sh\n", "bundles/my_tools/1.0/src/sub/b.txt": b"old", "bundles/my_tools/1.0/srcsub/b.txt": b"b"}


def packed(place: Path, files: dict[str, bytes], name: str, text: str) -> Path:
    with tarfile.open(place, "w:gz") as tar:
        for member, data in {**files, name: text.encode()}.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return place


def archive(place: Path, document: dict[str, Any] = BUNDLE, files: dict[str, bytes] = FILES) -> Path:
    return packed(place, files, "bundle.yml", yaml.safe_dump(document))


def contents(kept: Kept) -> dict[str, bytes]:
    return {str(path.relative_to(kept.files)): path.read_bytes() for path in kept.members}


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return read_archive(archive(tmp_path / "a.tar.gz"), tmp_path / "kept", tmp_path / "work")


def test_files_of_an_archive_get_hammrs_places_and_the_oddly_named_ones_too(kept: Kept) -> None:
    assert contents(kept) == {
        "bundles/my_tools/license.txt": b"MIT",
        "bundles/my_tools/1.0/run_me": b"#!/bin/sh\n",
        "bundles/my_tools/1.0/src/sub/b.txt": b"old",
        "bundles/my_tools/1.0/src/b.txt": b"b",
    }
    sources = [file["source"] for file in kept.document["files"]]
    assert sources == ["bundles/my_tools/1.0/run_me", "bundles/my_tools/1.0/src", "whatever"]
    assert kept.document["files"][1]["files"][0]["source"] == "bundles/my_tools/1.0/src/b.txt"
    assert kept.size == 3 + 10 + 3 + 1


@pytest.mark.parametrize(("format", "name"), [("yaml", "bundle.yml"), ("json", "bundle.json")])
def test_what_is_written_is_the_same_bundle_when_it_is_read(kept: Kept, tmp_path: Path, format: str, name: str) -> None:
    write_archive(kept, format, tmp_path / "b.tar.gz")
    with tarfile.open(tmp_path / "b.tar.gz") as tar:
        assert tar.getnames()[-1] == name
    again = read_archive(tmp_path / "b.tar.gz", tmp_path / "again", tmp_path / "work2")
    assert again.document == kept.document
    assert again.digest() == kept.digest()


def test_the_digest_tells_one_changed_byte(kept: Kept, tmp_path: Path) -> None:
    other = read_archive(archive(tmp_path / "b.tar.gz", files={**FILES, "somewhere/run.sh": b"#!/bin/zh\n"}), tmp_path / "other", tmp_path / "work2")
    assert other.document == kept.document
    assert other.digest() != kept.digest()


def test_a_copy_under_another_name_shares_its_files(kept: Kept, tmp_path: Path) -> None:
    copy = keep({**kept.document, "name": "other", "version": "2"}, kept.files, tmp_path / "copy")
    ours, theirs = kept.file("bundles/my_tools/1.0/run_me"), copy.file("bundles/other/2/run_me")
    assert ours.samefile(theirs)
    assert copy.bundle.name == "other"


def test_two_files_of_one_name_are_both_kept(tmp_path: Path) -> None:
    files = [{"name": "a", "source": "x/a", "destination": "/x"}, {"name": "a", "source": "y/a", "destination": "/y"}]
    made = read_archive(archive(tmp_path / "a.tar.gz", {"name": "n", "version": "1", "files": files}, {"x/a": b"x", "y/a": b"y"}), tmp_path / "k", tmp_path / "w")
    assert [made.file(file["source"]).read_bytes() for file in made.document["files"]] == [b"x", b"y"]


def test_folders_in_folders_and_files_named_as_folders_find_their_place(tmp_path: Path) -> None:
    inner = {"name": "sub", "source": "src/sub", "files": [{"name": "b", "source": "odd"}]}
    files = [{"name": "src", "source": "src", "files": [inner, {"name": "sub", "source": "odd"}]}]
    document = {"name": "n", "version": "1", "files": files}
    made = read_archive(archive(tmp_path / "a.tar.gz", document, {"src/sub/b": b"tree", "odd": b"odd"}), tmp_path / "k", tmp_path / "w")
    assert contents(made) == {"bundles/n/1/src/sub/b": b"odd", "bundles/n/1/src/sub.2": b"odd"}
    wrong = {"name": "n", "version": "1", "files": [{"name": "a", "source": "odd", "files": [{"name": "b", "source": "odd"}]}]}
    with pytest.raises(UserError, match="no folder"):
        read_archive(archive(tmp_path / "a2.tar.gz", wrong, {"odd": b"odd"}), tmp_path / "k3", tmp_path / "w3")


def test_every_mistake_is_named(tmp_path: Path) -> None:
    text = "name: n\nversion: 1.0\ncolour: red\nfiles:\n- {name: a}\n- {name: b, source: b, tag: ospkg, rights: '755'}\n"
    with pytest.raises(SpecError) as caught:
        parse_bundle(text, "b.yml")
    said = "\n".join(caught.value.problems)
    assert all(word in said for word in ("line 3, colour", "files[0].source", "files[1].rights")), said


def test_a_source_that_is_not_in_the_archive_and_a_file_that_is_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_archive(archive(tmp_path / "a.tar.gz", files={}), tmp_path / "k", tmp_path / "w")
    assert "somewhere/run.sh" in "\n".join(caught.value.problems)
    with pytest.raises(HostileInput):
        read_archive(packed(tmp_path / "t.tar.gz", {}, "template.yml", "stack: {}"), tmp_path / "k2", tmp_path / "w2")


def test_numbers_and_dates_stay_as_they_were_written(tmp_path: Path) -> None:
    bundle = parse_bundle("name: n\nversion: 1.10\ndescription: 2024-01-02\nfiles:\n- {name: a, source: a, rights: 0755}\n", "b.yml")
    assert (bundle.document["version"], bundle.document["description"], bundle.document["files"][0]["rights"]) == ("1.10", "2024-01-02", "0755")


def test_a_template_takes_a_bundle_from_the_library_and_leaves_its_own_out(kept: Kept, tmp_path: Path) -> None:
    stack = {
        "name": "web",
        "version": "1",
        "os": {"name": "Debian", "version": "12", "arch": "x86_64"},
        "bundles": [{"name": "my tools", "version": "1.0", "files": [{"name": "mine", "source": "mine"}]}, {"name": "b", "version": "1", "files": [{"name": "b", "source": "b"}]}],
    }
    given = packed(tmp_path / "t.tar.gz", {"mine": b"mine", "b": b"b"}, "template.yml", yaml.safe_dump({"stack": stack}))
    made, _ = read_template(given, tmp_path / "t", library={("my tools", "1.0"): kept})
    template = Template(made, tmp_path / "t")
    assert [bundle.name for bundle in made.bundles] == ["my tools", "b"]
    assert template.file(made.bundles[0].files[0].source).read_bytes() == b"#!/bin/sh\n"
    assert made.bundles[0].destination == "/opt/tools"
    assert not (tmp_path / "t/files/mine").exists()
    assert (tmp_path / "t/files/b").read_bytes() == b"b"
    assert [wish.name for wish in made.bundled] == ["curl"]
    alone, _ = read_template(given, tmp_path / "u")
    assert alone.bundles[0].files[0].name == "mine"


def test_a_bundle_of_the_library_that_is_not_for_the_system_is_refused(kept: Kept, tmp_path: Path) -> None:
    library = {("my tools", "1.0"): Kept({**kept.document, "oses": [{"name": "CentOS", "version": "7"}]}, kept.files)}
    stack = {"name": "w", "version": "1", "os": {"name": "Debian", "version": "12", "arch": "x86_64"}, "bundles": [{"name": "my tools", "version": "1.0", "files": []}]}
    given = packed(tmp_path / "t.tar.gz", {}, "template.yml", yaml.safe_dump({"stack": stack}))
    with pytest.raises(SpecError) as caught:
        read_template(given, tmp_path / "t", library=library)
    assert any("not for Debian 12" in problem for problem in caught.value.problems)
