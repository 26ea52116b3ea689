"""`forgelet os`, `format`, `platform`, `quota`: what the service offers, under hammr's nouns."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli import render
from cli.context import client
from cli.render import Format, Output

os_app = typer.Typer(help="Operating systems that templates are made of.", no_args_is_help=True)
format_app = typer.Typer(help="Image formats.", no_args_is_help=True)
platform_app = typer.Typer(help="Cloud platforms.", no_args_is_help=True)
quota_app = typer.Typer(help="Quotas.", no_args_is_help=True)


def show(answer: Any, output: Format, header: tuple[str, ...], rows: list[tuple[Any, ...]], what: str) -> None:
    """A list, as a table with its count or as JSON."""
    if output == Format.JSON:
        render.as_json(answer)
        return
    if rows:
        render.say(render.table(header, rows))
    render.say(f"Found {len(rows)} {what}")


@os_app.command("list")
def list_systems(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List the distributions, with the profiles that a template can begin with."""
    service = client(context)
    answer = service.get("distros")
    rows = []
    for one in answer["distributions"]["distribution"]:
        profiles = service.shared(f"distributions/{one['dbId']}/profiles")["distribProfiles"]["distribProfile"]
        one["profiles"] = {"distribProfile": profiles}
        names = ", ".join(profile["name"] for profile in profiles)
        rows.append((one["dbId"], one["name"], one["version"], one["arch"], one.get("releaseDate", "")[:10], names))
    show(answer, output, ("Id", "Name", "Version", "Architecture", "Release Date", "Profiles"), rows, "distributions")


@os_app.command()
def search(
    context: typer.Context,
    id: Annotated[int, typer.Option("--id", help="Number of the distribution.")],
    pkg: Annotated[str, typer.Option(help="Name of the package; `*` stands for any characters.")],
    output: Output = Format.TABLE,
) -> None:
    """Search a distribution's repositories for packages."""
    quoted = pkg.replace("\\", "\\\\").replace("'", "\\'")
    answer = client(context).shared(f"distributions/{id}/pkgs", query=f"name=='{quoted}'")
    rows = [(one["name"], one["version"], one["arch"], render.size(one["size"]), one["pkgBuildDate"][:10]) for one in answer["pkgs"]["pkg"]]
    show(answer, output, ("Name", "Version", "Arch", "Size", "Index date"), rows, "packages")


@format_app.command("list")
def list_formats(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List the formats; X marks those that this Forgelet builds."""
    answer = client(context).get("targetformats")
    found = answer["targetFormats"]["targetFormat"]
    rows = [(one["name"], one["format"]["name"], one["category"]["name"], one.get("credAccountType", ""), _mark(one["access"])) for one in found]
    show(answer, output, ("Builder Type", "Format", "Category", "Account Type", "Access"), rows, "formats")


@platform_app.command("list")
def list_platforms(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List the platforms that accounts can be kept for."""
    answer = client(context).get("targetplatforms")
    rows = [(one["dbId"], one["name"], one["type"], _mark(one["access"])) for one in answer["targetPlatforms"]["targetPlatform"]]
    show(answer, output, ("Id", "Name", "Type", "Access"), rows, "platforms")


@quota_app.command("list")
def list_quotas(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List what you have, and what you may have."""
    answer = client(context).get("quotas")
    rows = [(one["type"], _amount(one, "nb"), _amount(one, "limit")) for one in answer["quotas"]["quota"]]
    show(answer, output, ("Type", "Used", "Limit"), rows, "quotas")


def _amount(quota: dict[str, Any], key: str) -> str:
    if quota[key] == -1:
        return "unlimited"
    return render.size(quota[key]) if quota["type"] == "diskusage" else str(quota[key])


def _mark(value: bool) -> str:
    return "X" if value else ""
