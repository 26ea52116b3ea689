"""The documentation: whole, true to the code, and nothing in it comes from the net."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import reference
import typer
import yaml
from pydantic import BaseModel
from reference import commands, errors, proven, report, routes, settings, speckeys

from cli.main import tree
from cli.words import hoist
from emulator.settings import Settings
from scanner.report import ScanReport

ROOT = Path(__file__).parents[3]
PROSE = sorted({*(ROOT / "docs").rglob("*.md"), *(ROOT / "emulator/lab/lessons/guides").glob("*.md"), ROOT / "README.md"} - {ROOT / "docs/evidence.md"})


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it: any warning is an error."""
    place = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(place)],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return place


def test_the_site_is_built_without_a_warning_and_has_every_kind_of_page(site: Path) -> None:
    for page in ("index", "tutorial/first-migration", "how-to/ci", "reference/commands", "explanation/proof", "proven", "changelog"):
        assert (site / f"{page}.html").is_file(), page
    assert json.loads((site / "reference/scan-report.schema.json").read_text())["$defs"]["FileEntry"]["properties"]["sha256"]


def test_no_page_fetches_anything_from_the_net(site: Path) -> None:
    fetched = re.compile(r"""<(?:script|img|iframe|link(?![^>]*rel="canonical"))[^>]*(?:src|href)=["']?(?:https?:)?//[^>]*>""")
    assert {page.name: found for page in site.rglob("*.html") if (found := fetched.findall(page.read_text()))} == {}
    assert [sheet.name for sheet in site.rglob("*.css") if re.search(r"(url\(|@import )[\"']?(https?:)?//", sheet.read_text())] == []


@pytest.fixture(scope="session")
def pages() -> dict[str, str]:
    """The reference, as it is written from the code."""
    return reference.pages()


def test_everything_that_the_code_has_is_documented() -> None:
    assert reference.undocumented() == []


def test_what_is_not_documented_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Undescribed(Settings):
        port: int = 1
        colour: str = "blue"

    monkeypatch.setattr(settings, "Settings", Undescribed)
    assert "the setting colour has no docstring" in list(settings.undocumented())

    bare = typer.Typer()
    bare.command("one")(lambda name: None)
    bare.command("two")(lambda: None)
    monkeypatch.setattr(commands, "tree", lambda: typer.main.get_command(bare))
    assert {"'forgelet one' has no help", "'forgelet one': name has no help"} <= set(commands.undocumented())

    class Unworded(BaseModel):
        """A part of a report."""

        told: int
        """A number."""
        untold: int

    monkeypatch.setattr(report, "parts", lambda: [("Unworded", Unworded, Unworded.model_json_schema())])
    assert list(report.undocumented()) == ["Unworded.untold has no docstring"]

    monkeypatch.delitem(speckeys.PLACES, "installation._user")
    monkeypatch.delitem(speckeys.BUILDER, "format")
    assert list(speckeys.undocumented()) == ["installation._user reads keys, and PLACES does not say where in the file", "the builder's key format is not told"]

    monkeypatch.setattr(proven, "features", lambda: [{"feature": "A", "tests": ["tests/none.py", "tests/conftest.py::test_none"]}, {"feature": "B"}])
    assert list(proven.undocumented()) == ["A: tests/none.py is no test", "A: tests/conftest.py::test_none is no test", "B: nothing proves it, and it is not told as unknown", "README.md: its figures are old: scripts/figures.py"]


def test_the_reference_tells_what_the_code_says(pages: dict[str, str]) -> None:
    assert "| `FORGELET_PORT` | `port` | `8090` |" in pages["reference/settings.md"]
    assert "### forgelet scan run" in pages["reference/commands.md"] and "`--overlay`" in pages["reference/commands.md"]
    assert "| GET | `/api/users/{uid}/images` | The machine images of a scan, or of the user. | `images.index` | 16 |" in pages["reference/routes.md"]
    assert "| `control.snapshots.take` |  | `name`, `replace` (false) |" in pages["reference/routes.md"]
    assert "body: [FaultRequest](#faultrequest)" in pages["reference/routes.md"] and "| `percent` | integer |  |" in pages["reference/routes.md"]
    assert "body: UForge's `credAccount`" in pages["reference/routes.md"]
    assert "| GET | `/_forgelet/health` |" in pages["reference/routes.md"]
    assert "| `builders[].keystoneProject` |" in pages["reference/builder-file.md"]
    assert "| `login` | string | *required* |" in pages["reference/seeds.md"]
    assert "| `assert_migrates` |" in pages["reference/pytest.md"] and "| `--forgelet-url` |" in pages["reference/pytest.md"]
    assert "| `not-found` | 404 | 1 |" in pages["reference/errors.md"]
    assert "| `diskSize` | number from 64 to 2097152 |" in pages["reference/builder-file.md"]
    assert "| `bootType` | one of: firstboot, everyboot |" in pages["reference/builder-file.md"]
    told = sum(one["evidence"] == "hammr" for one in proven.calls())
    assert f"| driven by the real client | {told} |" in pages["proven.md"]


