"""What clouds say of instances. One look logs in to each account once, to all at the same time, and waits for none of them long."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emulator.jobs.kinds import ENDED, State
from emulator.resources.accounts.opening import cloud_of
from emulator.resources.deployments.tables import Deployment
from emulator.resources.jobs.tables import Job
from emulator.resources.publications import service as publications
from emulator.resources.publications.tables import Publication
from emulator.resources.users.tables import User
from emulator.service import Service
from emulator.storage import stamp
from scanner.errors import ForgeletError, NotFound

if TYPE_CHECKING:
    from builders.clouds.base import Cloud, Instance

Found = tuple[Deployment, Publication, Job]
RUNNING, STARTING, STOPPED, FAILED, UNKNOWN = "running", "starting", "stopped", "on-fire", "unknown"
"""UForge's states: clients wait for `running` or `on-fire` (PROTOCOL section 7)."""
STATES = {"BUILD": STARTING, "ACTIVE": RUNNING, "SHUTOFF": STOPPED, "ERROR": FAILED}
LOOK = 10.0
"""Seconds that all answers of one account may take together."""
_last: dict[tuple[Path, str], tuple[Seen, str]] = {}
"""Data folder and the cloud's number of an instance -> what was seen of it last, and when: told while its cloud does not answer."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An instance as its cloud tells it, or as it was seen last."""

    state: str
    """UForge's"""
    instance: Instance | None = None
    fault: str = ""
    """Why it is not well, or not known."""


def look(here: Service, user: User, wanted: Sequence[Found]) -> list[Seen]:
    """Of each of them, in that order."""
    accounts: defaultdict[tuple[object, ...], list[int]] = defaultdict(list)
    for place, (_, publication, _) in enumerate(wanted):
        accounts[publication.account_id, *(publication.asked.get(key) for key in ("keystoneDomain", "keystoneProject"))].append(place)
    seen: dict[int, Seen] = {}

    def ask(places: list[int]) -> None:
        opened = _Opened(here, user, wanted[places[0]][1])
        seen.update({place: _seen(here, opened, wanted[place]) for place in places})

    if accounts:
        with ThreadPoolExecutor(len(accounts)) as pool:
            list(pool.map(ask, accounts.values()))
    return [seen[place] for place in range(len(wanted))]


def forget(here: Service, instance_id: str) -> None:
    """It is gone."""
    _last.pop((here.folders.data, instance_id), None)


class _Opened:
    """The cloud of a publication, opened when it is asked."""

    def __init__(self, here: Service, user: User, publication: Publication) -> None:
        self._here, self._user, self._publication = here, user, publication
        self._cloud: Cloud | None = None

    def instance(self, instance_id: str) -> Instance:
        if self._cloud is None:
            row = publications.account_row(self._here, self._user, self._publication)
            self._cloud = cloud_of(self._here, row, self._publication.asked, LOOK)
        return self._cloud.instance(instance_id)


def _seen(here: Service, cloud: _Opened, found: Found) -> Seen:
    deployment, _, job = found
    if job.state not in ENDED:
        return Seen(STARTING)
    if job.state != State.DONE or not deployment.cloud_id:
        return Seen(FAILED, None, job.error or job.message)
    place = (here.folders.data, deployment.cloud_id)
    try:
        instance = cloud.instance(deployment.cloud_id)
    except NotFound as error:
        return Seen(FAILED, None, error.message)
    except ForgeletError as error:
        if place not in _last:
            return Seen(UNKNOWN, None, error.message)
        last, when = _last[place]
        return Seen(UNKNOWN, last.instance, f"{error.message} (seen last at {when}: {last.state})")
    told = Seen(STATES[instance.state.value], instance, instance.fault)
    _last[place] = (told, stamp.now())
    return told
