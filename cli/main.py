"""`forgelet`: the commands, and how each of them ends."""

from __future__ import annotations

import os
import sys
from contextvars import Context
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import render
from cli.context import Left
from cli.errors import FAILED, INTERRUPTED, USER
from cli.login import Connection
from cli.nouns import Nouns
from cli.words import tidy

HELP = {"help_option_names": ["-h", "--help"]}
app = typer.Typer(
    cls=Nouns,
    help="Forgelet: a whole UForge on one machine.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=HELP,
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        render.say(f"forgelet {version('forgelet')}")
        raise typer.Exit


@app.callback()
def connection(
    context: typer.Context,
    url: Annotated[str | None, typer.Option("--url", "-a", help="The service (FORGELET_URL; http://127.0.0.1:8090/api).")] = None,
    user: Annotated[str | None, typer.Option("--user", "-u", help="Login (FORGELET_USER; root).")] = None,
    password: Annotated[str | None, typer.Option("--password", "-p", help="Password (FORGELET_PASSWORD; forgelet).")] = None,
    publickey: Annotated[str | None, typer.Option("--publickey", "-k", help="Public API key, instead of a password (FORGELET_PUBLICKEY).")] = None,
    secretkey: Annotated[str | None, typer.Option("--secretkey", "-s", help="Its secret key (FORGELET_SECRETKEY).")] = None,
    credentials: Annotated[Path | None, typer.Option("--credentials", "-c", help="A credentials file of hammr's, which says all of this.")] = None,
    insecure: Annotated[bool | None, typer.Option("--insecure", help="Take any certificate (FORGELET_INSECURE).")] = None,
    ca: Annotated[str | None, typer.Option(help="File with the certificate to trust (FORGELET_CA).")] = None,
    _: Annotated[bool, typer.Option("--version", "-v", callback=_version, is_eager=True, help="Tell the version.")] = False,
) -> None:
    """Where the service is, and who asks."""
    if context.obj is None:
        context.obj = Connection(url, user, password, insecure, ca, publickey, secretkey, credentials)


def tree() -> Any:
    """Every command that there is, loaded: `forgelet` with its nouns under it."""
    top: Any = typer.main.get_command(app)
    top.list_commands(None)
    return top


def run(argv: list[str], obj: Any = None) -> int:
    """One command to its end; how it ended, as an exit code. Nothing escapes, and nothing that it chose reaches the next one."""
    return Context().run(_ended, argv, obj)


def _ended(argv: list[str], obj: Any) -> int:
    try:
        ended = app(tidy(argv), standalone_mode=False, obj=obj)
        return ended if isinstance(ended, int) else 0
    except Left as error:
        render.warn(f"\njob {error.job_id} goes on; follow it: forgelet job log -f {error.job_id}   stop it: forgelet job cancel {error.job_id}")
        return INTERRUPTED
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return USER
    except Exception as error:
        return _failed(error)


def _failed(error: Exception) -> int:
    show = getattr(error, "show", None)
    if show is not None:  # a usage error of Typer's, which prints itself; its own exit code 2 means blind spots here
        show()
        return USER
    if os.environ.get("FORGELET_DEBUG"):
        raise error
    render.warn(f"ERROR: {getattr(error, 'message', None) or f'{type(error).__name__}: {error}'}")
    for problem in getattr(error, "problems", ()):
        render.warn(f"  - {problem}")
    if getattr(error, "hint", ""):
        render.warn(f"  next: {error.hint}")  # type: ignore[attr-defined]
    code = getattr(error, "exit_code", FAILED)
    return code if isinstance(code, int) else FAILED


def main() -> None:
    """The command's entry."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
