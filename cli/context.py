"""What every command shares: the client made from options, environment and config file, and the following of jobs."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from cli.client import Client
from cli.errors import FAILED, CommandError
from cli.login import Connection, asked
from cli.progress import Bar

if TYPE_CHECKING:
    from emulator.settings import Settings

NoConfirm = Annotated[bool, typer.Option("--no-confirm", help="hammr's; nothing is asked here.")]
INTERVAL = 0.3
"""Seconds between two looks at a job."""


def client(context: typer.Context) -> Client:
    """The client for this command, closed when the command ends."""
    if isinstance(context.obj, Client):
        return context.obj
    settings = settings_of(context)
    keys = (settings.publickey, settings.secretkey)
    made = Client(settings.url, settings.user, settings.password, insecure=settings.insecure, ca=settings.ca, token=settings.token, keys=keys if any(keys) else None)
    context.call_on_close(made.close)
    return made


def settings_of(context: typer.Context) -> Settings:
    """The settings, with what the command line says of the connection."""
    from emulator import local

    return local.load(**asked(context.obj if isinstance(context.obj, Connection) else Connection()))


class Left(Exception):
    """Ctrl-C while a job was followed: the job goes on. (Typer swallows a KeyboardInterrupt.)"""

    def __init__(self, job_id: int) -> None:
        super().__init__()
        self.job_id = job_id


T = TypeVar("T")


def one_of(argument: T | None, option: T | None, what: str) -> T:
    """What was named either way. Raises `CommandError` when it was named not at all, or twice."""
    if (argument is None) == (option is None):
        raise CommandError(f"which {what}?", hint="give its number once: ID, or --id ID")
    found = argument if argument is not None else option
    assert found is not None
    return found


def follow(service: Client, job_id: int, *, quiet: bool = False) -> dict[str, Any]:
    """Watch a job to its end. Raises `CommandError` with its cause when it failed or was cancelled.

    `quiet` keeps standard output clean (the bar goes to standard error).
    """
    shown = Bar(sys.stderr if quiet else None)
    try:
        job = _watch(service, job_id, shown)
    except KeyboardInterrupt as error:
        shown.leave()
        raise Left(job_id) from error
    except BaseException:
        shown.leave()
        raise
    shown.finish(job["percentage"], job["message"] or job["state"])
    if job["state"] != "done":
        raise ended_badly(job)
    return job


def _watch(service: Client, job_id: int, shown: Bar) -> dict[str, Any]:
    while True:
        job: dict[str, Any] = service.control("GET", f"jobs/{job_id}")
        if job["state"] in ("done", "failed", "cancelled"):
            return job
        shown.draw(job["percentage"], f"{job['stage'].partition('.')[2] or job['state']}: {job['message']}")
        time.sleep(INTERVAL)


def ended_badly(job: dict[str, Any]) -> CommandError:
    """What a job that is not done means for the command."""
    what = f"job {job['dbId']} ({job['kind']}) was cancelled" if job["state"] == "cancelled" else job["error"] or "the job failed"
    return CommandError(what, hint=job["hint"] or f"forgelet job log {job['dbId']}", problems=job["problems"], exit_code=job["exitCode"] or FAILED)
