"""The Docker engine as the lab uses it, and the labels by which everything made here is known again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scanner.errors import StepFailed, Unreachable
from scanner.host.engines import docker_client

if TYPE_CHECKING:
    from docker import DockerClient

OURS = "forgelet"
"""Label of every container and image that Forgelet made on this machine; its value is "1"."""
SYSTEM = "forgelet.lab"
"""Label: the name of the live system."""
RECIPE = "forgelet.recipe"
"""Label: the digest of the recipe that it was made from."""


@contextmanager
def docker_engine() -> Iterator[DockerClient]:
    """A client of this machine's engine, closed at the end of the block.

    Raises `Unreachable` when the engine does not answer, `StepFailed` when it refuses something.
    """
    client = docker_client(timeout=300)
    from docker.errors import APIError
    from requests.exceptions import ConnectionError as NoConnection

    try:
        yield client
    except NoConnection as error:
        raise Unreachable("the Docker engine went away", hint="make engines") from error
    except APIError as error:
        raise StepFailed(f"the Docker engine refused: {error.explanation or error}", hint="forgelet doctor") from error
    finally:
        client.close()
