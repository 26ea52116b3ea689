"""The one door for subprocesses.

Everything that Forgelet executes on this machine goes through `run`, `stream` or `popen`: arguments are lists (never a shell
string), the environment is explicit, standard input is closed unless given, and what an engine did can be counted
(`FORGELET_TALLY`, a file that gets one line for each *deed*: `dib`, `boot`, `scan`; CI fails when an engine was never used).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from scanner.errors import CommandFailed, MissingTool

PACKAGES = {
    "disk-image-create": "the Python package diskimage-builder",
    "mmdebstrap": "mmdebstrap",
    "qemu-img": "qemu-utils",
    "qemu-storage-daemon": "qemu-system-common",
    "sfdisk": "fdisk",
    "losetup": "mount",
    "mount": "mount",
    "umount": "mount",
    "sudo": "sudo",
    "fusermount3": "fuse3",
    "dpkg-deb": "dpkg",
    "docker": "docker.io",
}
"""Which Debian package brings a program, for the hint of `MissingTool`."""


def as_root(argv: Sequence[str]) -> list[str]:
    """`argv`, run with root's rights: as it is for root, else through sudo (which must not ask)."""
    return list(argv) if os.geteuid() == 0 else ["sudo", "-n", "-E", *argv]


def tally(deed: str) -> None:
    """Count one deed of a real engine (see the module's text)."""
    book = os.environ.get("FORGELET_TALLY")
    if book:
        with Path(book).open("a", encoding="utf-8") as out:
            out.write(deed + "\n")


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    env = {**os.environ, "LC_ALL": "C.UTF-8", **(extra or {})}
    parts = env.get("PATH", "").split(":")
    env["PATH"] = ":".join([*parts, *(p for p in ("/usr/sbin", "/sbin", "/usr/bin", "/bin") if p not in parts)])
    return env


def _missing(program: str) -> MissingTool:
    package = PACKAGES.get(program, program)
    return MissingTool(f"the program '{program}' is not installed", hint=f"apt-get install {package}, then forgelet doctor")


def available(program: str) -> bool:
    """Whether `program` is on the path (root's folders included)."""
    return shutil.which(program, path=_environment(None)["PATH"]) is not None


def run(
    argv: Sequence[str],
    *,
    root: bool = False,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    data: bytes | None = None,
    check: bool = True,
    timeout: float | None = None,
    hint: str = "",
) -> subprocess.CompletedProcess[bytes]:
    """Run to the end and give back output as bytes.

    Raises `MissingTool` when the program is not there, `CommandFailed` when it ends with a status other than 0 and `check` is set.
    """
    argv = as_root(argv) if root else list(argv)
    try:
        done = subprocess.run(
            argv,
            input=data,
            stdin=subprocess.DEVNULL if data is None else None,
            capture_output=True,
            env=_environment(env),
            cwd=cwd,
            check=False,
            timeout=timeout,
        )
    except FileNotFoundError as error:
        raise _missing(argv[0]) from error
    if check and done.returncode:
        raise CommandFailed(argv, done.returncode, done.stderr.decode(errors="replace"), hint=hint)
    return done


def text(argv: Sequence[str], *, root: bool = False, env: Mapping[str, str] | None = None) -> str:
    """Standard output of `argv` as text without the last newline."""
    return run(argv, root=root, env=env).stdout.decode(errors="replace").rstrip("\n")


def stream(
    argv: Sequence[str],
    line: Callable[[str], None],
    *,
    root: bool = False,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    hint: str = "",
) -> None:
    """Run to the end; every line of output (standard error mixed in) is handed to `line` as it comes.

    Raises as `run` does.
    """
    argv = as_root(argv) if root else list(argv)
    tail: list[str] = []
    with popen(argv, env=env, cwd=cwd, stderr=subprocess.STDOUT) as process:
        assert process.stdout
        for raw in process.stdout:
            said = raw.decode(errors="replace").rstrip("\n")
            tail = [*tail[-19:], said]
            line(said)
    if process.returncode:
        raise CommandFailed(argv, process.returncode, "\n".join(tail), hint=hint)


@contextmanager
def popen(
    argv: Sequence[str],
    *,
    root: bool = False,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
    session: bool = False,
) -> Iterator[subprocess.Popen[bytes]]:
    """A running subprocess that is ended and waited for when the block is left, however it is left.

    With `session` it leads a session and process group of its own.
    """
    argv = as_root(argv) if root else list(argv)
    try:
        process = subprocess.Popen(argv, stdin=stdin, stdout=stdout, stderr=stderr, env=_environment(env), cwd=cwd, start_new_session=session)
    except FileNotFoundError as error:
        raise _missing(argv[0]) from error
    try:
        yield process
    except BaseException:
        process.terminate()
        raise
    finally:
        try:
            process.wait(timeout=10 if process.poll() is None and process.stdout is None else None)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                pipe.close()
