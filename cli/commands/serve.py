"""`forgelet serve`: the service, in this terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.render import say
from emulator import local


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (8090).")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder that holds everything.")] = None,
    tls: Annotated[bool | None, typer.Option("--tls", help="Serve https, with a certificate that the service signs itself: tls/certificate.pem in the data folder.")] = None,
    seed: Annotated[str, typer.Option(help="What shall be there: a YAML file, or the name of a seed that the service knows (docs/how-to/control-plane.md).")] = "",
) -> None:
    """Run the service until Ctrl-C or SIGTERM."""
    local.serve(say, host=host, port=port, data=data, tls=tls, seed=seed)
