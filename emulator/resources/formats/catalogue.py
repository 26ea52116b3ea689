"""The catalogue of formats, platforms and categories (`catalogue.toml`), told under UForge's names."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from emulator.wire.shared import Shared
from scanner.errors import UserError


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """What an image can be built as. `platform` is the type of the account that publishes it, empty where nothing does."""

    id: int
    name: str
    format: str
    type: str
    platform: str = ""

    @property
    def buildable(self) -> bool:
        """Whether this Forgelet builds it."""
        from builders.spec import TYPES

        return self.name.lower() in TYPES

    def tell(self) -> dict[str, Any]:
        """targetFormat"""
        return _format_told(self)


@dataclass(frozen=True, slots=True)
class Platform:
    """Where images can be published, and what an account there consists of."""

    id: int
    name: str
    type: str
    account: str
    """UForge's type of its accounts, such as `CredAccountAws`."""
    needs: tuple[str, ...]
    may: tuple[str, ...]
    secrets: tuple[str, ...]
    ours: tuple[str, ...] = ()
    """What accounts may have besides, which UForge's have not."""

    def tell(self) -> dict[str, Any]:
        """targetPlatform"""
        return {"dbId": self.id, "name": self.name, "type": self.type, "access": True, "active": True, "uri": f"targetPlatforms/{self.id}"}


@dataclass(frozen=True, slots=True)
class Category:
    """A shelf for templates, projects (bundles) or formats."""

    id: int
    name: str
    type: str

    def tell(self) -> dict[str, Any]:
        """category"""
        return {"dbId": self.id, "name": self.name, "type": self.type, "orgUri": "orgs/1", "uri": f"orgs/1/categories/{self.id}"}


@cache
def _told() -> dict[str, Any]:
    return tomllib.loads(files("emulator.resources.formats").joinpath("catalogue.toml").read_text(encoding="utf-8"))


@cache
def _format_told(one: ImageFormat) -> Shared:
    uri = f"targetFormats/{one.id}"
    kind = {"credAccountType": one.platform} if one.platform else {}
    category = {"name": one.type.title(), "type": "IMAGEFORMAT"}
    inner = {"name": one.format, "access": one.buildable, "active": True}
    return Shared({"dbId": one.id, "name": one.name, "format": inner, "category": category, "type": one.type, **kind, "access": one.buildable, "active": True, "uri": uri})


@cache
def formats() -> tuple[ImageFormat, ...]:
    return tuple(ImageFormat(number, **told) for number, told in enumerate(_told()["formats"], 1))


@cache
def _by_name() -> dict[str, ImageFormat]:
    return {one.name.lower(): one for one in formats()}


@cache
def platforms() -> tuple[Platform, ...]:
    lists = ("needs", "may", "secrets", "ours")
    return tuple(
        Platform(number, told["name"], told["type"], told["account"], *(tuple(told.get(key, ())) for key in lists)) for number, told in enumerate(_told()["platforms"], 1)
    )


@cache
def categories() -> tuple[Category, ...]:
    pairs = [(kind, name) for kind, names in _told()["categories"].items() for name in names]
    return tuple(Category(number, name, kind) for number, (kind, name) in enumerate(pairs, 1))


def image_format(name: str) -> ImageFormat:
    """By its name, in any case. Raises `UserError`."""
    found = _by_name().get(name.lower())
    if found is not None:
        return found
    raise UserError(f"there is no image format '{name}'", hint="forgelet format list")


def platform(name: str) -> Platform:
    """By its name, in any case, or by its type. Raises `UserError`."""
    for one in platforms():
        if name.lower() in (one.name.lower(), one.type):
            return one
    raise UserError(f"there is no target platform '{name}'", hint="one of " + ", ".join(one.name for one in platforms()))
