"""The agent's binaries: every download has a key of its own, by which the service proves itself to that copy and knows it again."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta

from sqlmodel import col, delete, select
from sqlmodel.sql.expression import SelectOfScalar

from emulator.resources.agents.tables import Download
from emulator.service import Service
from emulator.storage import stamp
from emulator.version import version
from scanner.errors import NotFound, UserError
from scanner.host import clock

KEPT = timedelta(days=1)
MOST = 1000
"""Downloads need no login: no more of them are remembered."""
LONGEST_REASON = 500


def stamped(here: Service, kind: str, address: str) -> bytes:
    """A new copy of the agent for the client at `address`."""
    from scanner.bundle import bundle

    key = secrets.token_hex(32)
    with here.database.write() as session:
        session.exec(delete(Download).where(col(Download.created) < stamp.of(clock.now() - KEPT)))
        download = Download(kind=kind, key=key, address=address, created=stamp.now())
        session.add(download)
        session.flush()
        assert download.id is not None
        session.exec(delete(Download).where(col(Download.id) <= download.id - MOST))
    return bundle(AGENT=str(download.id), KEY=key, KIND=kind, VERSION=version())


def find(here: Service, agent: str) -> Download:
    """Raises `NotFound`."""
    with here.database.read() as session:
        found = session.get(Download, int(agent)) if agent.isdecimal() and len(agent) < 19 else None
    if found is None:
        raise NotFound("this copy of the agent was not downloaded from this service, or long ago", hint="start hammr again: it downloads a new one")
    return found


def proof(download: Download, words: str) -> str:
    """HMAC-SHA256 of `words` under the copy's key, hexadecimal (the other end: `scanner/agent/uplink.py`)."""
    return hmac.new(bytes.fromhex(download.key), words.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


def gone(here: Service, agent: str, reason: str, proven: str) -> None:
    """The copy says why it will not report. Raises `UserError` when it is somebody else who says so."""
    found = find(here, agent)
    if not hmac.compare_digest(proof(found, "agent " + reason).encode(), proven.encode()):
        raise UserError("this does not come from that copy of the agent")
    with here.database.write() as session:
        session.get_one(Download, found.id).reason = stamp.printable(reason)[:LONGEST_REASON] or "no reason was given"


def awaited(here: Service, address: str) -> Download | None:
    """The newest copy for a scan that the client at `address` fetched and that was not heard of."""
    with here.database.read() as session:
        return session.exec(_unheard(address, "scan").order_by(col(Download.id).desc())).first()


def awaited_since(here: Service, address: str, moment: str) -> Download | None:
    """The first copy for a migration that the client at `address` fetched since then, and that was not heard of."""
    with here.database.read() as session:
        return session.exec(_unheard(address, "migrate").where(Download.created >= moment).order_by(col(Download.id))).first()


def _unheard(address: str, kind: str) -> SelectOfScalar[Download]:
    return select(Download).where(Download.address == address, Download.kind == kind, col(Download.scan_id).is_(None), col(Download.given_up).is_(False))


def age(download: Download) -> float:
    """Seconds since it was fetched."""
    return stamp.seconds(download.created, stamp.now())
