"""How an account of OpenStack logs in: hammr's account file, a cloud of clouds.yaml, or an application credential; Keystone v3.

Accounts of hammr have no domain and no project: these come with each publication, as id or name and in any case. So the domain is
found by trying, and the project among those that Keystone says the user has. A refusal counts against the user where wrong passwords
lock him out (PCI-DSS): it is asked for once, and remembered.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from functools import cached_property
from typing import Any

from keystoneauth1 import exceptions as auth_errors
from keystoneauth1 import session as sessions
from keystoneauth1.identity import v3
from openstack.connection import Connection

from builders.clouds.base import Account
from builders.clouds.versions import version_problem, version_warning
from builders.errors import CloudRefused
from scanner.host import clock

TIMEOUT = 30.0
"""Seconds that one answer of the cloud may take to begin."""
FIRST = "default"
"""Id of the domain that every Keystone makes by itself. Source: keystone-manage bootstrap."""
_REPEATABLE = ("GET", "HEAD", "DELETE")


class Login:
    """One account's login. Every property raises what keystoneauth raises, or `CloudRefused`."""

    def __init__(self, account: Account) -> None:
        self.account = account
        version = account.fields.get("keystoneVersion")
        if problem := version_problem(version):
            raise CloudRefused(f"account {account.name}: {problem}", hint="forgelet account create with keystoneVersion: v3")
        self.warning = version_warning(version)
        # A base with or without its version, as people write it.
        self.url = re.sub(r"/v[23](\.0)?/?$", "", str(account.fields["keystoneUrl"]).rstrip("/")) + "/v3"
        self._deadline = None if account.patience is None else clock.monotonic() + account.patience
        self._refusal: Exception | None = None

    def left(self) -> float:
        """Seconds that the next answer may take to begin. Raises `ConnectTimeout` when the account's patience is at its end."""
        if self._deadline is None:
            return TIMEOUT
        left = self._deadline - clock.monotonic()
        if left <= 0:
            raise auth_errors.ConnectTimeout(f"nothing more is asked after {self.account.patience:.0f} s")
        return min(TIMEOUT, left)

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

    def offers(self, service: str) -> bool:
        """Whether the cloud's catalogue has a service of that type."""
        return bool(self._access.service_catalog.get_urls(service_type=service, interface="public"))

    def connection(self) -> Connection:
        """A new connection of the SDK, scoped to the project."""
        return Connection(session=self.session(), region_name=self.account.fields.get("region") or None)

    @cached_property
    def _scoped(self) -> sessions.Session:
        return self.session()

    @property
    def _access(self) -> Any:
        return self._once(lambda: self._entered)

    @property
    def _auth(self) -> Any:
        return self._once(lambda: self._found)

    def _once(self, ask: Callable[[], Any]) -> Any:
        """What was refused is not asked for again."""
        if self._refusal is not None:
            raise self._refusal
        try:
            return ask()
        except (auth_errors.Unauthorized, CloudRefused) as error:
            self._refusal = error
            raise
        except auth_errors.NotFound as error:
            raise self._none_there() from error

    @cached_property
    def _entered(self) -> Any:
        auth: Any = self._auth
        access = auth.get_access(self._scoped)
        wanted = str(self.account.fields.get("keystoneProject") or "")
        # The project of an application credential was chosen when it was made.
        if wanted and not _is(wanted, access.project_id, access.project_name):
            said = f"account {self.account.name}: its application credential is one of project '{access.project_name}', and the builder names '{wanted}'"
            raise CloudRefused(said, hint=f"keystoneProject (or tenantName): {access.project_name} in the builder, or an account of '{wanted}'")
        return access

    def session(self) -> sessions.Session:
        """A new session, with connections of its own, scoped to the project."""
        return self._session(self._auth)

    @cached_property
    def _found(self) -> Any:
        fields, secrets = self.account.fields, self.account.secrets
        if fields.get("applicationCredentialId"):
            return v3.ApplicationCredential(self.url, str(secrets.get("applicationCredentialSecret", "")), application_credential_id=str(fields["applicationCredentialId"]))
        if fields.get("applicationCredentialName"):
            return self._first(self._named_credential)[0]
        user, unscoped = self._first(self._unscoped)[1:]
        return v3.Password(self.url, password=str(secrets.get("password", "")), **user, **self._project(unscoped))

    def _named_credential(self, user: dict[str, Any]) -> Any:
        fields, secret = self.account.fields, str(self.account.secrets.get("applicationCredentialSecret", ""))
        return v3.ApplicationCredential(self.url, secret, application_credential_name=str(fields["applicationCredentialName"]), **user)

    def _unscoped(self, user: dict[str, Any]) -> Any:
        return v3.Password(self.url, password=str(self.account.secrets.get("password", "")), unscoped=True, **user)

    def _first(self, way: Callable[[dict[str, Any]], Any]) -> tuple[Any, dict[str, Any], sessions.Session]:
        """The way in, who logs in by it, and a session: by the first spelling of the user's domain that Keystone takes. Raises `CloudRefused` when
        it takes none: it never says what is wrong."""
        fields = self.account.fields
        name, wanted = str(fields.get("login") or ""), str(fields.get("keystoneDomain") or "")
        # A number is one user's in whatever domain.
        tries: list[dict[str, Any]] = [{}] if fields.get("userId") else _spellings(wanted)
        who: dict[str, Any] = {"user_id": str(fields["userId"])} if fields.get("userId") else {"username": name}
        refused: Exception | None = None
        for domain in tries:
            user = {**who, **domain}
            auth = way(user)
            session = self._session(auth)
            try:
                session.get_token()
            except auth_errors.Unauthorized as error:
                refused = error
                continue
            return auth, user, session
        if fields.get("userId"):
            raise CloudRefused(f"{self.account.name} does not take the login (HTTP 401): there is no user of the number {fields['userId']} with this password", hint=f"forgelet account check '{self.account.name}'") from refused
        where = f"in a domain '{wanted}' (asked for as {', '.join(dict.fromkeys(one for each in tries for one in each.values()))})" if wanted else f"in the domain '{FIRST}', for none is named"
        said = f"{self.account.name} does not take the login (HTTP 401): there is no user '{name}' with this password {where}; Keystone does not say which of them is wrong"
        hint = f"forgelet account check '{self.account.name}'; forgelet account create with the right password; keystoneDomain in the builder names the domain"
        raise CloudRefused(said, hint=hint) from refused

    def _project(self, unscoped: sessions.Session) -> dict[str, Any]:
        """The project, as a login names it. Raises `CloudRefused` when it is none of the user's."""
        wanted = str(self.account.fields.get("keystoneProject") or "")
        told = unscoped.get(f"{self.url}/auth/projects").json()
        if not isinstance(told, dict) or "projects" not in told:
            raise self._none_there()
        mine = told["projects"]
        fitting = [one for one in mine if wanted in (one["id"], one["name"])] or [one for one in mine if _is(wanted, one["id"], one["name"])]
        domain = str(self.account.fields.get("projectDomain") or "")
        if domain and wanted and fitting and wanted not in [one["id"] for one in fitting]:
            within = [one for one in fitting if _is(domain, one.get("domain_id"))]
            if not within:
                # Only Keystone knows what a domain is called.
                return {"project_name": fitting[0]["name"], "project_domain_name": domain}
            fitting = within
        chosen = fitting if wanted else mine
        if len(chosen) != 1:
            names = ", ".join(sorted(one["name"] for one in mine)) or "none"
            what = f"project '{wanted}' is not one of the user's" if wanted and not chosen else "which project?"
            raise CloudRefused(f"{self.account.name}: {what} (there are: {names})", hint="keystoneProject (or tenantName) in the builder names it")
        return {"project_id": str(chosen[0]["id"])}

    def _none_there(self) -> CloudRefused:
        return CloudRefused(f"{self.account.name}: {self.url} does not answer as a Keystone does", hint="check keystoneUrl of the account")

    def _session(self, auth: Any) -> sessions.Session:
        return _Session(self, auth)

    @cached_property
    def trusted(self) -> bool | str:
        """Which certificates count: those of the machine's authorities, the account's own, or any."""
        fields = self.account.fields
        if str(fields.get("insecure") or "").lower() in ("true", "yes", "1"):
            return False
        return str(self._authority.name) if fields.get("caCertificate") else True

    @cached_property
    def _authority(self) -> Any:
        """The account's own certificates, in a file that goes with the login: keystoneauth reads files only."""
        file = tempfile.NamedTemporaryFile("w", encoding="ascii", prefix="forgelet-", suffix=".pem")  # noqa: SIM115  # open as long as the login lives
        file.write(str(self.account.fields["caCertificate"]))
        file.flush()
        return file


