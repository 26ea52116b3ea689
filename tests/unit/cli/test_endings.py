"""How commands end, whatever happens."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from cli.main import run, tree
from cli.words import hoist


@pytest.mark.parametrize("argv", [["nope"], ["scan", "run"], ["scan", "show", "--id", "x"], ["scan", "list", "-o", "xml"], ["job", "show"], ["--bad"]])
def test_usage_errors_are_exit_code_1(forgelet: Any, argv: list[str]) -> None:
    assert forgelet(*argv).code == 1


def test_help_is_exit_code_0(forgelet: Any) -> None:
    assert forgelet("--help").code == 0
    assert forgelet("scan", "run", "--help").code == 0


def test_no_service_is_exit_code_3_with_the_command_that_starts_it(fake: Any, forgelet: Any) -> None:
    fake.mine("GET", "scannedinstances", httpx.ConnectError("Connection refused"))
    result = forgelet("scan", "list")
    assert result.code == 3
    assert "next: forgelet serve" in result.err


def test_what_is_not_forgelet_is_said_so(fake: Any, forgelet: Any) -> None:
    fake.mine("GET", "scannedinstances", (502, "<html>"))
    result = forgelet("scan", "list")
    assert result.code == 5
    assert "--url" in result.err


def test_an_internal_fault_ends_without_a_traceback(fake: Any, forgelet: Any) -> None:
    fake.mine("GET", "scannedinstances", {"surprise": 1})
    result = forgelet("scan", "list")
    assert result.code == 5
    assert "Traceback" not in result.err and "ERROR" in result.err


def test_the_traceback_is_there_for_who_asks(fake: Any, forgelet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGELET_DEBUG", "1")
    fake.mine("GET", "scannedinstances", {"surprise": 1})
    with pytest.raises(KeyError):
        forgelet("scan", "list")


@pytest.mark.parametrize(
    ("given", "moved"),
    [
        (["scan", "list", "--url", "u"], ["--url", "u", "scan", "list"]),
        (["scan", "--user=x", "list", "-o", "json"], ["--user=x", "scan", "list", "-o", "json"]),
        (["job", "show", "1", "--password"], ["--password", "job", "show", "1"]),
        (["a", "--", "--url", "u"], ["a", "--", "--url", "u"]),
    ],
)
def test_the_options_of_the_connection_may_stand_anywhere(given: list[str], moved: list[str]) -> None:
    assert hoist(given) == moved


def test_the_client_is_made_from_options_before_settings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORGELET_URL", "http://127.0.0.1:2/api")
    assert run(["scan", "list", "--url", "http://127.0.0.1:1/api"]) == 3
    assert "127.0.0.1:1" in capsys.readouterr().err


def test_a_service_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORGELET_PORT", "many")
    assert run(["serve"]) == 1
    assert "port" in capsys.readouterr().err


MUTE = {
    "serve": "it runs until it is stopped; its log is for people",
    "shell": "a person types, and each command that he types has its own -o",
    "deploy ssh": "another program's terminal",
    "deploy console": "the instance's own bytes as they come",
}
"""Commands without `-o`, and why."""


def every_command() -> dict[str, Any]:
    found: dict[str, Any] = {}

    def walk(command: Any, name: str) -> None:
        under = getattr(command, "commands", {})
        for word, one in under.items():
            walk(one, f"{name} {word}".strip())
        if not under:
            found[name] = command

    walk(tree(), "")
    return found


def test_every_command_tells_programs_how_it_ended() -> None:
    commands = every_command()
    assert len(commands) > 120
    assert {name for name, one in commands.items() if "output" not in {param.name for param in one.params}} == set(MUTE)


def test_every_choice_of_a_form_is_the_commands_own() -> None:
    """Without the callback YAML would be taken for a form for people."""
    outputs = {name: param for name, one in every_command().items() for param in one.params if param.name == "output"}
    assert [name for name, param in outputs.items() if param.callback is None] == []


def test_what_programs_are_told_is_json_or_yaml_everywhere() -> None:
    """`scan files` and its like stream too, and the comparison has a page: the closed list of those that can more."""
    other = {}
    for name, one in every_command().items():
        for param in one.params:
            if param.name == "output":
                choices = {choice.value for choice in param.type_descriptor.annotation}
                if choices != {"table", "json", "yaml"}:
                    other[name] = choices
    assert other == {
        **{f"scan {part}": {"table", "json", "yaml", "ndjson"} for part in ("show", "packages", "services", "users", "files")},
        **{name: {"table", "json", "yaml", "html"} for name in ("scan compare", "image verify")},
    }
