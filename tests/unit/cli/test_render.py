"""Tables, bars and words."""

from __future__ import annotations

import io

import pytest

from cli.progress import WIDTH, Bar, bar
from cli.render import showable, size, state, table


def test_headings_are_centred_as_hammr_does_it() -> None:
    assert table(("Id", "Name"), [("1", "abcde")]).splitlines() == [
        "+----+-------+",
        "| Id | Name  |",
        "+====+=======+",
        "| 1  | abcde |",
        "+----+-------+",
    ]


def test_what_a_terminal_must_not_get_is_escaped() -> None:
    assert showable("a\x1b[31m\nb\udcff") == "a\\x1b[31m\\nb\\udcff"


@pytest.mark.parametrize("percent", [0, 1, 50, 99, 100])
@pytest.mark.parametrize("message", ["", "Successfully scanned", "x" * 200])
def test_a_bar_is_always_as_wide(percent: int, message: str) -> None:
    drawn = bar(percent, message)
    assert len(drawn) == WIDTH
    assert f"{percent}%" in drawn


def test_a_full_bar_has_no_gap() -> None:
    left, middle, right = bar(100, "Done").strip("|").split("|")
    assert set(left) == {">"} and set(right) == {"<"} and middle.strip() == "100%: Done"


def test_without_a_terminal_only_the_end_is_printed_as_a_plain_line() -> None:
    out = io.StringIO()
    shown = Bar(out)
    shown.draw(10, "working")
    assert out.getvalue() == ""
    shown.finish(100, "Done")
    assert out.getvalue() == "100%: Done\n"


def test_on_a_terminal_the_bar_is_drawn_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(out, "isatty", lambda: True)
    shown = Bar(out)
    shown.draw(10, "working")
    shown.finish(100, "Done")
    assert out.getvalue().count("\r") == 2 and out.getvalue().endswith("\n")


def test_sizes_are_for_people() -> None:
    assert [size(n) for n in (0, 1023, 1536, 5 << 20, 3 << 30)] == ["0 B", "1023 B", "1.5 KiB", "5.0 MiB", "3.00 GiB"]


def test_a_status_is_one_word() -> None:
    told = {"complete": False, "error": False, "cancelled": False, "percentage": 42}
    assert [state({**told, key: True}) for key in ("complete", "error", "cancelled")] == ["Done", "Error", "Cancelled"]
    assert state(told) == "In progress (42%)"
