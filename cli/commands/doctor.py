"""`forgelet doctor`: what this machine lacks, and the commands that bring it. Works with the service down."""

from __future__ import annotations

from dataclasses import asdict

import typer

from cli.render import Format, Output, as_json, say
from emulator import local

UNFIT = 3
"""Exit code when the main job cannot run: an engine, or what it needs, is not there."""


def doctor(output: Output = Format.TABLE) -> None:
    """Print every prerequisite, what is missing, and the command that installs it."""
    diagnosis = local.doctor()
    if output is Format.JSON:
        findings = [{**asdict(finding), "verdict": finding.verdict} for finding in diagnosis.findings]
        as_json({"fit": diagnosis.fit, "findings": findings, "remedies": diagnosis.remedies})
    else:
        for finding in diagnosis.findings:
            say(f"{finding.verdict:<8} {finding.name:<20} {finding.found}")
        for remedy in diagnosis.remedies:
            say(f"  run: {remedy}")
        say("OK: the main job can run" if diagnosis.fit else "the main job cannot run on this machine yet")
    raise typer.Exit(0 if diagnosis.fit else UNFIT)
