"""Images of a real OpenStack: Glance's API v2, over the SDK's session.

Facts about Glance (33): it cannot resume an upload, so a cut one starts again on a fresh connection; it does not look whether a disk
is what its format says; a client must wait for `active` itself.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from keystoneauth1 import exceptions as auth_errors
from openstack import exceptions as errors

from builders.clouds import hashes
from builders.clouds.base import Began, Offer, Published
from builders.clouds.login import Login
from builders.clouds.refusals import ANY, GONE, PLACES, passing, status_of, words
from builders.clouds.room import room
from builders.errors import CloudRefused
from scanner.errors import ForgeletError
from scanner.host import clock
from scanner.progress import Progress

PIECE = 1 << 20
PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each attempt to send or fetch: a Glance that is started anew is there again by the last."""
ACTIVE = 300.0
"""Seconds that Glance gets to make an image active once it has all of it."""
SETTLED = 30.0
"""Seconds that Glance gets to notice that an upload broke off."""
PROBE = "forgelet account check"
"""Name of the images without a byte that `probe` begins."""


class Glance:
    """One login's images. Raises what `refusals.told` turns into ours, and ours."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._session: Any = None

    @property
    def _name(self) -> str:
        return self._login.account.name

    def count(self) -> int:
        """Of the images that the project owns."""
        found, page = 0, "/v2/images"
        while page:
            told = self._json("GET", page, ("images",), params={"owner": self._login.project_id, "limit": 100} if page == "/v2/images" else None)
            found, page = found + len(told["images"]), told.get("next", "")
        return found

    def usage(self) -> dict[str, Any]:
        """Quotas and what is used of them; none where Glance has none."""
        with suppress(*ANY, CloudRefused):
            told = self._json("GET", "/v2/info/usage", ("usage",))["usage"]
            return {f"quota {name}": f"{one['usage']} of {one['limit']}" for name, one in told.items()}
        return {}

    def probe(self, visibility: str) -> dict[str, Any]:
        """Really begin an image, without any byte, and take it away at once: roles and policies are each cloud's own. Raises what refuses it.

        Answers what is left there, when the cloud would not take it away; the next probe tries again.
        """
        for left in self._list({"name": PROBE, "owner": self._login.project_id, "status": "queued", "visibility": visibility}):
            self.discard(left["id"])
        image_id = str(uuid.uuid4())
        self._ask("POST", "/v2/images", json={"id": image_id, "name": PROBE, "visibility": visibility, "disk_format": "raw", "container_format": "bare"})
        if any(self.discard(image_id) for _ in range(2)):
            return {}
        return {"left behind": f"image {image_id}, which was begun to ask and could not be taken away; the next check tries again"}

    def publish(self, offer: Offer, progress: Progress, began: Began) -> Published:
        """As `Cloud`."""
        known = self._same(offer)
        if known is not None:
            sha512 = known["os_hash_value"] if known.get("os_hash_algo") == "sha512" else hashes.digest(offer.file, "sha512")
            return Published(known["id"], known["size"], sha512, self._login.project_name, already=True)
        try:
            return self._sent(offer, progress, began)
        except _Stuck:
            progress.log("Glance was ended while it saved, and has given the image up without knowing it: another image is begun")
        try:
            return self._sent(offer, progress, began)
        except _Stuck as error:
            raise self._killed("saving") from error

    def _sent(self, offer: Offer, progress: Progress, began: Began) -> Published:
        # Our own number: whoever is stopped while Glance makes the image knows what to take away.
        image_id = str(uuid.uuid4())
        began(image_id)
        try:
            self._ask("POST", "/v2/images", json={"id": image_id, **_described(offer)})
            return self._send(image_id, offer, progress)
        except BaseException as error:
            if self.discard(image_id):
                began("")
            elif isinstance(error, _Stuck):
                # What is written down must not be forgotten for another.
                raise self._killed("saving") from error
            raise

    def _same(self, offer: Offer) -> dict[str, Any] | None:
        """The project's active image of that name and visibility which we sent from the same file."""
        visibility = "public" if offer.public else "private"
        query = {"name": offer.name, "owner": self._login.project_id, "status": "active", "forgelet_sha256": offer.sha256, "visibility": visibility}
        return next((one for one in self._list(query) if one["id"] not in offer.doomed), None)

    def _send(self, image_id: str, offer: Offer, progress: Progress) -> Published:
        body = Body(offer.file, progress)
        try:
            self._patiently(lambda again: self._put(image_id, body, progress, again), progress, "the upload broke off, again from the start")
            if body.sha256 != offer.sha256:
                raise CloudRefused(f"{offer.file.name} is not the file that was built", hint="build the image again")
            image = self._active(image_id, progress)
        except (errors.HttpException, auth_errors.HttpError) as error:
            if status_of(error) not in GONE:
                raise
            raise self._killed("gone") from error
        right = hashes.matches(image, offer.file, {"sha512": body.sha512, "sha256": body.sha256})
        if right is False:
            raise CloudRefused(f"{self._name} has other bytes than were sent: the image was taken away there", hint="publish it again")
        if right is None:
            progress.log(f"{self._name} tells no hash that is known here ({image.get('os_hash_algo') or 'none'}): what it has was not compared with what was sent")
        return Published(image_id, image["size"], body.sha512, self._login.project_name)

    def _put(self, image_id: str, body: Body, progress: Progress, again: bool) -> None:
        if again:
            status = self._settled(image_id, progress)
            if status == "active":
                return
            if status == "saving":
                raise _Stuck
            if status != "queued":
                raise self._killed(status)
        self._ask("PUT", f"/v2/images/{image_id}/file", data=body, headers={"Content-Type": "application/octet-stream"}, timeout=ACTIVE)

    def _patiently(self, act: Callable[[bool], None], progress: Progress, says: str) -> None:
        """Again as long as what goes wrong may pass, each time over a new connection: the old one may be broken without knowing it."""
        for attempt, pause in enumerate(PAUSES, 1):
            _wait(pause, progress)
            try:
                act(attempt > 1)
                return
            except ANY as error:
                if attempt == len(PAUSES) or not passing(error):
                    raise
                self._session = None
                progress.log(f"{says}, attempt {attempt + 1}: {words(error)}")

    def _settled(self, image_id: str, progress: Progress) -> str:
        """The image's status, once Glance has noticed that the upload broke off: only a queued image takes another."""
        deadline = clock.monotonic() + SETTLED
        while (status := self._image(image_id)["status"]) == "saving" and clock.monotonic() < deadline:
            progress.update(12, "Waiting for Glance to give up the broken upload")
            clock.sleep(0.5)
        return str(status)

    def _active(self, image_id: str, progress: Progress) -> dict[str, Any]:
        deadline, status = clock.monotonic() + ACTIVE, "saving"
        while clock.monotonic() < deadline:
            try:
                image = self._image(image_id)
            except ANY as error:
                if not passing(error):
                    raise
                self._session = None
                progress.log(f"Glance does not answer ({words(error)}): waiting for it")
            else:
                status = image["status"]
                if status == "active":
                    return image
                if status not in ("queued", "saving", "importing", "uploading"):
                    raise self._killed(status)
            progress.update(92, f"Waiting for the image to be active: it is {status}")
            clock.sleep(0.5)
        raise CloudRefused(f"the image was not active {ACTIVE:.0f} s after it was sent", hint="publish it again, or ask the cloud's operator")

    def _killed(self, status: str) -> CloudRefused:
        said = f"{self._name} gave the image up while it was saved: it is {status}"
        return CloudRefused(said, hint="publish it again; if it happens again, ask the cloud's operator who takes images away")

    def discard(self, image_id: str) -> bool:
        """What was begun is taken away; whether it is gone. Whatever keeps it there is said by what went wrong before."""
        self._session = None
        try:
            self.withdraw(image_id)
        except errors.NotFoundException:
            return True
        except (ForgeletError, *ANY):
            return False
        return True

    def withdraw(self, image_id: str) -> None:
        self._ask("DELETE", f"/v2/images/{image_id}")

    def fetch(self, image_id: str, into: Path, progress: Progress) -> None:
        """As `Cloud`."""
        into.parent.mkdir(parents=True, exist_ok=True)
        with room(into):
            image = self._image(image_id)
            if image["status"] != "active":
                raise CloudRefused(f"image {image_id} cannot be fetched: {self._name} says that it is {image['status']}", hint="the same again once it is active")
            partial = into.with_name(f"{into.name}.partial")
            self._patiently(lambda _: self._resume(image, partial, progress), progress, "the download broke off, on from there")
            if hashes.matches(image, partial, {}) is False:
                partial.unlink()
                raise CloudRefused(f"what came back of image {image_id} is not what the cloud says it has", hint="download it again")
            partial.rename(into)

    def _resume(self, image: Mapping[str, Any], partial: Path, progress: Progress) -> None:
        done = partial.stat().st_size if partial.exists() else 0
        if done < image["size"]:
            answer = self._ask("GET", f"/v2/images/{image['id']}/file", headers={"Range": f"bytes={done}-"} if done else {}, stream=True)
            with partial.open("ab" if answer.status_code == 206 else "wb") as out:
                done = out.tell()
                for piece in answer.iter_content(PIECE):
                    done += out.write(piece)
                    progress.update(100 * done // image["size"], f"{done} of {image['size']} bytes")
        if done < image["size"]:
            raise auth_errors.ConnectFailure(f"{done} of {image['size']} bytes came")
        partial.touch()

    def _image(self, image_id: str) -> dict[str, Any]:
        return self._json("GET", f"/v2/images/{image_id}", ("id", "status"))

    def _list(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._json("GET", "/v2/images", ("images",), params=query)["images"]
        return found

    def _json(self, method: str, path: str, needs: Sequence[str], **request: Any) -> dict[str, Any]:
        """The object that is answered. Raises `CloudRefused` when it has not what Glance's have."""
        told: dict[str, Any] = self._ask(method, path, **request).json()
        if not isinstance(told, dict) or not told.keys() >= set(needs):
            raise self._none_there()
        return told

    def _ask(self, method: str, path: str, **request: Any) -> Any:
        """One request, answered well."""
        answer = self._request(method, path, **request)
        if answer.status_code == 404:
            # Where no Glance is nothing is found either: that something is gone is believed of a Glance only. A server that
            # answers before it has read everything hangs up.
            self._session = None
            if self._request("GET", "/v2/images", params={"limit": "1"}).status_code == 404:
                raise self._none_there()
        errors.raise_from_response(answer)
        return answer

    def _request(self, method: str, path: str, **request: Any) -> Any:
        self._session = self._session or self._login.session()
        return self._session.request(f"{self._login.glance}{path}", method, raise_exc=False, authenticated=True, **request)

    def _none_there(self) -> CloudRefused:
        return CloudRefused(f"{self._name}: {self._login.glance} does not answer as a Glance does", hint=PLACES)


class _Stuck(Exception):
    """An image that no Glance saves any more, although it says so, and that takes no other upload."""


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


def _described(offer: Offer) -> dict[str, Any]:
    return {
        "name": offer.name,
        "disk_format": offer.format,
        "container_format": "bare",
        "min_disk": offer.min_disk,
        "min_ram": offer.min_ram,
        "visibility": "public" if offer.public else "private",
        **offer.properties,
    }


def _wait(seconds: float, progress: Progress) -> None:
    """Hears a cancel on the way."""
    deadline = clock.monotonic() + seconds
    while (left := deadline - clock.monotonic()) > 0:
        progress.update(12, "Waiting before the next attempt")
        clock.sleep(min(0.5, left))
