"""The tree of a container from the engine's archive stream: for engines on other machines, and for layers that cannot be mounted."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from scanner.errors import StepFailed
from scanner.host.mounts import inside
from scanner.host.run import popen, run
from scanner.targets.agent import Place
from scanner.targets.layers import ENGINES_OWN

if TYPE_CHECKING:
    from docker.models.containers import Container

CHUNK = 2 << 20
LOST = "read from the engine's archive stream, which brings no ACLs, no extended attributes but capabilities, no holes, and times in whole seconds"


def unpacked(container: Container, mounts: Sequence[dict[str, Any]], work: Path, *, volumes: bool) -> Place:
    """The container's tree unpacked below `work`, with the contents of `mounts` where `volumes` asks for them.

    Raises `StepFailed`, and what the engine raises.
    """
    root = work / "root"
    root.mkdir()
    _unpack(cast("Iterable[bytes]", container.export(chunk_size=CHUNK)), root)
    top = _top(container)
    place = Place(str(root), blind=[("/", LOST)])
    for target in ENGINES_OWN:
        _fetch(container, target, root)
        place.pruned.append(target)
    for one in mounts:
        target = one["Destination"]
        if not volumes:
            place.pruned.append(target)
        elif not _fetch(container, target, root):
            place.blind.append((target, "the engine does not bring its contents"))
    _dress(root, top)
    return place


def _top(container: Container) -> tarfile.TarInfo:
    """The root folder itself, which an export leaves out: the first member of an archive of `/`, of which no more is read."""
    pieces, _ = container.get_archive("/", chunk_size=1 << 14)
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= 1 << 14:
            break
    with tarfile.open(fileobj=io.BytesIO(head), mode="r|") as tar:
        first = tar.next()
    if first is None or not first.isdir():
        raise StepFailed("the engine's archive of / does not begin with the root folder", hint="forgelet doctor")
    return first


def _dress(root: Path, top: tarfile.TarInfo) -> None:
    for argv in (["chown", f"{top.uid}:{top.gid}"], ["chmod", f"{top.mode & 0o7777:o}"], ["touch", f"--date=@{int(top.mtime)}"]):
        run([*argv, "--", str(root)], root=True)


def _fetch(container: Container, target: str, root: Path) -> bool:
    """What is mounted at `target` inside, put into the tree; whether the engine had it."""
    import docker.errors

    try:
        pieces, _ = container.get_archive(target, chunk_size=CHUNK)
    except docker.errors.APIError:
        return False
    apart = root.with_name("apart")
    apart.mkdir()
    try:
        _unpack(pieces, apart)
        name = target.rstrip("/").rpartition("/")[2]
        at = inside(root, target)
        # The folder keeps its time: what is put there was there.
        time = at.parent.stat().st_mtime_ns
        done = run(["cp", "-a", "-T", "--remove-destination", "--", str(apart / name), str(at)], root=True, check=False)
        run(["touch", "--no-create", f"--date=@{time // 10**9}.{time % 10**9:09d}", "--", str(at.parent)], root=True)
        return done.returncode == 0
    except OSError:
        return False
    finally:
        run(["rm", "-rf", "--one-file-system", "--", str(apart)], root=True)


def _unpack(pieces: Iterable[bytes], into: Path) -> None:
    options = ["--same-permissions", "--same-owner", "--numeric-owner", "--xattrs", "--xattrs-include=security.capability"]
    with tempfile.TemporaryFile() as said:
        argv = ["tar", "--extract", *options, "--directory", str(into)]
        with popen(argv, root=True, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said) as tar:
            assert tar.stdin
            with suppress(BrokenPipeError):
                for piece in pieces:
                    tar.stdin.write(piece)
                tar.stdin.close()
            tar.wait()
        said.seek(0)
        last = said.read()[-300:].decode(errors="replace").strip()
    if tar.returncode:
        raise StepFailed(f"the container's archive cannot be unpacked: {last}", hint="forgelet doctor")
