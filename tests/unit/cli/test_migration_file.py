"""Migration files, as the command line reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.errors import CommandError
from cli.migrationfile import request_of

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


SOURCE_AND_TARGET = "migration: {{name: w, source: {{docker: x{source}}}, target: {{builder: {{type: openstack}}{target}}}}}"


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        (", exclude: /srv", "", "migration.source.exclude: must be a list"),
        (", exclude: [[a]]", "", "migration.source.exclude[0]: must be a text"),
        (", overlay: perhaps", "", "migration.source.overlay: must be yes or no"),
        (", ssh-port: ssh", "", "migration.source.ssh-port: must be a whole number"),
        ("", ", publish: 'never'", "migration.target.publish: must be yes or no"),
        ("", ", publish: []", "migration.target.publish: must be yes or no"),
        ("", ", verify: [x]", "migration.target.verify: must be yes, no, or {probes: […]}"),
        ("", ", verify: maybe", "migration.target.verify: must be yes, no, or {probes: […]}"),
        ("", ", verify: {probes: 'tcp://:22'}", "migration.target.verify.probes: must be a list"),
        ("", ", verify: {probs: []}", "migration.target.verify.probs: unknown key (known: probes)"),
        ("", ", provision: small", "migration.target.provision: must be a mapping of keys to values"),
        ("", ", provision: {name: x}", "migration.target.provision.flavor: is missing"),
        ("", ", provision: {flavor: f, network: [a]}", "migration.target.provision.network: must be a text"),
        ("", ", provision: {flavor: f, ports: [a]}", "migration.target.provision.ports[0]: must be a whole number"),
        ("", ", provision: {flavor: f, keys: a}", "migration.target.provision.keys: unknown key (known: flavor, key, name, network, ports)"),
    ],
)
def test_what_a_key_cannot_be_is_named_with_its_place(source: str, target: str, said: str) -> None:
    with pytest.raises(CommandError) as caught:
        request_of(SOURCE_AND_TARGET.format(source=source, target=target), Path("m.yml"))
    assert caught.value.problems == (said,)


@pytest.mark.parametrize(("word", "meant"), [("yes", True), ("'no'", False), ("off", False), ("true", True), ('"true"', True)])
def test_yes_and_no_are_understood_however_they_are_written(word: str, meant: bool) -> None:
    told = request_of(SOURCE_AND_TARGET.format(source=f", overlay: {word}", target=f", publish: {word}, verify: {word}"), Path("m.yml"))
    assert (told["overlay"], told["publish"], told["verify"]) == (meant, meant, meant)


def test_values_are_as_they_were_written() -> None:
    text = "migration: {name: 007, source: {host: h, user: 1e3, password: 0123, dir: /x}, target: {builder: {type: openstack, installation: {diskSize: 2000}}}}"
    told = request_of(text, Path("m.yml"))
    assert (told["name"], told["target"], told["access"]["password"]) == ("007", "ssh:1e3@h:22", "0123")
    assert told["builder"]["installation"] == {"diskSize": 2000}
