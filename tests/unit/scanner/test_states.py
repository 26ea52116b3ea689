"""Every state and reason, from a fabricated dpkg database."""

from __future__ import annotations

import hashlib
import os

import pytest

from scanner.rules import reasons


def test_a_shipped_file_is_managed(machine):
    machine.package("tool", {"/usr/bin/tool": b"binary"})
    assert machine.verdict("/usr/bin/tool") == ("managed", "md5-equal", "tool")


def test_a_shipped_file_with_other_contents_is_managed_changed(machine):
    machine.package("tool", {"/usr/bin/tool": b"binary"})
    machine.file("/usr/bin/tool", b"patched")
    assert machine.verdict("/usr/bin/tool") == ("managed-changed", "md5-differs", "tool")


def test_a_conffile_as_shipped_is_managed(machine):
    machine.package("tool", conffiles={"/etc/tool.conf": b"x=1\n"})
    assert machine.verdict("/etc/tool.conf") == ("managed", "conffile-unchanged", "tool")


def test_an_edited_conffile_is_told_apart(machine):
    machine.package("tool", conffiles={"/etc/tool.conf": b"x=1\n"})
    machine.file("/etc/tool.conf", b"x=2\n")
    assert machine.verdict("/etc/tool.conf") == ("conffile-changed", "conffile-md5", "tool")


def test_a_conffile_path_may_have_spaces(machine):
    machine.package("tool", conffiles={"/etc/my tool.conf": b"x=1\n"})
    assert machine.verdict("/etc/my tool.conf") == ("managed", "conffile-unchanged", "tool")


def test_an_obsolete_conffile_would_not_come_back_with_the_package(machine):
    machine.package("tool", obsolete={"/etc/old.conf": b"old\n"})
    assert machine.verdict("/etc/old.conf") == ("unmanaged", "conffile-obsolete", "tool")


def test_an_obsolete_conffile_that_is_gone_is_not_missing(machine):
    machine.package("tool", obsolete={"/etc/old.conf": b"old\n"})
    machine.at("/etc/old.conf").unlink()
    assert "/etc/old.conf" not in machine.entries()


def test_a_file_without_a_sum_is_managed(machine):
    machine.file("/usr/lib/generated")
    machine.package("tool", listed=["/usr/lib/generated"], with_md5=False)
    assert machine.verdict("/usr/lib/generated") == ("managed", "no-md5", "tool")


def test_a_file_in_place_of_a_shipped_link_is_not_taken_for_unchanged(machine):
    machine.package("tool", {"/usr/bin/tool": b"binary"}, listed=["/usr/bin/alias"])
    machine.at("/usr/bin/alias").symlink_to("tool")
    assert machine.verdict("/usr/bin/alias") == ("managed", "listed", "tool")
    machine.at("/usr/bin/alias").unlink()
    machine.file("/usr/bin/alias", b"a copy")
    assert machine.verdict("/usr/bin/alias") == ("managed-changed", "not-in-md5sums", "tool")


def test_a_listed_folder_is_managed_and_a_shared_one_has_no_owner(machine):
    machine.package("one", {"/usr/share/one/file": b"1"})
    machine.package("two", {"/usr/share/two/file": b"2"})
    entries = machine.entries()
    assert (entries["/usr/share/one"].state, entries["/usr/share/one"].reason, entries["/usr/share/one"].package) == ("managed", "listed", "one")
    assert (entries["/usr/share"].state, entries["/usr/share"].package) == ("managed", None)


def test_what_nobody_owns_is_unmanaged(machine):
    machine.file("/srv/page.html")
    assert machine.verdict("/srv/page.html") == ("unmanaged", "not-in-any-package", None)


def test_a_link_in_place_of_a_shipped_file_is_changed(machine):
    machine.package("tool", {"/usr/bin/tool": b"binary"})
    machine.at("/usr/bin/tool").unlink()
    machine.at("/usr/bin/tool").symlink_to("other")
    assert machine.verdict("/usr/bin/tool") == ("managed-changed", "type-differs", "tool")


def test_a_folder_in_place_of_a_conffile_is_changed(machine):
    machine.package("tool", conffiles={"/etc/tool.conf": b"x=1\n"})
    machine.at("/etc/tool.conf").unlink()
    machine.at("/etc/tool.conf").mkdir()
    assert machine.verdict("/etc/tool.conf") == ("managed-changed", "type-differs", "tool")


def test_a_link_in_place_of_a_shipped_folder_is_changed_and_its_contents_are_found_behind_it(machine):
    machine.package("tool", {"/var/log/tool/first": b"log"})
    machine.at("/srv/logs").mkdir()
    machine.at("/var/log/tool/first").rename(machine.at("/srv/logs/first"))
    machine.at("/var/log/tool").rmdir()
    machine.at("/var/log/tool").symlink_to("/srv/logs")
    assert machine.verdict("/var/log/tool") == ("managed-changed", "type-differs", "tool")
    assert machine.verdict("/srv/logs/first") == ("managed", "md5-equal", "tool")


