"""The stack section: what is read, and that every mistake is named with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builders.errors import SpecError
from builders.installation import KEYBOARDS, Account, Interface
from builders.spec import BuilderSpec
from builders.stack import Wish, parse_document, parse_stack
from builders.templated import swapped

GOOD = """\
stack:
  name: web
  version: 1.10
  os:
    name: Debian
    version: 12
    arch: x86_64
    pkgs:
    - name: nginx
      version: 1.22.1-9
    - fullName: curl_7.88.1-10_amd64.deb
  installation:
    timezone: Europe/London
    keyboard: uk
    kernelParams: [quiet, "console=ttyS0"]
    welcomeMessage: Hello
    rootUser: {password: secret, disablePasswordLogin: true}
    users:
    - {name: alice, fullName: Alice A, secondaryGroups: "sudo, adm", userId: 1500}
    groups:
    - {name: crew, groupId: 1600}
    internetSettings: configure
    nics:
    - {name: eth0, order: 1, ipv4: static, ipv6: disabled, ipAddresses: [{version: 4, address: 192.0.2.5, netmask: 255.255.255.0, gateway: 192.0.2.1}]}
  config:
  - {name: second, source: b.sh, frequency: everyboot, order: 2}
  - {name: first, source: a.sh, order: 1}
builders: null
"""


def problems(text: str, name: str = "t.yml") -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse_stack(text, name)
    return list(caught.value.problems)


def test_every_key_is_read_into_what_is_built() -> None:
    stack = parse_stack(GOOD, "t.yml")
    assert (stack.name, stack.version, stack.system.codename, stack.system.arch) == ("web", "1.10", "bookworm", "amd64")
    assert stack.system.packages == (Wish("nginx", "1.22.1-9"), Wish("curl", "7.88.1-10", "amd64"))
    assert [wish.apt for wish in stack.system.packages] == ["nginx=1.22.1-9", "curl:amd64=7.88.1-10"]
    setup = stack.installation
    assert setup.users == (Account("alice", "Alice A", groups=("sudo", "adm"), uid=1500),)
    assert setup.interfaces == (Interface("eth0", "static", "disabled", (("192.0.2.5/24", "192.0.2.1"),)),)
    assert (setup.timezone, setup.keyboard, setup.kernel_parameters, setup.lock_root) == ("Europe/London", "gb", ("quiet", "console=ttyS0"), True)
    assert [(script.name, script.every_boot) for script in stack.scripts] == [("first", False), ("second", True)]


def test_what_is_stored_reads_back_as_the_same_template() -> None:
    stack = parse_stack(GOOD, "t.yml")
    again = parse_document(json.loads(json.dumps(stack.document)))
    assert again == stack


def test_every_mistake_is_named_with_line_and_key() -> None:
    text = GOOD.replace("name: Debian", "name: Plan9").replace("timezone: Europe/London", "timezone: Mars/Base").replace("name: alice", "name: 'no user'")
    text = text.replace("order: 2}", "order: soon, colour: red}")
    found = problems(text)
    assert [line.partition(":")[0] for line in found] == [
        "line 5, stack.os.name",
        "line 13, stack.installation.timezone",
        "line 19, stack.installation.users[0].name",
        "line 26, stack.config[0].order",
        "line 26, stack.config[0].colour",
    ]


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("firewall: true", "cannot be set up"),
        ("seLinuxMode: enforcing", "AppArmor"),
        ("internetSettings: ask", "console"),
        ("partitioning: {disks: [{name: sda, size: 4000, partitions: []}], volumeGroups: [{name: vg}]}", "logical volumes"),
        ("partitioning: {disks: [{size: 4000}, {size: 4000}]}", "not 2 disks"),
        ("displayLicenses: true", "nobody at its console"),
        ("displayLicense: 'True'", "nobody at its console"),
        ("nics: [{name: eth0}]", "internetSettings: configure"),
        ("rootUser: {setPassword: true}", "no password to set"),
        ("keyboard: ro-cedilla", "has no layout here"),
        ("swapSize: -5", "from 0 to 65536"),
    ],
)
def test_what_cannot_be_built_is_refused_with_the_reason(key: str, reason: str) -> None:
    text = f"stack:\n  name: a\n  version: b\n  os: {{name: Debian, version: 12, arch: x86_64}}\n  installation:\n    {key}\n"
    found = problems(text)
    assert len(found) == 1
    assert found[0].startswith("line 6, stack.installation.")
    assert reason in found[0]


def test_a_package_set_of_the_past_is_refused() -> None:
    assert "mirrors hold the present one only" in problems(GOOD.replace("    pkgs:", "    updateTo: 2020-01-01\n    pkgs:"))[0]


@pytest.mark.parametrize("said", ["2024-13-45", "2024-02-30", "2099-01-01", "tomorrow", "2024-01-01 25:61"])
def test_a_package_set_that_there_is_not_is_refused(said: str) -> None:
    (found,) = problems(GOOD.replace("    pkgs:", f"    updateTo: {said}\n    pkgs:"))
    assert "stack.os.updateTo" in found and ("is not a date" in found or "cannot be had" in found)


@pytest.mark.parametrize(
    ("keymap", "layout"),
    [("dvorak", "us:dvorak"), ("us-acentos", "us:intl"), ("fr-ch", "ch:fr"), ("sg-latin1", "ch:de_nodeadkeys"), ("sr-latin1", "rs:latin"), ("bg-pho-utf8", "bg:phonetic"), ("de", "de"), ("ro-std", "ro:std")],
)
def test_a_keyboard_is_its_layout_and_its_variant(keymap: str, layout: str) -> None:
    assert parse_stack(GOOD.replace("keyboard: uk", f"keyboard: {keymap}"), "t.yml").installation.keyboard == layout


def test_every_keyboard_is_one_that_there_is() -> None:
    rules = Path("/usr/share/X11/xkb/rules/base.lst")
    parts = {part.split(None, 1)[0]: part for part in rules.read_text().split("! ")[1:]}
    layouts = {line.split()[0] for line in parts["layout"].splitlines()[1:] if line.strip()}
    variants = {(words[1].rstrip(":"), words[0]) for line in parts["variant"].splitlines()[1:] if len(words := line.split()) > 1}
    for keymap, layout in KEYBOARDS.items():
        name, _, variant = layout.partition(":")
        assert name in layouts, keymap
        assert not variant or (name, variant) in variants, keymap


def test_a_password_that_is_not_to_be_set_is_not_set() -> None:
    text = GOOD.replace("{password: secret,", "{password: secret, setPassword: false,")
    assert parse_stack(text, "t.yml").installation.root_password == ""
    assert parse_stack(GOOD, "t.yml").installation.root_password == "secret"


def test_a_builder_s_swap_is_the_template_s() -> None:
    stack = parse_stack(GOOD, "t.yml")
    assert swapped(stack, BuilderSpec("OpenStack", 4000, 1024, swap_size=256)).installation.swap_size == 256
    assert swapped(stack, BuilderSpec("OpenStack", 4000, 1024)) is stack


def test_a_minor_release_is_taken_as_its_major_one_only_when_asked() -> None:
    text = GOOD.replace("version: 12", "version: '12.5'")
    assert "with useMajor" in problems(text)[0]
    assert parse_stack(text, "t.yml", use_major=True).system.version == "12"


def test_json_is_read_like_yaml() -> None:
    document = {"stack": {"name": "a", "version": "1", "os": {"name": "Debian", "version": "12", "arch": "x86_64", "pkgs": [{"name": "x y"}]}}}
    assert problems(json.dumps(document, indent=1), "t.json") == ["line 11, stack.os.pkgs[0].name: 'x y' is not the name of a package"]
    assert problems("{", "t.json")[0].startswith("line 1, column 2: is not JSON")


def test_a_file_without_a_stack_says_so() -> None:
    assert problems("builders: []\n") == ["line 1, stack: is missing (the template itself)"]
