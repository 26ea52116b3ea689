"""Files of bundles, put into the tree of an image: nothing outside it is ever written, whatever links the tree has."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

from builders.bootable import Tree
from builders.bundle import Bundle, BundleFile
from builders.template import Template
from scanner.restore import Restorer


def place(tree: Tree, bundle: Bundle, template: Template) -> None:
    """Every file of the bundle, its licence, its links. Raises `UserError`, `HostileInput`, SystemExit with the reason."""
    for file in bundle.tagged("softwarefile"):
        _place(tree, file, file.destination or bundle.destination, template)
    if bundle.license:
        _copy(tree, template.file(bundle.license), f"/usr/share/doc/{bundle.name.replace(' ', '_')}/{Path(bundle.license).name}")


def installers(bundles: tuple[Bundle, ...]) -> Iterator[tuple[str, str]]:
    """Title and command of what is to be run at the first boot."""
    for bundle in bundles:
        for file in bundle.tagged("softwarefile"):
            yield from _installers(file, file.destination or bundle.destination)


def _installers(file: BundleFile, folder: str) -> Iterator[tuple[str, str]]:
    """Of the file, and of those in it."""
    place = f"{folder.rstrip('/')}/{file.name}"
    if file.install:
        path = _quoted(place)
        yield file.name, f"dpkg -i {path}" if file.name.endswith(".deb") else f"chmod +x {path}\n{path} {file.parameters}"
    for inner in file.files:
        yield from _installers(inner, inner.destination or place)


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def _place(tree: Tree, file: BundleFile, folder: str, template: Template) -> None:
    source, path = template.file(file.source), f"{folder.rstrip('/')}/{file.name}"
    if file.extract:
        _verify(file, source)
        _extract(tree, source, folder)
        return
    if source.is_dir():
        tree.at(f"{path}/x")
        for inner in file.files:
            _place(tree, inner, inner.destination or path, template)
        if not file.files:
            _copy_folder(tree, source, path)
    else:
        _verify(file, source)
        _copy(tree, source, path)
    _mark(tree, file, path)


def _verify(file: BundleFile, source: Path) -> None:
    for name, wanted in (("md5", file.md5), ("sha256", file.sha256)):
        if wanted:
            with source.open("rb") as contents:
                found = hashlib.file_digest(contents, name).hexdigest()
            if found != wanted:
                raise SystemExit(f"the {name} sum of {file.name} is {found}, and not the {wanted} that its bundle says")


def _copy(tree: Tree, source: Path, path: str) -> None:
    target = tree.at(path)
    if target.is_dir() and not target.is_symlink():
        raise SystemExit(f"{path} is a folder in the image, where a bundle has a file")
    target.unlink(missing_ok=True)
    shutil.copyfile(source, target, follow_symlinks=False)
    target.chmod(0o644)


def _copy_folder(tree: Tree, source: Path, path: str) -> None:
    for one in sorted(source.rglob("*")):
        inside = f"{path}/{one.relative_to(source)}"
        if one.is_dir():
            tree.at(f"{inside}/x")
        else:
            _copy(tree, one, inside)


def _mark(tree: Tree, file: BundleFile, path: str) -> None:
    target = tree.at(path)
    if file.owner:
        user, _, group = file.owner.partition(":")
        uid = _number(tree, "passwd", user)
        os.chown(target, uid, _number(tree, "group", group) if group else -1, follow_symlinks=False)
    if file.rights:
        target.chmod(int(file.rights, 8))
    if file.symlink:
        tree.link(file.symlink, path)


def _number(tree: Tree, table: str, name: str) -> int:
    if name.isdigit():
        return int(name)
    for line in tree.at(f"/etc/{table}", make=False).read_text(errors="surrogateescape").splitlines():
        fields = line.split(":")
        if fields[0] == name and len(fields) > 2:
            return int(fields[2])
    raise SystemExit(f"the image has no '{name}' in /etc/{table}, which a bundle names as an owner")


def _extract(tree: Tree, source: Path, folder: str) -> None:
    tree.at(f"{folder.rstrip('/')}/x")
    with tarfile.open(source, "r:*", errors="surrogateescape") as tar, Restorer(tree.root) as restorer:
        for member in tar:
            parts = [part for part in member.name.split("/") if part not in ("", ".")]
            if member.islnk():
                member.linkname = f"{folder.strip('/')}/{member.linkname}"
            if parts:
                restorer.restore(f"{folder.rstrip('/')}/{'/'.join(parts)}", member, tar)
