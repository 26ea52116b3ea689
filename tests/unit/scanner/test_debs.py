"""Modes and owners as packages ship them, from .deb files that are made here byte by byte (deb(5))."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from scanner.agent import debs
from scanner.report import FileEntry

PACK = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}
OWN = {"uid": os.getuid(), "gid": os.getgid()}
FILE = b"binary"


def member(name: str, data: bytes | None = FILE, mode: int = 0o644, **owner: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A file, or a folder where there is no data."""
    found = tarfile.TarInfo(f".{name}")
    found.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
    found.size, found.mode = len(data or b""), mode
    for key, value in {**OWN, **owner}.items():
        setattr(found, key, value)
    return found, data or b""


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def put(machine: Any, *members: tuple[tarfile.TarInfo, bytes], name: str = "tool_1.0-1_amd64", packing: str = ".xz", sums: bytes | None = None, package: str = "tool") -> Path:
    """The .deb of the package as it is installed, unless `sums` says otherwise, where apt keeps it."""
    if sums is None:
        sums = machine.at(f"/var/lib/dpkg/info/{package}.md5sums").read_bytes()
    parts = {"debian-binary": b"2.0\n", f"control.tar{packing}": PACK[packing](tar(member("/md5sums", sums))), f"data.tar{packing}": PACK[packing](tar(*members))}
    packed = b"!<arch>\n"
    for part, data in parts.items():
        packed += f"{part:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    return Path(machine.file(f"/var/cache/apt/archives/{name}.deb", packed))


def told(machine: Any, path: str = "/usr/bin/tool") -> tuple[str, str, dict[str, str]]:
    entry: FileEntry = machine.entries()[path]
    return entry.state, entry.reason, entry.expected


def known(machine: Any) -> list[str]:
    return [one.name for one in machine.scan().head.packages if one.modes]


@pytest.mark.parametrize("packing", sorted(PACK))
def test_a_mode_that_is_not_the_packages_is_told(machine: Any, packing: str) -> None:
    machine.package("tool", {"/usr/bin/tool": FILE})
    put(machine, member("/usr/bin/tool"), packing=packing)
    assert told(machine) == ("managed", "md5-equal", {})
    machine.at("/usr/bin/tool").chmod(0o4755)
    assert told(machine) == ("managed-changed", "mode-differs", {"mode": "0644"})
    assert known(machine) == ["tool"]


@pytest.mark.parametrize(("owner", "reason", "expected"), [({"uid": 4242}, "user-differs", {"user": "#4242"}), ({"gid": 4243}, "group-differs", {"group": "#4243"})])
def test_an_owner_that_is_not_the_packages_is_told(machine: Any, owner: dict[str, int], reason: str, expected: dict[str, str]) -> None:
    machine.package("tool", {"/usr/bin/tool": FILE})
    put(machine, member("/usr/bin/tool", **owner))
    assert told(machine) == ("managed-changed", reason, expected)


def test_a_name_counts_where_the_machine_knows_it_and_the_number_where_it_does_not(machine: Any) -> None:
    machine.package("tool", {"/usr/bin/tool": FILE})
    put(machine, member("/usr/bin/tool", uid=4242, uname="keeper", gname="nobody-here"))
    assert told(machine)[2] == {"user": "#4242"}
    machine.file("/etc/passwd", f"keeper:x:{os.getuid()}:0::/:/bin/sh\n".encode())
    assert told(machine)[:2] == (("managed-changed", "user-differs") if os.getuid() == 0 else ("managed", "md5-equal"))


def test_what_differs_in_contents_too_keeps_its_reason(machine: Any) -> None:
    machine.package("tool", conffiles={"/etc/tool.conf": b"x=1\n"})
    put(machine, member("/etc/tool.conf", b"x=1\n", 0o600))
    machine.file("/etc/tool.conf", b"x=2\n")
    state, reason, expected = told(machine, "/etc/tool.conf")
    assert (state, reason) == ("conffile-changed", "conffile-md5") and expected["mode"] == "0600" and expected["digest"].startswith("md5:")


def test_a_statoverride_wins_over_the_package(machine: Any) -> None:
    machine.package("tool", {"/usr/bin/tool": FILE})
    put(machine, member("/usr/bin/tool", mode=0o4755))
    machine.file("/var/lib/dpkg/statoverride", f"#{OWN['uid']} #{OWN['gid']} 644 /usr/bin/tool\n".encode())
    assert told(machine) == ("managed", "md5-equal", {})


def test_a_folder_of_one_package_is_told_and_one_of_several_is_not(machine: Any) -> None:
    machine.package("tool", {"/usr/lib/tool/file": FILE})
    machine.package("other", {"/usr/lib/other/file": FILE})
    put(machine, member("/usr/lib", None, 0o700), member("/usr/lib/tool", None, 0o700), member("/usr/lib/tool/file"))
    machine.at("/usr/lib/tool").chmod(0o755)
    assert told(machine, "/usr/lib/tool") == ("managed-changed", "mode-differs", {"mode": "0700"})
    assert told(machine, "/usr/lib") == ("managed", "listed", {})


def test_a_merged_usr_and_an_epoch_are_no_hindrance(machine: Any) -> None:
    machine.package("tool", {"/bin/tool": FILE}, version="2:1.0-1")
    put(machine, member("/bin/tool", mode=0o600), name="tool_2%3a1.0-1_amd64")
    assert told(machine) == ("managed-changed", "mode-differs", {"mode": "0600"})


@pytest.mark.parametrize("case", ["other sums", "other version", "damaged", "cut short", "no archive", "an unknown packing"])
def test_what_is_not_the_installed_package_tells_nothing(machine: Any, case: str) -> None:
    machine.package("tool", {"/usr/bin/tool": FILE})
    more: dict[str, Any] = {"other sums": {"sums": b"0" * 32 + b"  usr/bin/tool\n"}, "other version": {"name": "tool_1.0-2_amd64"}}.get(case, {})
    deb = put(machine, member("/usr/bin/tool", mode=0o600), **more)
    raw = deb.read_bytes()
    if case == "damaged":
        deb.write_bytes(raw[:-40] + bytes(40))
    elif case == "cut short":
        deb.write_bytes(raw[:-60])
    elif case == "no archive":
        deb.write_bytes(b"<html>not found</html>")
    elif case == "an unknown packing":
        deb.write_bytes(raw.replace(b"data.tar.xz ", b"data.tar.rot"))
    assert told(machine) == ("managed", "md5-equal", {})
    assert known(machine) == []


def test_only_so_much_is_read_the_small_ones_first(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # FakeTarget runs the agent in this process.
    monkeypatch.setattr(debs, "AT_MOST", 100_000)
    machine.package("tool", {"/usr/bin/tool": FILE})
    machine.package("big", {"/usr/bin/big": FILE})
    put(machine, member("/usr/bin/tool"))
    put(machine, member("/usr/bin/big", os.urandom(200_000)), name="big_1.0-1_amd64", package="big")
    assert known(machine) == ["tool"]
