"""A real Keystone and a real Glance on loopback, for as long as somebody wants them: `python -m emulator.lab.openstack VENV FOLDER`.

Facts that shape this (found by running them): Keystone reads sys.argv, so gunicorn's options are in a file; glance asks the internal
identity endpoint, so all three are made; gunicorn's control socket is off.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from scanner.errors import StepFailed
from scanner.host import clock

PASSWORD = "only-for-tests"
CONFIG = """\
wsgi_app = "{app}"
bind = "127.0.0.1:{port}"
worker_class = "gthread"
workers = 1
threads = {threads}
timeout = 600
errorlog = "{folder}/gunicorn.log"
control_socket_disable = True
"""
KEYSTONE = """\
[DEFAULT]
log_file = {folder}/keystone.log
[database]
connection = {database}
[token]
provider = fernet
[fernet_tokens]
key_repository = {folder}/fernet
[credential]
key_repository = {folder}/credential
[identity]
password_hash_rounds = 4
"""
GLANCE = """\
[DEFAULT]
log_file = {folder}/glance.log
enabled_backends = local:file
worker_self_reference_url = http://127.0.0.1:{port}
[local]
filesystem_store_datadir = {folder}/images
[os_glance_staging_store]
filesystem_store_datadir = {folder}/staging
[os_glance_tasks_store]
filesystem_store_datadir = {folder}/tasks
[glance_store]
default_backend = local
[database]
connection = {database}
[paste_deploy]
flavor = keystone
config_file = {venv}/etc/glance/glance-api-paste.ini
[oslo_limit]
auth_url = {keystone}
auth_type = password
username = glance
password = {password}
project_name = service
user_domain_id = default
project_domain_id = default
[keystone_authtoken]
www_authenticate_uri = {keystone}
auth_url = {keystone}
auth_type = password
username = glance
password = {password}
project_name = service
user_domain_id = default
project_domain_id = default
"""


PEOPLE = (("glance", "service", ("admin", "service")), ("demo", "demo", ("member",)), ("demo", "Second", ("member",)))
"""User, project and roles there, in the first domain."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Openstack:
    """One cloud, in the folder `state`: the user `demo` of the project `demo`, and `admin`, in the domain `default` (named Default)."""

    venv: Path
    state: Path
    ports: dict[str, int] = field(default_factory=lambda: {"keystone": free_port(), "glance": free_port()})
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    wsgi: dict[str, str] = field(default_factory=lambda: {"keystone": "keystone.wsgi.api:application", "glance": "glance.wsgi.api:application"})
    threads: int = 1
    """One, since on SQLite writers get in each other's way."""
    people: Sequence[tuple[str, str, Sequence[str]]] = PEOPLE

    def connection(self, name: str) -> str:
        """The database of one of the services."""
        return f"sqlite:///{self.state}/{name}/{name}.db"

    @property
    def keystone(self) -> str:
        return f"http://127.0.0.1:{self.ports['keystone']}/v3"

    @property
    def glance(self) -> str:
        return f"http://127.0.0.1:{self.ports['glance']}"

    def account(self, name: str = "cloud", **fields: str) -> dict[str, Any]:
        """An account as the service takes it."""
        own = {"keystoneUrl": self.keystone, "glanceUrl": self.glance, "keystoneVersion": "v3", "login": "demo", "password": PASSWORD}
        return {"name": name, "targetPlatform": {"name": "OpenStack"}, **own, **fields}

    def start(self) -> None:
        (self.state / "home").mkdir(parents=True)
        for part in ("keystone/fernet", "keystone/credential", "glance/images", "glance/staging", "glance/tasks"):
            (self.state / part).mkdir(parents=True, mode=0o700)
        told = {"venv": self.venv, "keystone": self.keystone, "password": PASSWORD}
        (self.state / "keystone/keystone.conf").write_text(KEYSTONE.format(folder=self.state / "keystone", database=self.connection("keystone")))
        (self.state / "glance/glance-api.conf").write_text(GLANCE.format(folder=self.state / "glance", database=self.connection("glance"), port=self.ports["glance"], **told))
        manage = ["keystone-manage", "--config-file", str(self.state / "keystone/keystone.conf")]
        who = ["--keystone-user", _name(os.getuid()), "--keystone-group", _name(os.getuid())]
        self._run(*manage, "db_sync")
        self._run(*manage, "fernet_setup", *who)
        self._run(*manage, "credential_setup", *who)
        urls = [word for kind in ("public", "internal", "admin") for word in (f"--bootstrap-{kind}-url", self.keystone)]
        self._run(*manage, "bootstrap", "--bootstrap-region-id", "RegionOne", *urls, OS_BOOTSTRAP_PASSWORD=PASSWORD)
        self._run("glance-manage", "--config-file", str(self.state / "glance/glance-api.conf"), "db_sync")
        self.serve("keystone")
        self._catalogue()
        self.serve("glance")

    def serve(self, name: str, threads: int | None = None) -> None:
        """Start one of them and wait until it answers."""
        folder = self.state / name
        (folder / "gunicorn.py").write_text(CONFIG.format(app=self.wsgi[name], port=self.ports[name], folder=folder, threads=threads or self.threads))
        environment = self._environment(GUNICORN_CMD_ARGS=f"-c {folder}/gunicorn.py", **{f"OS_{name.upper()}_CONFIG_DIR": str(folder)})
        self.running[name] = subprocess.Popen([str(self.venv / "bin/gunicorn")], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = clock.monotonic() + 60
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{self.ports[name]}/", timeout=5, trust_env=False)
                return
            except httpx.TransportError:
                if clock.monotonic() > deadline:
                    log = folder / "gunicorn.log"
                    raise StepFailed(f"{name} did not come up: {log.read_text()[-2000:]}", hint=f"{log} has the whole story") from None
                clock.sleep(0.1)

    def end(self, name: str) -> None:
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def close(self) -> None:
        for name in list(self.running):
            self.end(name)
        shutil.rmtree(self.state, ignore_errors=True)

    def token(self, user: str = "demo", project: str = "demo") -> str:
        """A second route to the cloud, without the SDK."""
        identity = {"methods": ["password"], "password": {"user": {"name": user, "domain": {"id": "default"}, "password": PASSWORD}}}
        body = {"auth": {"identity": identity, "scope": {"project": {"name": project, "domain": {"id": "default"}}}}}
        answer = httpx.post(f"{self.keystone}/auth/tokens", json=body, timeout=60, trust_env=False)
        _well(answer)
        return str(answer.headers["X-Subject-Token"])

    def images(self, user: str = "demo", project: str = "demo") -> list[dict[str, Any]]:
        """What Glance says that there is, in whatever state."""
        answer = httpx.get(f"{self.glance}/v2/images", headers={"X-Auth-Token": self.token(user, project)}, timeout=30, trust_env=False)
        _well(answer)
        found: list[dict[str, Any]] = answer.json()["images"]
        return found

    def catalogue(self) -> httpx.Client:
        """Keystone's v3, as its administrator."""
        return httpx.Client(base_url=f"{self.keystone}/", headers={"X-Auth-Token": self.token("admin", "admin")}, timeout=30, trust_env=False)

    def _catalogue(self) -> None:
        with self.catalogue() as http:
            roles = {one["name"]: one["id"] for one in http.get("roles").json()["roles"]}
            service = make(http, "service", name="glance", type="image")
            for interface in ("public", "internal"):
                make(http, "endpoint", service_id=service, interface=interface, region_id="RegionOne", url=self.glance)
            for user, project, granted in self.people:
                known = http.get("users", params={"name": user}).json()["users"]
                number = known[0]["id"] if known else make(http, "user", name=user, password=PASSWORD, domain_id="default")
                place = make(http, "project", name=project, domain_id="default")
                for role in granted:
                    _well(http.put(f"projects/{place}/users/{number}/roles/{roles.get(role) or make(http, 'role', name=role)}"))

    def _run(self, *argv: str, **more: str) -> str:
        done = subprocess.run([str(self.venv / "bin" / argv[0]), *argv[1:]], env=self._environment(**more), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise StepFailed(f"{argv[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def _environment(self, **more: str) -> dict[str, str]:
        return {"PATH": f"{self.venv}/bin:{os.environ['PATH']}", "HOME": str(self.state / "home"), "PYTHONWARNINGS": "ignore", **more}


def make(http: httpx.Client, kind: str, **body: Any) -> str:
    """One more thing of a kind in Keystone; its id."""
    answer = http.post(f"{kind}s", json={kind: body})
    _well(answer)
    return str(answer.json()[kind]["id"])


def _well(answer: httpx.Response) -> None:
    if answer.is_error:
        raise StepFailed(f"{answer.request.method} {answer.url} answers {answer.status_code}: {answer.text[:500]}")


def _name(uid: int) -> str:
    import pwd

    return pwd.getpwuid(uid).pw_name


def main() -> None:
    """Two arguments: the folder whose bin/ has them, and one for their state. Says where they are as one line of JSON, and ends them at the
    end of its input."""
    made = Openstack(Path(sys.argv[1]), Path(sys.argv[2]))
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    try:
        made.start()
        print(json.dumps({"keystone": made.keystone, "glance": made.glance, "user": "demo", "password": PASSWORD, "project": "demo"}), flush=True)
        sys.stdin.read()
    finally:
        made.close()


if __name__ == "__main__":
    main()
