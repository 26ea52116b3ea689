"""Recipes of live systems."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.lab.system import find_system, system_names
from scanner.errors import NotFound
from scanner.host.mirrors import Mirrors

HERE = Mirrors("http://archive.test/debian", "")


@pytest.mark.parametrize("name", system_names())
def test_every_recipe_is_whole(name: str) -> None:
    system = find_system(name)
    assert system.summary and system.packages and system.command
    assert (system.folder / "build.sh").is_file()
    assert system.live_steps.strip()
    assert {process.port for process in system.processes} <= set(system.ports)


def test_an_unknown_one_is_refused_with_one_that_there_is() -> None:
    with pytest.raises(NotFound) as raised:
        find_system("../debian12-web")
    assert raised.value.hint.rpartition(" ")[2] in system_names()


def test_the_digest_changes_with_any_file_and_with_the_mirror(tmp_path: Path) -> None:
    system = find_system("debian12-web")
    copy = replace(system, folder=tmp_path / "recipe")
    shutil.copytree(system.folder, copy.folder)
    assert copy.digest(HERE) == system.digest(HERE)
    assert copy.digest(HERE) != copy.digest(Mirrors("http://other.test/debian", ""))
    (copy.folder / "files/var/www/html/index.html").write_text("another page")
    assert copy.digest(HERE) != system.digest(HERE)