def test_a_file_in_place_of_a_shipped_folder_hides_what_was_in_it(machine):
    machine.package("tool", {"/usr/share/tool/a/b": b"1"})
    machine.at("/usr/share/tool/a/b").unlink()
    machine.at("/usr/share/tool/a").rmdir()
    machine.file("/usr/share/tool/a", b"a file")
    assert machine.verdict("/usr/share/tool/a") == ("managed-changed", "type-differs", "tool")
    assert machine.verdict("/usr/share/tool/a/b") == ("missing", "deleted", "tool")


def test_the_links_of_a_merged_usr_are_as_they_should_be(machine):
    machine.package("tool", {"/bin/tool": b"binary"})
    entries = machine.entries()
    assert (entries["/bin"].state, entries["/bin"].reason) == ("managed", "usr-merge")
    assert (entries["/usr/bin/tool"].state, entries["/usr/bin/tool"].reason) == ("managed", "md5-equal")


def test_a_deleted_file_is_missing_in_its_place_even_without_its_folder(machine):
    machine.package("tool", {"/usr/share/doc/tool/a": b"1", "/usr/share/doc/tool/sub/b": b"2"})
    for path in ("/usr/share/doc/tool/a", "/usr/share/doc/tool/sub/b"):
        machine.at(path).unlink()
    machine.at("/usr/share/doc/tool/sub").rmdir()
    machine.at("/usr/share/doc/tool").rmdir()
    found = {path: entry for path, entry in machine.entries().items() if entry.state == "missing"}
    assert [(path, entry.type, entry.reason, entry.package) for path, entry in found.items()] == [
        ("/usr/share/doc/tool", "directory", "deleted", "tool"),
        ("/usr/share/doc/tool/a", "file", "deleted", "tool"),
        ("/usr/share/doc/tool/sub", "directory", "deleted", "tool"),
        ("/usr/share/doc/tool/sub/b", "file", "deleted", "tool"),
    ]


def test_what_is_below_a_pruned_folder_is_not_missing(machine):
    machine.package("tool", listed=["/tmp/shipped", "/srv/data/shipped"])
    assert not [path for path, entry in machine.entries("/srv").items() if entry.state == "missing"]


def test_a_removed_packages_leftovers_are_nobodys(machine):
    machine.package("gone", conffiles={"/etc/gone.conf": b"x\n"}, status="deinstall ok config-files")
    assert machine.verdict("/etc/gone.conf") == ("unmanaged", "not-in-any-package", None)
    assert [(one.name, one.status) for one in machine.scan().head.packages] == [("gone", "config-files")]


def test_a_diverted_file_is_looked_for_where_it_was_moved(machine):
    machine.package("tool", {"/usr/bin/tool": b"original"})
    machine.at("/usr/bin/tool").rename(machine.at("/usr/bin/tool.distrib"))
    machine.package("wrapper", {"/usr/bin/tool": b"wrapper"})
    machine.file("/var/lib/dpkg/diversions", b"/usr/bin/tool\n/usr/bin/tool.distrib\nwrapper\n")
    entries = machine.entries()
    assert (entries["/usr/bin/tool"].package, entries["/usr/bin/tool"].reason) == ("wrapper", "md5-equal")
    assert (entries["/usr/bin/tool.distrib"].package, entries["/usr/bin/tool.distrib"].reason) == ("tool", "md5-equal")


def test_configuration_that_dpkg_holds_and_no_installed_version_ships_is_told(machine):
    machine.package("gone", conffiles={"/etc/gone.conf": b"x\n", "/etc/a b": b"x\n"}, status="deinstall ok config-files")
    machine.package("tool", conffiles={"/etc/tool.conf": b"x\n"}, obsolete={"/etc/tool.old": b"x\n"})
    assert {one.name: one.left for one in machine.scan().head.packages} == {"gone": ["/etc/gone.conf", "/etc/a b"], "tool": ["/etc/tool.old"]}


def test_what_dpkg_was_told_to_do_and_what_it_says_is_broken_are_told(machine):
    for name, status in {"plain": "install ok installed", "held": "hold ok installed", "leaving": "deinstall ok installed", "broken": "install reinstreq half-installed"}.items():
        machine.package(name, status=status)
    assert {one.name: (one.hold, one.wanted, one.flag, one.status) for one in machine.scan().head.packages} == {
        "plain": (False, "", "", "installed"),
        "held": (True, "", "", "installed"),
        "leaving": (False, "deinstall", "", "installed"),
        "broken": (False, "", "reinstreq", "half-installed"),
    }


def test_the_administrators_diversion_holds_for_every_package(machine):
    machine.package("tool", {"/usr/bin/tool": b"original"})
    machine.at("/usr/bin/tool").rename(machine.at("/usr/bin/tool.real"))
    machine.file("/usr/bin/tool", b"mine")
    machine.file("/var/lib/dpkg/diversions", b"/usr/bin/tool\n/usr/bin/tool.real\n:\n")
    entries = machine.entries()
    assert entries["/usr/bin/tool"].state == "unmanaged"
    assert (entries["/usr/bin/tool.real"].state, entries["/usr/bin/tool.real"].package) == ("managed", "tool")


