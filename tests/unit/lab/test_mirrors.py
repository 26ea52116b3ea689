"""The reader of the machine's apt configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.errors import Unreachable
from scanner.host.mirrors import Mirrors, apt_sources, debian_mirrors

HERE = Mirrors("http://archive.test/debian", "http://archive.test/debian-security")


def apt(folder: Path, **files: str) -> Path:
    """An /etc/apt with the given files; `a_list` stands for sources.list.d/a.list, `main` for sources.list."""
    (folder / "sources.list.d").mkdir()
    for name, text in files.items():
        stem, _, kind = name.rpartition("_")
        path = folder / "sources.list" if name == "main" else folder / "sources.list.d" / f"{stem}.{kind}"
        path.write_text(text)
    return folder


def test_deb822_sources_are_read(tmp_path: Path) -> None:
    etc = apt(
        tmp_path,
        debian_sources=(
            "Types: deb\n# a comment inside the paragraph\nURIs: http://archive.test/debian/\n"
            "Suites: bookworm bookworm-updates\nComponents: main\n\n"
            "Types: deb deb-src\nURIs: http://archive.test/debian-security\nSuites: bookworm-security\nComponents: main\n"
        ),
    )
    assert debian_mirrors(etc, {}) == HERE


def test_one_line_sources_with_options_are_read(tmp_path: Path) -> None:
    etc = apt(
        tmp_path,
        main=(
            "# deb http://commented.test/debian bookworm main\n"
            "deb-src http://src.test/debian bookworm main\n"
            "deb [arch=amd64 signed-by=/k.gpg] http://archive.test/debian bookworm main # all of it\n"
            "deb http://archive.test/debian-security bookworm-security main\n"
        ),
    )
    assert debian_mirrors(etc, {}) == HERE


def test_a_continued_field_holds_several_addresses(tmp_path: Path) -> None:
    etc = apt(tmp_path, x_sources="Types: deb\nURIs:\n http://one.test/d\n http://two.test/d\nSuites: sid\n")
    assert [source.uri for source in apt_sources(etc)] == ["http://one.test/d", "http://two.test/d"]


def test_third_parties_disabled_entries_and_media_are_passed_over(tmp_path: Path) -> None:
    etc = apt(
        tmp_path,
        main="deb cdrom:[Debian 12]/ bookworm main\ndeb http://third.test/apt nodistro main\n",
        off_sources="Types: deb\nURIs: http://off.test/debian\nSuites: bookworm\nEnabled: no\n",
        on_sources="Types: deb\nURIs: http://archive.test/debian\nSuites: bookworm\n",
        zz_disabled="deb http://ignored.test/debian bookworm main\n",
    )
    assert debian_mirrors(etc, {}) == Mirrors("http://archive.test/debian", "")


def test_the_old_name_of_the_security_suite_is_known_and_updates_are_not_security(tmp_path: Path) -> None:
    etc = apt(
        tmp_path,
        main=(
            "deb http://archive.test/debian stable main\ndeb http://archive.test/debian stable-updates main\n"
            "deb http://archive.test/debian-security stable/updates main\n"
        ),
    )
    assert debian_mirrors(etc, {}) == HERE


def test_a_list_of_mirrors_is_followed(tmp_path: Path) -> None:
    mirrors = tmp_path / "mirrors.list"
    mirrors.write_text("# first wins\nhttp://archive.test/debian priority:1\n")
    etc = apt(tmp_path, d_sources=f"Types: deb\nURIs: mirror+file://{mirrors}\nSuites: bookworm\n")
    assert debian_mirrors(etc, {}).archive == "http://archive.test/debian"


def test_settings_override_apt(tmp_path: Path) -> None:
    etc = apt(tmp_path, main="deb http://archive.test/debian bookworm main\n")
    said = {"FORGELET_DEBIAN_MIRROR": "http://mine.test/d/", "FORGELET_DEBIAN_SECURITY_MIRROR": "http://mine.test/s"}
    assert debian_mirrors(etc, said) == Mirrors("http://mine.test/d", "http://mine.test/s")


def test_a_machine_without_a_debian_mirror_is_told_what_to_set(tmp_path: Path) -> None:
    etc = apt(tmp_path, main="deb http://other.test/distribution noble main\n")
    with pytest.raises(Unreachable) as raised:
        debian_mirrors(etc, {})
    assert "FORGELET_DEBIAN_MIRROR" in raised.value.hint
