"""The page of a fidelity report: everything is on it, and nothing of a hostile name is more than text."""

from __future__ import annotations

from html.parser import HTMLParser

from builders.image import Difference, Fidelity, Scope, Witness
from builders.proof.page import by_rule, page

EVIL = "/srv/<script>alert(1)</script>"
FOUND = Fidelity(
    scopes={"files": Scope(equal=7, explained=2, unexplained=1)},
    differences=[
        Difference(scope="files", item=EVIL, what="mode", source="mode=0644", copy="mode=0600"),
        Difference(scope="files", item="/boot/b", what="only in copy", rule="boot"),
        Difference(scope="files", item="/usr/bin/added", what="only in copy", rule="added-package"),
        Difference(scope="files", item="/boot/a", what="only in copy", rule="boot"),
    ],
    runtime={"failed_units": [], "kernel": "6.1"},
    probes=[{"probe": "cmd:id", "equal": True, "error": "", "status": 0, "size": 3, "head": "<b>", "source_status": 0, "source_size": 3, "source_head": "<b>"}],
    witnesses=[Witness(name="dpkg --verify", status=0, said="??5?????? /x", verdict="contradicts"), Witness(name="sfdisk", status=0, said="", verdict="agrees")],
    transcript=["Linux version 6.1", "login: \ud800"],
    stages={"boot": 60.0},
)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def read(found: Fidelity) -> _Reader:
    reader = _Reader()
    reader.feed(page(found))
    return reader


def test_every_item_witness_probe_and_line_is_on_the_page() -> None:
    text = read(FOUND).text
    for part in (EVIL, "mode=0600", "/boot/a", "/boot/b", "/usr/bin/added", "kernel, initramfs", "??5?????? /x", "cmd:id", "<b>", "Linux version 6.1", "\\ud800", "boot 60.0 s"):
        assert part in text, part
    assert "The copy is not the source" in text
    assert "none" in read(Fidelity(scopes={"files": Scope(equal=1)})).text


def test_what_comes_from_a_machine_is_text_and_nothing_is_fetched() -> None:
    reader = read(FOUND)
    assert not {"script", "b>", "img", "link", "iframe"} & set(reader.tags)
    assert not [name for name, _ in reader.attributes if name in ("src", "href") or name.startswith("on")]


def test_explained_differences_come_by_rule_in_the_order_of_the_closed_list() -> None:
    assert [(rule, [one.item for one in members]) for rule, members in by_rule(FOUND.differences)] == [("added-package", ["/usr/bin/added"]), ("boot", ["/boot/b", "/boot/a"])]


def test_nothing_compared_is_nothing_proven() -> None:
    assert not Fidelity().faithful
    assert "The copy is not the source" in page(Fidelity())


def test_a_strict_proof_with_explained_differences_does_not_say_that_the_copy_is_the_source() -> None:
    found = Fidelity(scopes={"files": Scope(equal=7, explained=1)}, differences=[FOUND.differences[1]])
    assert found.faithful and "The copy is the source" in page(found)
    strict = found.model_copy(update={"strict": True})
    assert not strict.faithful and "The copy is the source" not in page(strict) and "the proof is strict" in page(strict)
    assert Fidelity(scopes={"files": Scope(equal=7)}, strict=True).faithful
