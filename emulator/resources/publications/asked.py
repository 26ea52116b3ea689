"""How an image shall be published: hammr's `publishImage`, or the keys of a builder in a builder file, old and new."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scanner.errors import UserError

NAMES = ("displayName", "imageName")
PROJECTS = ("keystoneProject", "tenantName", "tenant")
OTHERS = ("account", "keystoneDomain", "publicImage")
"""Keys of a builder that publishing reads, beside those."""
TRUTH = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False, "": False, "none": False}


def asked_of(given: Mapping[str, Any], image_name: str) -> dict[str, Any]:
    """`displayName`, `publicImage`, and `keystoneDomain` and `keystoneProject` where they are given. Raises `UserError` naming every mistake."""
    problems: list[str] = []
    found: dict[str, Any] = {"displayName": _text(given, NAMES, problems) or image_name}
    found["publicImage"] = _truth(given.get("publicImage"), problems)
    for key, names in (("keystoneDomain", ("keystoneDomain",)), ("keystoneProject", PROJECTS)):
        value = _text(given, names, problems)
        if value:
            found[key] = value
    if problems:
        raise UserError("the image cannot be published so; nothing was sent", hint="mend the keys named above", problems=problems)
    return found


def account_of(given: object) -> dict[str, Any]:
    """How an account is named: by `dbId`, `uri` or `name`. Raises `UserError`."""
    if isinstance(given, str) and given.strip():
        return {"name": given.strip()}
    if isinstance(given, Mapping) and any(given.get(key) for key in ("dbId", "uri", "name")):
        return {key: given[key] for key in ("dbId", "uri", "name") if given.get(key)}
    raise UserError("which account? the builder names none", hint="give the builder an `account: {name: NAME}`, or --account NAME; `local` is this machine's own cloud")


def _text(given: Mapping[str, Any], names: tuple[str, ...], problems: list[str]) -> str:
    said = {name: str(given[name]).strip() for name in names if given.get(name) not in (None, "")}
    if len(set(said.values())) > 1:
        problems.append(f"{', '.join(said)}: say different things; one is enough")
    for name, value in said.items():
        if len(value) > 255 or not value.isprintable():
            problems.append(f"{name}: longer than 255 characters, or not printable")
    return next(iter(said.values()), "")


def _truth(given: object, problems: list[str]) -> bool:
    if isinstance(given, bool):
        return given
    said = TRUTH.get(str(given).strip().lower())
    if said is None:
        problems.append(f"publicImage: '{given}' is neither yes nor no")
    return bool(said)
