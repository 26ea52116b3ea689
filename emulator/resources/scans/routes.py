"""Scanned instances and their scans: rows 18 to 26 of the call table, and the POST by which Forgelet's own targets are scanned."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from emulator.resources.agents import waits
from emulator.resources.scans import service as scans
from emulator.resources.users.tables import User
from emulator.service import Service, TheOwner, TheService
from emulator.wire.answer import answer, collection, lasting, nothing
from scanner.targets.access import Access

router = APIRouter(prefix="/users/{uid}/scannedinstances")


class ScanRequest(BaseModel):
    """What to scan, and under which name."""

    model_config = ConfigDict(extra="forbid")

    name: str
    target: str
    """`docker:NAME`, `libvirt:NAME`, `ssh:USER@HOST:PORT`, `local` or `directory:PATH`"""
    access: Access | None = None
    """What opens an SSH host. In memory only: no row, log or argument ever has it."""
    overlay: bool = False
    exclude: list[str] = []
    redact: bool = False
    """Leave the contents of secrets out of the overlay."""
    whole: bool = False
    """Bring the files of every package home as well, so that it can be built with `strategy: replicate`."""
    volumes: bool = False
    """Of a container: its volumes and bind mounts as well."""
    fresh: bool = False
    """Read every file, also those that stayed as the scan before found them."""


@router.post("")
def create(asked: ScanRequest, here: TheService, owner: TheOwner) -> Response:
    """A new scan, queued; nothing is started when anything is wrong."""
    options: dict[str, bool] = {"redact": asked.redact, "volumes": asked.volumes, "whole": asked.whole, "fresh": asked.fresh}
    scan, job = scans.begin(here, owner, asked.name, asked.target, asked.overlay, asked.exclude, access=asked.access, **options)
    return answer("scan", scans.tell_scan(owner, scan, job), 201)


@router.get("")
def index(request: Request, here: TheService, owner: TheOwner, includeScans: bool = False, name: str | None = None) -> Response:
    """Groups, with their scans when asked. hammr's listing by name is how it waits for its scan (`agents/waits.py`)."""
    if name is not None and waits.of_hammr(request):
        return _waited_for(request, here, owner, name)
    with here.database.read() as session:
        told = scans.tell_all(session, owner, name, with_scans=includeScans)
    return collection("scannedInstances", "scannedInstance", told, lasts=True)


def _waited_for(request: Request, here: Service, owner: User, name: str) -> Response:
    found = waits.look(here, owner, name, request)
    shown = [(instance, [scans.tell_scan(owner, scan, waits.held(job) if scan.awaited else job) for scan, job in members]) for instance, members in found]
    waits.seen(here, found)
    return collection("scannedInstances", "scannedInstance", [scans.tell_instance(owner, instance, members) for instance, members in shown])


@router.delete("")
def clear(here: TheService, owner: TheOwner) -> Response:
    """Every group of the user."""
    with here.database.read() as session:
        found = scans.instances(session, owner)
    for instance, members in found:
        scans.remove(here, [scan for scan, _ in members], instance)
    return nothing()


@router.get("/{siid}")
def show(siid: int, here: TheService, owner: TheOwner) -> Response:
    """One scanned instance with its scans."""
    with here.database.read() as session:
        instance = scans.find_instance(session, owner, siid)
        return lasting("scannedInstance", scans.tell_instance(owner, instance, [scans.tell_scan(owner, *one) for one in scans.scans_of(session, instance)]))


@router.delete("/{siid}")
def delete(siid: int, here: TheService, owner: TheOwner) -> Response:
    """The group and its scans."""
    with here.database.read() as session:
        instance = scans.find_instance(session, owner, siid)
        members = [scan for scan, _ in scans.scans_of(session, instance)]
    scans.remove(here, members, instance)
    return nothing()


@router.delete("/{siid}/scans")
def delete_scans(siid: int, here: TheService, owner: TheOwner) -> Response:
    """The scans of the group; the group stays."""
    with here.database.read() as session:
        members = [scan for scan, _ in scans.scans_of(session, scans.find_instance(session, owner, siid))]
    scans.remove(here, members)
    return nothing()


@router.get("/{siid}/scans/{sid}")
def show_scan(siid: int, sid: int, here: TheService, owner: TheOwner) -> Response:
    """One scan: its state, its numbers, its blind spots."""
    with here.database.read() as session:
        _, scan, job = scans.find_scan(session, owner, siid, sid)
    return lasting("scan", scans.tell_scan(owner, scan, job))


@router.delete("/{siid}/scans/{sid}")
def delete_scan(siid: int, sid: int, here: TheService, owner: TheOwner) -> Response:
    """The scan; its job is cancelled when it still runs."""
    with here.database.read() as session:
        _, scan, _ = scans.find_scan(session, owner, siid, sid)
    scans.remove(here, [scan])
    return nothing()
