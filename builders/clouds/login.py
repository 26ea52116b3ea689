"""How an account of OpenStack logs in: hammr's account file, a cloud of clouds.yaml, or an application credential; Keystone v3.

Accounts of hammr have no domain and no project: these come with each publication, as id or name and in any case. So the domain is
found by trying, and the project among those that Keystone says the user has.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

from keystoneauth1 import exceptions as auth_errors
from keystoneauth1 import session as sessions
from keystoneauth1.identity import v3
from openstack.connection import Connection

from builders.clouds.base import Account
from builders.errors import CloudRefused

TIMEOUT = 30.0
"""Seconds that one answer of the cloud may take to begin."""
VERSIONS = ("v3", "3", "3.0", "v3.0")
OLD = ("v2", "2", "2.0", "v2.0")


class Login:
    """One account's login. Every property raises what keystoneauth raises, or `CloudRefused`."""

    def __init__(self, account: Account) -> None:
        self.account = account
        said = str(account.fields.get("keystoneVersion") or "v3").lower()
        if said not in (*VERSIONS, *OLD):
            raise CloudRefused(f"account {account.name}: keystoneVersion '{said}' is none", hint="v3 (or v2.0, which is taken for v3)")
        self.warning = "Keystone has no v2 any more: v3 is used, the tenant is the project" if said in OLD else ""
        # A base with or without its version, as people write it.
        self.url = re.sub(r"/v[23](\.0)?/?$", "", str(account.fields["keystoneUrl"]).rstrip("/")) + "/v3"

    @property
    def region(self) -> str:
        return str(self.account.fields.get("region") or _region(self._access) or "RegionOne")

    @cached_property
    def glance(self) -> str:
        """Base URL of Glance, without its version: the account's, or the catalogue's."""
        given = str(self.account.fields.get("glanceUrl") or "")
        found = given or str(self._scoped.get_endpoint(service_type="image", interface="public", region_name=self.account.fields.get("region") or None) or "")
        if not found:
            raise auth_errors.EndpointNotFound("the service catalogue has no image service, and the account no glanceUrl")
        return re.sub(r"/v[12](\.\d)?/?$", "", found.rstrip("/"))

    @property
    def user_name(self) -> str:
        return str(self._access.username)

    @property
    def project_id(self) -> str:
        return str(self._access.project_id)

    @property
    def project_name(self) -> str:
        return str(self._access.project_name)

    @property
    def roles(self) -> list[str]:
        """Names of the roles that the user has in the project."""
        return sorted(map(str, self._access.role_names))

    def connection(self) -> Connection:
        """A new connection of the SDK, scoped to the project."""
        return Connection(session=self._new(), region_name=self.account.fields.get("region") or None)

    @cached_property
    def _scoped(self) -> sessions.Session:
        return self._new()

    @cached_property
    def _access(self) -> Any:
        auth: Any = self._auth
        return auth.get_access(self._scoped)

    def _new(self) -> sessions.Session:
        return self._session(self._auth)

    @cached_property
    def _auth(self) -> Any:
        fields, secrets = self.account.fields, self.account.secrets
        if fields.get("applicationCredentialId"):
            return v3.ApplicationCredential(self.url, str(secrets.get("applicationCredentialSecret", "")), application_credential_id=str(fields["applicationCredentialId"]))
        domain, unscoped = self._domain()
        project = self._project(unscoped)
        return v3.Password(self.url, username=str(fields["login"]), password=str(secrets.get("password", "")), project_id=project, **domain)

    def _domain(self) -> tuple[dict[str, Any], sessions.Session]:
        """The user's domain, by the first spelling that Keystone takes. Raises `Unauthorized` when it takes none."""
        wanted = str(self.account.fields.get("keystoneDomain") or "default")
        spellings = dict.fromkeys([wanted, wanted.lower(), wanted.capitalize()])
        tries: list[dict[str, Any]] = [{key: spelling} for spelling in spellings for key in ("user_domain_id", "user_domain_name")]
        refused: Exception = auth_errors.Unauthorized("no way to log in")
        for domain in tries:
            auth = v3.Password(self.url, username=str(self.account.fields["login"]), password=str(self.account.secrets.get("password", "")), unscoped=True, **domain)
            session = self._session(auth)
            try:
                session.get_token()
            except auth_errors.Unauthorized as error:
                refused = error
                continue
            return domain, session
        raise refused

    def _project(self, unscoped: sessions.Session) -> str:
        wanted = str(self.account.fields.get("keystoneProject") or "")
        mine = unscoped.get(f"{self.url}/auth/projects").json()["projects"]
        fitting = [one for one in mine if wanted in (one["id"], one["name"])] or [one for one in mine if wanted.lower() in (one["id"].lower(), one["name"].lower())]
        chosen = fitting if wanted else mine
        if len(chosen) != 1:
            names = ", ".join(sorted(one["name"] for one in mine)) or "none"
            what = f"project '{wanted}' is not one of the user's" if wanted and not chosen else "which project?"
            raise CloudRefused(f"{self.account.name}: {what} (there are: {names})", hint="keystoneProject (or tenantName) in the builder names it")
        return str(chosen[0]["id"])

    @staticmethod
    def _session(auth: Any) -> sessions.Session:
        return sessions.Session(auth=auth, timeout=TIMEOUT, user_agent="forgelet")


def _region(access: Any) -> str:
    endpoints = access.service_catalog.get_endpoints_data(service_type="identity")
    return next((str(one.region_id) for group in endpoints.values() for one in group if one.region_id), "")
