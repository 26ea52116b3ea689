"""What a seed says: users, accounts, scans, templates and images that shall be there. YAML, checked whole before anything is made."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from builders.bounded import Loader
from scanner.errors import NotFound, UserError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WantedUser(_Part):
    """A user; `quotas` maps a type to how much of it he may have."""

    login: str
    """What he logs in with."""
    password: SecretStr
    """Sealed when it is kept; never told."""
    admin: bool = False
    """May manage users, and act as any of them."""
    email: str = ""
    """Address."""
    quotas: dict[str, int] = Field(default_factory=dict)
    """Type (`appliance`, `diskusage`, `generation`, `scan`) -> how much; bytes for `diskusage`, -1: unlimited."""


class WantedAccount(BaseModel):
    """A cloud account: `type`, `name`, and the fields of its kind under UForge's names."""

    model_config = ConfigDict(extra="allow")

    user: str = "root"
    """Whose it is, by login."""
    type: str
    """Kind of cloud: `OpenStack` …"""
    name: str
    """What it is called."""


class WantedScan(_Part):
    """A scan of the live system `source`, or one that was recorded: the folder `report`."""

    user: str = "root"
    """Whose it is, by login."""
    name: str
    """Name of its group."""
    source: str = ""
    """A live system to scan: `docker:NAME`, `libvirt:NAME`, `directory:PATH`, `local`."""
    report: str = ""
    """Folder of a recorded report, instead."""
    overlay: bool = False
    """Bring contents home, too."""
    exclude: list[str] = Field(default_factory=list)
    """Paths to leave out."""

    @model_validator(mode="after")
    def _one_of_both(self) -> WantedScan:
        if bool(self.source) == bool(self.report):
            raise ValueError("give source (a live system, such as docker:web) or report (a recorded one), and not both")
        return self


class WantedTemplate(_Part):
    """A template from an archive, or of a scan."""

    user: str = "root"
    """Whose it is, by login."""
    archive: str = ""
    """File of `template export`, or one like it."""
    scan: str = ""
    """Name of a scan's group, instead."""
    name: str
    """What it is called."""
    version: str = "1.0"
    """Its version."""

    @model_validator(mode="after")
    def _one_of_both(self) -> WantedTemplate:
        if bool(self.archive) == bool(self.scan):
            raise ValueError("give archive (a file) or scan (a group's name), and not both")
        return self


class WantedImage(_Part):
    """The images that a builder file asks for, of a scan."""

    user: str = "root"
    """Whose they are, by login."""
    scan: str
    """Name of the scan's group."""
    spec: str
    """The builder file."""


class Seed(_Part):
    """A whole seed."""

    users: list[WantedUser] = Field(default_factory=list)
    """Made first."""
    accounts: list[WantedAccount] = Field(default_factory=list)
    """Of clouds."""
    scans: list[WantedScan] = Field(default_factory=list)
    """Waited for."""
    templates: list[WantedTemplate] = Field(default_factory=list)
    """Of archives and scans."""
    images: list[WantedImage] = Field(default_factory=list)
    """Built, and waited for."""


def parse(text: str, base: Path, name: str) -> Seed:
    """Paths in it begin at `base`. Raises `UserError` naming every mistake with its place."""
    try:
        told = yaml.load(text, Loader=Loader)  # a safe one
    except yaml.YAMLError as error:
        raise UserError(f"seed '{name}' is no YAML: {error}") from error
    try:
        seed = Seed.model_validate({} if told is None else told)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc'])) or 'seed'}: {one['msg'].removeprefix('Value error, ')}" for one in error.errors()]
        raise UserError(f"seed '{name}' is wrong", problems=problems, hint="docs/how-to/control-plane.md, Seeds") from error
    problems = list(_missing(seed, base))
    if problems:
        raise UserError(f"seed '{name}' is wrong", problems=problems, hint=f"paths begin at {base}")
    return seed


def _missing(seed: Seed, base: Path) -> list[str]:
    """Files that are not there, and scans that nobody makes."""
    found = [f"scans.{n}.report: there is no report in {base / one.report}" for n, one in enumerate(seed.scans) if one.report and not (base / one.report / "head.json").is_file()]
    found += [f"templates.{n}.archive: there is no file {base / one.archive}" for n, one in enumerate(seed.templates) if one.archive and not (base / one.archive).is_file()]
    found += [f"images.{n}.spec: there is no file {base / one.spec}" for n, one in enumerate(seed.images) if not (base / one.spec).is_file()]
    named = {(one.user, one.name) for one in seed.scans}
    used = [(f"templates.{n}.scan", one.user, one.scan) for n, one in enumerate(seed.templates)] + [(f"images.{n}.scan", one.user, one.scan) for n, one in enumerate(seed.images)]
    found += [f"{place}: the seed has no scan '{scan}' of {user}" for place, user, scan in used if scan and (user, scan) not in named]
    return found


class Seeds:
    """The seeds that a service knows by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        return sorted(file.stem for file in self.folder.glob("*.json"))

    def put(self, name: str, text: str, base: Path) -> Seed:
        """Keep a seed under a name; one of the same name goes. Raises `UserError`."""
        seed = parse(text, base, name)
        place = self._place(name)
        self.folder.mkdir(exist_ok=True, mode=0o700)
        partial = place.with_suffix(".partial")
        partial.touch(mode=0o600)
        partial.write_text(json.dumps({"base": str(base), "text": text}), encoding="utf-8")
        partial.rename(place)
        return seed

    def get(self, name: str) -> tuple[Seed, Path]:
        """The seed, and where its paths begin. Raises `NotFound`, `UserError`."""
        told = self.told(name)
        return parse(told["text"], Path(told["base"]), name), Path(told["base"])

    def told(self, name: str) -> dict[str, Any]:
        """`base` and `text`. Raises `NotFound`."""
        try:
            told: dict[str, Any] = json.loads(self._place(name).read_bytes())
        except FileNotFoundError as error:
            raise NotFound(f"there is no seed '{name}'", hint="known: " + (", ".join(self.names()) or "none; forgelet seed apply FILE brings one")) from error
        return told

    def delete(self, name: str) -> None:
        """Raises `NotFound`."""
        self.told(name)
        self._place(name).unlink()

    def _place(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise UserError(f"'{name}' is no name of a seed", hint="letters, digits, dots, dashes; 64 at most")
        return self.folder / f"{name}.json"
