"""`forgelet bundle`: what is asked of the service, what is packed, what is checked without it."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.errors import CommandError
from cli.packing import pack_bundle

BUNDLE = """\
name: my tools
version: '1.0'
license: {name: l, source: l.txt}
files:
- {name: run me, source: run.sh}
- {name: pkg, source: whatever, tag: ospkg}
"""


def test_a_bundle_file_is_packed_as_hammr_packs_it(tmp_path: Path) -> None:
    for name in ("l.txt", "run.sh"):
        (tmp_path / name).write_text(name)
    pack_bundle(tmp_path / "b.yml", BUNDLE, tmp_path / "a.tar.gz")
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        assert tar.getnames() == ["bundles/my_tools/l.txt", "bundles/my_tools/1.0/run_me", "bundle.yml"]
        document = yaml.safe_load(tar.extractfile("bundle.yml"))  # type: ignore[arg-type]
    assert [file["source"] for file in document["files"]] == ["bundles/my_tools/1.0/run_me", "whatever"]


def test_every_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as caught:
        pack_bundle(tmp_path / "b.yml", BUNDLE, tmp_path / "a.tar.gz")
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["license.source", "files[0].source"]


def test_a_wrong_file_is_told_with_its_lines_and_nothing_is_sent(fake: Any, forgelet: Any, tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text("name: n\nversion: 1\nfiles:\n- {name: a, source: a, tag: nothing}\n")
    for command in ("validate", "create"):
        ended = forgelet("bundle", command, "--file", str(tmp_path / "b.yml"))
        assert ended.code == 1
        assert "line 4, files[0].tag" in ended.err
    assert fake.asked == []


def test_a_deletion_is_asked_for_and_done(fake: Any, forgelet: Any) -> None:
    fake.mine("GET", "mysoftware/3", {"name": "tools", "version": "1"})
    fake.mine("DELETE", "mysoftware/3", (204, ""))
    assert forgelet("bundle", "delete", "--id", "3", "--no-confirm").code == 0
    assert fake.asked[-1][0] == "DELETE /api/users/root/mysoftware/3"


def test_a_clone_and_the_categories_ask_for_what_they_print(fake: Any, forgelet: Any) -> None:
    fake.mine("POST", "mysoftware/3/clone", (201, {"dbId": 4, "name": "copy", "version": "2"}))
    assert "bundle 4: copy 2" in forgelet("bundle", "clone", "--id", "3", "--name", "copy", "--version", "2").out
    assert fake.asked[-1][1] == {"name": "copy", "version": "2"}
    fake.mine("GET", "orgs", {"orgs": {"org": [{"dbId": 1}]}})
    fake.answers["GET /api/orgs/1/categories"] = {"categories": {"category": [{"name": "Databases"}]}}
    ended = forgelet("bundle", "categories")
    assert "Databases" in ended.out
    assert fake.asked[-1][1] == {"query": "type=='PROJECT'"}
