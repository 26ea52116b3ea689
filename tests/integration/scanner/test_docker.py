"""The Docker target against the real engine: what the report says is what independent tools find inside the container."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path

import pytest

from scanner.compare import compare_files
from scanner.errors import NotFound, Unreachable
from scanner.overlay import CONTENTS, unpack
from scanner.progress import Silent
from scanner.report import FileEntry, Report
from scanner.scan import scan
from scanner.targets import open_target
from scanner.targets.contract import CHECKS
from scanner.targets.docker import DockerTarget

pytestmark = pytest.mark.docker

PRUNED = r"-path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/lib/apt/lists -o -path /var/cache/apt/archives"
FIND = rf"find / \( {PRUNED} -o -path /volume \) -prune -o \( -name '*.bin' -path '/var/cache/apt/*' \) -o"
MOUNTED = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/.dockerenv"}


@pytest.fixture(scope="module")
def report(lived_in, tmp_path_factory) -> Report:
    into = tmp_path_factory.mktemp("scan")
    changed = ("unmanaged", "conffile-changed", "managed-changed", "missing")
    return scan(open_target(f"docker:{lived_in.name}"), into, Silent(), choose=lambda report: lambda one: "overlay" if one.state in changed else None)


@pytest.fixture(scope="module")
def entries(report) -> dict[str, FileEntry]:
    return {entry.path: entry for entry in report.files()}


def present(entries: dict[str, FileEntry]) -> dict[str, FileEntry]:
    return {path: one for path, one in entries.items() if one.state not in ("excluded", "missing")}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_target_keeps_the_contract(check, lived_in, tmp_path):
    check(DockerTarget(lived_in.name), tmp_path)


def test_every_path_is_in_the_report_and_no_other(lived_in, entries):
    found = lived_in.shell(FIND + r" -print0").split(b"\0")[:-1]
    theirs = {os.fsdecode(path) for path in found} - MOUNTED
    assert present(entries).keys() == theirs
    assert len(theirs) > 5000


def test_metadata_is_what_find_says(lived_in, entries):
    lines = lived_in.shell(FIND + r" -printf '%p\0%m %U %G %T@ %y %n\0'").split(b"\0")[:-1]
    theirs = {os.fsdecode(path): row.decode().split() for path, row in zip(lines[::2], lines[1::2], strict=True)}
    letters = {"f": "file", "d": "directory", "l": "symlink", "p": "fifo", "c": "char", "b": "block", "s": "socket"}
    for path, one in present(entries).items():
        mode, uid, gid, when, letter, links = theirs[path]
        seconds, _, part = when.partition(".")
        assert (one.mode, one.uid, one.gid, one.type) == (mode.zfill(4), int(uid), int(gid), letters[letter]), path
        assert one.mtime == int(seconds) * 10**9 + int(part[:9].ljust(9, "0")), path
        assert (one.hardlink is not None) == (int(links) > 1 and letter != "d"), path


def test_digests_are_what_sha256sum_says(lived_in, entries):
    lines = lived_in.shell(FIND + r" -type f -print0 | xargs -0 sha256sum -z").split(b"\0")[:-1]
    theirs = {os.fsdecode(line[66:]): line[:64].decode() for line in lines}
    ours = {path: one.sha256 for path, one in present(entries).items() if one.type == "file"}
    assert ours == {path: theirs[path] for path in ours}
    assert theirs.keys() - ours.keys() <= MOUNTED


def test_attributes_are_what_getfattr_says(lived_in, entries):
    paths = ["/srv/data", "/srv/data/acl", "/srv/data/tagged", "/usr/local/bin/capped", "/srv/data/one"]
    for path in paths:
        lines = lived_in.shell(f"getfattr -d -m - -e base64 --absolute-names {path}").decode().splitlines()
        theirs = dict(line.split("=0s") for line in lines if "=0s" in line)
        assert entries[path].xattrs == theirs, path
    assert {"system.posix_acl_access"} == entries["/srv/data/acl"].xattrs.keys()
    assert {"system.posix_acl_default"} == entries["/srv/data"].xattrs.keys()
    assert {"security.capability"} == entries["/usr/local/bin/capped"].xattrs.keys()
    assert base64.b64decode(entries["/srv/data/tagged"].xattrs["user.note"]) == b"\x00\xff\n="


def test_holes_links_and_nodes_are_told(entries):
    hole = entries["/srv/data/hole"]
    assert hole.size == 64 << 20
    assert hole.extents is not None
    assert sum(length for _, length in hole.extents) < 1 << 20
    assert {entries["/srv/data/one"].hardlink, entries["/srv/data/two"].hardlink} == {"/srv/data/one"}
    assert (entries["/srv/data/node"].type, entries["/srv/data/node"].device) == ("char", "1:3")
    assert entries["/srv/data/link"].target == "/nowhere/at/all"


def test_states_are_what_was_done_to_the_machine(entries):
    def verdict(path: str) -> tuple[str, str, str | None]:
        return entries[path].state, entries[path].reason, entries[path].package

    assert verdict("/usr/share/doc/bash/copyright") == ("missing", "deleted", "bash")
    assert verdict("/etc/bash.bashrc") == ("conffile-changed", "conffile-md5", "bash")
    assert verdict("/usr/share/doc/dash/copyright") == ("managed-changed", "md5-differs", "dash")
    assert verdict("/srv/data/caf\udce9") == ("unmanaged", "not-in-any-package", None)
    assert verdict("/etc/hosts")[:2] == ("excluded", "mount")
    assert verdict("/.dockerenv")[:2] == ("excluded", "container-engine")
    assert verdict("/volume")[:2] == ("excluded", "mount")
    assert "/volume/inside" not in entries


def test_no_other_managed_file_is_said_to_be_changed(lived_in, entries):
    """dpkg's own verification is the witness."""
    done = lived_in.shell("dpkg --verify || true").decode().splitlines()
    theirs = {line.split()[-1] for line in done}
    changed = {path for path, one in entries.items() if one.state in ("conffile-changed", "managed-changed", "missing") and one.type == "file"}
    assert changed == theirs == {"/etc/bash.bashrc", "/usr/share/doc/bash/copyright", "/usr/share/doc/dash/copyright"}