def test_packages_co_installed_for_two_architectures_are_named_with_theirs(machine):
    machine.package("lib", {"/usr/lib/x86/lib.so": b"64", "/usr/share/doc/lib/copyright": b"c"}, info="lib:amd64", fields="Multi-Arch: same")
    machine.package("lib", {"/usr/lib/i386/lib.so": b"32", "/usr/share/doc/lib/copyright": b"c"}, info="lib:i386", arch="i386", fields="Multi-Arch: same")
    entries = machine.entries()
    assert entries["/usr/lib/x86/lib.so"].package == "lib:amd64"
    assert entries["/usr/lib/i386/lib.so"].package == "lib:i386"
    assert entries["/usr/share/doc/lib/copyright"].state == "managed"


def test_packages_are_told_with_exact_version_marks_and_origin(machine):
    machine.package("tool", status="hold ok installed", version="1:2.0~rc1-3+b1", fields="Source: tools (2.0~rc1-3)\nInstalled-Size: 12\nSection: web")
    machine.package("helper", fields="Essential: yes")
    machine.file("/var/lib/apt/extended_states", b"Package: helper\nArchitecture: amd64\nAuto-Installed: 1\n\n")
    tool, helper = machine.scan().head.packages
    assert (tool.version, tool.hold, tool.auto, tool.source, tool.size, tool.section) == ("1:2.0~rc1-3+b1", True, False, "tools", 12288, "web")
    assert (helper.hold, helper.auto, helper.essential, helper.source) == (False, True, True, "helper")


def test_a_package_for_all_architectures_is_marked_under_the_machines(machine):
    for name in ("shared", "wanted"):
        machine.package(name, arch="all")
    machine.package("lib", info="lib:i386", arch="i386")
    machine.file("/var/lib/apt/extended_states", b"".join(b"Package: %s\nArchitecture: amd64\nAuto-Installed: 1\n\n" % name for name in (b"shared", b"lib")))
    assert {package.name: package.auto for package in machine.scan().head.packages} == {"shared": True, "wanted": False, "lib": False}


@pytest.mark.parametrize("path", ["/tmp", "/proc"])
def test_pseudo_and_temporary_trees_are_one_row_with_metadata(machine, path):
    machine.file(path + "/inside")
    entries = machine.entries()
    assert entries[path].state == "excluded"
    assert entries[path].mode
    assert path + "/inside" not in entries


def test_every_reason_is_explained(machine):
    machine.package("tool", {"/usr/bin/tool": b"binary"}, conffiles={"/etc/tool.conf": b"x=1\n"})
    machine.file("/srv/page.html")
    assert {entry.reason for entry in machine.entries().values()} <= reasons().keys()


def test_the_apt_caches_are_pruned_by_their_rules(machine):
    machine.file("/var/cache/apt/pkgcache.bin")
    machine.file("/var/cache/apt/other")
    machine.file("/var/cache/apt/archives/a.deb")
    machine.file("/var/lib/apt/lists/x_Packages")
    entries = machine.entries()
    assert entries["/var/cache/apt/pkgcache.bin"].reason == "apt-cache"
    assert entries["/var/cache/apt/archives"].reason == "apt-archives"
    assert entries["/var/lib/apt/lists"].reason == "apt-lists"
    assert entries["/var/cache/apt/other"].state == "unmanaged"
    assert not [path for path in entries if path.endswith((".deb", "_Packages"))]


def test_what_was_expected_is_told_where_contents_differ(machine):
    machine.package("tool", {"/usr/bin/tool": b"binary"}, conffiles={"/etc/tool.conf": b"x=1\n"})
    machine.file("/etc/tool.conf", b"x=2\n")
    entries = machine.entries()
    assert entries["/etc/tool.conf"].expected == {"digest": "md5:" + hashlib.md5(b"x=1\n").hexdigest()}
    assert entries["/usr/bin/tool"].expected == {}


def test_a_path_that_is_not_as_its_statoverride_wants_it_is_changed(machine):
    machine.package("tool", {"/usr/bin/tool": b"binary", "/usr/bin/kept": b"kept"})
    own, group = os.getuid(), os.getgid()
    lines = f"#{own} #{group} 4750 /usr/bin/tool\n#{own} #{group} 644 /usr/bin/kept\n#{own} #{group} 755 /usr/bin/gone\n"
    machine.file("/var/lib/dpkg/statoverride", lines.encode())
    entries = machine.entries()
    assert (entries["/usr/bin/tool"].state, entries["/usr/bin/tool"].reason) == ("managed-changed", "statoverride-differs")
    assert entries["/usr/bin/tool"].expected == {"mode": "4750"}
    assert entries["/usr/bin/kept"].state == "managed"
