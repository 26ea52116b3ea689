"""The agent's way to the service: find it, let it prove itself, only then say who asks. HTTP(S) with a connection that is kept.

The proof: the agent sends a random number, the service answers the HMAC-SHA256 of it under the key that it stamped into this very
download. TLS certificates are not checked (the service signs its own): the proof stands in for them.
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import time
from typing import Any, Dict, List, Mapping, Optional, Tuple
from urllib.parse import quote_plus, urlsplit

from scanner.agent import gateway, stamp

CONNECT = 8
"""Seconds for a first answer from a place where the service may be."""
ANSWER = 60
"""Seconds for an answer: long polls end well before."""
PATIENCE = 90
"""Seconds for which a service that proved itself may be gone before it is given up."""
PAUSES = (0.2, 0.5, 1, 2, 5)
Answer = Dict[str, Any]


class Refused(Exception):
    """The service answered, and said no."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Lost(BrokenPipeError):
    """The service is not there, or wants nothing more. A BrokenPipeError, as nobody reads what the scan still writes."""


def prove(key: str, words: str) -> str:
    """HMAC-SHA256 of `words`, hexadecimal."""
    return hmac.new(bytes.fromhex(key), words.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


class Credential:
    """A login with its password, or with a pair of API keys."""

    def __init__(self, user: str, password: Optional[str] = None, public: str = "", secret: str = "") -> None:
        self.user = user
        self._password, self._public, self._secret = password, public, secret

    def sign(self, path: str) -> Tuple[str, Dict[str, str]]:
        """`path` below the base and headers as a request by this login has them (UForge: Basic, or HMAC-SHA1 over the target)."""
        if self._password is not None:
            pair = ("%s:%s" % (self.user, self._password)).encode("utf-8", "surrogateescape")
            return path, {"Authorization": "Basic " + base64.b64encode(pair).decode("ascii")}
        text = "%s%sapiKey=%s" % (path, "&" if "?" in path else "?", quote_plus(self._public))
        secret = self._secret.encode("utf-8", "surrogateescape")
        signature = base64.b64encode(hmac.new(secret, text.encode("ascii"), hashlib.sha1).digest()).decode("ascii")
        return "%s&signature=%s" % (text, quote_plus(signature)), {}


class Uplink:
    """Requests to the service at `base`."""

    def __init__(self, base: str, timeout: float = ANSWER) -> None:
        self.base = base.rstrip("/")
        self.headers: Dict[str, str] = {}
        parts = urlsplit(self.base)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Lost("'%s' is no URL of a service" % base)
        self._path = parts.path
        if parts.scheme == "https":
            # Here: a Python without it can do all the rest.
            import ssl

            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=context)
        else:
            self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)

    def ask(self, method: str, path: str, body: bytes = b"", headers: Optional[Mapping[str, str]] = None) -> bytes:
        """One request, the answer's body. Raises OSError when nobody answers, `Refused`."""
        told = {"Accept": "application/json", "Content-Type": "application/octet-stream"}
        told.update(self.headers)
        told.update(headers or {})
        try:
            self._connection.request(method, "%s/%s" % (self._path, path), body, told)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise OSError(str(error) or type(error).__name__)
        if not 200 <= response.status < 300:
            raise Refused(response.status, _message(content) or "%d %s" % (response.status, response.reason))
        return content

    def tell(self, method: str, path: str, body: Any = None, headers: Optional[Mapping[str, str]] = None) -> Answer:
        """The same with JSON both ways."""
        sent = b"" if body is None else json.dumps(body).encode("ascii")
        answer = json.loads(self.ask(method, path, sent, dict(headers or {}, **{"Content-Type": "application/json"})).decode("utf-8"))
        if not isinstance(answer, dict):
            raise Refused(200, "the answer is not the service's")
        return answer

    def insist(self, method: str, path: str, body: bytes = b"", headers: Optional[Mapping[str, str]] = None) -> bytes:
        """`ask`, again and again while the service is away or busy. Raises `Lost`, `Refused`."""
        deadline, tries = time.monotonic() + PATIENCE, 0
        while True:
            try:
                return self.ask(method, path, body, headers)
            except Refused as error:
                if error.status < 500:
                    raise
                reason = str(error)
            except OSError as error:
                reason = str(error)
            if time.monotonic() > deadline:
                raise Lost("the service at %s is gone: %s" % (self.base, reason))
            time.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
            tries += 1

    def prove(self) -> None:
        """Let the service prove that it is the one that this file came from. Raises `Lost`."""
        nonce = os.urandom(32).hex()
        try:
            answer = self.tell("POST", "agent/hello", {"agent": stamp.AGENT, "nonce": nonce})
        except OSError as error:
            raise Lost("nothing answers at %s (%s)" % (self.base, error))
        except (Refused, ValueError) as error:
            raise Lost("what answers at %s is not the service that this program came from (%s)" % (self.base, error))
        if not hmac.compare_digest(str(answer.get("proof", "")), prove(stamp.KEY, "service " + nonce)):
            raise Lost("what answers at %s cannot prove that it is the service that this program came from" % self.base)


def find(base: str) -> Uplink:
    """The service, proven. Raises `Lost`, which says what was tried."""
    if not stamp.KEY:
        raise Lost("this program was not downloaded from a service")
    reasons: List[str] = []
    for place in gateway.places(base):
        try:
            Uplink(place, CONNECT).prove()
            return Uplink(place)
        except Lost as error:
            reasons.append(str(error))
    raise Lost("; ".join(reasons))


def _message(content: bytes) -> str:
    """What a `uforgeError` says."""
    try:
        error = json.loads(content.decode("utf-8"))
        error = error.get("uforgeError", error)
        said = [error["localizedErrorMsg"]["message"]] + list(error.get("problems") or [])
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    return "; ".join(str(one) for one in said)
