"""The local cloud: images in a folder, instances under libvirt. What a person has who has no OpenStack.

An instance is a persistent domain with its folder: the disk (an overlay on the image's, grown to the flavor's), the config drive, the
console's log and `instance.json`. So it is found again after the service, libvirtd or the machine was started anew.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from builders import configdrive
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
from builders.clouds.catalogue import Catalogue, Kept
from builders.clouds.room import room
from builders.configdrive import Identity
from builders.errors import BootFailed, CloudRefused
from builders.image import driver
from builders.machine import Virtual, domain_xml, free_port
from scanner.errors import ForgeletError, NotFound, Unreachable
from scanner.host import chance
from scanner.host.engines import libvirt_connection
from scanner.host.locks import held
from scanner.host.run import run
from scanner.host.whole import write_whole
from scanner.progress import Progress

FLAVORS = (
    Flavor("1", "f1.tiny", 1, 512, 5),
    Flavor("2", "f1.small", 1, 1024, 10),
    Flavor("3", "f1.medium", 2, 2048, 20),
    Flavor("4", "f1.large", 2, 4096, 40),
    Flavor("5", "f1.xlarge", 4, 8192, 80),
)
NETWORK = Named("isolated", "isolated")
REGION = "RegionOne"
RESERVE = 1024
"""MiB of the machine's memory that no instance gets."""
SSH = 22
PREFIX = "forgelet-instance-"


class Machine(BaseModel):
    """`instance.json`"""

    model_config = ConfigDict(extra="forbid")

    id: str
    tenant: str
    name: str
    flavor: str
    image: str
    memory: int
    ports: dict[int, int]
    mac: str
    ready: bool = False
    """Whether its domain was defined: until then it is being built."""


