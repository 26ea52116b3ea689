"""The real hammr 3.8.13, run as a person runs it: a process of its own, with its own HOME, against a real service.

The client ends with 0 after many failures (PROTOCOL, end of section 13), so no test may end with its text or its status:
what happened is asserted of the service, by JSON (`Service.http`) or on its disk (`Service.data`).
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from support.service import until

ROOT = Path(__file__).parents[2]
Polls = Callable[..., Callable[[], bool]]
"""`polls(path, stage="")`: what tells whether the client polls (`tests/hammr/conftest.py`)."""
COMMANDS = "hammr.commands"
"""In the journal's folder: what was run, by which test file, one JSON object a line."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m|\r")


def install() -> Path:
    """The folder with `bin/hammr` and `bin/python` (2.7, with the client's SDK); made when it is not there."""
    done = subprocess.run([str(ROOT / "scripts/hammr.sh")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"hammr could not be installed:\n{done.stderr}"
    return Path(done.stdout.strip())


@dataclass(frozen=True)
class Said:
    """How one run of hammr ended, and all that it wrote, without colours."""

    status: int
    text: str

    def rows(self) -> list[list[str]]:
        """The cells of the table rows that were printed, headings included; cells that the client wrapped are not joined."""
        return [[cell.strip() for cell in line.strip("| \n").split("|")] for line in self.text.splitlines() if line.startswith("|")]

    def number(self, words: str) -> int:
        """The first whole number after `words`."""
        found = re.search(re.escape(words) + r"\D*(\d+)", self.text)
        assert found, f"no number after {words!r} in:\n{self.text}"
        return int(found[1])


class Hammr:
    """hammr for one user of one service, in a home of its own.

    `hammr("scan", "list")` runs one command and asserts its exit status (0, or `status=`) and that no traceback was seen.
    """

    def __init__(self, folder: Path, home: Path, url: str, credentials: Sequence[str]) -> None:
        self.folder = folder
        self.home = home
        self.url = url
        self.credentials = [*credentials]
        home.mkdir(parents=True, exist_ok=True)

    def environment(self) -> dict[str, str]:
        """Nothing of the person who runs the tests: no credentials, proxies, known hosts or SSH agent."""
        return {"HOME": str(self.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "dumb", "COLUMNS": "200"}

    def argv(self, *words: str) -> list[str]:
        """The command line, as it is for `Popen`. What is run is written down, without values: `tests/hammr/test_parity.py` looks for what never was."""
        _note([*self.credentials, *words], words)
        return [str(self.folder / "bin/hammr"), *self.credentials, *words]

    def start(self, *words: str) -> subprocess.Popen[str]:
        """hammr in the background, in a process group of its own, so that it can be sent Ctrl-C (`interrupt`)."""
        return subprocess.Popen(
            self.argv(*words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=self.environment(),
            cwd=self.home,
            start_new_session=True,
        )

    def __call__(self, *words: str, status: int | None = 0, typed: str = "", timeout: float = 120, traceback: bool = False) -> Said:
        """Run to the end. `typed` is what the person enters; `status` None accepts any; `traceback` says that the client is known to crash."""
        with self.start(*words) as process:
            return self.finish(process, words, status=status, typed=typed, timeout=timeout, traceback=traceback)

    def finish(
        self, process: subprocess.Popen[str], words: Sequence[str] = (), *, status: int | None = 0, typed: str = "", timeout: float = 120, traceback: bool = False
    ) -> Said:
        """Wait for the end of one that was started. One that hangs is ended, and fails."""
        try:
            text, _ = process.communicate(typed, timeout)
        except subprocess.TimeoutExpired as error:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
            raise AssertionError(f"hammr {' '.join(words)} hung; it had said:\n{said}") from error
        said_all = Said(process.returncode, _COLOUR.sub("", text))
        told = f"hammr {' '.join(words)} ended with {process.returncode}:\n{said_all.text}"
        assert status is None or process.returncode == status, told
        assert ("Traceback (most recent call last)" in said_all.text) == traceback, told
        return said_all

    @staticmethod
    def interrupt(process: subprocess.Popen[str]) -> None:
        """Ctrl-C."""
        os.killpg(process.pid, signal.SIGINT)

    def interrupted(self, words: Sequence[str], ready: Callable[[], Any], **finish: Any) -> Said:
        """Run, send Ctrl-C once `ready` answers something true, and wait for the end (`finish`: as for that method)."""
        with self.start(*words) as process:
            try:
                until(ready, 60)
                self.interrupt(process)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
            return self.finish(process, words, **finish)


def _note(all: Sequence[str], words: Sequence[str]) -> None:
    command = list(takewhile(lambda word: not word.startswith("-"), words))
    test = os.environ.get("PYTEST_CURRENT_TEST", "").partition("::")[0]
    line = {"test": Path(test).name, "command": command, "options": [word for word in all if word.startswith("-")]}
    with (Path(os.environ["FORGELET_JOURNAL"]) / COMMANDS).open("a", encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")
