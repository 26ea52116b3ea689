"""What hammr sees while `scan run` waits for its scan: the listing by name is all that it goes by.

It looks for a scan of the name that is not finished, for ever. So a scan that ended before hammr saw it is first shown unfinished,
once; while all are finished the answer takes a second; and a scan whose agent never reported is listed, and then failed.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Request

from emulator.errors import NeverReported
from emulator.jobs.kinds import ENDED, State
from emulator.resources.agents import downloads
from emulator.resources.agents.tables import Download
from emulator.resources.jobs.tables import Job
from emulator.resources.scans import service as scans
from emulator.resources.scans.tables import Scan, ScannedInstance
from emulator.resources.users.tables import User
from emulator.service import Service
from emulator.storage import narrow
from emulator.wire.negotiation import wants_xml
from scanner.host import clock
from scanner.targets.posted import PREFIX

Group = tuple[ScannedInstance, list[tuple[Scan, Job]]]
OLDEST = 3600.0
"""Seconds after which an agent is not waited for any more."""
UNREACHED = "serve where that machine can reach it (forgelet serve --host), and give hammr that URL"


def address(request: Request) -> str:
    """Of the client."""
    return request.client.host if request.client else ""


def base(request: Request) -> str:
    """The URL of the service, as the client has it."""
    return f"{request.url.scheme}://{request.url.netloc}/api"


def of_hammr(request: Request) -> bool:
    """Whether UForge's own client asks, which wants XML; what others are told is never held back."""
    return wants_xml(request.scope)


def look(here: Service, user: User, name: str, request: Request) -> list[Group]:
    """The group of that name, as hammr is to see it."""
    assert user.id is not None
    key = (user.id, name, address(request))
    again = here.polls.again(key)
    found = _found(here, user, name)
    if _unfinished(found):
        return found
    if not again:
        return [group for group in found if scans.binding(group[1])]
    download = _overdue(here, address(request))
    if download is not None:
        here.polls.forget(key)
        _fail(here, user, name, download, base(request))
        return _found(here, user, name)
    if any(members for _, members in found):
        _pause(here, user, name)
        found = _found(here, user, name)
    return found


def _found(here: Service, user: User, name: str) -> list[Group]:
    with here.database.read() as session:
        return scans.instances(session, user, name)


def _unfinished(found: Sequence[Group]) -> bool:
    return any(scan.awaited or job.state not in ENDED for _, members in found for scan, job in members)


def _pause(here: Service, user: User, name: str) -> None:
    """hammr asks again at once when all are finished: it gets its answer when there is news, or after a while."""
    deadline = clock.monotonic() + here.settings.listing_pause
    while clock.monotonic() < deadline and not here.stopping.is_set():
        clock.sleep(0.1)
        if _unfinished(_found(here, user, name)):
            return


def _overdue(here: Service, client: str) -> Download | None:
    """The agent that this client waits for in vain."""
    found = downloads.awaited(here, client)
    if found is None:
        return None
    return found if found.reason or here.settings.agent_wait <= downloads.age(found) < OLDEST else None


def _fail(here: Service, user: User, name: str, download: Download, url: str) -> None:
    """A scan that never was: there to be seen, and failed."""
    if download.reason:
        error = NeverReported(f"the scan could not begin: {download.reason}", hint="mend that, then run hammr scan run again")
    else:
        seconds = f"{here.settings.agent_wait:g}"
        error = NeverReported(f"no agent has reported within {seconds} seconds: the scanned machine could not reach {url}, or has no Python 3", hint=UNREACHED)
    with here.database.write() as session:
        copy = session.get_one(Download, download.id)
        if copy.given_up or copy.scan_id is not None:
            return
        copy.given_up = True
        scans.add_failed(session, user, name, f"{PREFIX}unknown", error).awaited = True


def seen(here: Service, found: Sequence[Group]) -> None:
    """hammr was shown these unfinished: from now on they are told as they are."""
    shown = [scan.id for _, members in found for scan, _ in members if scan.awaited]
    if shown:
        with here.database.write() as session:
            for scan_id in shown:
                scan = session.get(Scan, scan_id)
                if scan is not None:
                    scan.awaited = False


def held(job: Job) -> Job:
    """The job as if it had not ended."""
    return Job(**{**narrow.told(job), "state": State.RUNNING, "percent": min(job.percent, 99), "message": "Finishing", "error": ""})
