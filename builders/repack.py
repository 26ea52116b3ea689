"""Packages that no repository offers, packed again from the source's own files (the scan captured them whole)."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Set
from pathlib import Path

from builders.archive import PackageId, parse_stanzas, write_stanza
from builders.errors import BuildFailed
from builders.explain import canonical
from scanner.errors import HostileInput
from scanner.host.run import run
from scanner.report import FileEntry
from scanner.wire import safe_path

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*")
"""Debian policy 5.6.1 (and 5.6.8 for architectures): names of files are made of it."""
_STATUS_ONLY = frozenset({"Status", "Conffiles", "Config-Version"})
_NOT_CONTROL = frozenset({"list", "md5sums"})
"""Files of dpkg's info folder that dpkg writes itself; all others came out of the package."""


def repack(packages: Iterable[PackageId], tree: Path, into: Path, *, merged_usr: bool = True, bare: Set[str] = frozenset()) -> dict[PackageId, tuple[Path, dict[str, str]]]:
    """A `.deb` for each package from `tree`, where the captured files and dpkg's records of them were unpacked.

    `merged_usr`: whether files that packages list below /bin and its like are captured below /usr. `bare`: names of packages without a list of
    files on the source, which become packages without files. Answers where each lies and its index entry. Must run where `tree` can be read with owners as they were (root).
    Raises `BuildFailed` when the capture lacks a package's records.
    """
    status = tree / "var/lib/dpkg/status"
    if not status.exists():
        raise BuildFailed("the scan's capture lacks dpkg's status: packages outside the repositories cannot be packed again", hint="scan again with --overlay")
    records = {}
    for fields in parse_stanzas(status.read_bytes().decode(errors="surrogateescape")):
        records[PackageId(fields["Package"], fields.get("Architecture", ""), fields.get("Version", ""))] = fields
    return {package: _pack(package, records, tree, into, merged_usr, package.name in bare) for package in packages}


def _pack(package: PackageId, records: dict[PackageId, dict[str, str]], tree: Path, into: Path, merged_usr: bool, bare: bool) -> tuple[Path, dict[str, str]]:
    if not _NAME.fullmatch(package.name) or not _NAME.fullmatch(package.arch):
        raise HostileInput(f"'{package.name}:{package.arch}' is no name of a package", hint="scan again; if it stays, the target is not to be trusted")
    if package not in records:
        raise BuildFailed(f"the scan's capture has no record of {package.name} {package.version}", hint="scan again with --overlay")
    fields = {key: value for key, value in records[package].items() if key not in _STATUS_ONLY}
    staging = into / f"{package.name}.tree"
    if bare:
        _empty(staging)
    else:
        _stage(package, tree, staging, canonical if merged_usr else str)
    control = staging / "DEBIAN"
    (control / "control").write_bytes(write_stanza(fields).rstrip("\n").encode(errors="surrogateescape") + b"\n")
    deb = into / f"{package.name}_{package.arch}.deb"
    # dpkg-deb takes the times of the tree; the archive itself must not depend on the moment.
    run(["dpkg-deb", "--build", "-Zgzip", "-z1", str(staging), str(deb)], root=True, env={"SOURCE_DATE_EPOCH": "0"})
    run(["rm", "-rf", "--", str(staging)], root=True)
    data = deb.read_bytes()
    return deb, {**fields, "Size": str(len(data)), "SHA256": hashlib.sha256(data).hexdigest()}


def _stage(package: PackageId, tree: Path, staging: Path, place: Callable[[str], str]) -> None:
    info = tree / "var/lib/dpkg/info"
    stems = [stem for stem in (package.name, f"{package.name}:{package.arch}") if (info / f"{stem}.list").exists()]
    if not stems:
        raise BuildFailed(f"the scan's capture lacks the file list of {package.name}", hint="scan again with --overlay")
    _empty(staging)
    for source in sorted(info.glob(f"{stems[0]}.*")):
        if source.suffix.lstrip(".") not in _NOT_CONTROL and source.name.rpartition(".")[0] == stems[0]:
            shutil.copy2(source, staging / "DEBIAN" / source.suffix.lstrip("."))
    lines = (info / f"{stems[0]}.list").read_bytes().decode(errors="surrogateescape").split("\n")
    _copy(tree, staging, [place(line) for line in lines if line not in ("", "/.")])
    _only_there(staging, place)


def _only_there(staging: Path, place: Callable[[str], str]) -> None:
    """dpkg-deb refuses a package that lacks one of its conffiles: an administrator took it away. What dpkg knows of it is put back (`records.py`)."""
    conffiles = staging / "DEBIAN" / "conffiles"
    if conffiles.exists():
        lines = conffiles.read_bytes().decode(errors="surrogateescape").split("\n")
        kept = [f"{line}\n" for line in lines if line and os.path.lexists(staging / place(line).lstrip("/"))]
        conffiles.write_bytes("".join(kept).encode(errors="surrogateescape"))


def _empty(staging: Path) -> None:
    (staging / "DEBIAN").mkdir(parents=True)
    staging.chmod(0o755)
    (staging / "DEBIAN").chmod(0o755)


def _copy(tree: Path, staging: Path, paths: Iterable[str]) -> None:
    """Those of the paths that are there, with owners, times, attributes and holes; one archive, since packages have thousands."""
    there = []
    for path in paths:
        source = tree / path.lstrip("/")
        _inside(tree, source, path)
        if path != "/" and (source.is_symlink() or source.exists()):
            _inside(staging, staging / path.lstrip("/"), path)
            there.append(b"." + os.fsencode(path) + b"\0")
    archive = staging.with_suffix(".tar")
    kept = ["--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner"]
    run(["tar", "--create", f"--file={archive}", *kept, "--sparse", "--no-recursion", f"--directory={tree}", "--null", "--verbatim-files-from", "--files-from=-"], data=b"".join(there), root=True)
    run(["tar", "--extract", f"--file={archive}", *kept, "--preserve-permissions", "--same-owner", f"--directory={staging}"], root=True)
    run(["rm", "-f", "--", str(archive)], root=True)


def make_folder(tree: Path, entry: FileEntry) -> None:
    """The folder `entry` in the captured tree, empty, with its owner and mode. Raises `HostileInput`."""
    place = tree / entry.path.lstrip("/")
    _inside(tree, place, entry.path)
    if not (place.is_symlink() or place.exists()):
        run(["install", "-d", "-m", entry.mode, "-o", str(entry.uid), "-g", str(entry.gid), "--", str(place)], root=True)


def _inside(root: Path, place: Path, path: str) -> None:
    """Raises `HostileInput` when a listed path leads out of the folder: the list and the links are the source's, the hand is root's."""
    try:
        safe_path(path)
    except ValueError as error:
        raise HostileInput(f"the file list of a package names {path!a}: {error}", hint="scan again; if it stays, the target is not to be trusted") from error
    if not place.parent.resolve().is_relative_to(root.resolve()):
        raise HostileInput(f"the file list of a package leads out of its tree by a link: {path!a}", hint="the target is not to be trusted")
