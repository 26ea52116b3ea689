"""What a proof explains, each by the rule that is made for it, and what lies just beside the rule."""

# ruff: noqa: F401, F811  (fixtures that are taken from another module)

from __future__ import annotations

import os

import pytest

from .conftest import Machine
from .test_fidelity import KEY, LOG, WANTS, add_cloud, copy, edit, explained, proof, settle, source, unexplained


def test_an_added_package_brings_its_files_its_unit_and_its_links(source: Machine, copy: Machine) -> None:
    add_cloud(copy)
    found = proof(source, copy, "cloud")
    assert unexplained(found) == set()
    rule = explained(found)
    assert rule["/usr/bin/cloud"] == rule["cloud:amd64"] == rule["cloud.service"] == "added-package"
    assert rule[f"{WANTS}/cloud.service"] == "added-link"
    assert rule["/usr/bin"] == rule[WANTS] == "directory-time"


def test_a_package_that_nobody_added_is_unexplained_with_all_it_brings(source: Machine, copy: Machine) -> None:
    add_cloud(copy)
    left = unexplained(proof(source, copy, "cloudy"))
    assert ("packages", "cloud:amd64", "only in copy") in left
    assert ("services", "cloud.service", "only in copy") in left
    assert ("files", "/usr/bin/cloud", "only in copy") in left
    assert ("files", f"{WANTS}/cloud.service", "only in copy") in left


def test_a_folders_time_is_explained_only_together_with_what_came_into_it(source: Machine, copy: Machine) -> None:
    place = copy.at("/etc")
    os.utime(place, ns=(5, 5))
    assert unexplained(proof(source, copy)) == {("files", "/etc", "mtime")}
    copy.file("/etc/hostname", b"web\n")
    found = proof(source, copy)
    assert unexplained(found) == set()
    assert explained(found) == {"/etc/hostname": "host-name", "/etc": "directory-time"}
    copy.file("/etc/stray")
    assert unexplained(proof(source, copy)) == {("files", "/etc/stray", "only in copy"), ("files", "/etc", "mtime")}


def test_a_folders_mode_is_not_excused_by_what_came_into_it(source: Machine, copy: Machine) -> None:
    copy.file("/etc/hostname", b"web\n")
    settle(copy)
    copy.at("/etc").chmod(0o777)
    assert unexplained(proof(source, copy)) == {("files", "/etc", "mode")}


def test_a_new_folder_is_explained_when_all_that_it_holds_is(source: Machine, copy: Machine) -> None:
    copy.file("/var/lib/initramfs-tools/6.1")
    settle(copy)
    assert explained(proof(source, copy))["/var/lib/initramfs-tools"] == "added-folder"
    copy.at("/var/lib/apt").mkdir(exist_ok=True)
    copy.file("/var/lib/apt/extended_states")
    copy.file("/var/lib/apt/stray")
    settle(copy)
    assert unexplained(proof(source, copy)) == {("files", "/var/lib/apt", "only in copy"), ("files", "/var/lib/apt/stray", "only in copy")}


def test_an_account_of_an_added_package_is_explained_and_a_persons_is_not(source: Machine, copy: Machine) -> None:
    edit("/etc/passwd", b"anna:x", b"cloudd:x:106:106::/:/bin/false\nnew:x:1001:1001::/:/bin/sh\nanna:x")(copy)
    edit("/etc/group", b"staff:x", b"cloudd:x:106:\nnew:x:1001:\nstaff:x")(copy)
    settle(copy)
    found = proof(source, copy, accounts={"passwd": ["cloudd:x:106:106::/:/bin/false"], "group": ["cloudd:x:106:"]})
    assert unexplained(found) == {("users", "new", "only in copy"), ("users", "group new", "only in copy")}
    assert explained(found) == {"cloudd": "added-account", "group cloudd": "added-account", "/etc/passwd": "merged-accounts", "/etc/group": "merged-accounts"}


def test_host_keys_of_the_first_boot_are_explained_where_the_source_had_none(source: Machine, copy: Machine) -> None:
    for machine in (source, copy):
        machine.file("/etc/ssh/sshd_config", b"")
        settle(machine)
    copy.file(KEY, b"secret", 0o600)
    assert explained(proof(source, copy)) == {KEY: "host-keys", "/etc/ssh": "directory-time"}


def test_a_host_key_more_than_the_source_had_is_unexplained(source: Machine, copy: Machine) -> None:
    for machine in (source, copy):
        machine.file("/etc/ssh/ssh_host_ed25519_key", b"secret", 0o600)
        settle(machine)
    copy.file(KEY, b"secret", 0o600)
    assert ("files", KEY, "only in copy") in unexplained(proof(source, copy))


def test_a_log_of_a_packages_folder_or_of_the_systems_that_grew_is_explained(source: Machine, copy: Machine) -> None:
    for path in (LOG, "/var/log/syslog"):
        copy.file(path, b"one\ntwo\nthree\n")
    assert explained(proof(source, copy)) == {LOG: "log-appended", "/var/log/syslog": "log-appended"}
    assert unexplained(proof(source, copy)) == set()


@pytest.mark.parametrize("path", ["/var/log/app/app.log", "/var/log/ledger"])
def test_a_line_more_in_a_log_that_is_nobody_elses_is_a_difference(source: Machine, copy: Machine, path: str) -> None:
    copy.file(path, copy.at(path).read_bytes() + b"9999 paid to mallory\n")
    assert unexplained(proof(source, copy)) == {("files", path, "size, mtime, sha256")}


@pytest.mark.parametrize(
    "written",
    [b"one\n", b"", b"one\ntwO\n", b"two\none\nthree\nfour\n", b"\0one\ntwo\n"],
    ids=["shrunk", "emptied", "rewritten", "rewritten-longer", "something-before"],
)
def test_a_log_that_does_not_begin_with_the_sources_is_unexplained(source: Machine, copy: Machine, written: bytes) -> None:
    copy.file(LOG, written)
    assert {(scope, item) for scope, item, _ in unexplained(proof(source, copy))} == {("files", LOG)}


def test_a_log_that_grew_and_changed_its_mode_is_unexplained(source: Machine, copy: Machine) -> None:
    copy.file(LOG, b"one\ntwo\nthree\n", 0o666)
    assert unexplained(proof(source, copy)) == {("files", LOG, "mode, size, mtime, sha256")}


def test_a_file_that_grew_elsewhere_is_no_log(source: Machine, copy: Machine) -> None:
    copy.file("/opt/app/data", b"data and more")
    assert unexplained(proof(source, copy)) == {("files", "/opt/app/data", "size, mtime, sha256")}


@pytest.mark.parametrize("path", ["/var/log/app", "/var/log/app/pipe"])
def test_what_is_no_file_below_the_logs_is_not_read_as_one(source: Machine, copy: Machine, path: str) -> None:
    os.utime(copy.at(path), ns=(5, 5))
    assert unexplained(proof(source, copy)) == {("files", path, "mtime")}
