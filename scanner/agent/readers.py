"""Processes that read plain files for the walk, whole slices of a folder at a time, so that hashing uses every processor.

Each is a fork of the agent, so it knows the package database and needs no start. A request is one message on a socket: the folder's
descriptor beside the marshalled path and names. An answer is a length (4 bytes, big-endian) and the marshalled list of what is to be
told of each name, in the same order. At most `IN_FLIGHT` requests wait at a process: they fit into the socket, so that neither side
ever waits for the other to read.
"""

import array
import collections
import gc
import marshal
import os
import select
import signal
import socket
import struct
from typing import Any, Callable, Deque, List, Optional, Sequence, Tuple

Answer = Optional[Tuple[Any, ...]]
"""What is told of one name, of simple values only; None when the walk has to look for itself."""
Read = Callable[[int, bytes, bytes], Answer]
"""(folder's descriptor, folder's path, name) -> answer"""

SLICE = 64
"""Names a request."""
IN_FLIGHT = 8
LENGTH = struct.Struct(">I")
LARGEST = 1 << 16
"""Bytes of a request: a path of 4096 bytes and 64 names of 255."""
ROOM = 208 << 10
"""Bytes asked for as a socket's buffer: what every kernel grants, and it doubles that (socket(7)); `IN_FLIGHT` requests fit."""


class Batch:
    """Names of one folder, on their way; `folder` stays open until `close`."""

    __slots__ = ("_answers", "_reader", "folder", "left")

    def __init__(self, folder: int, count: int) -> None:
        self.folder = os.dup(folder)
        self.left = count
        self._answers: Optional[List[Answer]] = None
        self._reader: Optional[_Process] = None

    def answer(self, index: int) -> Answer:
        """Waits for it. Raises OSError when the process that had it is gone."""
        while self._answers is None:
            assert self._reader is not None
            self._reader.receive()
        return self._answers[index]

    def done(self) -> bool:
        """One more was used; the last one closes the folder. Answers whether it was the last."""
        self.left -= 1
        if self.left == 0:
            os.close(self.folder)
        return self.left == 0


class Readers:
    """`count` processes; with none, or when the system gives none, everything is read on the spot. A context manager."""

    def __init__(self, count: int, read: Read) -> None:
        self._read = read
        self._processes: List[_Process] = []
        if count > 0:
            # Collected objects would be copied into each process as soon as it looks for garbage.
            gc.collect()
            getattr(gc, "freeze", gc.collect)()
        for _ in range(count):
            try:
                self._processes.append(_Process(read, self._processes))
            except OSError:
                break

    def __enter__(self) -> "Readers":
        return self

    def __exit__(self, *_error: object) -> None:
        for process in self._processes:
            process.end()

    def submit(self, folder: int, path: bytes, names: Sequence[bytes]) -> Batch:
        """Have `names` of the open folder at `path` read."""
        batch = Batch(folder, len(names))
        if self._processes:
            self._least_busy().send(batch, marshal.dumps((path, list(names))))
        else:
            batch._answers = [self._read(folder, path, name) for name in names]
        return batch

    def _least_busy(self) -> "_Process":
        """Takes in what was answered, and waits only when all have as much to do as they may."""
        while True:
            least = min(self._processes, key=lambda one: len(one.waiting))
            full = len(least.waiting) >= IN_FLIGHT
            for one in _answering([one for one in self._processes if one.waiting], wait=full):
                one.receive()
            if not full:
                return least


def _answering(processes: Sequence["_Process"], wait: bool) -> List["_Process"]:
    """Those that something can be taken in from. By poll(2): select(2) knows no descriptors from 1024 on."""
    found = select.poll()
    numbers = {one.fileno(): one for one in processes}
    for number in numbers:
        found.register(number, select.POLLIN)
    return [numbers[number] for number, _ in found.poll(None if wait else 0)]


class _Process:
    """The walk's end of one reader."""

    def __init__(self, read: Read, others: Sequence["_Process"]) -> None:
        self.waiting: Deque[Batch] = collections.deque()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)
        self._answers, out = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _serve(read, theirs, out, [fd for one in (self, *others) for fd in one.descriptors()])
        theirs.close()
        os.close(out)

    def descriptors(self) -> Tuple[int, int]:
        return self._socket.fileno(), self._answers

    def fileno(self) -> int:
        """Readable when something was answered."""
        return self._answers

    def send(self, batch: Batch, request: bytes) -> None:
        batch._reader = self
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [batch.folder]))]
        self._socket.sendmsg([request], ancillary)
        self.waiting.append(batch)

    def receive(self) -> None:
        """The next answer, into the batch that waits for it. Raises OSError when the process is gone."""
        body = self._exactly(LENGTH.unpack(self._exactly(LENGTH.size))[0])
        self.waiting.popleft()._answers = marshal.loads(body)

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            part = os.read(self._answers, size - len(data))
            if not part:
                raise OSError(0, "a process that reads files has ended")
            data += part
        return bytes(data)

    def end(self) -> None:
        self._socket.close()
        os.close(self._answers)
        # It holds nothing, and may be in the middle of a file of any size.
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def _serve(read: Read, requests: socket.socket, out: int, foreign: Sequence[int]) -> None:
    """The reader's whole life; never returns, and writes nothing of what it inherited."""
    status = 1
    try:
        for fd in foreign:
            os.close(fd)
        with open(out, "wb") as answers:
            while True:
                message, ancillary, _, _ = requests.recvmsg(LARGEST, socket.CMSG_SPACE(4))
                if not message:
                    break
                folder = array.array("i", ancillary[0][2])[0]
                path, names = marshal.loads(message)
                body = marshal.dumps([read(folder, path, name) for name in names])
                os.close(folder)
                answers.write(LENGTH.pack(len(body)) + body)
                answers.flush()
        status = 0
    finally:
        os._exit(status)
