"""What a scan could not read: an item of the proof, explained only where nothing of the system is lost by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from builders.copydisk import Copy, Mounted
from builders.fidelity import compare
from builders.image import Fidelity
from builders.proof.page import page
from cli.commands.verify import report as told
from scanner.report import BlindSpot, FileEntry, Redacted

from .conftest import WriteReport, entry

HOME = entry("/home/anna", "directory", "unmanaged")
DENIED = "unreadable: Permission denied"


@pytest.mark.parametrize(
    ("path", "reason", "rows", "head", "rule"),
    [
        ("/home/anna", DENIED, [HOME], {}, None),
        ("/etc/shadow", DENIED, [], {}, None),
        ("/", "the engine does not tell capabilities", [], {}, None),
        ("/srv/x", "attributes: unreadable: Input/output error", [entry("/srv/x", state="unmanaged")], {}, None),
        ("/srv/data", "it cannot be mounted", [entry("/srv/data", "directory", "excluded")], {}, "left-out"),
        ("/srv/data/deep", DENIED, [entry("/srv/data", "directory", "excluded")], {}, "left-out"),
        ("/srv/database", DENIED, [entry("/srv/data", "directory", "excluded")], {}, None),
        ("/srv/socket", DENIED, [entry("/srv/socket", "socket", "excluded")], {}, "left-out"),
        ("/var/tmp/x", "vanished", [], {}, "went-away"),
        ("/srv/x", "vanished", [entry("/srv/x", state="unmanaged")], {}, None),
        ("/srv/x", "changed while being read", [entry("/srv/x", state="unmanaged", sha256="a" * 64)], {}, "read-in-motion"),
        ("/srv/x", "changed between inventory and capture", [entry("/srv/x", state="unmanaged", sha256="a" * 64)], {}, "read-in-motion"),
        ("/srv/x", "changed while being read", [entry("/srv/x", state="unmanaged")], {}, None),
        ("/etc/passwd", "line 7 is not understood", [], {}, "compared-as-text"),
        ("/etc/passwd", "line 7 is not understood", [], {"overlay": False}, None),
        ("/etc/shadow", "line 7 is not understood", [], {"redacted": [Redacted(path="/etc/shadow", secret="password hashes")]}, None),
        ("/etc/fstab", "line 7 is not understood", [], {}, None),
    ],
)
def test_a_blind_spot_is_unexplained_unless_nothing_is_lost_by_it(
    write_report: WriteReport, tmp_path: Path, path: str, reason: str, rows: list[FileEntry], head: dict[str, Any], rule: str | None
) -> None:
    source = write_report(rows, blind_spots=[BlindSpot(path=path, reason=reason)], **head)
    found = compare(source, Copy(write_report(rows), Mounted(tmp_path), set()))
    assert [(one.scope, one.item, one.what, one.source, one.copy_, one.rule) for one in found.differences] == [("blind spots", path, "the source could not be read", reason, "", rule)]
    sums = found.scopes["blind spots"]
    assert (sums.equal, sums.explained, sums.unexplained) == (0, int(rule is not None), int(rule is None))


def test_of_the_copy_as_well_and_every_reader_is_shown_it(write_report: WriteReport, tmp_path: Path) -> None:
    found = compare(write_report([HOME]), Copy(write_report([HOME], blind_spots=[BlindSpot(path="/home/anna", reason=DENIED)]), Mounted(tmp_path), set()))
    fidelity = Fidelity(scopes=found.scopes, differences=found.differences)
    assert not fidelity.faithful
    shown = [page(fidelity), "\n".join(told(fidelity.model_dump(by_alias=True))), fidelity.model_dump_json(by_alias=True)]
    assert all("/home/anna" in one and "the copy could not be read" in one and DENIED in one for one in shown)


def test_of_a_file_that_was_overtaken_the_files_tell_whether_the_copy_has_it(write_report: WriteReport, tmp_path: Path) -> None:
    spots = [BlindSpot(path="/srv/x", reason="changed between inventory and capture")]
    source = write_report([entry("/srv/x", state="unmanaged", sha256="a" * 64)], blind_spots=spots)
    found = compare(source, Copy(write_report([entry("/srv/x", state="unmanaged", sha256="b" * 64)]), Mounted(tmp_path), set()))
    assert [(one.scope, one.item) for one in found.differences if one.rule is None] == [("files", "/srv/x")]
