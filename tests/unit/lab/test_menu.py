"""The Makefile as a menu, and the judge that CI believes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
JUDGE = ROOT / "scripts" / "judge.py"
sys.path.insert(0, str(ROOT / "scripts"))

import features  # noqa: E402  # it lies with the scripts


def test_help_lists_every_target() -> None:
    said = subprocess.run(["make", "-C", str(ROOT), "--no-print-directory"], capture_output=True, text=True, check=True)
    listed = set(re.findall(r"^  make (\w+) +\S", said.stdout, re.MULTILINE))
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets and listed == set(targets.group(1).split())
    assert {"demo", "test", "check", "run", "clean"} <= listed


def test_every_script_of_the_menu_is_there_and_can_be_run() -> None:
    for name in re.findall(r"scripts/[a-z]+\.sh", (ROOT / "Makefile").read_text()):
        assert os.access(ROOT / name, os.X_OK), name


@pytest.mark.parametrize("script", [*sorted(ROOT.glob("scripts/*.sh")), ROOT / ".ci" / "run"], ids=lambda p: p.name)
def test_every_script_parses(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)


def judge(folder: Path, cases: str, tally: str) -> subprocess.CompletedProcess[str]:
    """The judge's word on a report with these test cases and these counted deeds."""
    junit, book = folder / "junit.xml", folder / "tally"
    junit.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    book.write_text(tally)
    argv = [sys.executable, str(JUDGE), str(junit), str(book)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


PASSED = '<testcase classname="a" name="passed"/>'
SKIPPED = '<testcase classname="a" name="left_out"><skipped message="no engine"/></testcase>'


def test_tests_that_used_every_engine_count(tmp_path: Path) -> None:
    done = judge(tmp_path, PASSED, "scan\nscan\ndib\nboot\n")
    assert done.returncode == 0
    assert "2 scanned live systems" in done.stdout


def test_one_skip_is_enough_to_fail(tmp_path: Path) -> None:
    done = judge(tmp_path, PASSED + SKIPPED, "scan\ndib\nboot\n")
    assert done.returncode != 0
    assert "left_out" in done.stderr


@pytest.mark.parametrize("unused", ["scan", "dib", "boot"])
def test_an_engine_that_was_never_used_fails(tmp_path: Path, unused: str) -> None:
    done = judge(tmp_path, PASSED, "\n".join(deed for deed in ("scan", "dib", "boot") if deed != unused))
    assert done.returncode != 0
    assert "never happened" in done.stderr


FEATURE = [{"feature": "A", "tests": ["tests/a/test_b.py", "tests/a/test_c.py::test_x"]}]


def proven(folder: Path, cases: str) -> list[str]:
    (folder / "junit.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    return features.complaints(FEATURE, features.cases([folder / "junit.xml"]))


def test_a_feature_is_proven_by_what_ran_and_passed(tmp_path: Path) -> None:
    whole = '<testcase classname="tests.a.test_b.TestOf" name="test_1"/><testcase classname="tests.a.test_c" name="test_x[1]"/>'
    assert proven(tmp_path, whole) == []


@pytest.mark.parametrize(
    ("cases", "complaint"),
    [
        ('<testcase classname="tests.a.test_b" name="test_1"/><testcase classname="tests.a.test_c" name="test_y"/>', "A: tests/a/test_c.py::test_x did not run"),
        ('<testcase classname="tests.a.test_bc" name="test_1"/><testcase classname="tests.a.test_c" name="test_x"/>', "A: tests/a/test_b.py did not run"),
        (
            """<testcase classname="tests.a.test_b" name="test_1"/><testcase classname="tests.a.test_c" name="test_x[1]"/>
            <testcase classname="tests.a.test_c" name="test_x[2]"><failure/></testcase>""",
            "A: test_x[2] of tests/a/test_c.py::test_x: failure",
        ),
    ],
)
def test_a_feature_whose_tests_did_not_run_or_failed_is_told(tmp_path: Path, cases: str, complaint: str) -> None:
    assert proven(tmp_path, cases) == [complaint]


@pytest.mark.parametrize("judge", ["judge.py", "features.py"])
def test_every_report_of_the_whole_run_is_held_against_the_features(judge: str) -> None:
    script = (ROOT / "scripts/test.sh").read_text().splitlines()
    (call,) = [line for line in script if judge in line]
    assert '"$BUILD"/*.xml' in call, call
