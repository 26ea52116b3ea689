"""Asks a service on 127.0.0.1: here, in a container's network, or on the live system itself, where this file's text is run as it is.

    python3 -c TEXT http PORT PATH | tcp PORT        prints one line of JSON, `ask`'s answer

Standard library only, Python 3.6 and newer. Of a body only length, digest and beginning are told.
"""

import hashlib
import http.client
import json
import socket
import sys

LIMIT = 64 * 2**20
"""Bytes of a body that are read and compared."""
HEAD = 200
"""Characters of it that are shown to people."""
LISTENS = 2.0
"""Seconds in which a port that takes a connection must not have closed it again."""
PATIENCE = 20.0

Told = dict[str, int | str]


def ask(kind: str, port: int, path: str = "/", timeout: float = PATIENCE) -> Told:
    """`status`, `size`, `sha256`, `head`, `error`: an error says that there was no answer."""
    try:
        status, body, head = _http(port, path, timeout) if kind == "http" else _tcp(port, timeout)
        error = ""
    except (OSError, http.client.HTTPException) as failed:
        status, body, head, error = 0, b"", b"", type(failed).__name__ + ": " + str(failed)
    return answer(status, body, head, error)


def answer(status: int, body: bytes, head: bytes, error: str = "") -> Told:
    """What is told of a body; what cannot be printed of its beginning is escaped."""
    head = head[: 4 * HEAD]
    shown = head.decode("utf-8", "backslashreplace")[:HEAD].replace("\r\n", "\n").rstrip("\n")
    return {"status": status, "size": len(body), "sha256": hashlib.sha256(body).hexdigest(), "head": shown, "error": error}


def _http(port: int, path: str, timeout: float) -> tuple[int, bytes, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Host": "localhost"})
        response = connection.getresponse()
        body = response.read(LIMIT)
        if response.length and len(body) < LIMIT:
            raise http.client.IncompleteRead(body, response.length)
        return response.status, body, body
    finally:
        connection.close()


def _tcp(port: int, timeout: float) -> tuple[int, bytes, bytes]:
    """1 where somebody listens. What he says first is shown and not compared: it may hold a time, or a salt.

    A port of a virtual machine takes every connection and closes those at once that nobody in the machine takes.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as made:
        made.settimeout(LISTENS)
        try:
            said = made.recv(HEAD)
        except TimeoutError:
            return 1, b"", b""
    if not said:
        raise ConnectionResetError("the connection was closed at once")
    return 1, b"", said


def main(argv: list[str]) -> int:
    kind, port, path = argv[0], int(argv[1]), (argv[2] if len(argv) > 2 else "/")
    print(json.dumps(ask(kind, port, path)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
