"""dpkg's records that a build puts back: of packages that were packed again and of removed ones, and of no others."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from builders.bootable import Tree
from builders.capture import left_behind, pick, removed
from builders.plan import BuildPlan, Verdict
from builders.records import put_back
from scanner.report import Report

from .conftest import Machine, plan_of, planned

STATUS, INFO = "/var/lib/dpkg/status", "/var/lib/dpkg/info"
PACKED = planned("tool").model_copy(update={"version": "1.0-1", "verdict": Verdict.REPACK})


def live(machine: Machine) -> None:
    """What source and base have in common."""
    machine.package("nginx", {"/usr/sbin/nginx": b"binary"}, conffiles={"/etc/nginx.conf": b"shipped\n"})


@pytest.fixture
def source(make_machine: Callable[[str], Machine]) -> Machine:
    machine = make_machine("source")
    live(machine)
    machine.package("tool", {"/usr/bin/tool": b"binary"}, conffiles={"/etc/tool.conf": b"shipped\n"}, listed=["/usr/share/doc/tool/gone"])
    machine.package("gone", conffiles={"/etc/gone.conf": b"shipped\n"}, status="deinstall ok config-files")
    machine.file(f"{INFO}/gone.postrm", b"#!/bin/sh\n", 0o755)
    return machine


@pytest.fixture
def base(make_machine: Callable[[str], Machine]) -> Machine:
    """Where dpkg installed what was packed again: it takes the files for what was shipped."""
    machine = make_machine("base")
    live(machine)
    machine.package("tool", {"/usr/bin/tool": b"binary"}, conffiles={"/etc/tool.conf": b"changed\n"})
    machine.package("cloud", {"/usr/bin/cloud": b"added"})
    return machine


@pytest.fixture
def scanned(source: Machine) -> Report:
    return source.scan(choose=lambda report: lambda one: pick(one, {"tool"}, left_behind(report.head)))


@pytest.fixture
def plan(scanned: Report) -> BuildPlan:
    return plan_of(planned("nginx"), PACKED).model_copy(update={"removed": removed(scanned.head)})


def stanzas(machine: Machine) -> dict[str, str]:
    return {text.split("\n")[0].removeprefix("Package: "): text for text in machine.at(STATUS).read_text().split("\n\n") if text}


def test_records_of_packed_and_removed_packages_are_the_sources(source: Machine, base: Machine, scanned: Report, plan: BuildPlan) -> None:
    before = stanzas(base)
    assert put_back(Tree(base.root), plan, scanned.folder) == 2
    after, theirs = stanzas(base), stanzas(source)
    assert after == {**before, "tool": theirs["tool"], "gone": theirs["gone"]}
    for name in ("tool.list", "tool.md5sums", "gone.list", "gone.postrm"):
        ours, his = base.at(f"{INFO}/{name}"), source.at(f"{INFO}/{name}")
        assert (ours.read_bytes(), ours.stat().st_mode, ours.stat().st_mtime_ns) == (his.read_bytes(), his.stat().st_mode, his.stat().st_mtime_ns)


def test_records_of_all_others_are_the_builds(source: Machine, base: Machine, scanned: Report, plan: BuildPlan) -> None:
    others = [base.at(f"{INFO}/{name}") for name in ("nginx.list", "nginx.md5sums", "cloud.list")]
    before = [(place.read_bytes(), place.stat().st_mtime_ns) for place in others]
    put_back(Tree(base.root), plan, scanned.folder)
    assert [(place.read_bytes(), place.stat().st_mtime_ns) for place in others] == before
    assert not base.at("/etc/gone.conf").exists(), "contents come by the overlay"


def test_a_captured_package_that_a_repository_gave_after_all_keeps_the_builds(base: Machine, scanned: Report, plan: BuildPlan) -> None:
    before = base.at(STATUS).read_bytes(), base.at(f"{INFO}/tool.list").read_bytes()
    offered = plan.model_copy(update={"packages": [planned("nginx"), planned("tool")], "removed": []})
    assert put_back(Tree(base.root), offered, scanned.folder) == 0
    assert (base.at(STATUS).read_bytes(), base.at(f"{INFO}/tool.list").read_bytes()) == before


def test_a_removed_package_that_the_build_adds_is_installed(base: Machine, scanned: Report, plan: BuildPlan) -> None:
    base.package("gone", {"/usr/bin/gone": b"back"})
    listed = base.at(f"{INFO}/gone.list").read_bytes()
    assert put_back(Tree(base.root), plan, scanned.folder) == 1
    assert "Status: install ok installed" in stanzas(base)["gone"]
    assert base.at(f"{INFO}/gone.list").read_bytes() == listed


def test_putting_back_twice_is_putting_back_once(base: Machine, scanned: Report, plan: BuildPlan) -> None:
    put_back(Tree(base.root), plan, scanned.folder)
    before = base.at(STATUS).read_bytes()
    assert put_back(Tree(base.root), plan, scanned.folder) == 2
    assert base.at(STATUS).read_bytes() == before


def test_a_simple_scan_has_none(source: Machine, base: Machine, plan: BuildPlan) -> None:
    before = base.at(STATUS).read_bytes()
    assert put_back(Tree(base.root), plan, source.scan().folder) == 0
    assert base.at(STATUS).read_bytes() == before
