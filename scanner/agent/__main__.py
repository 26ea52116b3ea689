"""The agent's command line, and the wire.

    python3 -m scanner.agent inventory --root R [--rules JSON] [--exclude PATH]... [--cross PATH]... [--blind JSON] [--known FILE]
    python3 -m scanner.agent capture --root R --paths FILE

`capture` writes a pax tar (see `archive.py`). `inventory` writes NDJSON, ASCII only, one object a line, in this order:

    {"kind":"start", "schema", "expected"}    the wire's number, and about how many paths will follow
    {"kind":"system", …}                      one; fields of report.System without `container`
    {"kind":"repository"|"package"|"user"|"group"|"service"|"mount", …}   any number; fields of the model of that name
    {"kind":"network", …}                     one
    {"kind":"key"|"pin"|"cron"|…, …}          any number; the kinds and rows of scanner/configuration.py
    {"kind":"file", …}                        one a path, in walk order, `/` first; fields of report.FileEntry that say something
                                              `seen` stands before them in lines of plain files that have settled: see `--known`
    {"kind":"blind_spot", "path", "reason"}   anywhere: what could not be read
    {"kind":"end", "counts", "bytes", "digest"}   last; a stream without it is damaged

`counts` has one number a state, `files` (all of them) and one for every other kind of line that came. `bytes` is the sum of the
sizes of regular files, each inode once. `digest` is the sha256 of all file lines without `"kind"` and `"seen"` and with a line end each; of
excluded paths only path, type, state and reason are in it, as the rest changes on an idle system (/proc, /run).
`--rules` is a JSON list of [path, name]: what is pruned, and under which name (`scanner/rules.toml`). `--cross` names a mount point
that is walked like any folder, as the partitions of a running machine's own disks are; all others are pruned. `--blind` is a JSON list of [path, reason]: blind spots of whoever started the
agent, told first. `--known` are file lines of an earlier scan, plain or gzip (- is the request's body): plain files that stayed as they
were, by device, inode, ctime (`seen`, with the digests besides SHA-256), size and mtime, are told without being read. Strings that are not the file
table's are printable (bytes that are not UTF-8 are spelled `\\udcff`); the file table's path and target have them as lone surrogates.
The exit status is 0 when the last line was written.
"""

import argparse
import hashlib
import json
import os
import sys
from typing import Any, BinaryIO, Dict, List, Mapping, Optional, Sequence

from scanner.agent import (
    accounts,
    capture,
    databases,
    facts,
    mounts,
    repositories,
    services,
    system,
)
from scanner.agent.known import Known
from scanner.agent.rows import ENCODE, Told
from scanner.agent.rules import Rules
from scanner.agent.tree import Root, printable
from scanner.agent.walk import Walk

SCHEMA = 1
READERS = 4
"""Processes that read files, at most; no more than there are processors."""


