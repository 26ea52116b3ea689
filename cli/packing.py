"""A template or bundle file and the files that it names, packed as hammr packs them: members by their place, sources rewritten to it."""

from __future__ import annotations

import io
import json
import re
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cli.errors import CommandError
from cli.sendable import without_secrets
from cli.yamlfile import data_of


@dataclass(slots=True)
class Packing:
    """What goes into the archive: member name -> file or folder of this machine."""

    folder: Path
    """Relative sources are looked for from here."""
    members: dict[str, Path] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def take(self, holder: dict[str, Any], key: str, member: str, where: str) -> None:
        """The file that `holder[key]` names goes in as `member`; the key is rewritten to that."""
        source = holder.get(key)
        if not source:
            return
        if re.match(r"[a-z]+://", str(source)):
            self.problems.append(f"{where}: '{source}' is a URL: download it first, and give the file")
            return
        path = self.folder / str(source)
        if not path.exists():
            self.problems.append(f"{where}: there is no file '{source}'")
        self.members[member] = path
        holder[key] = member


def pack(file: Path, text: str, archive: Path) -> None:
    """Write the archive of the template file. Raises `CommandError` that names every source that is not there."""
    document = _read(file, text, "template")
    top = document.get("stack")
    if not isinstance(top, dict):
        raise CommandError(f"{file} has no 'stack' section", hint="forgelet template validate --file FILE")
    document["builders"] = None
    packing = Packing(file.absolute().parent)
    _stack(packing, top)
    _write(packing, file, document, archive, "template")


def pack_bundle(file: Path, text: str, archive: Path) -> None:
    """The same of a bundle file."""
    document = _read(file, text, "bundle")
    packing = Packing(file.absolute().parent)
    _bundle(packing, document, "")
    _write(packing, file, document, archive, "bundle")


def _write(packing: Packing, file: Path, document: dict[str, Any], archive: Path, kind: str) -> None:
    if packing.problems:
        raise CommandError(f"files of {file} are missing; nothing was sent", hint="mend the sources named above", problems=packing.problems)
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for member, path in packing.members.items():
            tar.add(path, member)
        data = (json.dumps(document, indent=2) if file.suffix == ".json" else yaml.safe_dump(document, allow_unicode=True)).encode()
        info = tarfile.TarInfo(f"{kind}.json" if file.suffix == ".json" else f"{kind}.yml")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))


def _read(file: Path, text: str, kind: str) -> dict[str, Any]:
    hint = f"forgelet {kind} validate --file FILE"
    try:
        document: Any = json.loads(text) if file.suffix == ".json" else data_of(text, file, hint)
    except ValueError as error:
        raise CommandError(f"{file} is no JSON: {error}", hint=hint) from error
    if not isinstance(document, dict):
        raise CommandError(f"{file} is no {kind} file", hint=hint)
    named: dict[str, Any] = without_secrets(document)
    return named


def _stack(packing: Packing, stack: dict[str, Any]) -> None:
    if stack.get("source_logo"):
        packing.take(stack, "source_logo", f"logo/{Path(str(stack['source_logo'])).name}", "stack.source_logo")
    for number, script in enumerate(_dicts(stack.get("config"))):
        packing.take(script, "source", f"config/{Path(str(script.get('source'))).name}", f"stack.config[{number}].source")
    for number, bundle in enumerate(_dicts(stack.get("bundles"))):
        _bundle(packing, bundle, f"stack.bundles[{number}]")


def _bundle(packing: Packing, bundle: dict[str, Any], where: str) -> None:
    name, version = _plain(bundle.get("name")), _plain(bundle.get("version"))
    for key, holder, title in (("sourceLogo", bundle, "sourceLogo"), ("source", bundle.get("license"), "license.source")):
        if isinstance(holder, dict) and holder.get(key):
            packing.take(holder, key, f"bundles/{name}/{Path(str(holder[key])).name}", f"{where}.{title}".lstrip("."))
    _files(packing, bundle, f"bundles/{name}/{version}", where)


def _files(packing: Packing, holder: dict[str, Any], place: str, where: str) -> None:
    for number, file in enumerate(_dicts(holder.get("files"))):
        if file.get("tag") != "ospkg":
            member = f"{place}/{_plain(file.get('name'))}"
            packing.take(file, "source", member, f"{where}.files[{number}].source".lstrip("."))
            _files(packing, file, member, f"{where}.files[{number}]".lstrip("."))


def _plain(value: Any) -> str:
    return str(value).replace(" ", "_")


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
