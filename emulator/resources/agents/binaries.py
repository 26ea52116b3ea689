"""/resources: the two binaries that hammr fetches, without a login, and puts on the machine to be scanned or migrated."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from emulator.resources.agents import downloads
from emulator.resources.agents.waits import address
from emulator.service import Service, TheService

router = APIRouter(prefix="/resources")


@router.get("/uforge-scan.bin")
def scan(request: Request, here: TheService) -> Response:
    """hammr's agent for a scan, stamped with a key of this download."""
    return _binary(here, request, "scan")


@router.get("/uforge-migrate.bin")
def migrate(request: Request, here: TheService) -> Response:
    """hammr's agent for a migration, stamped with a key of this download."""
    return _binary(here, request, "migrate")


def _binary(here: Service, request: Request, kind: str) -> Response:
    """Stamped for this download. Where it is about to run is not known: containers of this machine are made to find the service."""
    content = downloads.stamped(here, kind, address(request))
    if here.nearby is not None:
        here.nearby.reach(request.url.port or 0)
    return Response(content, media_type="application/octet-stream", headers={"Cache-Control": "no-store"})
