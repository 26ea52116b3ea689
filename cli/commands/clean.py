"""`forgelet clean`: take away what Forgelet made on this machine. Works with the service down, and only then."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.render import Format, Output, told
from emulator import local


def clean(
    keep_cache: Annotated[
        bool, typer.Option("--keep-cache", help="Leave cached base disks and the images of the lab.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Take away containers, images, virtual machines, loop devices, mounts and data that Forgelet made; nothing else."""
    gone = local.clean(keep_cache=keep_cache)
    told(output, {"removed": gone}, *(f"... {line}" for line in gone), "OK: clean")
