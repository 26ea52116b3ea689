"""A real OpenStack: Keystone v3 (`login.py`), Glance v2 (`glance.py`), Nova (`nova.py`). What goes wrong there is told by `refusals.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from keystoneauth1 import exceptions as auth_errors

from builders.clouds.base import Account, Began, Instance, Offer, Published, Request, Resources, Standing
from builders.clouds.glance import Glance
from builders.clouds.login import Login
from builders.clouds.nova import Nova
from builders.clouds.refusals import ANY, passing, status_of, told, words
from builders.errors import CloudRefused
from scanner.progress import Progress


class OpenstackCloud:
    """One account's view of its cloud. See `builders.clouds.base.Cloud`."""

    def __init__(self, account: Account) -> None:
        self.account = account

    @cached_property
    def _login(self) -> Login:
        return Login(self.account)

    @cached_property
    def _glance(self) -> Glance:
        return Glance(self._login)

    @cached_property
    def _nova(self) -> Nova:
        return Nova(self._login)

    def check(self) -> Standing:
        with told(self.account):
            abilities: dict[str, bool] = {}
            facts: dict[str, Any] = {"roles": ", ".join(self._login.roles)}
            for ability, (service, ask) in self._abilities().items():
                try:
                    facts |= ask()
                    abilities[ability] = True
                except (*ANY, CloudRefused) as error:
                    abilities[ability] = False
                    facts[f"no {ability}"] = _reason(service, error)
            if self._login.warning:
                facts["warning"] = self._login.warning
            return Standing(self._login.user_name, self._login.project_name, abilities, facts)

    def _abilities(self) -> Mapping[str, tuple[str, Callable[[], dict[str, Any]]]]:
        """Ability -> the service that it needs, and what asks for it."""
        return {
            "publish": ("image", lambda: {"images": self._glance.count(), **self._glance.usage(), **self._glance.probe("private")}),
            "publish to all": ("image", lambda: self._glance.probe("public")),
            "provision": ("compute", lambda: self._nova.facts()),
            "networks": ("network", lambda: {"networks": ", ".join(one.name for one in self._nova.networks()) or "none"}),
        }

    def publish(self, offer: Offer, progress: Progress, began: Began) -> Published:
        progress.stage("upload", f"Sending {offer.name}")
        with told(self.account):
            if self._login.warning:
                progress.log(f"account {self.account.name}: {self._login.warning}")
            return self._glance.publish(offer, progress, began)

    def fetch(self, cloud_id: str, into: Path, progress: Progress) -> None:
        with told(self.account):
            self._glance.fetch(cloud_id, into, progress)

    def withdraw(self, cloud_id: str) -> None:
        with told(self.account):
            self._glance.withdraw(cloud_id)

    def resources(self) -> Resources:
        with told(self.account):
            return self._nova.resources()

    def provision(self, cloud_id: str, request: Request, progress: Progress, began: Began) -> Instance:
        with told(self.account):
            return self._nova.provision(cloud_id, request, progress, began)

    def instance(self, instance_id: str) -> Instance:
        with told(self.account):
            return self._nova.instance(instance_id)

    def console(self, instance_id: str) -> str:
        with told(self.account):
            return self._nova.console(instance_id)

    def terminate(self, instance_id: str) -> None:
        with told(self.account):
            self._nova.terminate(instance_id)


def _reason(service: str, error: Exception) -> str:
    if status_of(error) or isinstance(error, CloudRefused):
        return words(error)
    silent = passing(error) or isinstance(error, auth_errors.ConnectTimeout)
    return f"the {service} service does not answer: {words(error)}" if silent else f"there is no {service} service: {words(error)}"
