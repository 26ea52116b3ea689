"""A cloud: where images are published and instances run. One account opens one cloud; a real OpenStack and the local one look alike.

`builders.clouds.opened` turns an account into its cloud. Nothing here stores anything: rows are the service's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from scanner.progress import Progress


@dataclass(frozen=True, slots=True)
class Account:
    """What opens a cloud: an account's own elements, secrets in clear. For the one job that logs in; never written anywhere."""

    name: str
    kind: str
    """`openstack` or `local`"""
    fields: Mapping[str, Any]
    """`keystoneUrl`, `glanceUrl`, `keystoneVersion`, `login`, …"""
    secrets: Mapping[str, Any] = field(repr=False, default_factory=dict)
    patience: float | None = None
    """Seconds that all calls may take together, from the opening on, where somebody waits for the answer."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What an account may do, as the cloud itself says."""

    user: str
    project: str
    abilities: Mapping[str, bool]
    """`publish`, `provision` … -> whether the cloud lets it"""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Quotas, networks, versions, the reason where something is not possible."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An image as it is to be published."""

    name: str
    file: Path
    """The disk, as it was built."""
    format: str
    """One of `builders.spec.FORMATS`"""
    sha256: str
    min_disk: int
    """GiB, rounded up"""
    min_ram: int
    """MiB"""
    public: bool
    properties: Mapping[str, str]
    """What a scheduler wants (`os_distro`, `hw_disk_bus` …) and where the image comes from (`forgelet_*`)."""
    doomed: frozenset[str] = frozenset()
    """Images of the cloud that may be taken away any moment: they are not recognised as this one."""


@dataclass(frozen=True, slots=True)
class Published:
    """An image in a cloud."""

    cloud_id: str
    size: int
    """Bytes, as the cloud tells them."""
    sha512: str
    tenant: str
    """Name of the project that owns it."""
    already: bool = False
    """The same image was there before; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Flavor:
    id: str
    name: str
    vcpus: int
    memory: int
    """MiB"""
    disk: int
    """GiB"""


@dataclass(frozen=True, slots=True)
class Named:
    """A network, zone, group, key pair or pool of a cloud."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Resources:
    """What an instance can be made with."""

    flavors: Sequence[Flavor]
    networks: Sequence[Named] = ()
    zones: Sequence[Named] = ()
    security_groups: Sequence[Named] = ()
    keys: Sequence[Named] = ()
    floating_pools: Sequence[Named] = ()


class InstanceState(StrEnum):
    """As Nova's."""

    BUILD = "BUILD"
    ACTIVE = "ACTIVE"
    SHUTOFF = "SHUTOFF"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Request:
    """An instance as it is wanted."""

    name: str
    flavor: str
    """Id or name."""
    public_keys: Sequence[str] = ()
    """OpenSSH public keys that cloud-init puts into the guest."""
    user_data: str = ""
    networks: Sequence[str] = ()
    zone: str = ""
    key_name: str = ""
    """Of a key pair that the cloud knows."""
    security_groups: Sequence[str] = ()
    hostname: str = ""
    """The name unless given."""
    ports: Sequence[int] = ()
    """Ports of the guest that are to be reached from this machine, besides SSH's; for the local cloud."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A machine in a cloud."""

    id: str
    name: str
    state: InstanceState
    flavor: str
    addresses: Sequence[str] = ()
    ports: Mapping[int, int] = field(default_factory=dict)
    """Port of the guest -> port on 127.0.0.1, for an instance of the local cloud."""
    fault: str = ""
    """Why it is in ERROR."""


Began = Callable[[str], None]
"""Told by what name the cloud takes away what is about to be made there, before there is anything, and "" once it was taken away again: so what
a killed job left, or what a cloud that went away kept, can be undone later. Never told of what is not this caller's own."""


class Cloud(Protocol):
    """check -> publish -> provision. Every call raises `Unreachable`, `CloudRefused` (the cloud's own words, a hint) or `NotFound`."""

    def check(self) -> Standing:
        """Really log in."""

    def publish(self, offer: Offer, progress: Progress, began: Began) -> Published:
        """Send the image, wait until the cloud has it whole, compare its hash with ours; nothing is left there otherwise.

        The same image, with the same name and visibility, is recognised: nothing is sent, and nothing began. Raises `Cancelled` too.
        """

    def fetch(self, cloud_id: str, into: Path, progress: Progress) -> None:
        """Bring the published image back to the file `into`, resumed where it broke off, its hash checked."""

    def withdraw(self, cloud_id: str) -> None:
        """Take a published image away."""

    def resources(self) -> Resources:
        """What an instance can be made with."""

    def provision(self, cloud_id: str, request: Request, progress: Progress, began: Began) -> Instance:
        """Make an instance of a published image and wait until it is ACTIVE. Leaves nothing behind when it cannot."""

    def instance(self, instance_id: str) -> Instance:
        """As it is now."""

    def console(self, instance_id: str) -> str:
        """Its serial console so far, printable."""

    def terminate(self, instance_id: str) -> None:
        """Take the instance away, with all that it has here, by its id or by what it began as. Returns when it is gone, and raises otherwise."""