class Wire:
    """Writes lines and keeps count of them."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._digest = hashlib.sha256()
        self.counts: Dict[str, int] = {"files": 0}
        self.bytes = 0

    def line(self, kind: str, row: Mapping[str, object]) -> None:
        if kind not in ("start", "end"):
            self.counts[kind] = self.counts.get(kind, 0) + 1
        self._out.write(ENCODE(dict(kind=kind, **row)).encode("ascii") + b"\n")

    def blind(self, path: bytes, reason: str) -> None:
        self.line("blind_spot", {"path": printable(path), "reason": reason})

    def file(self, told: Told) -> None:
        body, stable, state, size, package, seen = told
        mark = b'"seen":"' + seen + b'",' if seen else b""
        self._out.write(b'{"kind":"file",' + mark + body[1:] + b"\n")
        self._digest.update((stable or body) + b"\n")
        self.counts[state] = self.counts.get(state, 0) + 1
        self.counts["files"] += 1
        self.bytes += size
        if package is not None:
            self.counts["language_package"] = self.counts.get("language_package", 0) + 1
            self._out.write(b'{"kind":"language_package",' + package[1:] + b"\n")

    def end(self) -> None:
        self.line("end", {"counts": self.counts, "bytes": self.bytes, "digest": self._digest.hexdigest()})
        self._out.flush()


def inventory(
    root: Root,
    rules: Rules,
    out: BinaryIO,
    cross: Sequence[bytes] = (),
    blind: Sequence[Sequence[str]] = (),
    readers: int = 0,
    known: Optional[Known] = None,
) -> None:
    """Phase 1: everything that is on the machine, without the contents. `readers` processes help to read what is not `known`."""
    wire = Wire(out)
    database = databases.read(root)
    wire.line("start", {"schema": SCHEMA, "expected": int(len(database.owner) * 1.1) + 1000})
    wire.line("system", system.system(root))
    for path, reason in blind:
        wire.blind(os.fsencode(path), reason)
    sources, users = list(repositories.repositories(root)), list(accounts.users(root, wire.blind))
    kinds = (
        ("repository", sources),
        ("package", database.packages),
        ("user", users),
        ("group", accounts.groups(root, wire.blind)),
        ("service", services.services(root, database.owner.get)),
        ("mount", system.mounted(root)),
    )
    for spot in database.blind_spots:
        wire.blind(*spot)
    for kind, rows in kinds:
        for row in rows:
            wire.line(kind, row)
    wire.line("network", system.network(root))
    for kind, row in facts.facts(root, wire.blind, sources, users, database.keys):
        wire.line(kind, row)
    for line in Walk(root, rules, wire.blind, database, [*cross, *mounts.own_disks(root.path)], readers, known):
        wire.file(line)
    wire.end()


def arguments(argv: Optional[List[str]]) -> argparse.Namespace:
    """The command line's parts. Raises SystemExit."""
    parser = argparse.ArgumentParser(prog="uforge-scan")
    parser.add_argument("verb", choices=("inventory", "capture"))
    parser.add_argument("--root", default="/")
    parser.add_argument("--rules", default="[]", help="JSON list of [path, name]")
    parser.add_argument("--exclude", action="append", default=[], metavar="PATH")
    parser.add_argument("--cross", action="append", default=[], metavar="PATH")
    parser.add_argument("--blind", default="[]", help="JSON list of [path, reason]")
    parser.add_argument("--known", metavar="FILE", help="file lines of an earlier scan; - is the request's body")
    parser.add_argument("--paths", help="file of NUL-separated paths in walk order; - is standard input")
    return parser.parse_args(argv)


def _rules(root: Root, options: argparse.Namespace) -> Rules:
    rules = Rules((os.fsencode(path), name) for path, name in json.loads(options.rules))
    rules.add_users(root, [os.fsencode(path) for path in options.exclude])
    return rules


def _known(options: argparse.Namespace, body: Any) -> Known:
    known = Known()
    if options.known == "-" and body is not None:
        known.read(body)
    elif options.known:
        try:
            with open(options.known, "rb") as source:
                known.read(source)
        except OSError:
            # It saves time and is nothing else.
            pass
    return known


def perform(root: Root, options: argparse.Namespace, out: BinaryIO, body: Any = None) -> None:
    """Do what the command line says; `body` is what came with the request, to be read. Raises OSError, ValueError."""
    if options.verb == "inventory":
        cross = [os.fsencode(path) for path in options.cross]
        inventory(root, _rules(root, options), out, cross, json.loads(options.blind), min(READERS, os.cpu_count() or 1), _known(options, body))
    elif options.paths == "-" and body is not None:
        capture.bring(root, body, out)
    else:
        capture.capture(root, options.paths, out)


def main(argv: Optional[List[str]] = None) -> int:
    """Run one verb. Everything that goes wrong ends as one line on standard error and status 1."""
    options = arguments(argv)
    out = open(sys.stdout.fileno(), "wb", buffering=1 << 18, closefd=False)  # noqa: SIM115
    try:
        perform(Root(os.fsencode(options.root)), options, out)
    except BrokenPipeError:
        return 1
    except (OSError, ValueError) as error:
        sys.stderr.write("uforge-scan: %s\n" % error)
        return 1
    return 0


if __name__ == "__main__":
    os.nice(10)
    sys.exit(main())
