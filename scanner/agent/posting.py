"""A scan that is sent to the service: orders are fetched, each one's answer goes back in parts.

Part K of order N is `PUT agent/scans/ID/orders/N/parts/K`: a zlib stream with its sha256 beside it, sent again until the service has
it; one that it has already is not taken twice. `POST …/orders/N/end` says how many parts there were, and the error if there was one.
An order of the service is what `session.py` calls a request: the words of a command line, and a body for `--paths -`.
"""

import hashlib
import io
import json
import threading
import time
import zlib
from typing import Any, Dict
from urllib.parse import quote

from scanner.agent import session, uplink

PART = 1 << 20
"""Bytes of a part, before they are packed."""
FLUSH = 2.0
"""Seconds after which a part that is not full is sent."""
BEAT = 5.0
"""Seconds between two signs of life."""


class Scan:
    """One scan that the service agreed to. Its requests carry a token of its own: the password is not needed any more."""

    def __init__(self, line: uplink.Uplink, told: Dict[str, Any]) -> None:
        self._line = line
        self._path = "agent/scans/%d" % told["scan"]
        line.headers = {"Authorization": "Bearer %s" % told["token"]}

    def follow(self) -> str:
        """Carry out orders until the service says that the scan has ended; how it ended. Raises `Lost`, `Refused`."""
        beat = threading.Thread(target=self._beat, args=(self._twin(),))
        beat.daemon = True
        beat.start()
        number = 1
        while True:
            order = json.loads(self._line.insist("GET", "%s/orders/%d" % (self._path, number)).decode("utf-8"))
            if "ended" in order:
                return str(order["ended"])
            if "arguments" in order:
                self._carry_out(number, order)
                number += 1

    def _carry_out(self, number: int, order: Dict[str, Any]) -> None:
        path = "%s/orders/%d" % (self._path, number)
        body = io.BytesIO(self._line.insist("GET", path + "/paths") if order["paths"] else b"")
        parts = Parts(self._line, path)
        error = session.answer(order["arguments"], body, parts)
        parts.end(error)

    def _twin(self) -> uplink.Uplink:
        twin = uplink.Uplink(self._line.base)
        twin.headers = dict(self._line.headers)
        return twin

    def _beat(self, line: uplink.Uplink) -> None:
        while True:
            time.sleep(BEAT)
            try:
                line.ask("POST", self._path + "/alive")
            except (OSError, uplink.Refused):
                # What matters is seen by the thread that sends.
                pass


class Parts(io.RawIOBase):
    """Everything that is written, sent in parts."""

    def __init__(self, line: uplink.Uplink, path: str) -> None:
        self._line = line
        self._path = path
        self._number = 0
        self._waiting = bytearray()
        self._sent = time.monotonic()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._waiting += data
        while len(self._waiting) >= PART:
            self._send(bytes(self._waiting[:PART]))
            del self._waiting[:PART]
        if self._waiting and time.monotonic() - self._sent > FLUSH:
            self._rest()
        return len(data)

    def end(self, error: str) -> None:
        """The answer is whole, or `error` says why it is not."""
        self._rest()
        told = json.dumps({"parts": self._number, "error": error}).encode("ascii")
        self._deliver("POST", "end", told, {"Content-Type": "application/json"})

    def _rest(self) -> None:
        if self._waiting:
            self._send(bytes(self._waiting))
            self._waiting.clear()

    def _send(self, data: bytes) -> None:
        packed = zlib.compress(data, 1)
        self._deliver("PUT", "parts/%d" % self._number, packed, {"X-Sha256": hashlib.sha256(packed).hexdigest()})
        self._number += 1
        self._sent = time.monotonic()

    def _deliver(self, method: str, path: str, body: bytes, headers: Dict[str, str]) -> None:
        try:
            self._line.insist(method, quote("%s/%s" % (self._path, path)), body, headers)
        except uplink.Refused as error:
            # As when a reader has gone: whatever walks or reads files must not take it for a file's fault.
            raise uplink.Lost(str(error))
