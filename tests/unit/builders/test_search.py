"""Packages by name, from indexes as apt leaves them."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.archive import Archive
from builders.search import search
from scanner.errors import UserError

INDEX = """Package: nginx
Version: 1.0-1
Architecture: amd64
Size: 100
SHA256: aa
Section: httpd
Description: a server
 Package: nginx-not-this

Package: nginx-common
Version: 1.0-1
Architecture: all
Size: 50
SHA256: bb

Package: libnginx
Version: 2
Architecture: amd64
"""
NEWER = "Package: nginx\nVersion: 1.0-1+deb12u1\nArchitecture: amd64\nSize: 101\nSHA256: cc\n"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FORGELET_DEBIAN_MIRROR", "http://mirror.example/debian")
    monkeypatch.setenv("FORGELET_DEBIAN_SECURITY_MIRROR", "http://mirror.example/security")
    archive = Archive("bookworm", "amd64", tmp_path)
    (archive.folder / "sources.list").write_text(archive.sources())
    (archive.folder / "refreshed").touch()
    lists = archive.folder / "lists"
    for suite, date, text in (("bookworm", "Sat, 11 Jul 2020 10:00:00 UTC", INDEX), ("bookworm-security", "Sun, 12 Jul 2020 10:00:00 UTC", NEWER)):
        (lists / f"mirror.example_debian_dists_{suite}_InRelease").write_text(f"Origin: Debian\nDate: {date}\n")
        (lists / f"mirror.example_debian_dists_{suite}_main_binary-amd64_Packages").write_text(text)
    return tmp_path


def names(cache: Path, pattern: str) -> list[str]:
    return [f"{one.name}={one.version}" for one in search("bookworm", "amd64", pattern, cache)]


def test_one_name_in_all_its_versions(cache: Path) -> None:
    assert names(cache, "nginx") == ["nginx=1.0-1", "nginx=1.0-1+deb12u1"]


def test_a_star_is_any_characters(cache: Path) -> None:
    assert names(cache, "nginx*") == ["nginx=1.0-1", "nginx=1.0-1+deb12u1", "nginx-common=1.0-1"]
    assert names(cache, "*nginx") == ["libnginx=2", "nginx=1.0-1", "nginx=1.0-1+deb12u1"]
    assert names(cache, "apache*") == []


def test_what_is_told_comes_from_the_index(cache: Path) -> None:
    found = search("bookworm", "amd64", "nginx-common", cache)[0]
    assert (found.size, found.sha256, found.arch, found.indexed.isoformat()) == (50, "bb", "all", "2020-07-11T10:00:00+00:00")


@pytest.mark.parametrize("pattern", ["", "a\nb", "../x", "[a-z]", "a b"])
def test_no_name_of_packages(cache: Path, pattern: str) -> None:
    with pytest.raises(UserError):
        search("bookworm", "amd64", pattern, cache)
