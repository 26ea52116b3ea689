"""The builder file: what is read, and how every mistake is named."""

from __future__ import annotations

import json

import pytest
import yaml

from builders.bounded import Loader, TooDeep
from builders.errors import SpecError
from builders.spec import parse

SEED = """---
builders:
- type: openstack
  hardwareSettings:
    memory: 1024
  installation:
    diskSize: 2000
  account: Openstack OW2
  tenant: opencloudware
  imageName: scan-test
  publicImage: 'no'
"""


def test_the_seeds_file_is_read_whole() -> None:
    (spec,) = parse(SEED, "openstack-builder.yml")
    assert (spec.type, spec.disk_size, spec.memory, spec.formats) == ("openstack", 2000, 1024, ("qcow2",))
    assert spec.publishing == {"account": "Openstack OW2", "tenant": "opencloudware", "imageName": "scan-test", "publicImage": "no"}


def test_json_says_the_same_as_yaml() -> None:
    builder = {
        "type": "openstack",
        "hardwareSettings": {"memory": 1024},
        "installation": {"diskSize": 2000},
        "account": "Openstack OW2",
        "tenant": "opencloudware",
        "imageName": "scan-test",
        "publicImage": "no",
    }
    (spec,) = parse(json.dumps({"builders": [builder]}, indent="\t"), "b.json")
    (other,) = parse(SEED, "b.yml")
    assert (spec.disk_size, spec.memory, spec.publishing) == (other.disk_size, other.memory, other.publishing)


def test_several_builders_keep_their_order_and_formats() -> None:
    more = SEED + "- {type: OpenStack QCOW2, format: [raw, qcow2], hardwareSettings: {memory: 512}, installation: {diskSize: 3000}}\n"
    first, second = parse(more, "b.yml")
    assert (first.disk_size, second.disk_size, second.formats) == (2000, 3000, ("raw", "qcow2"))


def test_every_mistake_is_named_at_once_with_line_and_key() -> None:
    text = """builders:
- type: openstak
  hardwareSettings:
    memory: lots
- type: openstack
  hardwareSettings: {memory: true}
  installation:
    diskSize: 3
    diskSise: 3
  format: vhdx
"""
    with pytest.raises(SpecError) as caught:
        parse(text, "b.yml")
    problems = "\n".join(caught.value.problems)
    for expected in (
        "line 2, builders[0].type: unknown type 'openstak'",
        "line 2, builders[0].installation: is missing",
        "line 4, builders[0].hardwareSettings.memory: must be a whole number of MiB, not 'lots'",
        "line 6, builders[1].hardwareSettings.memory: must be a whole number of MiB, not True",
        "line 8, builders[1].installation.diskSize: must be from",
        "line 9, builders[1].installation.diskSise: unknown key",
        "line 10, builders[1].format: unknown format 'vhdx'",
    ):
        assert expected in problems
    assert len(caught.value.problems) == 7


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("builders: [", "b.yml", "line 1, column 12: is not YAML"),
        ('{"builders": }', "b.json", "line 1, column 14: is not JSON"),
        ("", "b.yml", "builders: is missing"),
        ("- 1", "b.yml", "must be a mapping"),
        ("builders: []", "b.yml", "builders: must be a list with at least one builder"),
        ("builders:\n- 5", "b.yml", "line 2, builders[0]: must be a mapping"),
        ("stack: {}", "b.yml", "line 1, builders: is missing"),
        ("builders:\n- !!python/object:os.system {}", "b.yml", "builders[0]"),
    ],
)
def test_text_that_is_no_builder_file_is_refused_with_its_place(text: str, name: str, expected: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(text, name)
    assert expected in "\n".join(caught.value.problems)


def test_what_could_be_read_of_a_wrong_file_is_kept_for_the_checks_that_follow() -> None:
    with pytest.raises(SpecError) as caught:
        parse(SEED + "- {type: nonsense, hardwareSettings: {memory: 512}, installation: {diskSize: 300}}\n", "b.yml")
    assert [spec.disk_size for spec in caught.value.specs] == [2000, 300]


def test_policies_are_read_and_the_first_word_holds_unless_one_is_given() -> None:
    (plain,) = parse(SEED, "b.yml")
    assert (plain.packages, plain.strategy, plain.network) == ("exact", "packages", "dhcp")
    (told,) = parse(SEED + "  packages: nearest\n  strategy: replicate\n  network: keep\n", "b.yml")
    assert (told.packages, told.strategy, told.network) == ("nearest", "replicate", "keep")
    assert told.publishing == plain.publishing


def test_a_policy_that_there_is_not_is_named_with_line_key_and_those_that_there_are() -> None:
    with pytest.raises(SpecError) as caught:
        parse(SEED + "  packages: newest\n  strategy: [replicate]\n  network: 3\n", "b.yml")
    assert caught.value.problems == (
        "line 12, builders[0].packages: must be exact or nearest, not 'newest'",
        "line 13, builders[0].strategy: must be packages or replicate, not list",
        "line 14, builders[0].network: must be dhcp or keep, not 3",
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ("zstd", "1.1")),
        ("  compression: none\n", ("none", "1.1")),
        ("  compat: 0.10\n", ("zlib", "0.10")),
        ("  compat: '0.10'\n  compression: none\n", ("none", "0.10")),
        ("  compat: 1.1\n  compression: zlib\n", ("zlib", "1.1")),
    ],
)
def test_how_a_qcow2_is_written_can_be_asked_for(text: str, told: tuple[str, str]) -> None:
    (spec,) = parse(SEED + text, "b.yml")
    assert (spec.compression, spec.compat) == told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("  compat: 0.1\n", "compat: must be 1.1 or 0.10, not 0.1"),
        ("  compression: lzma\n", "compression: must be zstd, zlib, none, not 'lzma'"),
        ("  compat: 0.10\n  compression: zstd\n", "compression: compat 0.10 does not know zstd: zlib or none"),
        ("  format: raw\n  compression: zlib\n", "compression: is for a qcow2, and the format is raw"),
        ("  format: [vmdk, vhd]\n  compat: 0.10\n", "compat: is for a qcow2, and the format is vmdk, vhd"),
    ],
)
def test_what_no_qcow2_can_be_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(SpecError) as failed:
        parse(SEED + text, "b.yml")
    assert any(said in problem and problem.startswith("line 1") for problem in failed.value.problems), failed.value.problems


@pytest.mark.parametrize("text", ["builders: " + "[" * 3000, "a: &a [*a]\nbuilders: []", "builders: " + "[" * 150 + "]" * 150])
def test_documents_without_end_are_refused(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(text, "t.yml")
    assert "more than 100 levels" in caught.value.problems[0]


def test_the_reader_itself_goes_no_deeper() -> None:
    """Before Python's stack is full, which may end the process."""
    assert yaml.compose("[" * 100 + "]" * 100, Loader=Loader)
    with pytest.raises(TooDeep):
        yaml.compose("[" * 101 + "]" * 101, Loader=Loader)


def test_aliases_that_stand_for_too_much_are_refused() -> None:
    text = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9))
    with pytest.raises(SpecError) as caught:
        parse(text + "builders: []\n", "t.yml")
    assert "its aliases stand for more than 200000 values" in caught.value.problems[0]
