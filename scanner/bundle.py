"""`uforge-scan.bin`: the agent as one self-contained file, for live systems that this machine cannot look into.

A POSIX sh head (`uforge-scan.sh`) finds a usable Python 3, which runs the zip archive behind it (PEP 441). The same sources give the
same bytes, whenever and wherever they are packed.
"""

from __future__ import annotations

import ast
import io
import zipfile
from functools import lru_cache
from pathlib import Path

NAME = "uforge-scan.bin"
NOEXEC = 126
"""The head's exit status where the folder does not let programs run."""
NO_PYTHON = 69
"""The head's exit status where there is no usable Python (EX_UNAVAILABLE of sysexits.h)."""

HERE = Path(__file__).parent
MAIN = "from scanner.agent.session import start\nstart()\n"
EPOCH = (1980, 1, 1, 0, 0, 0)
STAMP = "stamp.py"


def bundle(**stamp: str) -> bytes:
    """The file's content. `stamp` fills in the constants of `scanner/agent/stamp.py`. Packed once for every state of the sources."""
    packed = io.BytesIO(_packed())
    packed.seek(0, io.SEEK_END)
    filled = "".join(f"{name} = {value!r}\n" for name, value in stamp.items())
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr(zipfile.ZipInfo(f"scanner/agent/{STAMP}", EPOCH), (HERE / "agent" / STAMP).read_text() + filled, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _packed() -> bytes:
    """All but the stamp."""
    sources = sorted(path for path in (HERE / "agent").glob("*.py") if path.name != STAMP)
    return _pack((HERE / "uforge-scan.sh").read_text(encoding="ascii"), tuple((source.name, source.read_bytes()) for source in sources))


@lru_cache(maxsize=1)
def _pack(head: str, sources: tuple[tuple[str, bytes], ...]) -> bytes:
    packed = io.BytesIO()
    packed.write(head.replace("@MODULES@", ", ".join(modules(sources))).encode("ascii"))
    with zipfile.ZipFile(packed, "a") as archive:
        for name, content in (("__main__.py", MAIN.encode()), ("scanner/__init__.py", b""), *((f"scanner/agent/{n}", c) for n, c in sources)):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED, 9)
    return packed.getvalue()


def modules(sources: tuple[tuple[str, bytes], ...]) -> list[str]:
    """What a Python must be able to import to run the sources, and the archive that they are in.

    What a function imports by itself is not among it: it can do without.
    """
    found = {"zlib"}
    for _, content in sources:
        for node in ast.parse(content).body:
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
    return sorted(name for name in found if name.partition(".")[0] != "scanner")
