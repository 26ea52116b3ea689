"""Clouds of a standard clouds.yaml, as accounts. Where it is looked for and what its keys mean: openstacksdk's *Configuring OpenStack SDK Applications*.

Whatever says who logs in, or where, is taken over or refused by its name: an account that is another than the file says would be worse
than none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cli.errors import CommandError
from cli.yamlfile import data_of, text_of

DIRECT = {
    "auth_url": "keystoneUrl",
    "username": "login",
    "user_id": "userId",
    "password": "password",
    "application_credential_id": "applicationCredentialId",
    "application_credential_name": "applicationCredentialName",
    "application_credential_secret": "applicationCredentialSecret",
}
"""Keys of `auth` -> an account's elements."""
CHOICES = {
    "keystoneDomain": ("user_domain_id", "user_domain_name", "domain_id", "domain_name", "default_domain_id", "default_domain_name"),
    "keystoneProject": ("project_id", "tenant_id", "project_name", "tenant_name"),
    "projectDomain": ("project_domain_id", "project_domain_name", "default_domain_id", "default_domain_name"),
}
"""An account's element -> the keys of `auth` that say it, the first one counts."""
AUTH = {*DIRECT, *(key for keys in CHOICES.values() for key in keys)}
TYPES = ("password", "v3password", "v3applicationcredential")
NEEDLESS = ("profile", "cloud", "vendor_hook", "cert", "key", "regions")
"""What an account cannot be asked to do."""
FALSE = ("false", "no", "off", "0")


def places(name: str) -> list[Path]:
    """Where a `clouds` or `secure` file may be, the first that is there counts."""
    named = os.environ.get("OS_CLIENT_CONFIG_FILE" if name == "clouds" else "OS_CLIENT_SECURE_FILE")
    folders = [Path(), Path.home() / ".config/openstack", Path("/etc/openstack")]
    return [*([Path(named)] if named else []), *(folder / f"{name}{end}" for folder in folders for end in (".yaml", ".yml", ".json"))]


def account_of(cloud: str, name: str = "") -> dict[str, Any]:
    """The cloud as an account file's entry. Raises `CommandError`, for what Forgelet would have to leave out too."""
    clouds = _read("clouds")
    if cloud not in clouds:
        known = ", ".join(sorted(clouds)) or "none"
        raise CommandError(f"there is no cloud '{cloud}' in clouds.yaml (there are: {known})", hint="name its file by OS_CLIENT_CONFIG_FILE")
    found, secret = _mapping(clouds[cloud]), _mapping(_read("secure").get(cloud))
    auth = {**_mapping(found.get("auth")), **_mapping(secret.get("auth"))}
    problems = list(_refused({**found, **secret}, auth))
    if problems:
        raise CommandError(f"the cloud '{cloud}' of clouds.yaml cannot be an account", hint="forgelet account create --file FILE writes one out", problems=problems)
    told = {
        "type": "OpenStack",
        "name": name or cloud,
        "keystoneVersion": "v3",
        **{ours: auth.get(key) for key, ours in DIRECT.items()},
        **{ours: next((auth[key] for key in keys if auth.get(key)), None) for ours, keys in CHOICES.items()},
        "region": found.get("region_name"),
        "glanceUrl": found.get("image_endpoint_override"),
        "caCertificate": text_of(Path(str(found["cacert"])).expanduser()) if found.get("cacert") else None,
        "insecure": "true" if str(found.get("verify") or "").lower() in FALSE else None,
    }
    return {key: value for key, value in told.items() if value}


def _refused(found: dict[str, Any], auth: dict[str, Any]) -> Iterator[str]:
    yield from (f"auth.{key}: cannot be taken over" for key in auth if key not in AUTH)
    yield from (f"{key}: cannot be taken over" for key in NEEDLESS if found.get(key))
    yield from (f"{key}: cannot be taken over" for key in found if key.endswith("_endpoint_override") and key != "image_endpoint_override")
    if str(found.get("auth_type") or TYPES[0]) not in TYPES:
        yield f"auth_type: '{found['auth_type']}' is none of {', '.join(TYPES)}"
    for key in ("interface", "endpoint_type"):
        if str(found.get(key) or "public").removesuffix("URL") != "public":
            yield f"{key}: '{found[key]}': only public endpoints are used"
    if str(found.get("identity_api_version") or "3").removeprefix("v") not in ("3", "3.0"):
        yield f"identity_api_version: '{found['identity_api_version']}' is not 3"


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _read(name: str) -> dict[str, Any]:
    for path in places(name):
        if path.is_file():
            told = data_of(text_of(path), path, raw=True)
            return _mapping(told.get("clouds")) if isinstance(told, dict) else {}
    return {}
