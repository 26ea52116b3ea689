"""What goes wrong between us and an OpenStack, told as errors of ours with the next step.

Four libraries are between: requests (and what it finds no JSON in), keystoneauth, the SDK, and each cloud's own words in an answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from keystoneauth1 import exceptions as auth_errors
from openstack import exceptions as errors
from requests import exceptions as broken

from builders.clouds.base import Account
from builders.errors import CloudRefused
from scanner.errors import NotFound, Unreachable

REFUSALS: Mapping[int, tuple[str, str]] = {
    401: ("does not take the login", "forgelet account check NAME; forgelet account create with the right password"),
    403: ("does not allow it", "publicImage: 'no', or ask the cloud's operator for the right"),
    409: ("has something in the way", "the same again in a moment"),
    413: ("has no room left for it", "ask the cloud's operator for storage"),
}
QUOTA = ("is full: its quota does not hold it", "delete images there, or ask the cloud's operator for a larger quota")
GONE = (404, 410)
"""What Glance answers when an image was taken away while it was sent."""
AWAY = (502, 503, 504)
"""What is answered while a service is started anew."""
ANY = (errors.SDKException, auth_errors.ClientException, broken.RequestException, json.JSONDecodeError)
"""Whatever the libraries raise."""
PLACES = "check keystoneUrl and glanceUrl of the account"


@contextmanager
def told(account: Account) -> Iterator[None]:
    """What the libraries raise, as ours: `CloudRefused` in the cloud's own words, `NotFound`, `Unreachable`."""
    try:
        yield
    except (errors.NotFoundException, auth_errors.NotFound) as error:
        raise NotFound(f"{account.name} has none: {words(error)}", hint="forgelet image list") from error
    except (errors.HttpException, auth_errors.HttpError) as error:
        status = status_of(error)
        what, hint = REFUSALS.get(status, ("refuses" if status < 500 else "has a fault of its own", "forgelet account check NAME"))
        if status == 413 and "quota" in words(error).lower():
            what, hint = QUOTA
        raise CloudRefused(f"{account.name} {what} (HTTP {status}): {words(error)}", hint=hint.replace("NAME", f"'{account.name}'")) from error
    except auth_errors.MissingRequiredOptions as error:
        raise CloudRefused(f"account {account.name} is not complete: {words(error)}", hint="forgelet account create") from error
    except (auth_errors.ConnectTimeout, broken.Timeout) as error:
        raise Unreachable(f"{account.name} is too slow, it did not answer in time: {words(error)}", hint="the same again later, or ask the cloud's operator") from error
    except (json.JSONDecodeError, broken.InvalidJSONError, auth_errors.InvalidResponse) as error:
        raise CloudRefused(f"{account.name} does not answer as an OpenStack does: {words(error)}", hint=PLACES) from error
    except (auth_errors.ConnectionError, auth_errors.DiscoveryFailure, auth_errors.EndpointNotFound, auth_errors.CatalogException) as error:
        raise Unreachable(f"{account.name} cannot be reached: {words(error)}", hint=PLACES) from error
    except broken.RequestException as error:
        raise Unreachable(f"the connection to {account.name} broke off: {words(error)}", hint="the same again") from error
    except (errors.SDKException, auth_errors.ClientException) as error:
        raise CloudRefused(f"{account.name}: {words(error)}", hint=f"forgelet account check '{account.name}'") from error


def passing(error: Exception) -> bool:
    """Whether it may be over in a moment: the connection broke, or a service is being started anew. Who is too slow stays so."""
    return isinstance(error, auth_errors.ConnectFailure | auth_errors.UnknownConnectionError | broken.RequestException) or status_of(error) in AWAY


def status_of(error: BaseException) -> int:
    """HTTP status of the answer behind it; 0 when there was none."""
    return int(getattr(error, "status_code", None) or getattr(error, "http_status", 0) or 0)


def words(error: Exception) -> str:
    """The message, on one line, without markup."""
    said = str(getattr(error, "details", "") or getattr(error, "message", "") or error)
    return " ".join(re.sub(r"<[^>]+>", " ", said).split())[:300]
