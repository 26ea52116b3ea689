"""What is handed to diskimage-builder, and what is said when it fails. The tool itself is played by a script here."""

from __future__ import annotations

import hashlib
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from builders import dib
from builders.archive import PackageId, parse_stanzas
from builders.dib import BaseRequest, block_device_config, build_base
from builders.errors import BuildFailed

LOGIN = PackageId("login", "amd64", "1:4.13")
TZDATA = PackageId("tzdata", "all", "2024a")


@pytest.fixture
def request_(tmp_path: Path) -> BaseRequest:
    debs = {}
    for package in (LOGIN, TZDATA):
        debs[package] = tmp_path / f"{package.name}_1%3a_{package.arch}.deb"
        debs[package].write_text(f"contents of {package.name}")
    return BaseRequest(
        codename="bookworm",
        arch="amd64",
        packages=[LOGIN, TZDATA],
        stanzas={
            package: {"Package": package.name, "Version": package.version, "Filename": "pool/main/x.deb", "Description": "one\n two"} for package in debs
        },
        debs=debs,
        accounts={"passwd": "app:x:105:110::/srv:/bin/sh\n", "group": "app:x:110:\n", "shadow": "app:!:19000::::::\n", "gshadow": "app:!::\n"},
        disk_size=2000,
        filesystem="0b0b0b0b-0000-4000-8000-000000000000",
        disk_id="0x1234abcd",
    )


def test_the_disk_has_exactly_the_asked_size_and_one_bootable_partition_over_all_of_it(request_: BaseRequest) -> None:
    loop, mbr = block_device_config(request_)
    assert loop == {"local_loop": {"name": "image0", "size": "2000MiB"}}
    table = mbr["forgelet_mbr"]
    assert isinstance(table, dict)
    assert (table["base"], table["disk_id"]) == ("image0", "0x1234abcd")
    (root,) = table["partitions"]
    assert root["boot"] is True
    assert "size" not in root
    assert root["mkfs"]["uuid"] == request_.filesystem
    assert root["mkfs"]["mount"]["mount_point"] == "/"


def test_inodes_keep_nanoseconds_and_are_as_many_as_the_plan_reckons_with(request_: BaseRequest) -> None:
    opts = block_device_config(request_)[1]["forgelet_mbr"]["partitions"][0]["mkfs"]["opts"].split()  # type: ignore[index]
    given = dict(zip(opts[::2], opts[1::2], strict=True))
    assert given == {"-b": "4096", "-I": "256", "-i": "8192", "-J": "size=16", "-m": "1", "-E": f"hash_seed={request_.filesystem}"}


def test_the_repository_holds_the_packages_under_names_that_apts_copy_method_finds(request_: BaseRequest, tmp_path: Path) -> None:
    folder = dib._prepare(request_, tmp_path / "prepared")
    index = (folder / "repository/Packages").read_text()
    rows = {fields["Package"]: fields for fields in parse_stanzas(index)}
    assert rows.keys() == {"login", "tzdata"}
    for name, fields in rows.items():
        deb = folder / "repository" / fields["Filename"]
        assert deb.read_text() == f"contents of {name}"
        assert fields["Description"] == "one\n two"
        assert not set(fields["Filename"]) & set("%:")


def test_the_release_file_vouches_for_the_index(request_: BaseRequest, tmp_path: Path) -> None:
    folder = dib._prepare(request_, tmp_path / "prepared")
    raw = (folder / "repository/Packages").read_bytes()
    (fields,) = parse_stanzas((folder / "repository/Release").read_text())
    digest, size, name = fields["SHA256"].split()
    assert (digest, int(size), name) == (hashlib.sha256(raw).hexdigest(), len(raw), "Packages")
    assert fields["Codename"] == fields["Suite"] == "bookworm"
    assert (folder / "codename").read_text() == "bookworm"


def test_every_package_is_asked_for_with_an_architecture_that_apt_knows(request_: BaseRequest, tmp_path: Path) -> None:
    folder = dib._prepare(request_, tmp_path / "prepared")
    assert (folder / "packages").read_text() == "login:amd64\ntzdata:amd64\n"


def test_the_architectures_are_the_machines_own_and_those_of_its_packages(request_: BaseRequest, tmp_path: Path) -> None:
    assert (dib._prepare(request_, tmp_path / "prepared") / "architectures").read_text() == "amd64"
    other = PackageId("libold", "i386", "1")
    request_.debs[other] = tmp_path / "libold.deb"
    request_.debs[other].touch()
    more = replace(request_, packages=[other, *request_.packages], stanzas={**request_.stanzas, other: {"Package": "libold"}})
    assert (dib._prepare(more, tmp_path / "more") / "architectures").read_text() == "amd64,i386"