class _Session(sessions.Session):
    """A session that waits no longer for an answer than its login may. What may be asked twice is, once a connection turns out to be broken.

    A service that closes an idle connection does not know that a request is on its way (RFC 9112, section 9.3.1).
    """

    def __init__(self, login: Login, auth: Any) -> None:
        super().__init__(auth=auth, user_agent="forgelet", verify=login.trusted)
        self._login = login

    def request(self, url: str, method: str, *more: Any, **asked: Any) -> Any:
        asked.setdefault("timeout", self._login.left())
        try:
            return super().request(url, method, *more, **asked)
        except auth_errors.ConnectFailure as error:
            if method not in _REPEATABLE or isinstance(error, auth_errors.ConnectTimeout):
                raise
        return super().request(url, method, *more, **asked)


def _spellings(wanted: str) -> list[dict[str, Any]]:
    """How a domain is asked for, one after the other. Few: each that fits and is refused counts as a wrong password."""
    if not wanted:
        return [{"user_domain_id": FIRST}]
    if wanted.lower() == FIRST:
        return [{"user_domain_id": FIRST}, {"user_domain_name": wanted.capitalize()}]
    names = dict.fromkeys([wanted, wanted.lower(), wanted.capitalize(), wanted.upper()])
    return [{"user_domain_name": wanted}, *({"user_domain_id": one} for one in dict.fromkeys([wanted, wanted.lower()])), *({"user_domain_name": one} for one in list(names)[1:])]


def _is(wanted: str, *names: object) -> bool:
    return wanted.lower() in (str(name).lower() for name in names)


def _region(access: Any) -> str:
    endpoints = access.service_catalog.get_endpoints_data(service_type="identity")
    return next((str(one.region_id) for group in endpoints.values() for one in group if one.region_id), "")
