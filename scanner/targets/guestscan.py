"""The agent in a running machine: pushed through the guest agent, run there, its output read while it is written, and removed."""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from scanner.bundle import NAME, NO_PYTHON, NOEXEC, bundle
from scanner.errors import ForgeletError, HostileInput, StepFailed
from scanner.targets.guest import Growing, Guest

PRUNED = "/tmp/"
"""Below it nothing is scanned anyway (`scanner/rules.toml`)."""
PLACES = ("/tmp", "/var/tmp", "/root")
"""Where its folder may be made in a guest: in the first that lets programs run."""
FOLDER = """
name=$1 token=$2; shift 2
for place do
    find "$place" -maxdepth 1 -type d -name '.uforge-scan.????????' -mmin +1440 -exec rm -rf {} + 2>/dev/null
    folder=$place/.uforge-scan.$token
    mkdir -m 700 "$folder" 2>/dev/null || continue
    : > "$folder/$name" && chmod 700 "$folder/$name" && [ -x "$folder/$name" ] && : > "$folder/out" && echo "$folder" && exit 0
    rm -rf "$folder"
done
exit 126
"""
"""A new folder where programs may run; with the output's file, so that it can be opened at once. What a scan left that nobody could
end goes after a day, which no scan lasts.
"""
RUN = 'cd "$1" && name=$2 && shift 2 && { sh "./$name" "$@" 2> said; echo $? > status; } | gzip -1 > out 2> packing'
REMOVE = """
[ -z "$2" ] || kill -s KILL -- "-$2" 2>/dev/null
for try in 1 2 3 4 5; do rm -rf -- "$1" && exit 0; sleep 1; done
"""
"""The agent leads a process group of its own: what still runs when nobody listens any more ends with it. What is just dying may still
make a file in the folder while that is removed, so it is tried again.
"""
ABANDON = """
token=$1; shift
for process in /proc/[0-9]*; do
    [ "${process#/proc/}" = $$ ] && continue
    case "$(readlink "$process/cwd") $(tr '\\0' ' ' < "$process/cmdline")" in *"$token"*) kill -s KILL "${process#/proc/}" ;; esac
done 2>/dev/null
for place do
    for try in 1 2 3 4 5; do rm -rf -- "$place/.uforge-scan.$token" && break; sleep 1; done
done
"""
"""Ends a scan whose reader died, however far it came: all it started bears the token in its working directory or its arguments."""
MARK = ".guest"
"""Ending of the file in a job's folder by which `host/sweep.py` knows a folder in a guest: the machine's name, and the request that removes it."""
NOTHING: Mapping[str, Path] = {}
LEFT = 64 << 20
"""Bytes that nobody wanted to read."""
WHY = {
    NOEXEC: ("no folder in it lets programs run", "mount its /tmp without noexec, or shut it off and scan it from outside"),
    NO_PYTHON: ("it has no usable Python 3", "install python3 in it, or shut it off and scan it from outside"),
}


@contextmanager
def answer(guest: Guest, words: Callable[[Sequence[str]], list[str]], brought: Mapping[str, Path] = NOTHING, *, work: Path | None = None) -> Iterator[BinaryIO]:
    """What the agent writes to standard output in the guest. `words` is told what of our own must be pruned there; the files
    `brought` lie in its folder under these names. Below `work` lies a mark meanwhile, for whoever must end this. Raises `StepFailed`,
    `HostileInput`.
    """
    token, pid = secrets.token_hex(4), 0
    # Before anything is made there, and still there when that fails: the request may go on in the guest when nobody waits for it.
    mark = _mark(guest, token, work) if work else None
    folder = _folder(guest, token)
    try:
        guest.write(f"{folder}/{NAME}", io.BytesIO(bundle()))
        for name, path in brought.items():
            with path.open("rb") as source:
                guest.write(f"{folder}/{name}", source)
        pid = guest.start("/usr/bin/env", "setsid", "sh", "-c", RUN, "sh", folder, NAME, *words([] if folder.startswith(PRUNED) else [folder]))
        raw = Growing(guest, f"{folder}/out", pid)
        try:
            yield from _read(guest, folder, raw)
        finally:
            # A number that is free again may be another program's.
            pid = 0 if raw.over else pid
            raw.close()
    finally:
        with suppress(ForgeletError):
            guest.execute("/bin/sh", "-c", REMOVE, "sh", folder, str(pid or ""))
            if mark:
                mark.unlink(missing_ok=True)


def _mark(guest: Guest, token: str, work: Path) -> Path:
    request = {"execute": "guest-exec", "arguments": {"path": "/bin/sh", "arg": ["-c", ABANDON, "sh", token, *PLACES], "capture-output": False}}
    work.mkdir(parents=True, exist_ok=True)
    mark = work / f"{token}{MARK}"
    mark.write_text(json.dumps({"domain": guest.where, "request": request}))
    return mark


def _read(guest: Guest, folder: str, raw: Growing) -> Iterator[BinaryIO]:
    stream = cast(BinaryIO, io.BufferedReader(raw, 1 << 20))
    try:
        yield stream
        dropped = 0
        while more := stream.read(1 << 20):
            dropped += len(more)
            if dropped > LEFT:
                raise HostileInput(f"the scan agent's answer from '{guest.where}' does not end", hint="scan again; if it stays, the machine is not to be trusted")
    except StepFailed as error:
        if raw.over:
            # Where the agent failed, what it said itself is the better message.
            _check(guest, folder, error)
        raise
    _check(guest, folder, None)


def _folder(guest: Guest, token: str) -> str:
    status, said = guest.execute("/bin/sh", "-c", FOLDER, "sh", NAME, token, *PLACES)
    folder = said.strip()
    if status or not folder.startswith("/") or "\n" in folder:
        why, hint = WHY[NOEXEC]
        raise StepFailed(f"the machine '{guest.where}' cannot be scanned from inside: {why}", hint=hint)
    return folder


def _check(guest: Guest, folder: str, error: Exception | None) -> None:
    """Raises `StepFailed` when the agent did not end well."""
    status, said, packing = (_text(guest, f"{folder}/{name}") for name in ("status", "said", "packing"))
    if status == "0" and not packing:
        return
    if status.isdigit() and int(status) in WHY:
        why, hint = WHY[int(status)]
        raise StepFailed(f"the machine '{guest.where}' cannot be scanned from inside: {why}: {said}", hint=hint) from error
    last = (packing or said).splitlines()[-1:] or [f"it ended with status {status or 'unknown'}"]
    hint = "make space in its /tmp, or shut it off and scan it from outside" if "No space left" in packing + said else "scan again"
    raise StepFailed(f"the scan agent in '{guest.where}' failed: {last[0]}", hint=hint) from error


def _text(guest: Guest, path: str) -> str:
    try:
        handle = guest.open(path)
    except StepFailed:
        return ""
    try:
        return guest.piece(handle)[-2000:].decode(errors="replace").strip()
    finally:
        guest.close(handle)