def test_every_route_error_and_part_of_the_report_is_told(pages: dict[str, str]) -> None:
    assert [path for _, path in routes.endpoints() if f"`{path}`" not in pages["reference/routes.md"]] == []
    assert [kind.__name__ for kind in errors.kinds() if f"`{kind.__name__}`" not in pages["reference/errors.md"]] == []
    assert [name for name in ScanReport.model_fields if f"| `{name}` |" not in pages["reference/scan-report.md"]] == []
    assert report.schema()["properties"].keys() == ScanReport.model_fields.keys()


def examples() -> Iterator[tuple[str, str]]:
    """Each command of ours in the prose, with its place."""
    for page in PROSE:
        for number, line in enumerate(page.read_text().splitlines(), 1):
            if line.startswith("$ forgelet "):
                yield f"{page.relative_to(ROOT)}:{number}", line.removeprefix("$ forgelet ")


@cache
def known() -> Any:
    return tree()


def mistake(line: str) -> str:
    """What the command line would not take of an example; empty when all is known."""
    words = hoist(shlex.split(line.partition("   #")[0]))
    at: Any = known()
    named = {name for one in at.params for name in one.opts}
    for word in words:
        if word.startswith("-") and not word.lstrip("-").isdigit():
            if word.partition("=")[0] not in named:
                return f"there is no option {word}"
        elif word in getattr(at, "commands", {}):
            at = at.commands[word]
            named |= {name for one in at.params for name in [*one.opts, *one.secondary_opts]}
        elif getattr(at, "commands", {}):
            return f"there is no command {word}"
    missing = [one.opts[0] for one in at.params if one.required and one.param_type_name == "option" and not set(one.opts) & set(words)]
    return f"{', '.join(missing)} must be given" if missing else ""


def test_every_command_of_the_prose_is_one_that_there_is() -> None:
    told = list(examples())
    assert len(told) > 30
    assert [f"{place}: {why}" for place, line in told if (why := mistake(line))] == []


def scripts_of(recipe: str) -> list[str]:
    """The lines that a CI service runs for a recipe, in their order."""
    told = yaml.safe_load((ROOT / "docs/recipes" / recipe).read_text())["specs" if recipe == "gitlab.yml" else "jobs"]
    if recipe == "gitlab.yml":
        return [*told["before_script"], *told["script"]]
    return [line for step in told["specs"]["steps"] for line in step.get("run", "").splitlines()]


@pytest.mark.parametrize("recipe", ["github.yml", "gitlab.yml"])
def test_what_a_recipe_runs_is_there(recipe: str) -> None:
    lines = scripts_of(recipe)
    subprocess.run(["bash", "-n"], input="\n".join(lines), text=True, check=True)
    ours = [line.partition(" > ")[0] for line in lines if line.startswith("forgelet ")]
    assert len(ours) == 3
    assert [why for line in ours if (why := mistake(line.removeprefix("forgelet ")))] == []
    files = re.findall(r"\bforgelet/(scripts/\S+)", "\n".join(lines))
    assert files == ["scripts/install.sh", "scripts/engines.sh"]
    assert [name for name in files if not os.access(ROOT / name, os.X_OK)] == []


def test_both_recipes_verify_alike_and_keep_what_was_found_when_that_fails() -> None:
    github = yaml.safe_load((ROOT / "docs/recipes/github.yml").read_text())["jobs"]["specs"]
    gitlab = yaml.safe_load((ROOT / "docs/recipes/gitlab.yml").read_text())["specs"]
    steps = {step.get("name", step.get("uses")): step for step in github["steps"]}
    assert steps["Verify"]["run"].splitlines() == gitlab["script"]
    assert github["env"] == gitlab["variables"]
    assert steps["actions/upload-artifact@v4"]["if"] == steps["Tell"]["if"] == "always()"
    assert gitlab["artifacts"]["when"] == "always"
    assert steps["actions/upload-artifact@v4"]["with"]["path"].split() == gitlab["artifacts"]["paths"]
    checked_out = [step.get("with", {}).get("path", ".") for step in github["steps"] if step.get("uses", "").startswith("actions/checkout")]
    assert checked_out == [".", "forgelet"]


def test_an_example_that_the_command_line_would_not_take_is_found() -> None:
    assert mistake("scan runn --name x") == "there is no command runn"
    assert mistake("scan run --nam x") == "there is no option --nam"
    assert mistake("image verify") == "--id must be given"
