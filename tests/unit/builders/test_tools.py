"""The versions of the tools that made an image."""

from __future__ import annotations

import subprocess
from importlib.metadata import version

from builders.tools import versions


def test_each_tool_tells_its_own_version() -> None:
    told = versions("forgelet", "diskimage-builder", "qemu-img", "mke2fs")
    assert told["diskimage-builder"] == version("diskimage-builder")
    assert told["forgelet"] == version("forgelet")
    said = subprocess.run(["qemu-img", "--version"], capture_output=True, text=True, check=True).stdout
    assert told["qemu-img"] == said.splitlines()[0]
    assert told["mke2fs"].startswith("mke2fs 1.")


def test_a_tool_that_is_not_there_has_no_version() -> None:
    from builders import tools

    tools._ASKED["no-such-tool"] = "--version"
    try:
        assert versions("no-such-tool") == {"no-such-tool": ""}
    finally:
        del tools._ASKED["no-such-tool"]
