"""The words of a command line, brought into the form in which the commands are declared: options of the connection first, hammr's ways of writing theirs."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

CONNECTION = ("--url", "--user", "--password", "--ca", "--publickey", "--secretkey", "--credentials")
SHORT = ("-a", "-u", "-p", "-k", "-s", "-c")
"""hammr's short names of those; no command has any of them for itself."""
OPTION = "-"


def tidy(argv: list[str]) -> list[str]:
    """All of it."""
    return spread(hoist(argv))


def hoist(argv: list[str]) -> list[str]:
    """The options of the connection may stand anywhere: they are moved to the front, where they are declared."""
    front: list[str] = []
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--" or rest[-2:] == ["deploy", "ssh"]:
            # What follows is another program's.
            rest += [word, *words]
        elif word in CONNECTION or word in SHORT:
            front += [word, *[value for value in [next(words, None)] if value is not None]]
        elif word == "--insecure" or word.startswith(tuple(f"{option}=" for option in CONNECTION)):
            front.append(word)
        else:
            rest.append(word)
    return [*front, *rest]


def spread(argv: list[str]) -> list[str]:
    """Where hammr takes several words after one option: each gets an option of its own. Its `scan run -o` means the overlay."""
    if _of(argv, "scan", "run"):
        return _many(_overlay(argv), ("-e", "--exclude"))
    return _joined(argv, "--name") if _of(argv, "scan", "import") else argv


def _of(argv: list[str], noun: str, verb: str) -> bool:
    return (noun, verb) in pairwise(argv)


def _overlay(argv: list[str]) -> list[str]:
    """`-o` before a word is ours (`-o json`), alone it is hammr's."""
    following: Iterable[str] = [*argv[1:], OPTION]
    return ["--overlay" if word == "-o" and after.startswith(OPTION) else word for word, after in zip(argv, following, strict=True)]


def _many(argv: list[str], options: tuple[str, ...]) -> list[str]:
    """Every word that follows one of the options gets it."""
    words: list[str] = []
    taking = False
    for word in argv:
        if word.startswith(OPTION):
            taking = word in options
            words += [] if taking else [word]
        else:
            words += [options[-1], word] if taking else [word]
    return words


def _joined(argv: list[str], option: str) -> list[str]:
    """The words that follow the option are one, with blanks between them."""
    words: list[str] = []
    taking = False
    for word in argv:
        if taking and not word.startswith(OPTION) and words[-1] != option:
            words[-1] += f" {word}"
        else:
            words.append(word)
        taking = word == option or (taking and not word.startswith(OPTION))
    return words
