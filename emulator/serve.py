"""Run the service in this process until it is told to end."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.control.interference import TRANSPORT
from emulator.folders import Folders
from emulator.nearby import Nearby
from emulator.settings import Settings
from scanner.errors import UserError

KEPT = 60
"""Seconds that a connection without a request stays. httpx lets go of one after 5: a service that closed it at that moment would meet its next request."""
GRACE = 2
"""Seconds that open requests get when the service ends."""
PATIENCE = 9.0
"""Seconds after which the service ends whatever hangs."""


@contextmanager
def held(folders: Folders) -> Iterator[None]:
    """The data folder is ours alone. Raises `UserError` when another service has it."""
    with folders.lock.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"another service is running on {folders.data}", hint="use it, end it, or give another --data") from error
        yield


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises `UserError` when the address is taken or is none."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # Named, since asyncio turns delays (Nagle) off only for sockets that say they are TCP.
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except OSError as error:
        raise UserError(f"cannot listen on {host} port {port}: {error.strerror or error}", hint="give another --host or --port") from error
    return sock


def serve(settings: Settings, say: Callable[[str], None], seed: str = "") -> None:
    """Serve until SIGTERM or SIGINT; `seed` is a file, or the name of a seed that the service knows. Raises `UserError` when the data folder
    or the port is taken, `NotFound` or `UserError` for the seed."""
    folders = Folders(settings.data.absolute())
    folders.make()
    with held(folders), listen(settings.host, settings.port) as sock:
        _run(settings, sock, say, _kept(folders, seed))


def _kept(folders: Folders, seed: str) -> str:
    """The name of the seed, which is known to the service from now on and has no mistakes."""
    if not seed:
        return ""
    from emulator.control.seeds.wanted import Seeds

    file = Path(seed)
    known = Seeds(folders.seeds)
    if not file.is_file():
        known.get(seed)
        return seed
    known.put(file.stem, file.read_text(encoding="utf-8"), file.parent.absolute())
    return file.stem


def _run(settings: Settings, sock: socket.socket, say: Callable[[str], None], seed: str) -> None:
    import uvicorn

    from emulator.app import make_app, make_service

    here = make_service(settings)
    here.nearby = Nearby()
    here.seed = seed
    app = _reaching(make_app(here))
    gc.freeze()
    gc.enable()

    class Server(uvicorn.Server):
        loop: asyncio.AbstractEventLoop | None = None
        told = asyncio.Event()

        async def main_loop(self) -> None:
            """Once a second, for the answers' `Date`. uvicorn's own looks ten times a second whether it shall end; this one is told."""
            self.loop = asyncio.get_running_loop()
            while not await self.on_tick(0):
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.told.wait(), 1)

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            here.stopping.set()
            _end_by(PATIENCE)
            super().handle_exit(sig, frame)
            if self.loop is not None:
                # A signal alone does not end the loop's waiting.
                self.loop.call_soon_threadsafe(self.told.set)

    tls = _tls(settings, here.folders)
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="on", timeout_graceful_shutdown=GRACE, timeout_keep_alive=KEPT, server_header=False, **tls)
    # uvicorn gives the signal back to whoever handled it before, once it has shut down: that is nobody, and the end is a good one.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    host, port = sock.getsockname()[:2]
    say(f"Forgelet serves {'https' if tls else 'http'}://{host}:{port}/api (data in {here.folders.data})")
    asyncio.run(Server(config).serve(sockets=[sock]))


def _reaching(app: ASGIApp) -> ASGIApp:
    """The application, with each request's connection in reach of the faults that break it."""

    async def reach(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope.setdefault("extensions", {})[TRANSPORT] = getattr(getattr(receive, "__self__", None), "transport", None)
        await app(scope, receive, send)

    return reach


def _tls(settings: Settings, folders: Folders) -> dict[str, Any]:
    if not settings.tls:
        return {}
    from emulator.certificate import certificate

    made, key = certificate(folders.tls, settings.host)
    return {"ssl_certfile": made, "ssl_keyfile": key}


def _end_by(seconds: float) -> None:
    late = threading.Timer(seconds, os._exit, (0,))
    late.daemon = True
    late.start()
