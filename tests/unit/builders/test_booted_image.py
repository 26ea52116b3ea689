"""The proof is of the file that was booted: what that is, is measured and not believed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from builders import verify as proving
from builders.errors import OlderImage
from builders.fidelity import Comparison
from builders.image import Image, ImageFile, Scope
from builders.verify import Proof, conclude, verify
from scanner.progress import Silent

from .conftest import WriteReport


@pytest.fixture
def image(tmp_path: Path) -> Image:
    (tmp_path / "image.qcow2").write_bytes(b"built")
    file = ImageFile(format="qcow2", name="image.qcow2", size=5, sha256=hashlib.sha256(b"built").hexdigest())
    made = Image(files=[file], virtual_size=1, memory=1, packages=1)
    made.save(tmp_path)
    return made


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that boots whatever it is given, and has nothing to say."""

    @contextmanager
    def booted(*given: Any, **options: Any) -> Iterator[Any]:
        (tmp_path / "console").write_text("")
        yield SimpleNamespace(wait_for_agent=lambda: 1.0, shut_down=lambda: None, disk=tmp_path / "disk", console=tmp_path / "console")

    monkeypatch.setattr(proving, "booted", booted)
    monkeypatch.setattr(proving, "run", lambda *words, **options: None)
    monkeypatch.setattr(proving.questions, "ask", lambda machine: ({"failed_units": []}, []))


@pytest.mark.parametrize(("bytes_", "unexplained"), [(b"built", []), (b"swapt", ["image.qcow2"])])
def test_another_file_than_was_built_is_unexplained(
    image: Image, machine: None, write_report: WriteReport, tmp_path: Path, bytes_: bytes, unexplained: list[str]
) -> None:
    (tmp_path / "image.qcow2").write_bytes(bytes_)
    source = write_report()
    _, heard = Proof(tmp_path, tmp_path, tmp_path / "work", Silent()).boot(image, source, [], None)
    found = conclude(image, source, write_report(), Comparison({"files": Scope(equal=1)}), heard, [], {})
    assert found.proven.image == hashlib.sha256(bytes_).hexdigest()
    assert [one.item for one in found.differences if one.rule is None] == unexplained
    assert found.faithful == (not unexplained)


def test_an_image_without_the_record_of_its_build_is_not_even_booted(image: Image, tmp_path: Path) -> None:
    with pytest.raises(OlderImage) as caught:
        verify(tmp_path / "scan", tmp_path, tmp_path / "work", Silent())
    assert "scan build" in caught.value.hint and not (tmp_path / "work").exists()
