"""Migration files, as the command line reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.commands.migration import request_of
from cli.errors import CommandError

FILE = """migration:
  name: web
  source: {{docker: web}}
  target: {{builder: {{type: openstack}}{more}}}
"""


@pytest.mark.parametrize(
    ("more", "verify", "probes"),
    [
        ("", False, []),
        (", verify: false", False, []),
        (", verify: ", False, []),
        (", verify: true", True, []),
        (", verify: {}", True, []),
        (", verify: {probes: ['tcp://:22']}", True, ["tcp://:22"]),
    ],
)
def test_a_proof_is_made_when_it_is_asked_for_with_or_without_probes(more: str, verify: bool, probes: list[str]) -> None:
    told = request_of(FILE.format(more=more), Path("m.yml"))
    assert (told["verify"], told["probes"], told["target"]) == (verify, probes, "docker:web")


def test_every_mistake_of_a_file_is_named() -> None:
    with pytest.raises(CommandError) as caught:
        request_of("migration: {os: plan9, source: {docker: a, libvirt: b, colour: red}, target: {}}", Path("m.yml"))
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "migration.source.colour", "migration.name", "migration.os", "migration.source", "migration.target.builder",
    ]  # fmt: skip
