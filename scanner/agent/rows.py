"""What is told of one path: its line of the file table, and what else follows from it. Made where the path was read, so of simple values
only (they travel between processes)."""

import json
import os
import stat as st
from typing import Any, Dict, Optional, Tuple

from scanner.agent import languages, states
from scanner.agent.content import Verdict
from scanner.agent.database import Database
from scanner.agent.found import Found
from scanner.agent.known import OWN
from scanner.agent.tree import text

ENCODE = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode

Told = Tuple[bytes, bytes, str, int, Optional[bytes], bytes]
"""The line without its end; what of it is in the digest when that is not all of it; the state; bytes of contents that no path before it
told; the row of the language package that it describes; what tells the next scan that it stayed as it was."""


def told(found: Found, database: Database) -> Told:
    """What is told of `found`."""
    verdict = states.decide(found, database)
    state = verdict[0]
    body = found.content.told(verdict) if found.content is not None else None
    stable = b""
    if body is None:
        row = file_row(found, verdict, database)
        body = ENCODE(row).encode("ascii")
    if state == "excluded":
        stable = ENCODE({key: row[key] for key in ("path", "type", "state", "reason")}).encode("ascii")
    counted = found.kind == "file" and found.stat is not None and found.excluded is None and found.hardlink in (None, found)
    size = found.stat.st_size if counted and found.stat is not None else 0
    described = languages.package(found.path, found.content.head) if found.content is not None else None
    package = None if described is None else ENCODE(dict(described, package=database.owner.get(found.path))).encode("ascii")
    return body, stable, state, size, package, found.seen


def file_row(found: Found, verdict: Verdict, database: Database) -> Dict[str, Any]:
    """A line of the file table: report.FileEntry's fields in its order, those that say nothing left out."""
    state, reason, package, expected = verdict
    kind = found.kind or database.missing_kind(found.path)
    row: Dict[str, Any] = {"path": text(found.path), "type": kind, "state": state, "reason": reason}
    row.update(_metadata(found))
    if found.content is not None:
        row["sha256"] = found.content.sha256
    if found.target is not None:
        row["target"] = text(found.target)
    if package is not None:
        row["package"] = package
    if found.hardlink is not None:
        row["hardlink"] = text(found.hardlink.path)
    if found.stat is not None and found.kind in ("char", "block"):
        row["device"] = "%d:%d" % (os.major(found.stat.st_rdev), os.minor(found.stat.st_rdev))
    if found.xattrs:
        row["xattrs"] = found.xattrs
    if found.content is not None and found.content.extents is not None:
        row["extents"] = found.content.extents
    if expected:
        row["expected"] = expected
    if found.flags:
        row["flags"] = found.flags
    if found.content is not None and state in OWN:
        secret = found.content.secret(found.path)
        if secret is not None:
            row["secret"] = secret
    return row


def _metadata(found: Found) -> Dict[str, Any]:
    stat = found.stat
    if stat is None:
        return {"mode": "", "uid": 0, "gid": 0, "size": 0, "mtime": 0}
    sized = found.kind in ("file", "symlink")
    return {
        "mode": "%04o" % st.S_IMODE(stat.st_mode),
        "uid": stat.st_uid,
        "gid": stat.st_gid,
        "size": stat.st_size if sized else 0,
        "mtime": stat.st_mtime_ns,
    }
