"""What can go wrong in the service's room (the trunk of the tree is in `scanner/errors.py`).

UserError
├── Conflict           the request clashes with what is there                    (exit 1, HTTP 409)
├── Unauthorized       no credentials, or wrong ones                             (exit 1, HTTP 401)
├── NotYet             a part of UForge that is not there yet                    (exit 1, HTTP 501)
├── Forbidden          another user's resources                                  (exit 1, HTTP 403)
│   └── QuotaExceeded  as much as an administrator allows is there already       (exit 1, HTTP 403)
├── TooLarge           a body that nobody needs                                  (exit 1, HTTP 413)
└── NotSatisfiable     a range that a file does not have                         (exit 1, HTTP 416)
ForgeletError
└── Busy               not now: the same again in a moment                       (exit 3, HTTP 503)
Unreachable
└── NeverReported      hammr waited for an agent that did not report             (exit 3, HTTP 503)
StepFailed
├── Interrupted        the service or the job's process ended under the job      (exit 5)
└── FaultSet           somebody asked for this failure                           (exit 5)
    └── Dropped        somebody asked for this connection to break               (exit 3, HTTP 503)
"""

from __future__ import annotations

from scanner.errors import ForgeletError, StepFailed, Unreachable, UserError


class Conflict(UserError):
    """The request clashes with what is there; the hint says how to get out."""

    http_status = 409
    code = "conflict"


class Unauthorized(UserError):
    """No credentials were given, or they are wrong."""

    http_status = 401
    code = "unauthorized"


class Forbidden(UserError):
    """The credentials are right, but these are another user's resources."""

    http_status = 403
    code = "forbidden"


class QuotaExceeded(Forbidden):
    """The user has as much of it as an administrator allows."""

    code = "quota"


class NotYet(UserError):
    """A part of UForge that Forgelet does not have yet; the message says which, and nothing was done."""

    http_status = 501
    code = "not-yet"


class TooLarge(UserError):
    """The body of the request is larger than anything that is needed."""

    http_status = 413
    code = "too-large"


class NotSatisfiable(UserError):
    """A range was asked for that the file does not have."""

    http_status = 416
    code = "range"

    def __init__(self, size: int) -> None:
        super().__init__(f"the file has {size} bytes: none of them is in the range that was asked for", hint="ask for the whole file, or for a part of it")
        self.size = size


class Busy(ForgeletError):
    """Not now; the same request will do in a moment."""

    http_status = 503
    code = "busy"
    exit_code = 3


class NeverReported(Unreachable):
    """hammr fetched an agent and waited for its scan, and the agent did not report."""

    code = "never-reported"


class Interrupted(StepFailed):
    """The service, or the job's own process, ended while the job was running."""

    code = "interrupted"


class FaultSet(StepFailed):
    """A fault was set at this stage; somebody wanted to see what happens."""

    code = "fault"


class Dropped(FaultSet):
    """A fault was set at this stage: the connection that it needs is gone."""

    code = "dropped"
    http_status = 503
    exit_code = 3
