"""The service's way into the other rooms: imported when first used, replaced by fakes in tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from scanner.errors import UserError

if TYPE_CHECKING:
    from builders.clouds.base import Account, Cloud
    from builders.platforms.base import Platform
    from builders.rehearsal import Rehearsal
    from builders.search import Offered
    from builders.spec import BuilderSpec
    from builders.template import Template
    from scanner.targets.access import Access
    from scanner.targets.base import Target


def platform(kind: str) -> Platform:
    """The platform that builds images of that type. Raises `UserError`."""
    from builders.platforms.openstack import Openstack
    from builders.spec import TYPES

    if kind.lower() not in TYPES:
        raise UserError(f"no platform builds images of type '{kind}'", hint="types: " + ", ".join(TYPES))

    return Openstack()


class Rooms(Protocol):
    """What the routes need of the other rooms before a job starts: checks only."""

    def target(self, label: str, access: Access | None = None) -> Target:
        """To be closed by `scanner.targets.opened`. Raises `UserError` for a label that names no kind of target."""

    def specs(self, text: str, name: str) -> list[BuilderSpec]:
        """Raises `SpecError`."""

    def platform(self, kind: str) -> Platform:
        """Raises `UserError`."""

    def cloud(self, account: Account, home: Path) -> Cloud:
        """The cloud that an account opens; `home` is the folder of the local one. Raises `UserError`."""

    def rehearse_template(self, template: Template, specs: Sequence[BuilderSpec], cache: Path) -> list[Rehearsal]:
        """What a build of the template by each of the specs would meet."""

    def packages(self, codename: str, arch: str, pattern: str, cache: Path) -> list[Offered]:
        """What the repositories of a release offer under a name. Raises `UserError`, `BuildFailed`."""


class RealRooms:
    """The rooms themselves."""

    def target(self, label: str, access: Access | None = None) -> Target:
        from scanner.targets import open_target

        return open_target(label, access)

    def specs(self, text: str, name: str) -> list[BuilderSpec]:
        from builders.spec import parse

        return parse(text, name)

    def platform(self, kind: str) -> Platform:
        return platform(kind)

    def cloud(self, account: Account, home: Path) -> Cloud:
        from builders.clouds import opened

        return opened(account, home)
    def rehearse_template(self, template: Template, specs: Sequence[BuilderSpec], cache: Path) -> list[Rehearsal]:
        from builders.templated import rehearse_template

        return rehearse_template(template, specs, cache)

    def packages(self, codename: str, arch: str, pattern: str, cache: Path) -> list[Offered]:
        from builders.search import search

        return search(codename, arch, pattern, cache)