def test_packages_are_what_dpkg_query_says(lived_in, report):
    lines = lived_in.shell(r"dpkg-query -W -f '${Package} ${Version} ${Architecture}\n'").decode().splitlines()
    assert sorted(f"{one.name} {one.version} {one.arch}" for one in report.head.packages) == sorted(lines)


def test_accounts_are_what_getent_says(lived_in, report):
    users = lived_in.shell("getent passwd | cut -d: -f1,3,4").decode().split()
    groups = lived_in.shell("getent group | cut -d: -f1,3").decode().split()
    assert [f"{one.name}:{one.uid}:{one.gid}" for one in report.head.users] == users
    assert [f"{one.name}:{one.gid}" for one in report.head.groups] == groups


def test_the_engines_facts_are_in_the_head(lived_in, report, image):
    facts = report.head.system.container
    assert facts is not None
    assert (facts.image, facts.command, facts.restart, facts.volumes, facts.ports) == (image, ["sleep", "infinity"], "unless-stopped", ["/volume"], ["8080/tcp"])
    assert facts.environment["GREETING"] == "hi there"
    assert facts.labels["forgelet.test"] == "1"
    assert (report.head.system.distribution, report.head.system.version, report.head.system.arch) == ("Debian", "12", "x86_64")
    assert "/volume" in {mount["path"] for mount in report.head.mounts}


def test_the_overlay_over_an_export_of_the_image_gives_the_container_back(lived_in, report, image, tmp_path):
    """The image's own layers, unpacked by GNU tar, are the fresh install; the overlay makes the container of it."""
    root = tmp_path / "root"
    root.mkdir()
    made = subprocess.run(["docker", "create", "--label", "forgelet.test=1", image, "true"], capture_output=True, check=True, text=True).stdout.strip()
    try:
        with subprocess.Popen(["docker", "export", made], stdout=subprocess.PIPE) as export:
            subprocess.run(["tar", "-x", "-p", "--numeric-owner", "-C", str(root)], stdin=export.stdout, check=True)
    finally:
        subprocess.run(["docker", "rm", made], capture_output=True, check=True)
    restored = list(unpack(report.folder / CONTENTS, root))
    assert "/srv/data/caf\udce9" in restored
    copy = scan(open_target(f"directory:{root}"), tmp_path / "copy", Silent())
    ours = {entry.path: entry.state for entry in report.files()}
    # docker export rounds times to seconds and makes mount points of its own.
    for found in compare_files(report, copy, fields=("type", "mode", "uid", "gid", "size", "sha256", "target", "hardlink", "device", "xattrs", "extents")):
        assert ours.get(found.path, "excluded") == "excluded", (found.path, found.fields)
    times = compare_files(report, copy, fields=("mtime",))
    assert [found.path for found in times if ours.get(found.path) == "unmanaged" and found.path.startswith("/srv/data/")] == []
    assert (root / "srv/data/hole").stat().st_blocks * 512 < 1 << 20


def test_a_container_that_is_not_there_is_not_found_and_those_that_are_there_are_named(lived_in, tmp_path):
    with pytest.raises(NotFound, match=lived_in.name):
        scan(open_target("docker:no-such-container"), tmp_path, Silent())


def test_no_engine_is_unreachable(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(Unreachable) as caught:
        scan(open_target("docker:any"), tmp_path / "out", Silent())
    assert caught.value.hint


def test_a_docker_scan_is_counted(lived_in, tmp_path, monkeypatch):
    monkeypatch.setenv("FORGELET_TALLY", str(tmp_path / "tally"))
    scan(open_target(f"docker:{lived_in.name}"), tmp_path / "out", Silent(), excludes=["/usr", "/var"])
    assert Path(tmp_path / "tally").read_text() == "scan\n"
