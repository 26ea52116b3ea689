"""A running service, as a test drives it, and what it makes: live systems, instances, a cloud."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import yaml

PATIENCE = 1800.0
"""Seconds that one job may take."""
BOOT = 600.0
"""Seconds that a machine may take until it serves."""
ENDED = ("done", "failed", "cancelled")

Spec = str | Path | Mapping[str, Any]
"""A builder file: its path, its text, or what it says."""


class JobFailed(AssertionError):
    """A job of the service did not end well; the message has its cause, the next step and the end of its log."""


@dataclass(frozen=True, slots=True)
class LiveSystem:
    """A running container of the lab."""

    container: str
    system: str
    ports: Mapping[int, str]
    """Port inside -> `127.0.0.1:PORT`"""

    @property
    def target(self) -> str:
        """What the service calls it."""
        return f"docker:{self.container}"

    @property
    def url(self) -> str:
        """Its page, from this machine. Raises KeyError when it publishes no port 80."""
        return f"http://{self.ports[80]}/"


@dataclass(frozen=True, slots=True)
class Booted:
    """An instance that runs in the local cloud."""

    service: Forgelet
    id: str
    ports: Mapping[int, str]
    """Port inside -> `127.0.0.1:PORT`; 22 is always there."""

    @property
    def console(self) -> str:
        """What it said on its serial console so far."""
        return self.service.http.get(f"/api/users/{self.service.user}/deployments/{self.id}/console").text

    def get(self, path: str = "/", port: int = 80, patience: float = BOOT) -> httpx.Response:
        """A page that it serves, as soon as it does: a machine without hardware acceleration takes minutes to boot."""
        deadline = time.monotonic() + patience
        while True:
            try:
                return httpx.get(f"http://{self.ports[port]}{path}", timeout=10, trust_env=False)
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def terminate(self) -> None:
        """It is gone, disk and all."""
        self.service.http.delete(f"/api/users/{self.service.user}/deployments/{self.id}")


@dataclass(frozen=True, slots=True)
class Openstack:
    """A real Keystone and Glance on 127.0.0.1: the user `user` of `project`, in the domain `default`."""

    keystone: str
    glance: str
    user: str
    password: str = field(repr=False)
    project: str

    def account(self, name: str = "cloud", **fields: str) -> dict[str, Any]:
        """A cloud account as `POST /api/users/…/accounts` takes it."""
        own = {"keystoneUrl": self.keystone, "glanceUrl": self.glance, "keystoneVersion": "v3", "login": self.user, "password": self.password}
        return {"name": name, "targetPlatform": {"name": "OpenStack"}, "keystoneProject": self.project, **own, **fields}


@dataclass(slots=True)
class Forgelet:
    """A running service, and the chain of a migration step by step. Steps raise `JobFailed`, or `AssertionError` with the refusal."""

    origin: str
    user: str = "root"
    password: str = field(default="forgelet", repr=False)
    data: Path | None = None
    """Its folder; None for one that was running before."""
    token: str = field(default="", repr=False)
    """What the control plane of a service on another machine asks for."""
    ca: str = ""
    """File with the certificate that is trusted; empty: the system's."""
    http: httpx.Client = field(init=False, repr=False)

    def __post_init__(self) -> None:
        headers = {"Accept": "application/json", **({"X-Forgelet-Token": self.token} if self.token else {})}
        verify = ssl.create_default_context(cafile=self.ca) if self.ca else True
        self.http = httpx.Client(base_url=self.origin, auth=(self.user, self.password), headers=headers, timeout=60, trust_env=False, verify=verify)

    @property
    def url(self) -> str:
        """What hammr and `forgelet --url` are given."""
        return f"{self.origin}/api"

    def reset(self) -> None:
        """As new: no scan, image or account; the cache stays."""
        self._ask("POST", "/_forgelet/reset")

    def fault(self, stage: str = "", action: str = "fail", times: int = 1, **more: Any) -> dict[str, Any]:
        """The next `times` jobs that come to `stage` `fail` there, or requests for an `operation`; `more` is what `POST /_forgelet/faults` takes."""
        return self._ask("POST", "/_forgelet/faults", json={**({"stage": stage} if stage else {}), "action": action, "times": times, **more})

    def clock(self, at: str | datetime | None = None, rate: float = 1) -> None:
        """What time it is for the service (with its zone), and how fast it passes (0: it stands still)."""
        told = at.isoformat() if isinstance(at, datetime) else at
        self._ask("PUT", "/_forgelet/clock", json={"rate": rate, **({"at": told} if told else {})})

    def step(self, seconds: float) -> None:
        """Put the service's time forward."""
        self._ask("POST", "/_forgelet/clock/step", json={"seconds": seconds})

    def seed(self, seed: int | str | Path) -> None:
        """A number seeds what is drawn; a file says what shall be there, and it is when this returns."""
        if isinstance(seed, int):
            self._ask("PUT", "/_forgelet/ids", json={"seed": seed})
            return
        file = Path(seed)
        self._ask("PUT", f"/_forgelet/seeds/{file.stem}", json={"text": file.read_text(encoding="utf-8"), "base": str(file.parent.absolute())})
        self._ask("POST", f"/_forgelet/seeds/{file.stem}/apply", timeout=PATIENCE)

    def journal(self, **wanted: Any) -> list[dict[str, Any]]:
        """Requests and events of jobs, oldest first; `wanted` are the filters of `GET /_forgelet/journal`."""
        found: list[dict[str, Any]] = self._ask("GET", "/_forgelet/journal", params={"bodies": True, **wanted})["journal"]["entry"]
        return found

    def boot(self, image: Mapping[str, Any], name: str = "booted", flavor: str = "f1.small", ports: Sequence[int] = ()) -> Booted:
        """An instance of the image in the local cloud, running."""
        sent = self._ask("POST", f"/api/{image['uri']}/pimages", json={"xsiType": "PublishImageOpenStack", "credAccount": {"name": "local"}, "displayName": name})
        self.wait(sent["jobId"])
        made = self._mine("POST", f"pimages/{sent['dbId']}/deployments", json={"name": name, "flavor": flavor, "ports": list(ports)})
        self.wait(made["jobId"])
        told = self._mine("GET", f"deployments/{made['applicationId']}")
        return Booted(self, made["applicationId"], {int(port): f"127.0.0.1:{place}" for port, place in told["ports"].items()})

    def scan(self, target: LiveSystem | str, name: str = "source", **options: Any) -> dict[str, Any]:
        """Scan a live system with its overlay; answers the finished scan. `options` are those of `POST scannedinstances`."""
        label = target if isinstance(target, str) else target.target
        scan = self._mine("POST", "scannedinstances", json={"name": name, "target": label, "overlay": True, **options})
        self.wait(scan["jobId"])
        return self._mine("GET", scan["uri"].partition(f"users/{self.user}/")[2])

    def build(self, scan: Mapping[str, Any], spec: Spec) -> list[dict[str, Any]]:
        """Build what the builder file asks for; answers the finished images."""
        name, text = _spec(spec)
        place = str(scan["uri"]).partition(f"users/{self.user}/")[2]
        made = self._mine("POST", f"{place}/builds", json={"fileName": name, "text": text})["images"]["image"]
        for image in made:
            self.wait(image["jobId"])
        return [self._mine("GET", f"images/{image['dbId']}") for image in made]

    def verify(self, image: Mapping[str, Any], probes: Sequence[str] = (), source: str = "") -> dict[str, Any]:
        """Boot a copy of the image and compare it with its source; answers the fidelity report."""
        job = self._mine("POST", f"images/{image['dbId']}/verifications", json={"probes": list(probes), "source": source})
        self.wait(job["dbId"])
        return self._mine("GET", f"images/{image['dbId']}/verifications/last")

    def wait(self, job: int, patience: float = PATIENCE) -> dict[str, Any]:
        """The job, once it has ended well."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            told = self._ask("GET", f"/_forgelet/jobs/{job}")
            if told["state"] in ENDED:
                if told["state"] != "done":
                    raise JobFailed(self._story(job, told))
                return told
            time.sleep(0.1)
        raise JobFailed(f"job {job} did not end within {patience:.0f} s\n{self._log(job)}")

    def _story(self, job: int, told: Mapping[str, Any]) -> str:
        said = [f"job {job} ({told['kind']}) {told['state']} in stage {told.get('stage')}: {told.get('error') or told['message']}"]
        return "\n".join([*said, *([f"next: {told['hint']}"] if told.get("hint") else []), self._log(job)])

    def _log(self, job: int) -> str:
        lines = self.http.get(f"/_forgelet/jobs/{job}/log").text.splitlines()
        return "\n".join(["the end of its log:", *(f"  {line}" for line in lines[-15:])])

    def _mine(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        return self._ask(method, f"/api/users/{self.user}/{path}", **request)

    def _ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        answer = self.http.request(method, path, **request)
        if answer.is_error:
            raise AssertionError(_refusal(answer))
        told: dict[str, Any] = answer.json() if answer.content else {}
        return told


def _refusal(answer: httpx.Response) -> str:
    try:
        said = answer.json()["uforgeError"]
    except (ValueError, KeyError):
        return f"{answer.request.method} {answer.url} answers {answer.status_code}: {answer.text[:300]}"
    return "\n".join([said["localizedErrorMsg"]["message"], *said.get("problems", ()), *([f"next: {said['hint']}"] if said.get("hint") else [])])


def _spec(spec: Spec) -> tuple[str, str]:
    """Name and text of a builder file."""
    if isinstance(spec, Mapping):
        return "spec.yml", yaml.safe_dump(dict(spec))
    if isinstance(spec, str) and "\n" in spec:
        return "spec.yml", spec
    path = Path(spec)
    return path.name, path.read_text(encoding="utf-8")
