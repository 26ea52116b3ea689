"""A libvirt for tests, with one domain: its guest agent runs programs and opens files on this machine, with faults on order."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from scanner.host import run

XML = """<domain type='qemu'><name>{name}</name><uuid>b16a1d9d-d4af-4fbb-a5cb-a782f20fbe41</uuid><memory unit='KiB'>1048576</memory><vcpu>2</vcpu>
<os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type></os>
<devices>{devices}<channel type='unix'><target type='virtio' name='{channel}' state='connected'/></channel></devices></domain>"""
RUNNING = 1


def refused(message: str) -> Exception:
    """libvirt's exception with this message."""
    import libvirt

    # Otherwise it takes the message of the last real failure in this thread.
    libvirt.virResetLastError()
    return libvirt.libvirtError(message)  # type: ignore[no-any-return]


class FakeAgent:
    """Answers requests as qemu-ga does. `refuse` maps a command to the error that it ends with; `spoil` changes an answer's contents."""

    def __init__(self) -> None:
        self.refuse: dict[str, str] = {}
        self.spoil: dict[str, Callable[[Any], Any]] = {}
        self.asked: list[str] = []
        self._files: dict[int, BinaryIO] = {}
        self._programs: dict[int, tuple[subprocess.Popen[bytes], bool]] = {}
        self._held = ExitStack()

    def __call__(self, _domain: Any, request: str, _timeout: int) -> str:
        asked = json.loads(request)
        command: str = asked["execute"]
        self.asked.append(command)
        if command in self.refuse:
            raise refused(self.refuse[command])
        answers: dict[str, Callable[..., Any]] = {
            "guest-ping": dict,
            "guest-file-open": self._open,
            "guest-file-read": self._read,
            "guest-file-write": self._write,
            "guest-file-flush": lambda handle: self._files[handle].flush() or {},
            "guest-file-close": lambda handle: self._files.pop(handle).close() or {},
            "guest-exec": self._start,
            "guest-exec-status": self._status,
        }
        arguments = {key.replace("-", "_"): value for key, value in asked.get("arguments", {}).items()}
        try:
            answer = answers[command](**arguments)
        except OSError as error:
            raise refused(f"unable to execute QEMU agent command '{command}': {error}") from error
        return json.dumps({"return": self.spoil.get(command, lambda told: told)(answer)})

    def close(self) -> None:
        """End what still runs."""
        for process, _ in self._programs.values():
            process.kill()
        self._held.close()
        for file in self._files.values():
            file.close()

    @property
    def open_files(self) -> int:
        return len(self._files)

    def _open(self, path: str, mode: str) -> int:
        handle = len(self.asked)
        self._files[handle] = Path(path).open(mode)  # type: ignore[assignment]  # noqa: SIM115
        return handle

    def _read(self, handle: int, count: int) -> dict[str, Any]:
        data = self._files[handle].read(count)
        return {"count": len(data), "buf-b64": base64.b64encode(data).decode(), "eof": len(data) < count}

    def _write(self, handle: int, buf_b64: str) -> dict[str, Any]:
        return {"count": self._files[handle].write(base64.b64decode(buf_b64)), "eof": False}

    def _start(self, path: str, arg: list[str], capture_output: bool) -> dict[str, Any]:
        stream = subprocess.PIPE if capture_output else subprocess.DEVNULL
        process = self._held.enter_context(run.popen([path, *arg], stdout=stream, stderr=stream))
        self._programs[process.pid] = (process, capture_output)
        return {"pid": process.pid}

    def _status(self, pid: int) -> dict[str, Any]:
        process, captured = self._programs[pid]
        if process.poll() is None:
            return {"exited": False}
        del self._programs[pid]
        out = process.stdout.read() if captured and process.stdout else b""
        return {"exited": True, "exitcode": process.returncode, "out-data": base64.b64encode(out).decode()}


class FakeDomain:
    """A domain named `name` in libvirt's state number `number`."""

    def __init__(self, name: str, number: int = RUNNING, *, devices: str = "", channel: str = "org.qemu.guest_agent.0") -> None:
        self._name = name
        self.number = number
        self.xml = XML.format(name=name, devices=devices, channel=channel)

    def name(self) -> str:
        return self._name

    def state(self) -> tuple[int, int]:
        return self.number, 0

    def XMLDesc(self, _flags: int) -> str:
        return self.xml

    def connect(self) -> FakeConnection:
        return FakeConnection(self)


class FakeConnection:
    """A libvirt that has one domain."""

    def __init__(self, domain: FakeDomain) -> None:
        self._domain = domain
        self.closed = False

    def lookupByName(self, name: str) -> FakeDomain:
        if name != self._domain.name():
            raise refused("Domain not found")
        return self._domain

    lookupByUUIDString = lookupByName

    def listAllDomains(self) -> list[FakeDomain]:
        return [self._domain]

    def close(self) -> None:
        self.closed = True
