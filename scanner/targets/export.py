"""The tree of a container from the engine's archive stream: for engines on other machines, and for layers that cannot be mounted."""

from __future__ import annotations

import subprocess
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
    return place


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
        return run(["cp", "-a", "-T", "--remove-destination", "--", str(apart / name), str(at)], root=True, check=False).returncode == 0
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
