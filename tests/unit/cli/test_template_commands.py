"""`forgelet template`: what is asked of the service, and what is packed."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
import yaml

from cli.errors import CommandError
from cli.packing import pack

STACK = """\
stack:
  name: web
  version: '1'
  config:
  - {name: a, source: a.sh}
  bundles:
  - name: my tools
    version: '1.0'
    license: {name: l, source: l.txt}
    files:
    - {name: run me, source: run.sh}
    - {name: pkg, source: whatever, tag: ospkg}
builders: [{type: openstack}]
"""


def test_a_template_file_is_packed_as_hammr_packs_it(tmp_path: Path) -> None:
    for name in ("a.sh", "l.txt", "run.sh"):
        (tmp_path / name).write_text(name)
    pack(tmp_path / "t.yml", STACK, tmp_path / "a.tar.gz")
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        assert tar.getnames() == ["config/a.sh", "bundles/my_tools/l.txt", "bundles/my_tools/1.0/run_me", "template.yml"]
        document = yaml.safe_load(tar.extractfile("template.yml"))  # type: ignore[arg-type]
    assert document["builders"] is None
    assert [file["source"] for file in document["stack"]["bundles"][0]["files"]] == ["bundles/my_tools/1.0/run_me", "whatever"]


def test_every_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as caught:
        pack(tmp_path / "t.yml", STACK, tmp_path / "a.tar.gz")
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "stack.config[0].source",
        "stack.bundles[0].license.source",
        "stack.bundles[0].files[0].source",
    ]
    assert not (tmp_path / "a.tar.gz").exists()
