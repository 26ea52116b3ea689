"""A person's bench: the real service on a folder of its own, and the command line that talks to it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from support.service import FORGELET, Service

EXAMPLE = Path(__file__).parents[2] / "examples" / "openstack-builder.yml"


@contextmanager
def standing(data: Path, settings: Mapping[str, str] = MappingProxyType({})) -> Iterator[Bench]:
    """A bench for a whole run; at the end instances that a test which failed did not end are ended. `settings` are variables of its service."""
    made = Bench(data, settings)
    yield made
    made.service.http.post("/_forgelet/reset")
    made.service.until(lambda: not made.service.http.get("/_forgelet/reset").json()["pending"])
    made.service.close()


@dataclass
class Bench:
    """The service on its own data folder, which can be killed and started again, and the command line that talks to it."""

    data: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    service: Service = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        # Hosts that a test has it trust are not this machine's affair.
        home = self.data.with_name("home")
        home.mkdir(exist_ok=True)
        self.service = Service(self.data, env={**os.environ, "HOME": str(home), **self.settings})

    def cli(self, *words: str, code: int | tuple[int, ...] = 0) -> str:
        """Standard output of `forgelet WORDS`, which must end with `code`."""
        env = {**os.environ, "FORGELET_URL": f"{self.service.origin}/api", "FORGELET_DATA": str(self.data)}
        done = subprocess.run([*FORGELET, *words], capture_output=True, text=True, env=env, timeout=1500, check=False)
        assert done.returncode in (code if isinstance(code, tuple) else (code,)), f"forgelet {' '.join(words)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.cli(*words, "-o", "json", code=code))

    def start_build(self, scan: int, spec: Path = EXAMPLE) -> dict[str, Any]:
        """Ask for the image and do not wait; the image as the service tells it."""
        (instance,) = [
            one["dbId"]
            for one in self.service.http.get("/api/users/root/scannedinstances?includeScans=true").json()["scannedInstances"]["scannedInstance"]
            if scan in [each["dbId"] for each in one["scans"]["scan"]]
        ]
        answer = self.service.http.post(
            f"/api/users/root/scannedinstances/{instance}/scans/{scan}/builds", json={"fileName": spec.name, "text": spec.read_text()}
        )
        assert answer.status_code == 201, answer.text
        images: list[dict[str, Any]] = answer.json()["images"]["image"]
        return images[0]

    @contextmanager
    def lived_in(self, name: str) -> Iterator[str]:
        """A running container that looks lived in, by that name; taken down at the end."""
        self.cli("lab", "up", "debian12-web", "--name", name)
        yield name
        self.cli("lab", "down", name)

    def log(self, job: int) -> str:
        text: str = self.service.http.get(f"/_forgelet/jobs/{job}/log").text
        return text
