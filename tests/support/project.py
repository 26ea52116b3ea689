"""A user's project with tests that use the plugin, run in a pytest of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

PROJECT = {
    # Names of ours: a user's project may well have them.
    "cli/__init__.py": "raise ImportError('the user\\'s cli')\n",
    "cli/main.py": "raise ImportError('the user\\'s cli')\n",
    "scanner.py": "raise ImportError('the user\\'s scanner')\n",
    "emulator/__init__.py": "raise ImportError('the user\\'s emulator')\n",
    "builders.py": "raise ImportError('the user\\'s builders')\n",
}


DOCUMENTED = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / "docs/how-to/pytest.md").read_text(), re.S)


def project(folder: Path, tests: str, cache: Path | None = None) -> Path:
    for name, text in {**PROJECT, "pytest.ini": f"[pytest]\nforgelet_cache = {cache or folder / 'cache'}\n", "test_it.py": textwrap.dedent(tests)}.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def command(*words: str) -> list[str]:
    # Schemathesis is ours, takes seconds to start, and is not in a user's project.
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:schemathesis", "-q", *words]


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder / "tmp"), "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


def run(folder: Path, *words: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    (folder / "tmp").mkdir(exist_ok=True)
    return subprocess.run(command(*words), cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=timeout, check=False)


def left(folder: Path) -> list[str]:
    """Folders of sessions, and processes that work on one."""
    found = [str(path) for path in (folder / "tmp").glob("forgelet-pytest-*")]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if f"{folder}/tmp/forgelet-pytest-" in words:
                found.append(words)
    return found
