"""The Docker engine at a second endpoint: a TCP port of this machine's loopback, as an engine on another machine is reached."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

SOCKET = "/var/run/docker.sock"


class EngineProxy:
    """Leads each connection to the engine's socket. After `cut` bytes of answers, everything that is open is cut."""

    def __init__(self, cut: int | None = None) -> None:
        self._left = cut
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.answered = 0
        """Bytes that came from the engine."""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(SOCKET)
                threading.Thread(target=self._pump, args=(near, far, False), daemon=True).start()
                threading.Thread(target=self._pump, args=(far, near, True), daemon=True).start()

    def _pump(self, source: socket.socket, to: socket.socket, answers: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if answers:
                    self.answered += len(data)
                    if self._left is not None and self.answered > self._left:
                        break
                to.sendall(data)
        for sock in (source, to):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()


@contextmanager
def engine_proxy(cut: int | None = None) -> Iterator[EngineProxy]:
    made = EngineProxy(cut)
    try:
        yield made
    finally:
        made.close()
