"""What every `Cloud` must do with images, as checks that the tests run against the fake and against the real ones alike."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from builders.clouds.base import Cloud, Offer, Published
from builders.errors import CloudRefused
from scanner.errors import Cancelled, NotFound
from scanner.progress import Silent

Check = Callable[[Cloud, Offer, Path], None]
"""Takes a cloud that does not have the offered image, the offer, and a folder for scratch files. Fails by AssertionError. Leaves nothing in the cloud."""


def _publish(cloud: Cloud, offer: Offer) -> tuple[Published, list[str]]:
    began: list[str] = []
    return cloud.publish(offer, Silent(), began.append), began


def it_says_who_it_is_and_what_it_may_do(cloud: Cloud, offer: Offer, scratch: Path) -> None:
    said = cloud.check()
    assert said.user and said.project
    assert said.abilities["publish"]


def what_is_published_is_what_was_sent(cloud: Cloud, offer: Offer, scratch: Path) -> None:
    sent, began = _publish(cloud, offer)
    try:
        content = offer.file.read_bytes()
        assert (sent.size, sent.sha512, sent.already) == (len(content), hashlib.sha512(content).hexdigest(), False)
        assert began[0] == sent.cloud_id
        assert sent.tenant
        cloud.fetch(sent.cloud_id, scratch / "back", Silent())
        assert (scratch / "back").read_bytes() == content
    finally:
        cloud.withdraw(sent.cloud_id)


def the_same_image_again_is_recognised(cloud: Cloud, offer: Offer, scratch: Path) -> None:
    first, _ = _publish(cloud, offer)
    try:
        second, began = _publish(cloud, offer)
        assert (second.cloud_id, second.already, second.sha512) == (first.cloud_id, True, first.sha512)
        assert began == [], "what another made is not to be taken away with this"
    finally:
        cloud.withdraw(first.cloud_id)


def what_is_private_is_not_recognised_as_public(cloud: Cloud, offer: Offer, scratch: Path) -> None:
    first, _ = _publish(cloud, offer)
    try:
        second, _ = _publish(cloud, replace(offer, public=True))
    except CloudRefused:
        # Not everybody may publish to all.
        return
    finally:
        cloud.withdraw(first.cloud_id)
    cloud.withdraw(second.cloud_id)
    assert not second.already and second.cloud_id != first.cloud_id


def what_is_about_to_be_taken_away_is_not_recognised(cloud: Cloud, offer: Offer, scratch: Path) -> None:
    first, _ = _publish(cloud, offer)
    second, _ = _publish(cloud, replace(offer, doomed=frozenset({first.cloud_id})))
    cloud.withdraw(first.cloud_id)
    cloud.withdraw(second.cloud_id)
    assert not second.already and second.cloud_id != first.cloud_id


def what_is_withdrawn_is_gone(cloud: Cloud, offer: Offer, scratch: Path) -> None:
    sent, _ = _publish(cloud, offer)
    cloud.withdraw(sent.cloud_id)
    asks: tuple[Callable[[], None], ...] = (lambda: cloud.withdraw(sent.cloud_id), lambda: cloud.fetch(sent.cloud_id, scratch / "none", Silent()))
    for ask in asks:
        try:
            ask()
        except NotFound as error:
            assert error.hint
        else:
            raise AssertionError("what is not there was not missed")
    assert not (scratch / "none").exists()


class _Stopping(Silent):
    def update(self, percent: int, message: str = "") -> None:
        raise Cancelled("cancelled")


def a_cancelled_publication_leaves_nothing(cloud: Cloud, offer: Offer, scratch: Path) -> None:
    began: list[str] = []
    try:
        cloud.publish(offer, _Stopping(), began.append)
    except Cancelled:
        pass
    else:
        raise AssertionError("it did not hear that it was cancelled")
    sent, _ = _publish(cloud, offer)
    cloud.withdraw(sent.cloud_id)
    assert not sent.already and sent.cloud_id not in began


CHECKS: tuple[Check, ...] = (
    it_says_who_it_is_and_what_it_may_do,
    what_is_published_is_what_was_sent,
    the_same_image_again_is_recognised,
    what_is_private_is_not_recognised_as_public,
    what_is_about_to_be_taken_away_is_not_recognised,
    what_is_withdrawn_is_gone,
    a_cancelled_publication_leaves_nothing,
)
