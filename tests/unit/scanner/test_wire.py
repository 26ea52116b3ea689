"""A target that lies: whatever is not exactly the wire is refused, and says so."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.errors import HostileInput
from scanner.report import FileEntry, ScanReport
from scanner.wire import PLAIN_LINE, Inventory, check

Lines = list[dict[str, Any]]


def reseal(lines: Lines) -> None:
    """Make the end agree with the lie, so that only the lie itself can be what is refused."""
    files = [{key: value for key, value in line.items() if key != "kind"} for line in lines if line["kind"] == "file"]
    kept = ("path", "type", "state", "reason")
    digest = hashlib.sha256()
    for row in files:
        row = {key: row[key] for key in kept} if row["state"] == "excluded" else row
        digest.update(json.dumps(row, separators=(",", ":")).encode() + b"\n")
    others = Counter(line["kind"] for line in lines if line["kind"] not in ("start", "end", "file"))
    counts = others + Counter(row["state"] for row in files) + Counter(files=len(files))
    lines[-1].update(counts=dict(counts), digest=digest.hexdigest())


def spoiled(machine, change: Callable[[Lines], object], resealed: bool = False) -> Callable[[bytes], bytes]:
    def spoil(raw: bytes) -> bytes:
        lines = [json.loads(line) for line in raw.splitlines()]
        change(lines)
        if resealed:
            reseal(lines)
        return b"".join(json.dumps(line).encode() + b"\n" for line in lines)

    return spoil


def scan_spoiled(machine, spoil: Callable[[bytes], bytes]) -> ScanReport:
    head, table = ScanReport(), io.BytesIO()
    with machine.target(spoil_inventory=spoil).inventory(()) as stream:
        Inventory(head, table, lambda count, expected: None).read(stream)
    return head


def first(lines: Lines, kind: str) -> dict[str, Any]:
    return next(line for line in lines if line["kind"] == kind)


def path(lines: Lines, wanted: str) -> dict[str, Any]:
    return next(line for line in lines if line.get("path") == wanted)


def test_the_truth_is_taken(machine):
    assert scan_spoiled(machine, spoiled(machine, lambda lines: None)).counts["files"] > 5


SPOILERS: dict[str, Callable[[Lines], object]] = {
    "no end": lambda lines: lines.pop(),
    "a path left out": lambda lines: lines.remove(path(lines, "/srv/page")),
    "a path twice": lambda lines: lines.insert(lines.index(path(lines, "/srv/page")), path(lines, "/srv/page")),
    "another order": lambda lines: lines.insert(5, lines.pop(lines.index(path(lines, "/srv/page")))),
    "more after the end": lambda lines: lines.append({"kind": "blind_spot", "path": "/x", "reason": "y"}),
    "no start": lambda lines: lines.pop(0),
    "two starts": lambda lines: lines.insert(1, lines[0]),
    "another schema": lambda lines: first(lines, "start").update(schema=2),
    "an unknown kind": lambda lines: lines.insert(2, {"kind": "command"}),
    "a kind that is no word": lambda lines: lines.insert(2, {"kind": ["file"]}),
    "an extra field": lambda lines: path(lines, "/srv/page").update(evil=1),
    "an extra field in the head": lambda lines: first(lines, "system").update(evil=1),
    "a relative path": lambda lines: path(lines, "/srv/page").update(path="srv/page"),
    "a path that climbs": lambda lines: path(lines, "/srv/page").update(path="/srv/z/../../page"),
    "a NUL": lambda lines: path(lines, "/srv/page").update(path="/srv/pa\0ge"),
    "a path that is no bytes": lambda lines: path(lines, "/srv/page").update(path="/srv/p\ud800"),
    "a mode of letters": lambda lines: path(lines, "/srv/page").update(mode="rwxr"),
    "an unknown state": lambda lines: path(lines, "/srv/page").update(state="fine"),
    "a negative size": lambda lines: path(lines, "/srv/page").update(size=-1),
    "a size of words": lambda lines: path(lines, "/srv/page").update(size="5"),
    "a truth for a number": lambda lines: path(lines, "/srv/page").update(uid=True),
    "a digest that is none": lambda lines: path(lines, "/srv/page").update(sha256="z" * 64),
    "another digest": lambda lines: path(lines, "/srv/page").update(sha256="0" * 64),
    "attributes that are a list": lambda lines: path(lines, "/srv/page").update(xattrs=["x"]),
    "extents that overlap": lambda lines: path(lines, "/srv/page").update(extents=[[0, 3], [2, 1]]),
    "extents beyond the end": lambda lines: path(lines, "/srv/page").update(extents=[[0, 300]]),
    "a wrong count": lambda lines: lines[-1]["counts"].update(files=1),
    "a wrong sum": lambda lines: lines[-1].update(digest="0" * 64),
    "a line that is no object": lambda lines: lines.insert(2, []),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("lie", SPOILERS)
def test_a_lie_is_refused(machine, lie):
    machine.file("/srv/page", b"12345")
    with pytest.raises(HostileInput):
        scan_spoiled(machine, spoiled(machine, SPOILERS[lie]))


SEALED = (
    "a path twice",
    "another order",
    "an unknown state",
    "a relative path",
    "a path that climbs",
    "a path that is no bytes",
    "a mode of letters",
    "a negative size",
    "a size of words",
    "a digest that is none",
    "extents that overlap",
    "extents beyond the end",
)


@pytest.mark.parametrize("lie", SEALED)
def test_a_lie_that_the_end_agrees_with_is_refused_all_the_same(machine, lie):
    machine.file("/srv/page", b"12345")
    with pytest.raises(HostileInput):
        scan_spoiled(machine, spoiled(machine, SPOILERS[lie], resealed=True))


def test_resealing_alone_changes_nothing(machine):
    machine.file(b"/srv/caf\xe9", b"12345")
    assert scan_spoiled(machine, spoiled(machine, lambda lines: None, resealed=True)).counts["files"] > 5


@pytest.mark.parametrize("keep", [0, 1, 10, 1000, -1, -2])
def test_a_stream_cut_anywhere_is_refused(machine, keep):
    with pytest.raises(HostileInput):
        scan_spoiled(machine, lambda raw: raw[:keep])


@pytest.mark.parametrize("junk", [b"\xff\xfe\n", b"[" * 100_000 + b"\n", b"{}\n", b'"x"\n', b"null\n"], ids=["bytes", "deep", "empty", "string", "null"])
def test_junk_is_refused(machine, junk):
    with pytest.raises(HostileInput):
        scan_spoiled(machine, lambda raw: junk + raw)


def test_a_line_without_end_is_refused_before_it_is_all_read(machine, monkeypatch):
    monkeypatch.setattr("scanner.wire.LONGEST_LINE", 1000)
    with pytest.raises(HostileInput):
        scan_spoiled(machine, lambda raw: b'{"kind":"start","x":"' + b"x" * 5000)


def test_the_refusal_names_the_line_and_the_next_step(machine):
    with pytest.raises(HostileInput, match="line 2 of the inventory") as caught:
        scan_spoiled(machine, spoiled(machine, SPOILERS["an extra field in the head"]))
    assert caught.value.hint


RAW = st.binary(min_size=1, max_size=80).filter(lambda raw: not set(raw) & set(b"/\0") and raw not in (b".", b".."))
TEXT = RAW.map(lambda raw: raw.decode("utf-8", "surrogateescape"))
ENTRIES = st.builds(
    FileEntry,
    path=st.lists(TEXT, min_size=1, max_size=5).map(lambda parts: "/" + "/".join(parts)),
    type=st.sampled_from(["file", "directory", "symlink", "fifo", "socket", "char", "block"]),
    state=st.sampled_from(["managed", "conffile-changed", "managed-changed", "unmanaged", "excluded"]),
    reason=st.just("listed"),
    mode=st.integers(0, 0o7777).map(lambda mode: f"{mode:04o}"),
    uid=st.integers(0, 2**32),
    gid=st.integers(0, 2**32),
    size=st.integers(10**6, 2**62),
    mtime=st.integers(-(2**63), 2**63),
    sha256=st.none() | st.binary(min_size=32, max_size=32).map(bytes.hex),
    target=st.none() | TEXT,
    package=st.none() | st.just("lib:i386"),
    hardlink=st.none() | TEXT.map(lambda name: "/" + name),
    device=st.none() | st.just("8:1"),
    xattrs=st.dictionaries(TEXT, st.just("AAE="), max_size=3),
    extents=st.none() | st.sampled_from([[], [[0, 5]], [[4096, 4096], [65536, 1]]]),
)


@settings(max_examples=150, deadline=None)
@given(ENTRIES)
def test_an_entry_survives_write_and_read(entry):
    line = entry.to_json()
    line.encode("ascii")
    assert FileEntry.from_json(line) == entry
    assert check(FileEntry.from_json(line)) == entry


PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7F), min_size=1, max_size=6)
PLAINLY = st.builds(
    FileEntry,
    path=st.lists(PRINTABLE.filter(lambda name: "/" not in name and name not in (".", "..")), min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts)),
    type=st.sampled_from(["file", "directory", "symlink"]),
    state=st.sampled_from(["managed", "unmanaged"]),
    reason=st.just("md5-equal"),
    mode=st.just("0644"),
    mtime=st.integers(-3, 3),
    target=st.none() | PRINTABLE,
    sha256=st.none() | st.just("0" * 64),
    package=st.none() | st.just("lib:i386"),
)


@settings(max_examples=300, deadline=None)
@given(PLAINLY | ENTRIES)
def test_what_is_told_to_be_plain_at_a_glance_is_what_the_long_look_lets_pass(entry):
    line = b'{"kind":"file",' + entry.to_json().encode("ascii")[1:] + b"\n"
    plain = PLAIN_LINE.fullmatch(line)
    if plain:
        looked = check(FileEntry(**{key: value for key, value in json.loads(line).items() if key != "kind"}))
        assert looked == entry
        assert (os.fsdecode(plain[2]), plain[3].decode()) == (entry.path, entry.state)
        assert b"{" + plain[1] == looked.to_json().encode("ascii")


COMMON = '{"kind":"file","path":"/usr/bin/a b","type":"file","state":"managed","reason":"md5-equal","mode":"0755","uid":0,"gid":0,"size":3,"mtime":-1}\n'


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/usr/bin/a b", "/usr/../a"), ("/usr/bin/a b", "/usr/./a"), ("/usr/bin/a b", "/usr/.."), ("/usr/bin/a b", "//a"), ("/usr/bin/a b", "/a/"),
        ("/usr/bin/a b", "usr"), ("/usr/bin/a b", "/a\\u0000"), ("0755", "75"), ('"uid":0', '"uid":-1'), ('"uid":0', '"uid":00'), ('"size":3', '"size":3.0'),
        ("managed", "excluded"), ('"file","state"', '"door","state"'), ("}", ',"sha256":"00"}'), ("\n", ""), ("\n", "\n\n"), ("md5-equal", ""),
    ],
)  # fmt: skip
def test_nothing_else_is_plain_at_a_glance(old, new):
    assert PLAIN_LINE.fullmatch(COMMON.encode())
    assert not PLAIN_LINE.fullmatch(COMMON.replace(old, new, 1).encode())
