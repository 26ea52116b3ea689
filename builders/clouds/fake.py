"""A cloud in memory, for fast tests; it keeps the contract of the real ones (`contract.py`)."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field, replace
from pathlib import Path

from builders.clouds.base import (
    Began,
    Flavor,
    Instance,
    InstanceState,
    Named,
    Offer,
    Published,
    Request,
    Resources,
    Standing,
)
from builders.errors import CloudRefused
from scanner.errors import NotFound
from scanner.progress import Progress

FLAVORS = (Flavor("1", "small", 1, 1024, 10), Flavor("2", "large", 2, 4096, 40))


@dataclass
class FakeCloud:
    """One tenant. `refuse` makes every call raise it."""

    tenant: str = "demo"
    images: dict[str, tuple[Offer, bytes]] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    requests: dict[str, Request] = field(default_factory=dict)
    refuse: Exception | None = None
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def _here(self) -> None:
        if self.refuse is not None:
            raise self.refuse

    def _image(self, cloud_id: str) -> tuple[Offer, bytes]:
        self._here()
        if cloud_id not in self.images:
            raise NotFound(f"no image {cloud_id}", hint="forgelet image list")
        return self.images[cloud_id]

    def check(self) -> Standing:
        self._here()
        return Standing("me", self.tenant, {"publish": True, "provision": True})

    def publish(self, offer: Offer, progress: Progress, began: Began) -> Published:
        self._here()
        progress.stage("upload", "Sending")
        for cloud_id, (kept, content) in self.images.items():
            if (kept.name, kept.sha256, kept.public) == (offer.name, offer.sha256, offer.public) and cloud_id not in offer.doomed:
                return Published(cloud_id, len(content), hashlib.sha512(content).hexdigest(), self.tenant, already=True)
        cloud_id = f"image-{next(self._numbers)}"
        began(cloud_id)
        content = offer.file.read_bytes()
        progress.moved(len(content))
        progress.update(50, f"{len(content)} bytes")
        self.images[cloud_id] = (offer, content)
        return Published(cloud_id, len(content), hashlib.sha512(content).hexdigest(), self.tenant)

    def fetch(self, cloud_id: str, into: Path, progress: Progress) -> None:
        into.parent.mkdir(parents=True, exist_ok=True)
        into.write_bytes(self._image(cloud_id)[1])

    def withdraw(self, cloud_id: str) -> None:
        self._image(cloud_id)
        del self.images[cloud_id]

    def resources(self) -> Resources:
        self._here()
        return Resources(FLAVORS, (Named("net-1", "private"),), (Named("RegionOne", "RegionOne"),))

    def provision(self, cloud_id: str, request: Request, progress: Progress, began: Began) -> Instance:
        offer, _ = self._image(cloud_id)
        progress.stage("place", "Placing")
        flavor = next((one for one in FLAVORS if request.flavor in (one.id, one.name)), None)
        if flavor is None:
            raise CloudRefused(f"no flavor '{request.flavor}'", hint="flavors: small, large")
        if flavor.disk < offer.min_disk:
            raise CloudRefused(f"flavor {flavor.name} is too small", hint="large")
        number = f"instance-{next(self._numbers)}"
        began(number)
        progress.stage("start", "Starting")
        self.instances[number] = Instance(number, request.name, InstanceState.ACTIVE, flavor.name, ("192.0.2.7",))
        self.requests[number] = request
        return self.instances[number]

    def instance(self, instance_id: str) -> Instance:
        self._here()
        if instance_id not in self.instances:
            raise NotFound(f"no instance {instance_id}", hint="forgelet deploy list")
        return self.instances[instance_id]

    def set_state(self, instance_id: str, state: InstanceState, fault: str = "") -> None:
        """What a test wants it to be from now on."""
        self.instances[instance_id] = replace(self.instances[instance_id], state=state, fault=fault)

    def console(self, instance_id: str) -> str:
        return f"{self.instance(instance_id).name} login:"

    def terminate(self, instance_id: str) -> None:
        self.instance(instance_id)
        del self.instances[instance_id]
