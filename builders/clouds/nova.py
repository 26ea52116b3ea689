"""Instances of a real OpenStack: Nova, through the SDK.

Nova numbers its servers itself, and tells the number only in the answer, which may never arrive. So what is begun is known by a mark of
ours: a name in the server's metadata, and the name of its key pair. By the mark a server is found that nobody was told of.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence
from typing import Any

from keystoneauth1 import exceptions as auth_errors
from openstack import exceptions as errors

from builders.clouds.base import Began, Flavor, Instance, InstanceState, Named, Request, Resources
from builders.clouds.login import Login
from builders.clouds.refusals import ANY, status_of
from builders.errors import CloudRefused
from scanner.errors import ForgeletError, NotFound
from scanner.host import clock
from scanner.progress import Progress

BOOT = 900.0
"""Seconds that Nova gets to make a server active."""
END = 40.0
"""Seconds that Nova gets to take a server away: somebody waits for the answer."""
LATE = 20.0
"""Seconds after which a server that was asked for is not going to appear any more."""
MARK = "forgelet-"
ENDED = ("DELETED", "SOFT_DELETED")
STATES = {state.value: state for state in InstanceState}


class Nova:
    """One login's instances. Raises what `refusals.told` turns into ours, and ours."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._cloud = login.connection()

    def facts(self) -> dict[str, Any]:
        """How much of its quotas the project uses."""
        limits = self._cloud.compute.get_limits().absolute
        return {
            "instances": f"{limits.instances_used} of {limits.instances}",
            "cores": f"{limits.total_cores_used} of {limits.total_cores}",
            "memory": f"{limits.total_ram_used} of {limits.total_ram} MiB",
        }

    def networks(self) -> list[Named]:
        return [Named(one.id, one.name) for one in self._cloud.network.networks()]

    def resources(self) -> Resources:
        """As `Cloud`."""
        flavors = [Flavor(one.id, one.name, one.vcpus, one.ram, one.disk) for one in self._cloud.compute.flavors()]
        keys = [Named(one.name, one.name) for one in self._cloud.compute.keypairs()]
        return Resources(flavors, self._networks(), [Named(self._login.region, self._login.region)], keys=keys)

    def _networks(self) -> list[Named]:
        """None in a cloud that has no Neutron."""
        return self.networks() if self._login.offers("network") else []

    def provision(self, image_id: str, request: Request, progress: Progress, began: Began) -> Instance:
        """As `Cloud`."""
        progress.stage("place", "Asking Nova")
        mark = f"{MARK}{uuid.uuid4()}"
        asked = {**self._described(image_id, request), "metadata": {"forgelet": mark}}
        progress.stage("start", "Starting")
        began(mark)
        noted = mark
        try:
            server_id = self._create(asked, mark, request.public_keys)
            began(server_id)
            noted = server_id
            return self._started(server_id, progress)
        except BaseException as error:
            if self._undone(noted, error):
                began("")
            raise

    def _create(self, asked: dict[str, Any], mark: str, public_keys: Sequence[str]) -> str:
        if not public_keys:
            return str(self._cloud.compute.create_server(**asked).id)
        self._cloud.compute.create_keypair(name=mark, public_key=public_keys[0])
        server = self._cloud.compute.create_server(**asked, key_name=mark)
        # A server keeps its key: the pair was needed to make it, and nobody would ever take it away.
        self._cloud.compute.delete_keypair(mark)
        return str(server.id)

    def _undone(self, noted: str, error: BaseException) -> bool:
        """Whether nothing is left of what was begun. A server may still appear of a request that was not answered: that is for later to find."""
        try:
            self.terminate(noted, patience=0.0)
        except NotFound:
            return not noted.startswith(MARK) or 400 <= status_of(error) < 500
        except (ForgeletError, *ANY):
            return False
        return True

    def _described(self, image_id: str, request: Request) -> dict[str, Any]:
        flavor = next((one for one in self._cloud.compute.flavors() if request.flavor in (one.id, one.name)), None)
        networks = self._networks()
        chosen = [one for wanted in request.networks for one in networks if wanted in (one.id, one.name)]
        problems = [
            *([] if flavor else [f"flavor: this cloud has no '{request.flavor}'"]),
            *(f"network: this cloud has no '{wanted}'" for wanted in request.networks if not any(wanted in (one.id, one.name) for one in networks)),
            *([f"network: which one? there are {', '.join(one.name for one in networks)}"] if len(networks) > 1 and not request.networks else []),
            *(["public keys: Nova takes one"] if len(request.public_keys) > 1 else []),
            *(["public keys: Nova takes one, and a key pair is named too"] if request.public_keys and request.key_name else []),
            *(["ports: only the local cloud brings them to this machine; in a real one a security group opens them"] if request.ports else []),
        ]
        if problems:
            raise CloudRefused("the instance cannot be made so", hint="forgelet deploy resources --publish-id ID", problems=problems)
        asked: dict[str, Any] = {"name": request.name, "image_id": image_id, "flavor_id": flavor.id, "config_drive": True}  # type: ignore[union-attr]
        asked["networks"] = [{"uuid": one.id} for one in chosen] if chosen else ("auto" if networks else "none")
        if request.user_data:
            asked["user_data"] = base64.b64encode(request.user_data.encode()).decode()
        if request.zone:
            asked["availability_zone"] = request.zone
        if request.key_name:
            asked["key_name"] = request.key_name
        if request.security_groups:
            asked["security_groups"] = [{"name": name} for name in request.security_groups]
        if request.hostname not in ("", request.name):
            # A Nova older than 2.90 of its API refuses it.
            asked["hostname"] = request.hostname
        return asked

    def _started(self, server_id: str, progress: Progress) -> Instance:
        deadline = clock.monotonic() + BOOT
        while clock.monotonic() < deadline:
            found = self.instance(server_id)
            if found.state is InstanceState.ACTIVE:
                return found
            if found.state is InstanceState.ERROR:
                raise CloudRefused(f"Nova could not start it: {found.fault}", hint="forgelet deploy resources --publish-id ID, or ask the cloud's operator")
            progress.update(60, "Waiting for Nova")
            clock.sleep(1)
        raise CloudRefused(f"the server was not active after {BOOT:.0f} s", hint="ask the cloud's operator")

    def instance(self, instance_id: str) -> Instance:
        """As `Cloud`."""
        server = self._cloud.compute.get_server(instance_id)
        addresses = [one["addr"] for network in (server.addresses or {}).values() for one in network]
        fault = (server.fault or {}).get("message", "") if hasattr(server, "fault") else ""
        flavor = (server.flavor or {}).get("original_name") or (server.flavor or {}).get("id") or ""
        return Instance(server.id, server.name, STATES.get(server.status, InstanceState.BUILD), flavor, addresses, {}, fault)

    def console(self, instance_id: str) -> str:
        """As `Cloud`."""
        return str(self._cloud.compute.get_server_console_output(instance_id)["output"])

    def terminate(self, instance_id: str, patience: float = LATE) -> None:
        """As `Cloud`. `patience` is how long a server is looked for that has only its mark, in seconds."""
        if not instance_id.startswith(MARK):
            self._end(instance_id)
            return
        self._cloud.compute.delete_keypair(instance_id)
        for server in self._marked(instance_id, patience):
            self._end(server)

    def _marked(self, mark: str, patience: float) -> list[str]:
        """Ids of the servers that bear the mark. Raises `NotFound`."""
        deadline = clock.monotonic() + patience
        while not (found := [one.id for one in self._cloud.compute.servers() if (one.metadata or {}).get("forgelet") == mark]):
            if clock.monotonic() >= deadline:
                raise NotFound(f"{self._login.account.name} has no server that bears the mark {mark}", hint="forgelet deploy list")
            clock.sleep(1)
        return found

    def _end(self, server_id: str) -> None:
        """Raises `CloudRefused` when it is still there after `END`."""
        self._cloud.compute.delete_server(server_id, ignore_missing=False)
        deadline = clock.monotonic() + END
        try:
            while clock.monotonic() < deadline:
                if self._cloud.compute.get_server(server_id).status in ENDED:
                    return
                clock.sleep(1)
        except (errors.NotFoundException, auth_errors.NotFound):
            return
        raise CloudRefused(f"Nova was asked to take server {server_id} away, and after {END:.0f} s it is still there", hint="the same again in a moment, or ask the cloud's operator")
