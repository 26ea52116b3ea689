"""Control files, apt's answers and the lists of an archive, read and written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import archive as archives
from builders.archive import Archive, PackageId, parse_stanzas, pool_name, write_stanza
from builders.errors import BuildFailed
from scanner.errors import CommandFailed
from scanner.host.mirrors import Mirrors

NAMES = st.from_regex(r"[A-Z][A-Za-z0-9-]{0,12}", fullmatch=True)
WORD = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=("Z", "C")), min_size=1, max_size=12)
LINE = st.lists(WORD, min_size=1, max_size=4).map(" ".join)
VALUE = st.builds(lambda first, rest: "".join([first, *(f"\n {line}" for line in rest)]), st.one_of(st.just(""), LINE), st.lists(LINE, max_size=3))
STANZA = st.dictionaries(NAMES, VALUE, min_size=1, max_size=6)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STANZA, max_size=3))
def test_what_was_written_is_read_back_field_by_field(stanzas: list[dict[str, str]]) -> None:
    assert list(parse_stanzas("".join(map(write_stanza, stanzas)))) == stanzas


def test_a_field_that_begins_on_the_next_line_is_written_as_dpkg_writes_it() -> None:
    text = "Package: a\nConffiles:\n /etc/a 0123 \n /etc/b c 4567 obsolete\nDescription: short\n long\n .\n longer\n\n"
    (fields,) = parse_stanzas(text)
    assert fields["Conffiles"] == "\n /etc/a 0123 \n /etc/b c 4567 obsolete"
    assert fields["Description"] == "short\n long\n .\n longer"
    assert write_stanza(fields) == text


def test_bytes_that_are_no_text_survive_a_round_trip() -> None:
    raw = b"Package: a\nMaintainer: Jos\xe9 <j@x>\nDescription: d\n \xff\x85 end\n\n"
    text = raw.decode(errors="surrogateescape")
    assert "".join(map(write_stanza, parse_stanzas(text))).encode(errors="surrogateescape") == raw


def test_several_empty_lines_and_a_missing_last_one_make_no_paragraph_of_their_own() -> None:
    assert list(parse_stanzas("\n\nA: 1\n\n\n\nB: 2")) == [{"A": "1"}, {"B": "2"}]


@pytest.mark.parametrize(
    ("package", "name"),
    [
        (PackageId("nginx", "all", "1.22.1-9"), "nginx_1.22.1-9_all.deb"),
        (PackageId("login", "amd64", "1:4.13+dfsg1-1+b1"), "login_1%3a4.13+dfsg1-1+b1_amd64.deb"),
        (PackageId("x", "amd64", "2:1~rc1:2-3"), "x_2%3a1~rc1%3a2-3_amd64.deb"),
    ],
)
def test_the_pool_has_apts_own_file_names(package: PackageId, name: str) -> None:
    assert pool_name(package) == name


def test_apt_is_asked_for_a_version_and_for_an_architecture_only_where_there_is_one() -> None:
    assert PackageId("tzdata", "all", "2024a").apt == "tzdata=2024a"
    assert PackageId("libc6", "amd64", "2.36-9").apt == "libc6:amd64=2.36-9"


SIMULATED = """\
Reading package lists...
NOTE: This is only a simulation!
Inst libc6 (2.36-9+deb12u10 Debian:12.10/stable [amd64]) []
Inst gcc-12-base [12.1.0-1] (12.2.0-14 Debian:12.10/stable [amd64]) [libc6:amd64 ]
Inst login (1:4.13+dfsg1-1+b1 Debian:12.10/stable, Debian-Security:12/stable-security [amd64])
Inst tzdata (2024a-0+deb12u1 Debian:12.10/stable-updates [all])
Inst libgcc-s1:i386 (12.2.0-14 Debian:12.10/stable [i386]) []
Inst local-tool (1.0 localhost [all])
Conf libc6 (2.36-9+deb12u10 Debian:12.10/stable [amd64])
Remv old [1.0]
"""


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    monkeypatch.setattr(archives, "debian_mirrors", lambda: Mirrors("http://localhost/debian", "http://localhost/security"))
    return Archive("bookworm", "amd64", tmp_path, ["main", "contrib"])


def answer(archive: Archive, monkeypatch: pytest.MonkeyPatch, said: str | CommandFailed) -> list[tuple[str, ...]]:
    """apt answers `said`; gives back what it is asked."""
    asked: list[tuple[str, ...]] = []

    def apt(self: Archive, *argv: str, status: Path | None = None) -> str:
        asked.append(argv)
        if isinstance(said, CommandFailed):
            raise said
        return said

    monkeypatch.setattr(Archive, "_apt", apt)
    return asked


def test_a_simulated_installation_is_understood_line_by_line(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer(archive, monkeypatch, SIMULATED)
    found = archive.resolve([PackageId("tzdata", "all", "2024a-0+deb12u1")], ["grub-pc"])
    assert found == [
        PackageId("gcc-12-base", "amd64", "12.2.0-14"),
        PackageId("libc6", "amd64", "2.36-9+deb12u10"),
        PackageId("libgcc-s1", "i386", "12.2.0-14"),
        PackageId("local-tool", "all", "1.0"),
        PackageId("login", "amd64", "1:4.13+dfsg1-1+b1"),
        PackageId("tzdata", "all", "2024a-0+deb12u1"),
    ]
    assert asked[0][-2:] == ("tzdata=2024a-0+deb12u1", "grub-pc")


def test_names_from_a_scanned_machine_are_never_taken_for_options(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer(archive, monkeypatch, "")
    evil = PackageId("-oDir::Bin::dpkg", "all", "x")
    archive.resolve([evil], ["-c=/srv/evil.conf"])
    archive.stanzas([evil])
    archive.fetch([evil])
    assert len(asked) == 3
    for argv in asked:
        assert argv.index("--") < argv.index(evil.apt)
    assert asked[0].index("--") < asked[0].index("-c=/srv/evil.conf")


def test_packages_that_do_not_fit_together_are_refused_in_apts_own_words(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(archive, monkeypatch, CommandFailed(["apt-get"], 100, "E: Version '1' for 'x' was not found\n"))
    with pytest.raises(BuildFailed, match="Version '1' for 'x' was not found"):
        archive.resolve([PackageId("x", "all", "1")], [])


def test_index_entries_are_kept_by_package(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(archive, monkeypatch, "Package: a\nVersion: 1\nArchitecture: all\nSHA256: aa\n\nPackage: a\nVersion: 2\nArchitecture: all\nSHA256: bb\n")
    found = archive.stanzas([PackageId("a", "all", "1"), PackageId("a", "all", "2")])
    assert {package.version: fields["SHA256"] for package, fields in found.items()} == {"1": "aa", "2": "bb"}


def test_the_sources_are_this_machines_mirrors_with_the_release_its_updates_and_security(archive: Archive) -> None:
    lines = archive.sources().splitlines()
    assert [line.split("] ")[1] for line in lines] == [
        "http://localhost/debian bookworm main contrib",
        "http://localhost/debian bookworm-updates main contrib",
        "http://localhost/security bookworm-security main contrib",
    ]
    assert all(line.startswith("deb [signed-by=/") for line in lines)


def test_lists_are_fetched_once_and_again_when_told_or_when_the_mirror_is_another(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer(archive, monkeypatch, "")
    archive.refresh()
    archive.refresh()
    assert len(asked) == 1
    archive.refresh(force=True)
    assert len(asked) == 2
    monkeypatch.setattr(archives, "debian_mirrors", lambda: Mirrors("http://localhost/other", "http://localhost/security"))
    archive.refresh()
    assert len(asked) == 3


def test_lists_that_could_not_be_fetched_are_not_taken_for_fresh(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as offline:
        answer(archive, offline, CommandFailed(["apt-get"], 100, "E: Could not connect\n"))
        with pytest.raises(BuildFailed, match="Could not connect"):
            archive.refresh()
    asked = answer(archive, monkeypatch, "")
    archive.refresh()
    assert asked == [("apt-get", "update")]


def test_the_archive_offers_what_its_lists_name(archive: Archive) -> None:
    lists = archive.folder / "lists"
    (lists / "localhost_debian_dists_bookworm_main_binary-amd64_Packages").write_text(
        "Package: a\nSource: b (1.0)\nVersion: 1.0-1\nInstalled-Size: 3\nArchitecture: all\nDescription: x\n Version: no\n\n"
        "Package: a\nArchitecture: all\nVersion: 1.0-2\n\n"
    )
    (lists / "localhost_security_dists_bookworm-security_main_binary-amd64_Packages").write_bytes(
        b"Package: c\nMaintainer: Jos\xe9\nArchitecture: amd64\nVersion: 1:2-3"
    )
    (lists / "localhost_debian_dists_bookworm_InRelease").write_text("Package: d\nVersion: 1\nArchitecture: all\n\n")
    assert archive.offers() == {PackageId("a", "all", "1.0-1"), PackageId("a", "all", "1.0-2"), PackageId("c", "amd64", "1:2-3")}


def test_the_release_digest_follows_the_signed_indexes_alone(archive: Archive) -> None:
    release = archive.folder / "lists" / "localhost_debian_dists_bookworm_InRelease"
    release.write_text("one")
    first = archive.release_digest()
    (archive.folder / "lists" / "localhost_Packages").write_text("Package: a\n")
    assert archive.release_digest() == first
    release.write_text("two")
    assert archive.release_digest() != first
