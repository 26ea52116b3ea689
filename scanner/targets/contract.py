"""What every `Target` must do, as checks that the test suites run against the fake and against the real ones alike."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zstandard

from scanner.targets.base import Target

Check = Callable[[Target, Path], None]
"""Takes a target whose tree has a file /etc/hello (content `hello\\n`, mode 0640) and a folder for scratch files. Fails by AssertionError."""


def _lines(target: Target, *excludes: str) -> list[dict[str, Any]]:
    with target.inventory(excludes) as stream:
        return [json.loads(line) for line in stream]


def the_label_names_its_kind(target: Target, scratch: Path) -> None:
    kind, _, name = target.label.partition(":")
    assert (kind and name) or target.label == "local"


def the_inventory_goes_from_start_to_end(target: Target, scratch: Path) -> None:
    lines = _lines(target)
    assert [lines[0]["kind"], lines[1]["kind"], lines[-1]["kind"]] == ["start", "system", "end"]


def the_inventory_tells_of_every_path_with_its_metadata(target: Target, scratch: Path) -> None:
    rows = {line["path"]: line for line in _lines(target) if line["kind"] == "file"}
    hello = rows["/etc/hello"]
    assert (hello["type"], hello["mode"], hello["size"]) == ("file", "0640", 6)
    assert hello["sha256"] == "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    assert next(iter(rows)) == "/"


def an_excluded_path_is_one_pruned_row(target: Target, scratch: Path) -> None:
    rows = {line["path"]: line for line in _lines(target, "/etc") if line["kind"] == "file"}
    assert (rows["/etc"]["state"], rows["/etc"]["reason"]) == ("excluded", "user")
    assert "/etc/hello" not in rows


def the_default_rules_prune(target: Target, scratch: Path) -> None:
    rows = {line["path"]: line for line in _lines(target) if line["kind"] == "file"}
    assert (rows["/tmp"]["state"], rows["/tmp"]["reason"]) == ("excluded", "temporary")


def two_inventories_of_an_idle_system_have_one_digest(target: Target, scratch: Path) -> None:
    assert _lines(target)[-1]["digest"] == _lines(target)[-1]["digest"]


def what_an_inventory_leaves_behind_makes_the_next_one_no_different(target: Target, scratch: Path) -> None:
    with target.inventory(()) as stream:
        first = stream.read()
    known = scratch / "known"
    known.write_bytes(zstandard.compress(b"".join(line for line in first.splitlines(keepends=True) if line.startswith(b'{"kind":"file","seen":'))))
    with target.inventory((), known) as stream:
        second = stream.read()
    assert json.loads(second.splitlines()[-1]) == json.loads(first.splitlines()[-1])


def the_capture_brings_what_is_asked_and_leaves_out_what_is_gone(target: Target, scratch: Path) -> None:
    paths = scratch / "paths"
    paths.write_bytes(b"/etc/gone\0/etc/hello\0")
    with target.capture(paths) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        found = []
        for member in tar:
            content = tar.extractfile(member)
            assert content is not None
            found.append((member.name, oct(member.mode), content.read()))
    assert found == [("etc/hello", "0o640", b"hello\n")]


CHECKS: tuple[Check, ...] = (
    the_label_names_its_kind,
    the_inventory_goes_from_start_to_end,
    the_inventory_tells_of_every_path_with_its_metadata,
    an_excluded_path_is_one_pruned_row,
    the_default_rules_prune,
    two_inventories_of_an_idle_system_have_one_digest,
    what_an_inventory_leaves_behind_makes_the_next_one_no_different,
    the_capture_brings_what_is_asked_and_leaves_out_what_is_gone,
)
