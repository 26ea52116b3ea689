"""A real OpenStack, through openstacksdk: Keystone v3, Glance v2, Nova.

Facts about Glance (33): it cannot resume an upload, so a cut one starts again on a fresh connection; it does not look whether a disk
is what its format says; a client must wait for `active` itself.
"""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from keystoneauth1 import exceptions as auth_errors
from openstack import exceptions as errors

from builders.clouds.base import (
    Account,
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
from builders.clouds.login import Login
from builders.clouds.room import room
from builders.errors import CloudRefused
from scanner.errors import ForgeletError, NotFound, Unreachable
from scanner.host import clock
from scanner.progress import Progress

PIECE = 1 << 20
ATTEMPTS = 3
"""How often an upload is begun when the connection breaks."""
ACTIVE = 300.0
"""Seconds that Glance gets to make an image active once it has all of it."""
BOOT = 900.0
"""Seconds that Nova gets to make a server active."""
STATES = {state.value: state for state in InstanceState}


class OpenstackCloud:
    """One account's view of its cloud. See `builders.clouds.base.Cloud`."""

    def __init__(self, account: Account) -> None:
        self.account = account

    @cached_property
    def _login(self) -> Login:
        return Login(self.account)

    @cached_property
    def _cloud(self) -> Any:
        with told(self.account):
            return self._login.connection()

    def check(self) -> Standing:
        with told(self.account):
            abilities: dict[str, bool] = {}
            facts: dict[str, Any] = {}
            asks = {
                "publish": ("image", self._publish_facts),
                "publish to all": ("image", lambda: self._may_publish("public")),
                "provision": ("compute", self._compute_facts),
                "networks": ("network", self._network_facts),
            }
            for ability, (service, ask) in asks.items():
                try:
                    facts |= ask()
                    abilities[ability] = True
                except (errors.SDKException, auth_errors.ClientException) as error:
                    abilities[ability] = False
                    refused = getattr(error, "status_code", None) or getattr(error, "http_status", None)
                    facts[f"no {ability}"] = words(error) if refused else f"there is no {service} service: {words(error)}"
            if self._login.warning:
                facts["warning"] = self._login.warning
            return Standing(self._login.user_name, self._login.project_name, abilities, facts)

    def _publish_facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"roles": ", ".join(self._login.roles)}
        facts["images"] = sum(1 for _ in self._cloud.image.images(owner=self._login.project_id, limit=100))
        with suppress(errors.SDKException, auth_errors.ClientException):
            usage = self._json("GET", "/v2/info/usage")["usage"]
            facts |= {f"quota {name}": f"{one['usage']} of {one['limit']}" for name, one in usage.items()}
        return facts | self._may_publish("private")

    def _may_publish(self, visibility: str) -> dict[str, Any]:
        """Really begin an image, without any byte, and take it away at once: roles and policies are each cloud's own. Raises what refuses it."""
        image_id = str(uuid.uuid4())
        asked = {"id": image_id, "name": "forgelet account check", "visibility": visibility, "disk_format": "raw", "container_format": "bare"}
        self._ask("POST", "/v2/images", json=asked)
        self._ask("DELETE", f"/v2/images/{image_id}")
        return {}

    def _compute_facts(self) -> dict[str, Any]:
        limits = self._cloud.compute.get_limits().absolute
        return {
            "instances": f"{limits.instances_used} of {limits.instances}",
            "cores": f"{limits.total_cores_used} of {limits.total_cores}",
            "memory": f"{limits.total_ram_used} of {limits.total_ram} MiB",
        }

    def _network_facts(self) -> dict[str, Any]:
        return {"networks": ", ".join(network.name for network in self._cloud.network.networks()) or "none"}

    def publish(self, offer: Offer, progress: Progress, began: Began) -> Published:
        progress.stage("upload", f"Sending {offer.name}")
        with told(self.account):
            known = self._same(offer)
            if known is not None:
                began(known["id"])
                return Published(known["id"], known["size"], known["os_hash_value"] or "", self._login.project_name, already=True)
            # Our own number: whoever is stopped while Glance makes the image knows what to take away.
            image_id = str(uuid.uuid4())
            began(image_id)
            try:
                self._ask("POST", "/v2/images", json={"id": image_id, **self._described(offer)})
                return self._send(image_id, offer, progress)
            except BaseException:
                if self._discard(image_id):
                    began("")
                raise

    def _same(self, offer: Offer) -> dict[str, Any] | None:
        """The project's active image of that name which we sent from the same file."""
        query = {"name": offer.name, "owner": self._login.project_id, "status": "active", "forgelet_sha256": offer.sha256}
        for visibility in ("private", "public"):
            found = self._json("GET", "/v2/images", params={**query, "visibility": visibility})["images"]
            if found and offer.public == (visibility == "public"):
                image: dict[str, Any] = found[0]
                return image
        return None

    def _described(self, offer: Offer) -> dict[str, Any]:
        return {
            "name": offer.name,
            "disk_format": offer.format,
            "container_format": "bare",
            "min_disk": offer.min_disk,
            "min_ram": offer.min_ram,
            "visibility": "public" if offer.public else "private",
            **offer.properties,
        }

    def _send(self, image_id: str, offer: Offer, progress: Progress) -> Published:
        body = Body(offer.file, progress)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._ask("PUT", f"/v2/images/{image_id}/file", data=body, headers={"Content-Type": "application/octet-stream"}, timeout=ACTIVE)
                break
            except errors.HttpException as error:
                if error.status_code not in GONE:
                    raise
                raise self._killed("gone") from error
            except auth_errors.ConnectFailure as error:
                status = self._again(image_id)["status"]
                if status not in ("queued", "saving", "active") or attempt == ATTEMPTS:
                    raise
                progress.log(f"the upload broke off ({words(error)}); the image is {status}; again from the start, attempt {attempt + 1}")
                if status == "active":
                    break
                self._settled(image_id, progress)
        if body.sha256 != offer.sha256:
            raise CloudRefused(f"{offer.file.name} is not the file that was built", hint="build the image again")
        image = self._active(image_id, progress)
        if image["os_hash_algo"] == "sha512" and image["os_hash_value"] != body.sha512:
            raise CloudRefused(f"{self.account.name} has other bytes than were sent: the image was taken away there", hint="publish it again")
        return Published(image_id, image["size"], body.sha512, self._login.project_name)

    def _again(self, image_id: str) -> dict[str, Any]:
        """The image, asked over a new connection: the old one may be broken without knowing it."""
        self.__dict__.pop("_cloud", None)
        return self._json("GET", f"/v2/images/{image_id}")

    def _settled(self, image_id: str, progress: Progress) -> None:
        """Wait until Glance has noticed that the upload broke off: only a queued image takes another."""
        deadline = clock.monotonic() + 60
        while self._json("GET", f"/v2/images/{image_id}")["status"] == "saving" and clock.monotonic() < deadline:
            progress.update(12, "Waiting for Glance to give up the broken upload")
            clock.sleep(0.5)

    def _active(self, image_id: str, progress: Progress) -> dict[str, Any]:
        deadline = clock.monotonic() + ACTIVE
        while clock.monotonic() < deadline:
            try:
                image = self._json("GET", f"/v2/images/{image_id}")
            except errors.NotFoundException as error:
                raise self._killed("gone") from error
            if image["status"] == "active":
                return image
            if image["status"] not in ("queued", "saving", "importing", "uploading"):
                raise self._killed(image["status"])
            progress.update(92, f"Waiting for the image to be active: it is {image['status']}")
            clock.sleep(0.5)
        raise CloudRefused(f"the image was not active {ACTIVE:.0f} s after it was sent", hint="publish it again, or ask the cloud's operator")

    def _killed(self, status: str) -> CloudRefused:
        said = f"{self.account.name} gave the image up while it was saved: it is {status}"
        return CloudRefused(said, hint="publish it again; if it happens again, ask the cloud's operator who takes images away")

    def _discard(self, image_id: str) -> bool:
        """What was begun is taken away; whether it is gone. Whatever keeps it there is said by what went wrong before."""
        self.__dict__.pop("_cloud", None)
        try:
            self._ask("DELETE", f"/v2/images/{image_id}")
        except errors.NotFoundException:
            return True
        except (ForgeletError, errors.SDKException, auth_errors.ClientException):
            return False
        return True

    def fetch(self, cloud_id: str, into: Path, progress: Progress) -> None:
        into.parent.mkdir(parents=True, exist_ok=True)
        with told(self.account), room(into):
            image = self._json("GET", f"/v2/images/{cloud_id}")
            partial = into.with_name(f"{into.name}.partial")
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    self._resume(image, partial, progress)
                    break
                except auth_errors.ConnectFailure:
                    if attempt == ATTEMPTS:
                        raise
            if image["os_hash_algo"] == "sha512" and _sha512(partial) != image["os_hash_value"]:
                partial.unlink()
                raise CloudRefused(f"what came back of image {cloud_id} is not what the cloud says it has", hint="download it again")
            partial.rename(into)

    def _resume(self, image: Mapping[str, Any], partial: Path, progress: Progress) -> None:
        done = partial.stat().st_size if partial.exists() else 0
        if done >= image["size"]:
            return
        answer = self._ask("GET", f"/v2/images/{image['id']}/file", headers={"Range": f"bytes={done}-"} if done else {}, stream=True)
        with partial.open("ab" if answer.status_code == 206 else "wb") as out:
            done = out.tell()
            for piece in answer.iter_content(PIECE):
                done += out.write(piece)
                progress.update(100 * done // image["size"], f"{done} of {image['size']} bytes")

    def withdraw(self, cloud_id: str) -> None:
        with told(self.account):
            self._ask("DELETE", f"/v2/images/{cloud_id}")

    def resources(self) -> Resources:
        with told(self.account):
            flavors = [Flavor(one.id, one.name, one.vcpus, one.ram, one.disk) for one in self._cloud.compute.flavors()]
            zones = [Named(self._login.region, self._login.region)]
            keys = [Named(one.name, one.name) for one in self._cloud.compute.keypairs()]
            return Resources(flavors, self._networks(), zones, keys=keys)

    def _networks(self) -> list[Named]:
        with suppress(errors.SDKException, auth_errors.ClientException):
            return [Named(one.id, one.name) for one in self._cloud.network.networks()]
        return []

    def provision(self, cloud_id: str, request: Request, progress: Progress, began: Began) -> Instance:
        with told(self.account):
            progress.stage("place", "Asking Nova")
            asked = self._server(cloud_id, request)
            progress.stage("start", "Starting")
            server = self._cloud.compute.create_server(**asked)
            began(server.id)
            try:
                return self._started(server.id, progress)
            except BaseException:
                if self._end(server.id):
                    began("")
                raise

    def _server(self, cloud_id: str, request: Request) -> dict[str, Any]:
        flavor = next((one for one in self._cloud.compute.flavors() if request.flavor in (one.id, one.name)), None)
        networks = self._networks()
        chosen = [one for wanted in request.networks for one in networks if wanted in (one.id, one.name)]
        problems = [
            *([] if flavor else [f"flavor: this cloud has no '{request.flavor}'"]),
            *(f"network: this cloud has no '{wanted}'" for wanted in request.networks if not any(wanted in (one.id, one.name) for one in networks)),
            *(["public keys: Nova takes one"] if len(request.public_keys) > 1 else []),
        ]
        if problems:
            raise CloudRefused("the instance cannot be made so", hint="forgelet deploy resources --publish-id ID", problems=problems)
        asked: dict[str, Any] = {"name": request.name, "image_id": cloud_id, "flavor_id": flavor.id, "config_drive": True}  # type: ignore[union-attr]
        asked["networks"] = [{"uuid": one.id} for one in chosen] if chosen else ("auto" if len(networks) == 1 else "none")
        if request.user_data:
            asked["user_data"] = base64.b64encode(request.user_data.encode()).decode()
        if request.zone:
            asked["availability_zone"] = request.zone
        if request.key_name or request.public_keys:
            asked["key_name"] = request.key_name or self._key(request.public_keys[0])
        if request.security_groups:
            asked["security_groups"] = [{"name": name} for name in request.security_groups]
        return asked

    def _key(self, public: str) -> str:
        """A key pair of this key; the same key has the same name."""
        name = f"forgelet-{hashlib.sha256(public.split()[1].encode()).hexdigest()[:16]}"
        if self._cloud.compute.find_keypair(name) is None:
            self._cloud.compute.create_keypair(name=name, public_key=public)
        return name

    def _started(self, server_id: str, progress: Progress) -> Instance:
        deadline = clock.monotonic() + BOOT
        while clock.monotonic() < deadline:
            found = self._told_instance(server_id)
            if found.state is InstanceState.ACTIVE:
                return found
            if found.state is InstanceState.ERROR:
                raise CloudRefused(f"Nova could not start it: {found.fault}", hint="forgelet deploy resources --publish-id ID, or ask the cloud's operator")
            progress.update(60, "Waiting for Nova")
            clock.sleep(1)
        raise CloudRefused(f"the server was not active after {BOOT:.0f} s", hint="ask the cloud's operator")

    def instance(self, instance_id: str) -> Instance:
        with told(self.account):
            return self._told_instance(instance_id)

    def _told_instance(self, instance_id: str) -> Instance:
        server = self._cloud.compute.get_server(instance_id)
        addresses = [one["addr"] for network in (server.addresses or {}).values() for one in network]
        fault = (server.fault or {}).get("message", "") if hasattr(server, "fault") else ""
        flavor = (server.flavor or {}).get("original_name") or (server.flavor or {}).get("id") or ""
        return Instance(server.id, server.name, STATES.get(server.status, InstanceState.BUILD), flavor, addresses, {}, fault)

    def console(self, instance_id: str) -> str:
        with told(self.account):
            return str(self._cloud.compute.get_server_console_output(instance_id)["output"])

    def terminate(self, instance_id: str) -> None:
        with told(self.account):
            self._cloud.compute.delete_server(instance_id, ignore_missing=False)
            deadline = clock.monotonic() + 120
            with suppress(errors.NotFoundException):
                while clock.monotonic() < deadline:
                    self._cloud.compute.get_server(instance_id)
                    clock.sleep(1)

    def _end(self, server_id: str) -> bool:
        """Whether it is gone."""
        try:
            self.terminate(server_id)
        except NotFound:
            return True
        except (ForgeletError, errors.SDKException, auth_errors.ClientException):
            return False
        return True

    def _json(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        told: dict[str, Any] = self._ask(method, path, **request).json()
        return told

    def _ask(self, method: str, path: str, **request: Any) -> Any:
        """One request to Glance, answered well. Raises what `told` turns into ours."""
        answer = self._cloud.session.request(f"{self._login.glance}{path}", method, raise_exc=False, authenticated=True, **request)
        errors.raise_from_response(answer)
        return answer


class Body:
    """The file as a request's body. It begins anew whenever it is asked for: when a token has expired, the same request is sent once more."""

    def __init__(self, path: Path, progress: Progress) -> None:
        self._path, self._progress = path, progress
        self._size = path.stat().st_size
        self.sha512 = self.sha256 = ""

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        digest, built, done = hashlib.sha512(), hashlib.sha256(), 0
        with self._path.open("rb") as disk:
            while piece := disk.read(PIECE):
                digest.update(piece)
                built.update(piece)
                yield piece
                done += len(piece)
                self._progress.moved(done)
                self._progress.update(10 + 80 * done // self._size, f"{done} of {self._size} bytes")
        self.sha512, self.sha256 = digest.hexdigest(), built.hexdigest()


def _sha512(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha512").hexdigest()


REFUSALS: Mapping[int, tuple[str, str]] = {
    401: ("does not take the login", "forgelet account check NAME; forgelet account create with the right password"),
    403: ("does not allow it", "publicImage: 'no', or ask the cloud's operator for the right"),
    409: ("has something in the way", "the same again in a moment"),
    413: ("has no room left for it", "ask the cloud's operator for storage"),
}
QUOTA = ("is full: its quota does not hold it", "delete images there, or ask the cloud's operator for a larger quota")
GONE = (404, 410)
"""What Glance answers when an image was taken away while it was sent."""


@contextmanager
def told(account: Account) -> Iterator[None]:
    """What the SDK raises, as ours: `CloudRefused` in the cloud's own words, `NotFound`, `Unreachable`."""
    try:
        yield
    except (errors.NotFoundException, auth_errors.NotFound) as error:
        raise NotFound(f"{account.name} has none: {words(error)}", hint="forgelet image list") from error
    except (errors.HttpException, auth_errors.HttpError) as error:
        status = int(getattr(error, "status_code", None) or getattr(error, "http_status", 0) or 0)
        what, hint = REFUSALS.get(status, ("refuses" if status < 500 else "has a fault of its own", "forgelet account check NAME"))
        if status == 413 and "quota" in words(error).lower():
            what, hint = QUOTA
        raise CloudRefused(f"{account.name} {what} (HTTP {status}): {words(error)}", hint=hint.replace("NAME", f"'{account.name}'")) from error
    except auth_errors.MissingRequiredOptions as error:
        raise CloudRefused(f"account {account.name} is not complete: {words(error)}", hint="forgelet account create") from error
    except auth_errors.ConnectTimeout as error:
        raise Unreachable(f"{account.name} is too slow, it did not answer in time: {words(error)}", hint="the same again later, or ask the cloud's operator") from error
    except (auth_errors.ConnectFailure, auth_errors.DiscoveryFailure, auth_errors.EndpointNotFound, auth_errors.CatalogException) as error:
        raise Unreachable(f"{account.name} cannot be reached: {words(error)}", hint="check keystoneUrl and glanceUrl of the account") from error
    except (errors.SDKException, auth_errors.ClientException) as error:
        raise CloudRefused(f"{account.name}: {words(error)}", hint=f"forgelet account check '{account.name}'") from error


def words(error: Exception) -> str:
    """The message, on one line, without markup."""
    said = str(getattr(error, "details", "") or getattr(error, "message", "") or error)
    return " ".join(re.sub(r"<[^>]+>", " ", said).split())[:300]


