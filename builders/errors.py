"""What can go wrong in the builders' room (the trunk of the tree is in `scanner/errors.py`).

    UserError
    ├── SpecError          the builder file is wrong: every mistake with key and line    (exit 1)
    ├── CloudRefused       the cloud does not want it: its own words                     (exit 1)
    ├── Blocked            a rehearsal says that the build cannot succeed, and why       (exit 1)
    ├── OlderImage         an older Forgelet built the image: it cannot be proven        (exit 1)
    └── Refuted            a bundle of evidence does not hold                            (exit 1)
    StepFailed
    ├── BuildFailed        diskimage-builder or the last pass failed                     (exit 5)
    │   ├── Unresolved     the packages cannot be installed together                     (exit 5)
    │   ├── NotCached      nothing may be fetched, and the cache does not have it        (exit 5)
    │   └── DiskFull       this machine's disk is full, or the image's                   (exit 5)
    └── BootFailed         the image did not come up, or did not answer                  (exit 5)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from scanner.errors import StepFailed, UserError

if TYPE_CHECKING:
    from builders.spec import BuilderSpec


class SpecError(UserError):
    """The builder file is wrong. `problems` are `line N, key: what is wrong`.

    `specs` is what could be read of its builders all the same, for the checks that come after: one for each, zeros where it is wrong.
    """

    code = "invalid-spec"

    def __init__(self, message: str, *, hint: str = "", problems: Sequence[str] = (), specs: Sequence[BuilderSpec] = ()) -> None:
        super().__init__(message, hint=hint, problems=problems)
        self.specs = tuple(specs)


class CloudRefused(UserError):
    """The cloud answered, and said no: wrong login, no right, no room, a wrong request."""

    code = "cloud-refused"


class Blocked(UserError):
    """The rehearsal's verdict is that the build cannot succeed. `problems` are the points that block it."""

    code = "blocked"


class OlderImage(UserError):
    """The image's folder lacks what a proof needs, since the Forgelet that built it did not write it down."""

    code = "image-too-old"


class Refuted(UserError):
    """The bundle of evidence is not what it says it is; `problems` names everything that does not hold."""

    code = "evidence-refuted"


class BuildFailed(StepFailed):
    """diskimage-builder or the last pass failed."""

    code = "build-failed"


class Unresolved(BuildFailed):
    """The packages cannot be installed together; the message is apt's."""


class NotCached(BuildFailed):
    """Nothing may be fetched (`--offline`), and the cache does not have what is needed."""

    code = "not-cached"


class DiskFull(BuildFailed):
    """No space was left: on this machine, where the build works, or in the image's own file system."""

    code = "disk-full"


class BootFailed(StepFailed):
    """The image did not come up in time, or its guest agent did not answer."""

    code = "boot-failed"
