"""More than two reports: what most say, and who stands apart; and the whole comparison as lines."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from scanner.comparison import Comparison
from scanner.consensus import spread_accounts, spread_files, spread_packages

ALL = {"unmanaged", "conffile-changed", "managed-changed", "missing"}


def everything(_report):
    return lambda entry: "overlay" if entry.state in ALL else None


@pytest.fixture
def fleet(make_machine):
    """Three machines that are the same."""
    machines = [make_machine(name) for name in ("a", "b", "c")]
    for machine in machines:
        machine.package("tool", {"/usr/bin/tool": b"binary"})
        machine.file("/srv/page", b"one\ntwo\nthree\n")
        machine.file("/etc/passwd", b"a:x:1:1::/:/bin/sh\n")
    return machines


def scanned(machines, **options):
    for machine in machines:
        for folder, folders, files in os.walk(os.fsencode(machine.root)):
            for name in [b"", *folders, *files]:
                os.utime(folder + b"/" + name, ns=(0, 10**18), follow_symlinks=False)
    return [machine.scan(**options) for machine in machines]


def told(reports, **options):
    lines = io.BytesIO()
    comparison = Comparison(reports, range(1, len(reports) + 1), **options)
    diffs = comparison.write(lines)
    return [json.loads(line) for line in lines.getvalue().splitlines()], diffs, comparison


def test_equal_machines_are_equal_in_every_scope(fleet):
    items, diffs, comparison = told(scanned(fleet))
    assert (items, diffs, comparison.equal) == ([], {}, True)
    assert comparison.counts == {"packages": {}, "files": {}, "users": {}, "services": {}}


def test_the_one_that_differs_is_the_outlier(fleet):
    fleet[1].file("/srv/page", b"other")
    fleet[2].file("/srv/extra")
    found = [(one.name, one.fields, one.outliers) for one in spread_files(scanned(fleet))]
    assert found == [("/srv/extra", ("presence",), (2,)), ("/srv/page", ("size", "sha256"), (1,))]


def test_where_all_differ_there_is_no_majority(fleet):
    for machine in fleet:
        machine.file("/srv/page", machine.folder.name.encode())
    (found,) = spread_files(scanned(fleet))
    assert (found.fields, found.outliers) == (("sha256",), ())


def test_two_of_four_are_no_majority(fleet, make_machine):
    fleet.append(make_machine("d"))
    for machine in fleet[:2]:
        machine.package("odd", {})
    fleet[3].package("tool", {"/usr/bin/tool": b"binary"})
    found = {one.name: one.outliers for one in spread_packages(scanned(fleet))}
    assert found == {"odd:amd64": ()}


def test_packages_and_accounts_have_outliers_too(fleet):
    fleet[0].package("new", {})
    fleet[2].file("/etc/passwd", b"a:x:1:1::/:/bin/bash\n")
    fleet[2].file("/etc/group", b"g:x:9:\n")
    reports = scanned(fleet)
    assert [(one.name, one.outliers) for one in spread_packages(reports)] == [("new:amd64", (0,))]
    assert [(one.name, one.fields, one.outliers) for one in spread_accounts(reports)] == [("a", ("shell",), (2,)), ("group g", ("presence",), (2,))]


def test_a_missing_path_and_one_that_never_was_are_the_same_also_among_three(fleet):
    for machine in fleet:
        machine.at("/usr/bin/tool").unlink()
    assert list(spread_files(scanned(fleet))) == []
    fleet[0].file("/usr/bin/tool", b"binary")
    assert [one.outliers for one in spread_files(scanned(fleet)) if one.name == "/usr/bin/tool"] == [(0,)]


def test_a_pair_is_told_with_what_differs_and_how_the_text_changed(fleet):
    fleet[1].file("/srv/page", b"one\nTWO\nthree\n", 0o600)
    fleet[1].file("/srv/odd\udcff", b"x")
    items, diffs, comparison = told(scanned(fleet[:2], choose=everything))
    page = next(item for item in items if item.get("path") == "/srv/page")
    assert (page["scope"], page["change"], page["fields"]) == ("files", "changed", ["mode", "sha256"])
    assert [value["mode"] for value in page["values"]] == ["0644", "0600"]
    assert "outliers" not in page
    assert [line for line in diffs["/srv/page"].split("\n") if line[0] in "+-"][2:] == ["-two", "+TWO"]
    assert [item["change"] for item in items if item.get("path") == "/srv/odd\udcff"] == ["added"]
    assert comparison.counts["files"] == {"added": 1, "changed": 1}
    assert not comparison.equal


def test_binary_contents_large_files_and_secrets_are_not_told_as_text(fleet):
    for machine, sign in zip(fleet, b"12", strict=False):
        machine.file("/srv/binary", bytes([sign, 0]))
        machine.file("/srv/large", bytes([sign]) * 70_000)
        machine.file("/etc/shadow", b"a:$6$" + bytes([sign]) + b":1:0:::::\n")
    items, diffs, _ = told(scanned(fleet[:2], choose=everything))
    assert {item["path"] for item in items if "path" in item} >= {"/srv/binary", "/srv/large", "/etc/shadow"}
    assert diffs == {}


def test_scopes_and_fields_can_be_left_out(fleet):
    fleet[1].package("new", {})
    fleet[1].file("/srv/page", b"one\ntwo\nthree\n", 0o600)
    items, _, comparison = told(scanned(fleet[:2]), scopes=["packages"])
    assert {item["scope"] for item in items} == {"packages"}
    assert list(comparison.counts) == ["packages"]
    items, _, _ = told(scanned(fleet[:2]), scopes=["files"], ignore=["mode"])
    assert not any(item["path"] == "/srv/page" for item in items)


def test_a_damaged_table_is_an_error(fleet, tmp_path: Path):
    reports = scanned(fleet)
    table = reports[1].folder / "files.ndjson.zst"
    table.write_bytes(table.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"cut|damaged"):
        list(spread_files(reports))
