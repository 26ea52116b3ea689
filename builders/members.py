"""The files that a configuration names by its `source` keys: which they are, whether they are there, and laid out anew under plain names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builders.spec import refused
from scanner.errors import HostileInput, UserError

SOURCES = ("source", "source_logo", "sourceLogo")


def sources(document: Any, key: str) -> Iterator[tuple[str, str]]:
    """Every `source` (and `source_logo`, `sourceLogo`) of a document with its key; packages of the system come from the archive of packages."""
    if isinstance(document, list):
        for number, one in enumerate(document):
            yield from sources(one, f"{key}[{number}]")
    elif isinstance(document, dict) and document.get("tag") != "ospkg":
        for name, value in document.items():
            if name in SOURCES and isinstance(value, str) and value:
                yield f"{key}.{name}".lstrip("."), value
            else:
                yield from sources(value, f"{key}.{name}".lstrip("."))


def check_sources(named: Iterator[tuple[str, str]], members: set[str], file: str) -> None:
    """Every source (with its key) must be a member, by exactly its name, or a folder of members. Raises `SpecError` that names all that are not."""
    folders = {str(parent) for one in members for parent in Path(one).parents} - {"."}
    missing = [f"line 1, {key}: the archive has no member '{source}'" for key, source in named if source not in members and source.rstrip("/") not in folders]
    if missing:
        raise refused(file, missing)


def plain(name: object) -> str:
    """A name as hammr writes it in an archive."""
    return str(name).replace(" ", "_")


@dataclass(slots=True)
class _Laying:
    files: Path
    into: Path
    taken: set[str] = field(default_factory=set)

    def take(self, holder: dict[str, Any], key: str, member: str) -> str:
        """The file or folder that `holder[key]` names, linked below `into` as `member` (numbered when that is taken)."""
        source = holder.get(key)
        if not isinstance(source, str) or not source:
            return member
        path, free, number = self.files / source, member, 1
        while free in self.taken or ((self.into / free).exists() and (self.into / free).is_dir() != path.is_dir()):
            number += 1
            free = f"{member}.{number}"
        if ".." in Path(free).parts:
            raise HostileInput(f"a file of the bundle would be put outside its folder: {free!r}", hint="give the bundle and its files plain names")
        self.taken.add(free)
        target = self.into / free
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, target, copy_function=_link, dirs_exist_ok=True)
        else:
            _link(path, target)
        holder[key] = free
        return free

    def entries(self, holder: dict[str, Any], place: str) -> None:
        for file in holder.get("files") or []:
            if isinstance(file, dict) and file.get("tag") != "ospkg":
                where = self.take(file, "source", f"{place}/{plain(file.get('name'))}")
                if file.get("files") and not (self.into / where).is_dir():
                    raise UserError(f"'{file.get('name')}' of the bundle has files in it, and its source is no folder", hint="name a folder, or leave its files out")
                self.entries(file, where)


def _link(source: str | Path, target: str | Path) -> None:
    """What is linked later counts: folders bring their files along, which entries of their own may name too."""
    Path(target).unlink(missing_ok=True)
    os.link(source, target)


def lay_out(document: dict[str, Any], files: Path, into: Path) -> dict[str, Any]:
    """Link the files of a bundle (checked; its sources lie below `files`) below `into`, in hammr's layout:
    `bundles/NAME/VERSION/FILE`, licence and logo at `bundles/NAME/FILE`. Answers the bundle with its sources rewritten. Raises `HostileInput`
    for names that lead elsewhere.
    """
    made = deepcopy(document)
    laying, top = _Laying(files, into), f"bundles/{plain(made['name'])}"
    for holder, key in ((made.get("license"), "source"), (made, "sourceLogo")):
        if isinstance(holder, dict) and isinstance(holder.get(key), str):
            laying.take(holder, key, f"{top}/{Path(holder[key]).name}")
    laying.entries(made, f"{top}/{plain(made['version'])}")
    return made


def clear(files: Path, gone: Iterator[tuple[str, str]], kept: Iterator[tuple[str, str]]) -> None:
    """Remove the members that only sources of `gone` name."""
    keep = {source.rstrip("/") for _, source in kept}
    for _, source in gone:
        path = files / source
        inside = any(one == source.rstrip("/") or one.startswith(f"{source.rstrip('/')}/") for one in keep)
        if path.is_dir() and not inside:
            shutil.rmtree(path)
        elif path.is_file() and not inside and not any(str(parent) in keep for parent in Path(source).parents):
            path.unlink()