@dataclass(frozen=True, slots=True)
class LocalCloud:
    """One tenant's view of the local cloud in the folder `home`. See `builders.clouds.base.Cloud`."""

    home: Path
    tenant: str

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue(self.home / "images")

    def check(self) -> Standing:
        try:
            with _libvirt():
                reason = ""
        except Unreachable as error:
            reason = error.message
        facts = {"memory": f"{_memory() - self._taken()} MiB free for instances", **({"provision": reason} if reason else {})}
        return Standing(self.tenant, self.tenant, {"publish": True, "provision": not reason}, facts)

    def publish(self, offer: Offer, progress: Progress, began: Began) -> Published:
        progress.stage("upload", f"Taking {offer.name} into the local catalogue")
        known = self.catalogue.same(offer, self.tenant)
        kept = known or self._add(offer, progress, began)
        return Published(kept.id, kept.size, kept.sha512, self.tenant, already=known is not None)

    def _add(self, offer: Offer, progress: Progress, began: Began) -> Kept:
        image_id = str(chance.identifier())
        began(image_id)
        try:
            with room(self.catalogue.folder / "disk"):
                return self.catalogue.add(image_id, offer, self.tenant, progress)
        except BaseException as error:
            began("")
            if isinstance(error, ValueError) and not isinstance(error, ForgeletError):
                raise CloudRefused(f"{offer.file.name}: {error}", hint="build the image again") from error
            raise

    def fetch(self, cloud_id: str, into: Path, progress: Progress) -> None:
        kept = self.catalogue.find(cloud_id, self.tenant)
        with room(into):
            shutil.copyfile(self.catalogue.disk(kept), into)
        with into.open("rb") as copied:
            found = hashlib.file_digest(copied, "sha512").hexdigest()
        if found != kept.sha512:
            into.unlink()
            raise CloudRefused(f"the local cloud's image {cloud_id} is not what was published", hint="publish it again")

    def withdraw(self, cloud_id: str) -> None:
        self.catalogue.abandon(cloud_id)
        kept = self.catalogue.find(cloud_id, self.tenant)
        if kept.tenant != self.tenant:
            raise CloudRefused(f"image {cloud_id} belongs to '{kept.tenant}'", hint="its owner may withdraw it")
        users = [one.name for one in self._all() if one.image == cloud_id]
        if users:
            raise CloudRefused(f"image {cloud_id} is in use by {', '.join(users)}", hint="forgelet deploy terminate, then again")
        self.catalogue.remove(kept)

    def resources(self) -> Resources:
        fitting = [flavor for flavor in FLAVORS if flavor.memory <= _memory()]
        return Resources(flavors=fitting, networks=(NETWORK,), zones=(Named(REGION, REGION),))

    def provision(self, cloud_id: str, request: Request, progress: Progress, began: Began) -> Instance:
        progress.stage("place", "Finding room")
        image = self.catalogue.find(cloud_id, self.tenant)
        flavor = self._flavor(request.flavor, image)
        number = chance.identifier()
        began(str(number))
        try:
            folder, kept = self._begin(number, request, flavor, image)
            progress.stage("disk", "Making disk and config drive")
            progress.update(30, "Making disk and config drive")
            self._disk(folder, image, flavor)
            who = Identity(request.hostname or request.name, request.name, kept.id, request.public_keys, request.user_data, kept.mac)
            configdrive.write(folder / "config.iso", who)
            progress.stage("start", "Starting")
            progress.update(70, "Starting")
            self._start(folder, kept, flavor)
        except BaseException:
            self._remove(str(number))
            began("")
            raise
        return self.instance(kept.id)

    def instance(self, instance_id: str) -> Instance:
        kept = self._find(instance_id)
        state, fault = (InstanceState.BUILD, "") if not kept.ready else _state(kept.id)
        return Instance(kept.id, kept.name, state, kept.flavor, ("127.0.0.1",), kept.ports, fault)

    def console(self, instance_id: str) -> str:
        log = self.home / "instances" / self._find(instance_id).id / "console.log"
        run(["chmod", "a+r", str(log)], root=True, check=False)
        try:
            return log.read_bytes().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def terminate(self, instance_id: str) -> None:
        self._abandon(instance_id)
        self._remove(self._find(instance_id).id)

    def _flavor(self, wanted: str, image: Kept) -> Flavor:
        flavor = next((one for one in FLAVORS if wanted in (one.id, one.name)), None)
        if flavor is None:
            raise CloudRefused(f"there is no flavor '{wanted}'", hint="flavors: " + ", ".join(one.name for one in FLAVORS))
        problems = [
            *([f"the image needs a disk of {image.min_disk} GiB, the flavor has {flavor.disk}"] if flavor.disk < image.min_disk else []),
            *([f"the image needs {image.min_ram} MiB of memory, the flavor has {flavor.memory}"] if flavor.memory < image.min_ram else []),
        ]
        if problems:
            larger = [one.name for one in FLAVORS if one.disk >= image.min_disk and one.memory >= image.min_ram]
            raise CloudRefused(f"flavor {flavor.name} is too small", hint="flavors that do: " + ", ".join(larger), problems=problems)
        return flavor

    def _check(self, request: Request, flavor: Flavor) -> None:
        problems = [f"network '{one}': the local cloud has '{NETWORK.name}' only" for one in request.networks if one not in (NETWORK.id, NETWORK.name)]
        problems += [f"port {port}: from 1 to 65535" for port in request.ports if not 1 <= port <= 65535]
        free = _memory() - self._taken()
        if flavor.memory > free:
            problems.append(f"flavor {flavor.name} needs {flavor.memory} MiB of memory, and {max(0, free)} are free on this machine")
        if problems:
            raise CloudRefused("the local cloud cannot make the instance", hint="forgelet deploy list shows what runs", problems=problems)

    def _taken(self) -> int:
        """MiB of memory that instances have which run or are about to."""
        return sum(one.memory for one in self._all() if not one.ready or _state(one.id)[0] is InstanceState.ACTIVE)

    def _begin(self, number: UUID, request: Request, flavor: Flavor, image: Kept) -> tuple[Path, Machine]:
        """Its folder, by which its memory and its ports are taken: nobody else looks for room meanwhile. Raises `CloudRefused`."""
        with held(self.home / "instances.lock"):
            self._check(request, flavor)
            kept = self._machine(number, request, flavor, image)
            folder, partial = self.home / "instances" / kept.id, self._partial(kept.id)
            partial.mkdir(parents=True, mode=0o700)
            # What sweeps a folder ends and forgets the machine that such a file names.
            (partial / f"{PREFIX}{kept.id}.domain").touch()
            self._save(partial, kept)
            partial.rename(folder)
        return folder, kept

    def _machine(self, number: UUID, request: Request, flavor: Flavor, image: Kept) -> Machine:
        taken = {port for one in self._all() for port in one.ports.values()}
        ports: dict[int, int] = {}
        for port in dict.fromkeys([SSH, *request.ports]):
            ports[port] = _port(taken)
            taken.add(ports[port])
        return Machine(
            id=str(number),
            tenant=self.tenant,
            name=request.name,
            flavor=flavor.name,
            image=image.id,
            memory=flavor.memory,
            ports=ports,
            mac=":".join(["fa", "16", "3e", *(f"{byte:02x}" for byte in number.bytes[:3])]),
        )

    def _disk(self, folder: Path, image: Kept, flavor: Flavor) -> None:
        backing = self.catalogue.disk(image)
        run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", driver(image.format), "-b", str(backing.resolve()), str(folder / "disk.qcow2"), f"{flavor.disk}G"])

    def _start(self, folder: Path, kept: Machine, flavor: Flavor) -> None:
        self.bring_up(kept, flavor)
        self._save(folder, kept.model_copy(update={"ready": True}))

    def bring_up(self, kept: Machine, flavor: Flavor, *, start: bool = True) -> None:
        """Make the instance, whose folder is there, known to libvirt, and start it. Raises `BootFailed`, `Unreachable`."""
        folder = self.home / "instances" / kept.id
        console = folder / "console.log"
        xml = domain_xml(
            Virtual(f"{PREFIX}{kept.id}", folder / "disk.qcow2", folder / "config.iso", console, kept.memory, kept.ports, flavor.vcpus, kept.mac, kept.id)
        )
        with _libvirt() as connection:
            import libvirt

            try:
                domain = connection.defineXML(xml)
                if start:
                    domain.create()
            except libvirt.libvirtError as error:
                raise BootFailed(f"the instance could not be started: {error}", hint="forgelet doctor") from error

    @staticmethod
    def _save(folder: Path, kept: Machine) -> None:
        write_whole(folder / "instance.json", kept.model_dump_json(indent=1))

    def _all(self) -> Sequence[Machine]:
        """Of every tenant: memory and ports are the machine's."""
        found = []
        for file in sorted((self.home / "instances").glob("[!.]*/instance.json")):
            with suppress(FileNotFoundError):
                found.append(Machine.model_validate_json(file.read_bytes()))
        return found

    def _find(self, instance_id: str) -> Machine:
        for one in self._all():
            if one.id == instance_id and one.tenant == self.tenant:
                return one
        raise NotFound(f"the local cloud has no instance {instance_id}", hint="forgelet deploy list")

    def _partial(self, instance_id: str) -> Path:
        return self.home / "instances" / f".{instance_id}"

    def _abandon(self, instance_id: str) -> None:
        """Take away what is there of an instance whose folder a process began to make which is gone."""
        shutil.rmtree(self._partial(instance_id), ignore_errors=True)

    def _remove(self, instance_id: str) -> None:
        self._abandon(instance_id)
        if not (self.home / "instances" / instance_id).exists():
            return
        import libvirt

        with _libvirt() as connection, suppress(libvirt.libvirtError):
            domain = connection.lookupByName(f"{PREFIX}{instance_id}")
            with suppress(libvirt.libvirtError):
                domain.destroy()
            domain.undefine()
        run(["rm", "-rf", "--", str(self.home / "instances" / instance_id)], root=True)


@contextmanager
def _libvirt() -> Iterator[Any]:
    connection = libvirt_connection()
    try:
        yield connection
    finally:
        connection.close()


def _state(instance_id: str) -> tuple[InstanceState, str]:
    """The state of a domain that was started, and why it is in ERROR."""
    import libvirt

    with _libvirt() as connection:
        try:
            state, reason = connection.lookupByName(f"{PREFIX}{instance_id}").state()
        except libvirt.libvirtError:
            return InstanceState.ERROR, "libvirt does not know the instance any more"
    if state in (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_BLOCKED, libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_SHUTDOWN):
        return InstanceState.ACTIVE, ""
    if state == libvirt.VIR_DOMAIN_CRASHED or reason in (libvirt.VIR_DOMAIN_SHUTOFF_CRASHED, libvirt.VIR_DOMAIN_SHUTOFF_FAILED):
        return InstanceState.ERROR, "the machine crashed"
    return InstanceState.SHUTOFF, ""


def _memory() -> int:
    """MiB of this machine that instances may have."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 - RESERVE


def _port(taken: set[int]) -> int:
    while (port := free_port()) in taken:
        pass
    return port
