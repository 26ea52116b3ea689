"""What a report knows of one path."""

from __future__ import annotations

import hashlib
import os

from scanner.explain import explain


def test_a_changed_conffile_names_its_package_its_rule_and_what_is_there(machine):
    machine.package("web", conffiles={"/etc/web.conf": b"shipped"}, version="2.0-1")
    machine.file("/etc/web.conf", b"changed", 0o600)
    machine.file("/etc/passwd", f"owner:x:{os.getuid()}:{os.getgid()}::/root:/bin/sh\n".encode())
    found = explain(machine.scan(), "/etc/web.conf").told()
    assert (found["state"], found["reason"]) == ("conffile-changed", "conffile-md5")
    assert "differs from what the package ships" in found["rule"]
    assert found["package"] == {"name": "web", "version": "2.0-1", "arch": "amd64"}
    assert found["actual"]["sha256"] == hashlib.sha256(b"changed").hexdigest()
    assert (found["actual"]["mode"], found["actual"]["user"]) == ("0600", "owner")


def test_what_is_as_shipped_has_the_same_digest_expected_and_actual(machine):
    machine.package("web", {"/usr/bin/web": b"program"})
    found = explain(machine.scan(), "/usr/bin/web").told()
    assert found["expected"]["sha256"] == found["actual"]["sha256"] == hashlib.sha256(b"program").hexdigest()


def test_an_unmanaged_path_has_no_owner_and_nothing_expected(machine):
    machine.file("/srv/page")
    found = explain(machine.scan(), "/srv/page").told()
    assert (found["package"], found["expected"]) == (None, None)


def test_a_deleted_file_is_expected_and_not_there(machine):
    machine.package("web", {"/usr/bin/web": b"program"})
    machine.at("/usr/bin/web").unlink()
    found = explain(machine.scan(), "/usr/bin/web").told()
    assert (found["state"], found["actual"]) == ("missing", None)
    assert found["expected"]["type"] == "file"


def test_below_a_pruned_folder_the_folder_is_named(machine):
    machine.file("/tmp/deep/inside")
    found = explain(machine.scan(), "/tmp/deep/inside").told()
    assert (found["state"], found["excludedBy"], found["reason"]) == ("excluded", "/tmp", "temporary")


def test_names_of_any_bytes_and_the_root_are_found(machine):
    machine.file("/srv/odd\udcff\n\"name")
    report = machine.scan()
    assert explain(report, "/srv/odd\udcff\n\"name").told()["state"] == "unmanaged"
    assert explain(report, "/").told()["actual"]["type"] == "directory"


def test_a_path_that_the_report_does_not_know_is_none(machine):
    machine.file("/srv/page")
    report = machine.scan()
    assert explain(report, "/srv/other") is None
    assert explain(report, "/srv/page/below") is None
