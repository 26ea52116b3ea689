"""A real Keystone and a real Glance on loopback, for as long as a test session.

Facts that shape this (found by running them): Keystone reads sys.argv, so gunicorn's options are in a file; glance asks the internal identity endpoint, so all three are made; gunicorn's control socket is off.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from builders.clouds.base import Account

ROOT = Path(__file__).parents[2]
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


def install() -> Path:
    """The folder with `bin/`; made when it is not there."""
    done = subprocess.run([str(ROOT / "scripts/openstack.sh")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"Keystone and Glance could not be installed:\n{done.stderr}"
    return Path(done.stdout.strip())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Openstack:
    """One cloud, in the folder `state`: the user `demo` of the project `demo`, and `admin`, in the domain `default` (named Default).

    The user `seller` of the project `Shop` is in another, named Sales.
    """

    venv: Path
    state: Path
    ports: dict[str, int] = field(default_factory=lambda: {"keystone": free_port(), "glance": free_port()})
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    wsgi: dict[str, str] = field(default_factory=lambda: {"keystone": "keystone.wsgi.api:application", "glance": "glance.wsgi.api:application"})
    sales: str = ""
    """Id of the domain named Sales."""
    threads: int = 1
    """One, since on SQLite writers get in each other's way."""

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

    def opened(self, password: str = PASSWORD, **fields: Any) -> Account:
        """The account that opens it; a field that is None is left out."""
        own = {"keystoneUrl": self.keystone, "glanceUrl": self.glance, "keystoneVersion": "v3", "login": "demo", "keystoneProject": "demo"}
        return Account("cloud", "cloud", {key: value for key, value in {**own, **fields}.items() if value is not None}, {"password": password})

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
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{self.ports[name]}/", timeout=5, trust_env=False)
                return
            except httpx.TransportError:
                assert time.monotonic() < deadline, f"{name} did not come up: {(folder / 'gunicorn.log').read_text()[-2000:]}"
                time.sleep(0.1)

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
        assert answer.status_code == 201, answer.text
        return str(answer.headers["X-Subject-Token"])

    def images(self, user: str = "demo", project: str = "demo") -> list[dict[str, Any]]:
        """What Glance says that there is, in whatever state."""
        answer = httpx.get(f"{self.glance}/v2/images", headers={"X-Auth-Token": self.token(user, project)}, timeout=30, trust_env=False)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["images"]
        return found

    @contextmanager
    def changed(self, name: str, section: str, line: str = "", threads: int | None = None) -> Iterator[None]:
        """One of the two, started anew with another line of configuration or more threads; as it was afterwards."""
        config = next((self.state / name).glob("*.conf"))
        normal = config.read_text()
        self.end(name)
        config.write_text(normal.replace(f"[{section}]\n", f"[{section}]\n{line}\n"))
        try:
            self.serve(name, threads)
            yield
        finally:
            if name in self.running:
                self.end(name)
            config.write_text(normal)
            self.serve(name)

    def cli(self, *words: str, user: str = "demo", project: str = "demo") -> str:
        """What OpenStack's own client says: `openstack WORDS`."""
        login = {"AUTH_URL": self.keystone, "USERNAME": user, "PASSWORD": PASSWORD, "PROJECT_NAME": project, "USER_DOMAIN_ID": "default", "PROJECT_DOMAIN_ID": "default"}
        environment = self._environment(OS_IDENTITY_API_VERSION="3", **{f"OS_{name}": value for name, value in login.items()})
        done = subprocess.run([str(self.venv / "bin/openstack"), *words], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"openstack {' '.join(words)}: {done.stderr[-2000:]}"
        return done.stdout

    def _catalogue(self) -> None:
        headers = {"X-Auth-Token": self.token("admin", "admin")}
        with httpx.Client(base_url=f"{self.keystone}/", headers=headers, timeout=30, trust_env=False) as http:

            def make(kind: str, **body: Any) -> str:
                answer = http.post(f"{kind}s", json={kind: body})
                assert answer.status_code == 201, answer.text
                return str(answer.json()[kind]["id"])

            roles = {one["name"]: one["id"] for one in http.get("roles").json()["roles"]}
            service = make("service", name="glance", type="image")
            for interface in ("public", "internal"):
                make("endpoint", service_id=service, interface=interface, region_id="RegionOne", url=self.glance)
            for user, project, granted in (("glance", "service", ("admin", "service")), ("demo", "demo", ("member",)), ("demo", "Second", ("member",)), ("reader", "Readers", ("reader",))):
                known = http.get("users", params={"name": user}).json()["users"]
                number = known[0]["id"] if known else make("user", name=user, password=PASSWORD, domain_id="default")
                place = make("project", name=project, domain_id="default")
                for role in granted:
                    assert http.put(f"projects/{place}/users/{number}/roles/{roles.get(role) or make('role', name=role)}").status_code == 204
            self.sales = make("domain", name="Sales")
            seller, shop = make("user", name="seller", password=PASSWORD, domain_id=self.sales), make("project", name="Shop", domain_id=self.sales)
            assert http.put(f"projects/{shop}/users/{seller}/roles/{roles['member']}").status_code == 204

    def _run(self, *argv: str, **more: str) -> str:
        done = subprocess.run([str(self.venv / "bin" / argv[0]), *argv[1:]], env=self._environment(**more), capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{argv}: {done.stdout[-500:]}{done.stderr[-2000:]}"
        return done.stdout

    def _environment(self, **more: str) -> dict[str, str]:
        return {"PATH": f"{self.venv}/bin:{os.environ['PATH']}", "HOME": str(self.state / "home"), "PYTHONWARNINGS": "ignore", **more}


def _name(uid: int) -> str:
    import pwd

    return pwd.getpwuid(uid).pw_name
