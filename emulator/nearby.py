"""The service on the loopback address of this machine's containers, for agents that hammr started there.

hammr tells its agent the URL that hammr itself uses: usually http://127.0.0.1:8090/api, which inside a container with a network of its
own leads nowhere. So while an agent may be on its way (from the download of its binary on, for `STAY` seconds, longer when another one is
downloaded), the service also listens on 127.0.0.1 in the network namespace of every running container of the local Docker engine
that has one of its own, and passes what arrives there on to itself. A port that is taken inside stays as it is. network_namespaces(7):
a socket belongs to the namespace that its thread was in when it was made.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

from scanner.host import clock
from scanner.host.engines import docker_client

log = logging.getLogger("forgelet.nearby")
CLONE_NEWNET = 0x40000000
STAY = 1800.0
"""Seconds that the service stays after the last download: a scan may take its time."""
PIECE = 1 << 16
OWN = Path("/proc/self/ns/net")


class Nearby:
    """Listens inside containers when asked. `reach` may be called from any thread; the rest happens in the loop that `attach` was called in."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._servers: dict[int, asyncio.Server] = {}
        self._until = 0.0
        self._lock = threading.Lock()

    def attach(self) -> None:
        """Called in the service's own loop."""
        self._loop = asyncio.get_running_loop()

    def reach(self, port: int) -> int:
        """Make the service, which listens on `port` here, found by agents inside containers; in how many it listens now.

        Never raises: without the engine, or without root, agents in containers need another URL.
        """
        if self._loop is None or not port:
            return 0
        with self._lock:
            self._until = clock.elapsed() + STAY
            try:
                found = namespaces()
            except Exception as error:
                log.info("no container is made to find the service: %s", error)
                return 0
            for inode in set(self._servers) - set(found):
                # The container is gone; our socket is what keeps its network.
                self._loop.call_soon_threadsafe(self._servers.pop(inode).close)
            for inode, pid in found.items():
                if inode not in self._servers:
                    self._listen(inode, pid, port)
            self._loop.call_soon_threadsafe(self._loop.call_later, STAY + 1, self._leave)
            return len(self._servers)

    def close(self) -> None:
        """Called in the loop: listen nowhere any more."""
        for server in self._servers.values():
            server.close()
        self._servers.clear()

    def _leave(self) -> None:
        if clock.elapsed() >= self._until:
            self.close()

    def _listen(self, inode: int, pid: int, port: int) -> None:
        assert self._loop is not None
        try:
            sock = socket_inside(pid, port)
            made = asyncio.run_coroutine_threadsafe(asyncio.start_server(_Passage(port).carry, sock=sock), self._loop)
            self._servers[inode] = made.result(5)
        except OSError as error:
            log.info("the service is not on the loopback of process %s: %s", pid, error)


class _Passage:
    """Connections to the service itself."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.CancelledError):
        while data := await reader.read(PIECE):
            writer.write(data)
            await writer.drain()
    writer.close()


def namespaces() -> dict[int, int]:
    """Network namespaces of running containers, but for this process's own: inode -> a process in it. Raises when the engine does not answer."""
    own = OWN.stat().st_ino
    found: dict[int, int] = {}
    with contextlib.closing(docker_client(timeout=3)) as engine:
        import docker.errors

        for one in engine.api.containers():
            with contextlib.suppress(OSError, docker.errors.APIError):
                pid = engine.api.inspect_container(one["Id"])["State"]["Pid"]
                inode = Path(f"/proc/{pid}/ns/net").stat().st_ino
                if pid and inode != own:
                    found[inode] = pid
    return found


def socket_inside(pid: int, port: int) -> socket.socket:
    """A socket that listens on 127.0.0.1 in the network of process `pid`. Raises OSError."""
    made: list[socket.socket | OSError] = []
    # A thread of its own, which ends in that network: every other thread stays where it is.
    thread = threading.Thread(target=_bind, args=(pid, port, made))
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def _bind(pid: int, port: int, made: list[socket.socket | OSError]) -> None:
    try:
        with ExitStack() as undo:
            namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
            undo.callback(os.close, namespace)
            _enter(namespace)
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            failed = undo.enter_context(ExitStack())
            failed.callback(sock.close)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", port))
            sock.listen()
            failed.pop_all()
            made.append(sock)
    except OSError as error:
        made.append(error)


def _enter(namespace: int) -> None:
    """setns(2): os.setns is not in Python 3.11."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
