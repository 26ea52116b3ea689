"""`uforge-scan.bin`: one file that brings everything, and says what it lacks."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from scanner import bundle as bundles
from scanner.bundle import NO_PYTHON, NOEXEC, bundle, modules


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    path = tmp_path / "uforge-scan.bin"
    path.write_bytes(bundle())
    path.chmod(0o700)
    return path


def _run(binary: Path, *words: str, path: str = "", **options: object) -> subprocess.CompletedProcess[bytes]:
    env = {"PATH": path or os.environ["PATH"]}
    return subprocess.run([str(binary), *words], capture_output=True, check=False, env=env, **options)  # type: ignore[call-overload,no-any-return]


def _pythons(folder: Path, **scripts: str) -> str:
    """A folder with programs of these names, in front of what the head itself calls."""
    folder.mkdir()
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    (folder / "rm").symlink_to("/bin/rm")
    return str(folder)


def test_it_takes_an_inventory_and_a_capture_by_itself(binary, machine):
    machine.file("/etc/hello", b"hello\n")
    done = _run(binary, "inventory", "--root", str(machine.root), cwd="/")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert [rows[0]["kind"], rows[-1]["kind"]] == ["start", "end"]
    done = _run(binary, "capture", "--root", str(machine.root), "--paths", "-", input=b"/etc/hello\0")
    assert b"hello\n" in done.stdout
    assert binary.exists()


def test_the_same_sources_give_the_same_bytes_at_any_time(monkeypatch):
    first = bundle()
    bundles._pack.cache_clear()
    monkeypatch.setattr(time, "time", lambda: 2e9)
    assert bundle() == first


def test_a_changed_source_is_packed_anew(tmp_path, monkeypatch):
    first = bundle()
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent/odd.py").write_text("import math\n")
    (tmp_path / "agent/stamp.py").write_text("")
    (tmp_path / "uforge-scan.sh").write_text("#!/bin/sh\n")
    monkeypatch.setattr(bundles, "HERE", tmp_path)
    assert bundle() != first


def test_usable_means_what_the_sources_import_at_once():
    source = b"import os, json.decoder\nfrom scanner.agent import walk\nfrom gzip import open\ndef late():\n    import sqlite3\n"
    assert modules((("a.py", source),)) == ["gzip", "json.decoder", "os", "zlib"]


def test_a_python_that_lacks_a_module_is_passed_over_for_one_that_does_not(binary, tmp_path, machine):
    path = _pythons(tmp_path / "bin", python3="echo \"ModuleNotFoundError: No module named 'json'\" >&2; exit 1", **{"python3.9": f'exec {sys.executable} "$@"'})
    assert _run(binary, "inventory", "--root", str(machine.root), path=path).returncode == 0


def test_without_a_usable_python_it_says_which_one_lacks_what(binary, tmp_path):
    head = binary.read_bytes().replace(b"/usr/libexec/platform-python /usr/bin/python3 /usr/local/bin/python3", b"")
    binary.write_bytes(head)
    path = _pythons(tmp_path / "bin", python3="echo Traceback >&2; echo \"ModuleNotFoundError: No module named 'json'\" >&2; exit 1")
    done = _run(binary, "session", path=path)
    assert done.returncode == NO_PYTHON
    assert done.stderr.decode().startswith("uforge-scan: no usable Python 3.6 or newer is here; ")
    assert done.stderr.decode().endswith("python3 will not do: ModuleNotFoundError: No module named 'json'\n")
    assert not binary.exists()


def test_without_any_python_it_says_so(binary, tmp_path):
    binary.write_bytes(binary.read_bytes().replace(b"/usr/libexec/platform-python /usr/bin/python3 /usr/local/bin/python3", b""))
    done = _run(binary, "inventory", path=_pythons(tmp_path / "bin"))
    assert (done.returncode, done.stderr) == (NO_PYTHON, b"uforge-scan: no usable Python 3.6 or newer is here\n")


def test_hammr_s_user_sees_what_is_lacking_too(binary, tmp_path):
    """hammr prints standard output only."""
    binary.write_bytes(binary.read_bytes().replace(b"/usr/libexec/platform-python /usr/bin/python3 /usr/local/bin/python3", b""))
    done = _run(binary, "-u", "root", "-P", path=_pythons(tmp_path / "bin"))
    assert (done.returncode, done.stdout) == (NO_PYTHON, b"uforge-scan: no usable Python 3.6 or newer is here\n")
    assert binary.exists()


def test_every_download_is_stamped_for_itself():
    one, other = bundle(AGENT="1", KEY="aa"), bundle(AGENT="2", KEY="bb")
    stamps = []
    for content in (one, other, bundle()):
        found: dict[str, str] = {}
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            assert packed.testzip() is None
            exec(packed.read("scanner/agent/stamp.py"), found)
        stamps.append((found["AGENT"], found["KEY"]))
    assert stamps == [("1", "aa"), ("2", "bb"), ("", "")]


def test_a_file_that_may_not_run_is_told_at_once(binary):
    binary.chmod(0o600)
    done = subprocess.run(["sh", str(binary), "inventory"], capture_output=True, check=False)
    assert done.returncode == NOEXEC
    assert b"noexec" in done.stderr
    assert done.stdout == b""


def test_a_session_removes_its_file_before_it_answers(binary):
    with subprocess.Popen([str(binary), "session"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as agent:
        assert agent.stdin and agent.stdout
        assert agent.stdout.readline() == b"\0uforge-scan 1\n"
        assert not binary.exists()
        agent.stdin.close()
        assert agent.wait(20) == 0


def test_it_runs_at_a_lower_priority(binary):
    with subprocess.Popen([str(binary), "session"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as agent:
        assert agent.stdin and agent.stdout
        agent.stdout.readline()
        assert os.getpriority(os.PRIO_PROCESS, agent.pid) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
        agent.stdin.close()
