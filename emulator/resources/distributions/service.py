"""The operating systems that templates can be made of, and those that the user's scans were made on."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from sqlmodel import Session, col, select

from emulator.resources.distributions.names import tell_distribution
from emulator.resources.scans.tables import ScannedInstance
from emulator.resources.users.tables import User
from emulator.service import Service
from emulator.wire.query import Query
from scanner.errors import NotFound, UserError

if TYPE_CHECKING:
    from builders.search import Offered

RELEASED = {"11": "2021-08-14", "12": "2023-06-10", "13": "2025-08-09"}
"""Debian's releases. Source: Debian's own release announcements."""
SCANNED = 1000
"""Numbers above are of scanned instances' distributions."""
ABOUT = {"Minimal": "what is essential, and packages of priority required", "Server": "Minimal, and packages of priority important"}


def distributions(session: Session, user: User) -> list[dict[str, Any]]:
    """distribution, of the catalogue first."""
    from builders.stack import RELEASES

    told = [_catalogued(number, version, codename) for number, (version, codename) in enumerate(RELEASES.items(), 1)]
    known = {(one["name"], one["version"], one["arch"]) for one in told}
    groups = session.exec(select(ScannedInstance).where(ScannedInstance.user_id == user.id).order_by(col(ScannedInstance.id))).all()
    for group in groups:
        one = tell_distribution(group.distribution, group.version, group.arch)
        key = (one["name"], one["version"], one["arch"])
        if group.distribution != "unknown" and key not in known:
            known.add(key)
            assert group.id is not None
            told.append({**one, **_numbered(SCANNED + group.id), "description": "of a scanned instance", "active": False, "visible": True})
    return told


def _numbered(number: int) -> dict[str, Any]:
    uri = f"distributions/{number}"
    return {"dbId": number, "family": "linux", "uri": uri, "baseProfilesUri": f"{uri}/profiles", "basePkgsUri": f"{uri}/pkgs"}


def _catalogued(number: int, version: str, codename: str) -> dict[str, Any]:
    told = {**_numbered(number), "name": "Debian", "version": version, "arch": "x86_64", "pkgType": "DEB"}
    date = {"releaseDate": f"{RELEASED[version]}T00:00:00Z"} if version in RELEASED else {}
    return {**told, **date, "description": codename, "active": True, "visible": True, "realName": "Debian", "realArch": "x86_64"}


def find(session: Session, user: User, number: int) -> dict[str, Any]:
    """Raises `NotFound`."""
    for one in distributions(session, user):
        if one["dbId"] == number:
            return one
    raise NotFound(f"there is no distribution {number}", hint="forgelet os list")


def profiles(distribution: dict[str, Any]) -> list[dict[str, Any]]:
    """distribProfile: sets of packages that a template can begin with; none for what is only known from scans."""
    from builders.stack import PROFILES

    if not distribution["active"]:
        return []
    uri = distribution["uri"]
    common = {"xsiType": "LinuxProfile", "active": True, "arch": distribution["arch"], "distributionUri": uri, "version": distribution["version"]}
    return [{**common, "dbId": number, "name": name, "description": ABOUT.get(name, ""), "uri": f"{uri}/profiles/{number}"} for number, name in enumerate(PROFILES, 1)]


def packages(here: Service, distribution: dict[str, Any], wanted: Query) -> list[dict[str, Any]]:
    """pkg, from the repositories' indexes as they are now. Raises `UserError`, `BuildFailed`."""
    name = wanted.value("name")
    if not name:
        raise UserError("which packages are looked for is not said", hint="query=name==nginx, where * stands for any characters")
    if not distribution["active"]:
        raise UserError(
            f"no repository of {distribution['realName']} {distribution['version']} is in reach of this service",
            hint="its packages are known from the scan: forgelet scan packages",
        )
    from builders.stack import ARCHES, RELEASES

    found = here.rooms.packages(RELEASES[distribution["version"]], ARCHES[distribution["arch"]], name, here.folders.cache)
    told = [_tell(one) for one in found]
    return [one for one in told if wanted.keeps({**one, "name": name})]


def _tell(one: Offered) -> dict[str, Any]:
    return {
        "name": one.name,
        "version": one.version,
        "release": "",
        "arch": one.arch,
        "size": one.size,
        "sha256sum": one.sha256,
        "fullName": f"{one.name}_{one.version}_{one.arch}.deb",
        "pkgBuildDate": one.indexed.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "type": "DEB",
    }
