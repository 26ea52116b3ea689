"""An agent that hammr started tells that it is there: its scan begins, a job of kind `scan` like any other."""

from __future__ import annotations

import re
from collections.abc import Sequence

from emulator.errors import Conflict
from emulator.jobs.kinds import State
from emulator.resources.agents import downloads
from emulator.resources.agents.ingest import Ingest
from emulator.resources.agents.tables import Download
from emulator.resources.jobs.tables import Job
from emulator.resources.quotas import service as quotas
from emulator.resources.scans import service as scans
from emulator.resources.scans.tables import Scan, ScannedInstance
from emulator.resources.users.tables import User
from emulator.service import Service
from scanner.errors import UserError
from scanner.targets.exchange import Exchange
from scanner.targets.posted import PREFIX

NODE = re.compile(r"[^A-Za-z0-9._-]+")
LONGEST_WORD = 100


def begin(here: Service, user: User, agent: str, name: str, overlay: bool, exclude: list[str], system: dict[str, str], node: str) -> tuple[Scan, str]:
    """The new scan, and the token of what follows. Raises `UserError`, `Conflict`, `NotFound`, `QuotaExceeded`; then nothing was started."""
    download = downloads.find(here, agent)
    if download.given_up:
        raise Conflict("this agent came too late: its scan was given up", hint="run hammr scan run again")
    problems = [*scans.check_name(name), *scans.check_exclude(exclude)]
    if problems:
        raise UserError("the scan cannot be run as asked", problems=problems)
    quotas.room(here, user)
    label = PREFIX + (NODE.sub("-", node)[:LONGEST_WORD] or "unknown")
    with here.database.write() as session:
        quotas.claim(session, user, "scan")
        scans.check_mix(session, user, name, overlay)
        for _, members in scans.instances(session, user, name):
            _alone(members)
        scan, job = scans.add(session, user, name, label, overlay, exclude)
        assert scan.id is not None and job.id is not None
        scan.awaited = download.kind == "scan"
        job.arguments = {**job.arguments, "silence": here.settings.agent_silence}
        _introduce(session.get_one(ScannedInstance, scan.instance_id), system)
        session.get_one(Download, download.id).scan_id = scan.id
        exchange = Exchange(here.folders.exchange(job.id))
        # Before the job can be seen, and so be started, by anybody.
        exchange.make()
    ingest = Ingest(job.id, exchange)
    here.ingests.begin(scan.id, ingest)
    here.queue.submit()
    return scan, ingest.token


def _alone(members: Sequence[tuple[Scan, Job]]) -> None:
    """hammr follows the first unfinished scan of a name: there must be one only."""
    for scan, job in members:
        if job.state in (State.QUEUED, State.RUNNING):
            raise Conflict(f"'{scan.name}' is still running", hint=f"wait for it, or end it: forgelet job cancel --id {job.id}")


def _introduce(instance: ScannedInstance, system: dict[str, str]) -> None:
    """The group says what machine it is from the first moment: a list without it breaks hammr."""
    instance.distribution = system.get("distribution", "")[:LONGEST_WORD] or instance.distribution
    instance.version = system.get("version", "")[:LONGEST_WORD] or instance.version
    instance.arch = system.get("arch", "")[:LONGEST_WORD] or instance.arch