def test_packages_are_copied_where_they_cannot_be_linked(request_: BaseRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("another file system")

    monkeypatch.setattr(dib.os, "link", refuse)
    folder = dib._prepare(request_, tmp_path / "prepared")
    assert (folder / "repository/login_amd64.deb").read_text() == "contents of login"


def test_the_hook_seeds_the_accounts_that_the_tree_lacks_and_leaves_the_others(request_: BaseRequest, tmp_path: Path) -> None:
    folder = dib._prepare(request_, tmp_path / "prepared")
    hook = folder / "essential-hook"
    assert hook.stat().st_mode & stat.S_IXUSR
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    for table in ("passwd", "group", "shadow"):
        (tree / "etc" / table).write_text("root:x:0:0:root:/root:/bin/bash\n")
    (tree / "etc/group").write_text("app:x:999:\n")
    subprocess.run([hook, tree], check=True)
    assert (tree / "etc/passwd").read_text() == "root:x:0:0:root:/root:/bin/bash\napp:x:105:110::/srv:/bin/sh\n"
    assert (tree / "etc/group").read_text() == "app:x:999:\n"
    assert (tree / "etc/shadow").read_text().endswith("app:!:19000::::::\n")
    assert not (tree / "etc/gshadow").exists()


# The run. The script that stands for disk-image-create is told by its environment where everything is.


class Stage:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.work, self.into = folder / "work", folder / "into"
        self.work.mkdir()
        self.into.mkdir()
        self.said: list[str] = []
        self._monkeypatch = monkeypatch

    def run(self, request: BaseRequest, script: str) -> None:
        self._monkeypatch.setattr(dib, "_command", lambda output: ["sh", "-c", script, "disk-image-create", str(output)])
        build_base(request, self.into, self.work, self.said.append)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(tmp_path, monkeypatch)


def test_a_good_run_leaves_the_disk_and_the_installations_log(request_: BaseRequest, stage: Stage) -> None:
    stage.run(request_, 'echo disk > "$1.raw"; echo install login > "$FORGELET_BASE/out/dpkg.log"; echo "2024-01-01 10:00:00.123 | hello"; echo plain')
    assert (stage.into / "disk.raw").read_text() == "disk\n"
    assert (stage.into / "dpkg.log").read_text() == "install login\n"
    assert stage.said == ["hello", "plain"]


def test_the_tool_is_told_all_by_its_environment_and_works_below_the_jobs_folder(request_: BaseRequest, stage: Stage) -> None:
    stage.run(request_, 'env; cat "${DIB_BLOCK_DEVICE_CONFIG#file://}"; echo; touch "$1.raw" "$FORGELET_BASE/out/dpkg.log"')
    told = dict(line.split("=", 1) for line in stage.said if "=" in line)
    assert (told["ARCH"], told["DIB_RELEASE"], told["DIB_CHECKSUM"]) == ("amd64", "bookworm", "0")
    for name in ("TMP_DIR", "TMPDIR", "DIB_IMAGE_CACHE", "FORGELET_BASE"):
        assert told[name].startswith(f"{stage.work}/")
        assert Path(told[name]).is_dir()
    assert (Path(told["ELEMENTS_PATH"]) / "forgelet-debian").is_dir()
    assert told["PATH"].startswith(f"{Path(sys.executable).parent}:")
    assert any('"forgelet_mbr"' in line and '"2000MiB"' in line for line in stage.said)


@pytest.mark.parametrize(
    "line",
    [
        "E: Unable to locate package nginx",
        "dpkg: error processing package login (--configure):",
        "2024-01-01 10:00:00.123 | grub-install: error: cannot find a device for /",
        "2024-01-01 10:00:00 | ERROR: no such element",
    ],
)
def test_the_first_telling_line_is_the_cause(request_: BaseRequest, stage: Stage, line: str) -> None:
    script = f"echo fine; echo '{line}'; echo 'E: a later one'; echo 'not an E: at the beginning'; exit 3"
    with pytest.raises(BuildFailed) as caught:
        stage.run(request_, script)
    assert caught.value.message == f"diskimage-builder failed: {line.rpartition('| ')[2]}"
    assert "job log" in caught.value.hint
    assert stage.said[0] == "fine"
    assert list(stage.into.iterdir()) == []


def test_a_run_that_dies_without_a_word_is_told_with_its_status_and_last_line(request_: BaseRequest, stage: Stage) -> None:
    with pytest.raises(BuildFailed, match="ended with status 7: the very last"):
        stage.run(request_, "echo before; echo the very last; exit 7")


def test_each_run_is_counted_once(request_: BaseRequest, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGELET_TALLY", str(tmp_path / "tally"))
    stage.run(request_, 'touch "$1.raw" "$FORGELET_BASE/out/dpkg.log"')
    assert (tmp_path / "tally").read_text() == "dib\n"


def test_the_real_command_is_the_one_beside_this_python() -> None:
    argv = dib._command(Path("/x/base"))
    assert Path(argv[0]).name == "disk-image-create"
    assert argv[argv.index("-o") + 1] == "/x/base"
    assert argv[-2:] == ["forgelet-debian", "bootloader"]
