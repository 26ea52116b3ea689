"""A whole scan over one pipe, for targets that are reached by a connection: requests on standard input, answers on standard output.

At the start `MAGIC` is written; what comes before it on the same stream (a login's greeting, sudo's prompt) is not ours. Then, any
number of times:

    request   {"arguments": […], "size": N} and a line end, then N bytes: the command line of `__main__.py`, and what `--paths -` or `--known -` reads
    answer    pieces: a length (4 bytes, big-endian) and so many bytes; a length of 0 ends it, and one more piece is {"error": "…"}

The end of standard input ends the session. By then the agent's own file is long gone: it is removed as soon as it is loaded, so that
nothing stays behind, whatever happens to the connection.
"""

import argparse
import io
import json
import os
import struct
import sys
from typing import Any, BinaryIO, List, Optional, cast

from scanner.agent import __main__ as commands
from scanner.agent.tree import Root

MAGIC = b"\0uforge-scan 1\n"
LENGTH = struct.Struct(">I")
PIECE = 1 << 18
LONGEST_REQUEST = 8 << 20


class Pieces(io.RawIOBase):
    """Writes everything in pieces."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data[:PIECE])
        self._out.write(LENGTH.pack(len(part)) + part)
        return len(part)

    def end(self, error: str) -> None:
        """The answer is whole, or `error` says why it is not."""
        self._out.write(LENGTH.pack(0))
        self.write(json.dumps({"error": error}).encode("ascii"))
        self._out.flush()


class Body:
    """The bytes that follow a request, and no more."""

    def __init__(self, source: BinaryIO, size: int) -> None:
        self._source = source
        self._left = size

    def read(self, size: int) -> bytes:
        data = self._source.read(min(size, self._left))
        self._left -= len(data)
        return data

    def drain(self) -> None:
        while self.read(PIECE):
            pass


def serve(source: BinaryIO, out: BinaryIO) -> int:
    """Answer requests to their end. Gives back the exit status."""
    out.write(MAGIC)
    out.flush()
    while True:
        line = source.readline(LONGEST_REQUEST)
        if not line:
            return 0
        request = json.loads(line.decode("ascii"))
        body = Body(source, request["size"])
        pieces = Pieces(out)
        error = answer(request["arguments"], body, pieces)
        body.drain()
        pieces.end(error)


def answer(words: List[str], body: Any, pieces: io.RawIOBase) -> str:
    """Carry out one request, its answer into `pieces`. What went wrong; "" when nothing did. Raises BrokenPipeError."""
    out = io.BufferedWriter(pieces, PIECE)
    error = ""
    try:
        _perform(commands.arguments(words), body, cast(BinaryIO, out))
    except BrokenPipeError:
        raise
    except (Exception, SystemExit) as fault:
        error = "%s: %s" % (type(fault).__name__, fault)
    out.flush()
    # What is left without its raw end writes nothing when it is collected.
    out.detach()
    return error


def _perform(options: argparse.Namespace, body: Any, out: BinaryIO) -> None:
    root = Root(os.fsencode(options.root))
    try:
        commands.perform(root, options, out, body)
    finally:
        root.close()


def start(argv: Optional[List[str]] = None) -> None:
    """The entry of `uforge-scan.bin`: one verb of `__main__.py`, `session`, or what hammr says (`hammr.py`)."""
    words = sys.argv[1:] if argv is None else argv
    if words and (words[0].startswith("-") or words[0] == "hammr"):
        # Not before it is known to be wanted: a session is to start quickly.
        from scanner.agent import hammr

        if words[0] != "hammr":
            sys.exit(hammr.main(words))
        os.nice(10)
        sys.exit(hammr.resume(int(words[1])))
    os.nice(10)
    if words != ["session"]:
        sys.exit(commands.main(words))
    try:
        os.unlink(sys.path[0])
    except OSError:
        pass
    # Standard error may be the same stream as the answers: nothing may be said there from here on.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        with open(0, "rb", closefd=False) as source, open(1, "wb", buffering=PIECE, closefd=False) as out:
            status = serve(source, out)
    except (OSError, ValueError, KeyError):
        status = 1
    # Not through the interpreter's own end: it would flush what nobody reads any more.
    os._exit(status)
