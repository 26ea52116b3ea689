"""Comparing two reports: what is found, what is not, and in which order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scanner.compare import compare_files, compare_groups, compare_packages, compare_services, compare_users


@pytest.fixture
def pair(make_machine):
    """Two machines that are the same, times included."""
    machines = [make_machine(name) for name in ("left", "right")]
    for machine in machines:
        machine.package("tool", {"/usr/bin/tool": b"binary", "/usr/share/doc/tool": b"doc"})
        machine.file("/srv/page", b"page")
        machine.file("/srv/other", b"page")
    settle(*machines)
    return machines


def settle(*machines):
    for machine in machines:
        for folder, folders, files in os.walk(machine.root):
            for name in ["", *folders, *files]:
                os.utime(Path(folder) / name, ns=(0, 10**18), follow_symlinks=False)


def differences(pair, **options):
    settle(*pair)
    left, right = (machine.scan() for machine in pair)
    return [(found.path, found.fields) for found in compare_files(left, right, **options) if not found.path.startswith("/var/lib/dpkg")]


def test_equal_machines_have_no_differences_and_one_digest(pair):
    assert differences(pair) == []
    assert pair[0].scan().head.digest == pair[1].scan().head.digest


def test_contents_mode_and_attributes_are_told_apart(pair):
    pair[1].file("/srv/page", b"PAGE", 0o600)
    os.setxattr(pair[1].at("/srv/other"), "user.x", b"1")
    assert differences(pair) == [("/srv/other", ("xattrs",)), ("/srv/page", ("mode", "sha256"))]


def test_times_count_unless_they_are_left_out(pair):
    settle(*pair)
    os.utime(pair[1].at("/srv/page"), ns=(0, 5))
    left, right = (machine.scan() for machine in pair)
    assert [found.fields for found in compare_files(left, right)] == [("mtime",)]
    assert list(compare_files(left, right, fields=("sha256", "mode"))) == []


def test_what_is_on_one_side_only_is_told_in_walk_order(pair):
    pair[0].file("/etc/left")
    pair[1].file("/srv/right")
    pair[1].file("/zzz")
    settle(*pair)
    left, right = (machine.scan() for machine in pair)
    found = list(compare_files(left, right))
    assert [(one.path, one.fields, one.left is None, one.right is None) for one in found] == [
        ("/etc/left", ("presence",), False, True),
        ("/srv/right", ("presence",), True, False),
        ("/zzz", ("presence",), True, False),
    ]


def test_a_deleted_file_and_one_that_never_was_are_the_same(pair):
    pair[0].at("/usr/share/doc/tool").unlink()
    assert differences(pair) == [("/usr/share/doc/tool", ("presence",))]
    pair[1].at("/usr/share/doc/tool").unlink()
    assert differences(pair) == []


def test_a_deleted_file_that_came_back_shows_its_missing_row(pair):
    pair[0].at("/usr/share/doc/tool").unlink()
    found = next(one for one in compare_files(pair[0].scan(), pair[1].scan(), fields=()) if one.path == "/usr/share/doc/tool")
    assert found.left is not None
    assert (found.left.state, found.fields) == ("missing", ("presence",))


def test_link_groups_are_compared_by_their_shape(pair):
    os.link(pair[0].at("/srv/page"), pair[0].at("/srv/page2"))
    pair[1].file("/srv/page2", b"page")
    assert differences(pair) == [("/srv/page2", ("hardlink",))]


def test_a_group_of_which_one_path_is_left_is_no_group(pair):
    os.link(pair[0].at("/srv/page"), pair[0].folder / "outside")
    assert differences(pair) == []


def test_targets_and_types_are_told(pair):
    for machine, target in zip(pair, ("a", "b"), strict=True):
        machine.at("/srv/link").symlink_to(target)
        machine.at("/srv/changes").mkdir() if target == "a" else machine.file("/srv/changes")
    found = dict(differences(pair))
    assert found["/srv/link"] == ("target",)
    assert "type" in found["/srv/changes"]


def test_contents_of_pruned_paths_are_not_compared(pair):
    pair[1].file("/srv/page", b"other")
    left, right = pair[0].scan("/srv/page"), pair[1].scan()
    assert [one.path for one in compare_files(left, right, fields=("sha256", "size"))] == []


def test_packages_users_groups_and_services(pair):
    left, right = pair
    left.package("old")
    right.package("old", version="2.0-1")
    right.package("new")
    left.file("/etc/passwd", b"a:x:1:1::/:/bin/sh\nb:x:2:2::/:/bin/sh\n")
    right.file("/etc/passwd", b"b:x:2:2::/:/bin/bash\nc:x:3:3::/:/bin/sh\n")
    left.file("/etc/group", b"g:x:1:a,b\n")
    right.file("/etc/group", b"g:x:1:b,a\nh:x:2:\n")
    left.file("/etc/systemd/system/u.service", b"[Install]\nWantedBy=x\n")
    right.file("/etc/systemd/system/u.service", b"[Service]\n")
    one, other = left.scan(), right.scan()
    assert [(row.name, row.fields) for row in compare_packages(one, other)] == [("new:amd64", ("presence",)), ("old:amd64", ("version",))]
    assert [(row.name, row.fields) for row in compare_users(one, other)] == [("a", ("presence",)), ("b", ("shell",)), ("c", ("presence",))]
    assert [(row.name, row.fields) for row in compare_groups(one, other)] == [("h", ("presence",))]
    assert [(row.name, row.fields) for row in compare_services(one, other)] == [("u.service", ("state",))]


def test_of_two_rows_of_one_name_none_hides_the_other(pair):
    left, right = pair
    left.file("/etc/passwd", b"anna:x:1000:1000::/:/bin/sh\n")
    right.file("/etc/passwd", b"anna:x:0:0::/:/bin/sh\nanna:x:1000:1000::/:/bin/sh\n")
    one, other = left.scan(), right.scan()
    assert [(row.name, row.fields) for row in compare_users(one, other)] == [("anna", ("uid", "gid")), ("anna", ("presence",))]
    assert list(compare_users(other, other)) == []


def test_a_cut_table_is_an_error_not_a_difference(pair):
    left, right = (machine.scan() for machine in pair)
    table = right.folder / "files.ndjson.zst"
    table.write_bytes(table.read_bytes()[:-10])
    with pytest.raises(ValueError, match=r"cut|damaged"):
        list(compare_files(left, right))
