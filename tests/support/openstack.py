"""A real Keystone and a real Glance on loopback, for as long as a test session: those of the lab, with more people, and changed at will."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.clouds.base import Account
from emulator.lab import openstack as lab
from emulator.lab.openstack import PASSWORD, make

ROOT = Path(__file__).parents[2]


def install() -> Path:
    """The folder with `bin/`; made when it is not there."""
    done = subprocess.run([str(ROOT / "scripts/openstack.sh")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"Keystone and Glance could not be installed:\n{done.stderr}"
    return Path(done.stdout.strip())


@dataclass
class Openstack(lab.Openstack):
    """The lab's cloud. The user `reader` may only read; `seller` of the project `Shop` is in another domain, named Sales."""

    people: Sequence[tuple[str, str, Sequence[str]]] = (*lab.PEOPLE, ("reader", "Readers", ("reader",)))
    sales: str = ""
    """Id of the domain named Sales."""

    def start(self) -> None:
        super().start()
        with self.catalogue() as http:
            (member,) = http.get("roles", params={"name": "member"}).json()["roles"]
            self.sales = make(http, "domain", name="Sales")
            seller = make(http, "user", name="seller", password=PASSWORD, domain_id=self.sales)
            shop = make(http, "project", name="Shop", domain_id=self.sales)
            assert http.put(f"projects/{shop}/users/{seller}/roles/{member['id']}").status_code == 204

    def opened(self, password: str = PASSWORD, **fields: Any) -> Account:
        """The account that opens it; a field that is None is left out."""
        own = {"keystoneUrl": self.keystone, "glanceUrl": self.glance, "keystoneVersion": "v3", "login": "demo", "keystoneProject": "demo"}
        return Account("cloud", "cloud", {key: value for key, value in {**own, **fields}.items() if value is not None}, {"password": password})

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
