"""What a learner has to have done, one function a lesson: each looks into the service, and says step by step what is there and what is not.

A check never takes the learner's word for work: scans, images, proofs, templates and instances are read from the service, and only
those count that were made since the lesson began. Where an answer is asked for (`--answer`), it is held against what the service finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from emulator.lab.lessons.lesson import find_lesson
from emulator.lab.lessons.state import Begun

SMALL = 500
"""MiB: the disk that is too small, in the lesson `blocked`."""


class Look(Protocol):
    """How a check sees the service (as the learner's own client does) and the live systems."""

    def get(self, path: str) -> Any:
        """A resource below the user, as JSON; None when there is none."""

    def rehearse(self, scan: dict[str, Any], text: str) -> list[dict[str, Any]]:
        """What each builder of a builder file would meet."""

    def seen(self, scan: dict[str, Any], path: str) -> str:
        """The SHA-256 of a file that no package brought, as the scan saw it; empty when it did not."""

    def digest(self, container: str, path: str) -> str:
        """The SHA-256 of a file of a live system, as it is now; empty when there is none."""


@dataclass(frozen=True)
class Step:
    """One thing that has to be there."""

    done: bool
    what: str


Check = Callable[["Work"], Iterator[Step]]


@dataclass(frozen=True)
class Work:
    """What the learner made since the lesson began."""

    look: Look
    begun: Begun
    answers: Sequence[str]

    def scans(self, container: str, *, overlay: bool = True) -> list[dict[str, Any]]:
        """Finished scans of the container, the newest first."""
        groups = self.look.get("scannedinstances?includeScans=true")["scannedInstances"]["scannedInstance"]
        found = [one for group in groups for one in group["scans"]["scan"] if group["overlayIncluded"] or not overlay]
        mine = [one for one in found if one["target"] == f"docker:{container}" and one["status"]["complete"] and self.counts(one)]
        return sorted(mine, key=lambda one: -int(one["dbId"]))

    def images(self, sources: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Finished images of scans or templates."""
        uris = {one["uri"] for one in sources}
        return [one for one in self.look.get("images")["images"]["image"] if one["parentUri"] in uris and one["status"]["complete"] and self.counts(one)]

    def counts(self, made: dict[str, Any]) -> bool:
        return str(made["created"]) >= self.begun.since


def first_migration(work: Work) -> Iterator[Step]:
    scans = work.scans("lesson-web")
    yield Step(bool(scans), "a finished scan of lesson-web, with its overlay")
    images = work.images(scans)
    yield Step(bool(images), "an image of that scan")
    proofs = [proof for one in images if (proof := work.look.get(f"images/{one['dbId']}/verifications/last"))]
    same = [one for one in proofs if one["scopes"] and not any(scope["unexplained"] for scope in one["scopes"].values())]
    yield Step(bool(same), "a proof of that image without unexplained differences")
    yield Step(any(probe["equal"] and ":80" in probe["probe"] for one in same for probe in one["probes"]), "the page on port 80, probed and equal")


def database(work: Work) -> Iterator[Step]:
    path = "/srv/office/orders.db"
    scans = work.scans("lesson-office")
    yield Step(bool(scans), "a finished scan of lesson-office, with its overlay")
    now = work.look.digest("lesson-office", path)
    whole = [one for one in scans if now and work.look.seen(one, path) == now]
    yield Step(bool(whole), "the database in the scan is the one that lesson-office has now, byte for byte")
    yield Step(bool(work.images(whole)), "an image of such a scan")


def edit_template(work: Work) -> Iterator[Step]:
    templates = [one for one in work.look.get("appliances")["appliances"]["appliance"] if one["fromScan"] and work.counts(one)]
    yield Step(bool(templates), "a template of a scan")
    profiles = [(one, work.look.get(f"appliances/{one['dbId']}/installProfile")) for one in templates]
    zoned = [(one, profile) for one, profile in profiles if profile["timezone"] == "Pacific/Auckland"]
    yield Step(bool(zoned), "a template whose time zone is Pacific/Auckland")
    changed = [one for one, profile in zoned if work.begun.word in profile["welcomeMsg"]]
    yield Step(bool(changed), f"its welcome message has the word {work.begun.word}")
    built = [image for one in changed for image in work.look.get(f"appliances/{one['dbId']}/images")["images"]["image"]]
    yield Step(any(one["status"]["complete"] for one in built), "an image of that template")


def blocked(work: Work) -> Iterator[Step]:
    scans = work.scans("lesson-web")
    yield Step(bool(scans), "a finished scan of lesson-web, with its overlay")
    text = f"builders:\n- type: openstack\n  hardwareSettings: {{memory: 1024}}\n  installation: {{diskSize: {SMALL}}}\n"
    met = work.look.rehearse(scans[0], text) if scans else []
    least = {str(one["disk"]["least"]) for one in met if one["disk"]}
    yield Step(bool(least & set(work.answers)), "the size that the rehearsal names, with --answer")
    images = [one for one in work.images(scans) if one["installProfile"]["diskSize"] > SMALL]
    yield Step(bool(images), "an image of that scan, on a disk that is large enough")


def drift(work: Work) -> Iterator[Step]:
    for container in ("lesson-web", "lesson-web-2"):
        yield Step(bool(work.scans(container, overlay=False)), f"a finished scan of {container}")
    named, changed = set(work.answers), set(work.begun.drifted)
    yield Step(bool(named), "the paths, with --answer")
    yield Step(changed <= named, f"{len(changed & named)} of {len(changed)} changed paths are named")
    # The time of a folder moves when something in it comes or goes: whoever names it is right, and nobody has to.
    moved = {path.rpartition("/")[0] or "/" for path in changed}
    yield Step(named <= changed | moved, f"{len(named - changed - moved)} paths are named that nobody changed")


def provision(work: Work) -> Iterator[Step]:
    images = work.images(work.scans("lesson-web"))
    yield Step(bool(images), "an image of a scan of lesson-web")
    uris = {one["uri"] for one in images}
    sent = [one for one in work.look.get("pimages")["publishImages"]["publishImage"] if one["imageUri"] in uris and one["status"]["complete"]]
    yield Step(bool(sent), "that image, published")
    numbers = {one["dbId"] for one in sent}
    running = [one for one in work.look.get("deployments")["deployments"]["deployment"] if one["publication"] in numbers and one["state"] == "running"]
    yield Step(bool(running), "an instance of it that runs")


CHECKS: dict[str, Check] = {
    "first-migration": first_migration,
    "database": database,
    "edit-template": edit_template,
    "blocked": blocked,
    "drift": drift,
    "provision": provision,
}


def check(begun: Begun, look: Look, answers: Sequence[str] = ()) -> list[Step]:
    """Each thing that the lesson asks for, and whether it is there. Raises `NotFound`, and what `look` raises."""
    return list(CHECKS[find_lesson(begun.lesson).name](Work(look, begun, answers)))
