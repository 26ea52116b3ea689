"""Clouds of a standard clouds.yaml, as accounts. Where it is looked for and what its keys mean: openstacksdk's *Configuring OpenStack SDK Applications*."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cli.errors import CommandError


def places(name: str) -> list[Path]:
    """Where a `clouds` or `secure` file may be, the first that is there counts."""
    named = os.environ.get("OS_CLIENT_CONFIG_FILE" if name == "clouds" else "OS_CLIENT_SECURE_FILE")
    folders = [Path(), Path.home() / ".config/openstack", Path("/etc/openstack")]
    return [*([Path(named)] if named else []), *(folder / f"{name}{end}" for folder in folders for end in (".yaml", ".yml", ".json"))]


def account_of(cloud: str, name: str = "") -> dict[str, Any]:
    """The cloud as an account file's entry. Raises `CommandError`."""
    clouds = _read("clouds")
    if cloud not in clouds:
        known = ", ".join(sorted(clouds)) or "none"
        raise CommandError(f"there is no cloud '{cloud}' in clouds.yaml (there are: {known})", hint="name its file by OS_CLIENT_CONFIG_FILE")
    found, secret = clouds[cloud] or {}, _read("secure").get(cloud) or {}
    auth = {**(found.get("auth") or {}), **(secret.get("auth") or {})}
    told = {
        "type": "OpenStack",
        "name": name or cloud,
        "keystoneUrl": auth.get("auth_url"),
        "keystoneVersion": "v3",
        "login": auth.get("username") or auth.get("user_id"),
        "password": auth.get("password"),
        "keystoneDomain": auth.get("user_domain_id") or auth.get("user_domain_name") or auth.get("domain_id") or auth.get("domain_name"),
        "keystoneProject": auth.get("project_id") or auth.get("project_name"),
        "region": found.get("region_name"),
        "glanceUrl": found.get("image_endpoint_override"),
        "applicationCredentialId": auth.get("application_credential_id"),
        "applicationCredentialSecret": auth.get("application_credential_secret"),
    }
    return {key: value for key, value in told.items() if value}


def _read(name: str) -> dict[str, Any]:
    import yaml

    for path in places(name):
        if path.is_file():
            try:
                told = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
            except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
                raise CommandError(f"{path} cannot be read: {error}") from error
            clouds = told.get("clouds") if isinstance(told, dict) else None
            return clouds if isinstance(clouds, dict) else {}
    return {}
