"""What `forgelet` can be told: every noun by name, its commands loaded when it is said. A command waits for its own imports only."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

NOUNS = {
    "serve": "serve:serve",
    "reset": "reset:reset",
    "scan": "scan:app",
    "image": "image:app",
    "spec": "spec:app",
    "template": "template:app",
    "bundle": "bundle:app",
    "job": "job:app",
    "user": "user:app",
    "account": "account:app",
    "deploy": "deploy:app",
    "migration": "migration:app",
    "os": "catalogue:os_app",
    "format": "catalogue:format_app",
    "platform": "catalogue:platform_app",
    "quota": "catalogue:quota_app",
    "cache": "cache:app",
    "lab": "lab:app",
    "fault": "fault:app",
    "journal": "journal:app",
    "snapshot": "snapshot:app",
    "seed": "seed:app",
    "clock": "clock:app",
    "verify": "evidence:verify",
    "hammr": "hammr:hammr",
    "doctor": "doctor:doctor",
    "clean": "clean:clean",
    "env": "environment:env",
    "status": "environment:status",
    "batch": "batch:batch",
    "shell": "batch:shell",
}
"""In the order of the help: where the command, or the group of commands, is under `cli.commands`."""


class Nouns(TyperGroup):
    """The top of the commands. `commands` has those that were asked for; all of them after `list_commands`, as for the help."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in NOUNS and cmd_name not in self.commands:
            self.add_command(_load(cmd_name), cmd_name)
        return super().get_command(ctx, cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:
        for name in NOUNS:
            self.get_command(ctx, name)
        return list(NOUNS)


def _load(name: str) -> Any:
    module, _, attribute = NOUNS[name].partition(":")
    found = getattr(import_module(f"cli.commands.{module}"), attribute)
    alone = typer.Typer(rich_markup_mode=None)
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
    else:
        alone.command(name)(found)
    return typer.main.get_group(alone).commands[name]
