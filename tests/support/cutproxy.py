"""A loopback proxy before a server, that breaks connections: the network between a client and its cloud, on a bad day."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable


class CutProxy:
    """Listens on a port of 127.0.0.1 and passes on to another. `cut_after` bytes of a request (of the next `times` connections that send so
    many) `then` is called and both ends are closed, unless it only `watches`; `delay` seconds pass before each answer. `cut_back` is
    the same for bytes of what is answered, on the way back."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.cut_after: int | None = None
        self.cut_back: int | None = None
        self.times = 0
        self.watches = False
        self.delay = 0.0
        self.then: Callable[[], None] = lambda: None
        self.cuts = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            client.close()
            return
        threading.Thread(target=self._back, args=(server, client), daemon=True).start()
        passed = 0
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                passed += len(data)
                if self._cuts(passed, self.cut_after):
                    break
                server.sendall(data)
        for one in (client, server):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _cuts(self, passed: int, after: int | None) -> bool:
        with self._lock:
            if after is None or passed < after or self.times <= 0:
                return False
            self.times -= 1
            self.cuts += 1
        self.then()
        return not self.watches

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if self.delay:
                    threading.Event().wait(self.delay)
                passed += len(data)
                if self._cuts(passed, self.cut_back):
                    break
                client.sendall(data)
        # A server that hangs up (an idle connection above all) does so before its client too.
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
