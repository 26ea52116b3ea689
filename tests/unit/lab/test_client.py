"""The image with the real client: its recipe, and what of this machine's pip settings goes into it while it is built."""

from __future__ import annotations

from pathlib import Path

from emulator.lab.client import INSIDE, inside, recipe, settings
from emulator.lab.system import system_names


def test_the_recipe_is_whole_and_no_live_system() -> None:
    found = recipe()
    assert (found.name, found.release, found.command) == ("hammr", "bullseye", ("hammr",))
    assert "hammr==3.8.13\n" in (found.folder / "requirements.txt").read_text()
    assert "hammr" not in system_names()


def test_settings_of_the_environment_come_before_those_of_files_and_others_are_left_out() -> None:
    said = "global.index-url='http://one.test/simple'\n:env:.index-url='http://two.test/simple'\nglobal.cert='/a.pem'\nglobal.user='true'\nglobal.trusted-host='\\na\\nb'\n"
    assert settings(said) == {"index-url": "http://two.test/simple", "cert": "/a.pem", "trusted-host": "a\nb"}


def test_files_that_settings_name_go_along_and_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels/PyYAML-3.12.tar.gz").write_text("wheel")
    (tmp_path / "wheels/numpy-1.0.tar.gz").write_text("another")
    (tmp_path / "a.pem").write_text("certificate")
    files = tmp_path / "files"
    files.mkdir()
    found = {"cert": str(tmp_path / "a.pem"), "find-links": f"{tmp_path}/none\n{(tmp_path / 'wheels').as_uri()} http://x.test/", "trusted-host": "a\nb", "client-cert": f"{tmp_path}/none"}
    told = inside(found, files)
    assert told == {"PIP_CERT": f"{INSIDE}/cert-0", "PIP_FIND_LINKS": f"{INSIDE}/find-links-1 http://x.test/", "PIP_TRUSTED_HOST": "a b"}
    assert (files / "cert-0").read_text() == "certificate"
    assert [path.name for path in (files / "find-links-1").iterdir()] == ["PyYAML-3.12.tar.gz"]
