"""The scan as a whole: two phases, stages, errors, and the agent on its own."""

from __future__ import annotations

import ast
import errno
import subprocess
import sys
from pathlib import Path

import pytest

import scanner.agent
from scanner.errors import Cancelled, HostileInput, NotFound, StepFailed, UserError
from scanner.progress import Silent
from scanner.report import Container, Report
from scanner.scan import scan
from scanner.targets import open_target
from scanner.targets.contract import CHECKS
from scanner.targets.directory import DirectoryTarget


class Listener(Silent):
    def __init__(self, fail_at: str = "") -> None:
        super().__init__()
        self.percents: list[int] = []
        self.lines: list[str] = []
        self.fail_at = fail_at

    def stage(self, name: str, message: str = "") -> None:
        super().stage(name, message)
        if name == self.fail_at:
            raise Cancelled("asked to stop")

    def update(self, percent: int, message: str = "") -> None:
        self.percents.append(percent)

    def log(self, line: str) -> None:
        self.lines.append(line)


def test_a_simple_scan_has_one_stage_and_no_archives(machine, tmp_path):
    listener = Listener()
    report = scan(machine.target(), tmp_path / "out", listener)
    assert listener.stages == ["inventory"]
    assert sorted(path.name for path in report.folder.iterdir()) == ["files.ndjson.zst", "head.json", "known.zst"]
    assert report.head.overlay is False


def test_the_report_on_disk_is_the_report_given_back(machine, tmp_path):
    report = scan(machine.target(container=Container(image="x:1", ports=["80/tcp"])), tmp_path / "out", Silent(), excludes=["/srv"])
    again = Report(tmp_path / "out")
    assert again.head == report.head
    assert again.head.system.container == Container(image="x:1", ports=["80/tcp"])
    assert (again.head.target, again.head.excludes) == ("fake:machine", ["/srv"])
    assert again.head.created.endswith("+00:00")


def test_the_service_chooses_between_the_phases(machine, tmp_path):
    machine.file("/srv/page")
    listener = Listener()
    seen = []

    def choose(report):
        seen.append((report.head.counts["files"], list(listener.stages)))
        return lambda entry: "overlay" if entry.path == "/srv/page" else None

    report = scan(machine.target(), tmp_path / "out", listener, choose=choose)
    assert seen == [(report.head.counts["files"], ["inventory", "capture"])]
    assert Report(tmp_path / "out").head.overlay is True
    assert "chosen: overlay 1" in listener.lines


def test_progress_only_grows_and_ends_at_100(machine, tmp_path):
    for number in range(1200):
        machine.file(f"/srv/{number}")
    listener = Listener()
    scan(machine.target(), tmp_path / "out", listener, choose=lambda report: lambda entry: None)
    assert listener.percents == sorted(listener.percents)
    assert len(listener.percents) > 3
    assert (listener.percents[-1], max(listener.percents)) == (100, 100)


def test_the_counts_add_up_to_every_path(machine):
    machine.package("tool", {"/usr/bin/tool": b"x", "/usr/bin/gone": b"x"})
    machine.at("/usr/bin/gone").unlink()
    report = machine.scan()
    counts = dict(report.head.counts)
    assert counts.pop("files") == sum(counts.values()) == len(list(report.files()))
    assert counts["missing"] == 1


def test_two_scans_of_an_idle_system_have_one_digest_and_a_change_another(machine):
    machine.file("/srv/page", b"1")
    first, second = machine.scan(), machine.scan()
    machine.file("/srv/page", b"2")
    assert first.head.digest == second.head.digest
    assert machine.scan().head.digest != first.head.digest


def test_what_changed_between_the_phases_is_a_blind_spot(machine, tmp_path):
    machine.file("/srv/page", b"before")

    def choose(report):
        machine.file("/srv/page", b"after!")
        return lambda entry: "overlay" if entry.path == "/srv/page" else None

    report = scan(machine.target(), tmp_path / "out", Silent(), choose=choose)
    assert [(spot.path, spot.reason) for spot in Report(report.folder).head.blind_spots] == [("/srv/page", "changed between inventory and capture")]


def test_an_agent_that_dies_at_the_very_end_fails_the_scan(machine, tmp_path):
    with pytest.raises(StepFailed):
        scan(machine.target(dies=True), tmp_path / "out", Silent())
    assert list((tmp_path / "out").iterdir()) == []


def test_a_lying_capture_leaves_no_archive(machine, tmp_path):
    machine.file("/srv/page")
    with pytest.raises(HostileInput):
        scan(
            machine.target(spoil_capture=lambda raw: raw[:-600]),
            tmp_path / "out",
            Silent(),
            choose=lambda report: lambda entry: "overlay" if entry.path == "/srv/page" else None,
        )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["files.ndjson.zst", "head.json", "known.zst"]


def test_a_cancel_is_seen_between_the_phases(machine, tmp_path):
    with pytest.raises(Cancelled):
        scan(machine.target(), tmp_path / "out", Listener(fail_at="capture"), choose=lambda report: lambda entry: None)


def test_labels_lead_to_targets_and_others_are_refused(tmp_path):
    assert open_target(f"directory:{tmp_path}").label == f"directory:{tmp_path}"
    assert open_target("docker:web").label == "docker:web"
    for label in ("", "docker:", "directory:", "ftp:x", "web"):
        with pytest.raises(UserError) as caught:
            open_target(label)
        assert caught.value.hint


def test_a_folder_that_is_not_there_is_not_found(tmp_path):
    with pytest.raises(NotFound):
        scan(open_target(f"directory:{tmp_path}/none"), tmp_path / "out", Silent())


@pytest.fixture(params=["fake", "directory"])
def target(request, machine):
    machine.file("/etc/hello", b"hello\n", 0o640)
    return machine.target() if request.param == "fake" else DirectoryTarget(machine.root)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_target_keeps_the_contract(check, target, tmp_path):
    check(target, tmp_path)


AGENT = Path(scanner.agent.__file__).parent


@pytest.mark.parametrize("source", sorted(AGENT.glob("*.py")), ids=lambda path: path.name)
def test_the_agent_runs_on_python_3_6_and_brings_nothing(source):
    tree = ast.parse(source.read_text(), feature_version=(3, 6))
    for node in ast.walk(tree):
        assert not isinstance(node, ast.NamedExpr)
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            assert name.startswith("scanner.agent") or name.split(".")[0] in sys.stdlib_module_names - {"__future__", "dataclasses"}


def test_the_agent_ends_with_one_line_when_there_is_no_root(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "scanner.agent", "inventory", "--root", str(tmp_path / "none")], capture_output=True, check=False, cwd=AGENT.parents[1]
    )
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.startswith(b"uforge-scan: ")
    assert done.stderr.count(b"\n") == 1


def test_a_bad_end_of_the_agent_is_told_with_its_words(machine, tmp_path):
    target = DirectoryTarget(machine.root)
    with pytest.raises(StepFailed, match="No such file"), target.capture(tmp_path / "none") as stream:
        stream.read()


@pytest.mark.parametrize("file", ["files.ndjson.zst.partial", "known.zst"])
def test_a_disk_that_is_full_ends_the_scan_with_its_own_error_and_no_half_report(machine, tmp_path, file):
    into = tmp_path / "into"
    into.mkdir()
    # The kernel's own full disk: whatever is written there fails with ENOSPC.
    (into / file).symlink_to("/dev/full")
    with pytest.raises(OSError) as caught:
        scan(machine.target(), into, Silent())
    assert caught.value.errno == errno.ENOSPC
    assert not [one.name for one in into.iterdir() if one.name in (file, "files.ndjson.zst", "head.json")]
