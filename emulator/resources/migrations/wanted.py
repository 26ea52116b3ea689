"""What a migration shall do: hammr's migration (three stages as UForge has them), or our file's (`forgelet migration launch --file`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from scanner.errors import UserError
from scanner.targets.access import Access

if TYPE_CHECKING:
    from builders.clouds.base import Request

STAGES = ("scan", "rehearse", "build", "publish", "provision", "verify")
AGENT = "agent"
"""The target of a migration whose scan hammr's agent reports by itself."""
FILE = "migration"
MEMORY = 1024
"""MiB, when the builder names none."""


def builder_file(builder: dict[str, Any], disk_size: int) -> str:
    """A builder file of the one builder, with `disk_size` (MiB) where it names none."""
    import yaml

    sized = {"diskSize": disk_size, **(builder.get("installation") or {})}
    return yaml.safe_dump({"builders": [{**builder, "installation": sized, "hardwareSettings": {"memory": MEMORY, **(builder.get("hardwareSettings") or {})}}]})


class Provision(BaseModel):
    """The instance that is wanted at the end."""

    model_config = ConfigDict(extra="forbid")

    flavor: str
    name: str = ""
    """As the migration unless given."""
    publicKeys: list[str] = []
    ports: list[int] = []
    network: str = ""


class Wanted(BaseModel):
    """A migration as it was asked for."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    target: str
    """`docker:NAME`, `libvirt:NAME`, `ssh:USER@HOST:PORT`, `local`, `directory:PATH`; `agent`: hammr's agent reports by itself"""
    exclude: list[str] = []
    overlay: bool = True
    builder: dict[str, Any]
    """One builder of a builder file. Without `installation` the disk is made large enough, in whole GiB, without `hardwareSettings` the memory is 1024 MiB."""
    publish: bool = True
    provision: Provision | None = None
    verify: bool = False
    probes: list[str] = []

    def stages(self) -> list[str]:
        """Those that it goes through, in order."""
        asked = {"scan": True, "rehearse": True, "build": True, "publish": self.publish, "provision": self.provision is not None, "verify": self.verify}
        return [stage for stage in STAGES if asked[stage]]

    def request(self) -> Request:
        """The instance at the end."""
        from builders.clouds.base import Request

        assert self.provision is not None
        one = self.provision
        return Request(one.name or self.name, one.flavor, public_keys=one.publicKeys, ports=one.ports, networks=(one.network,) if one.network else ())


class Launch(Wanted):
    """The same with what opens an SSH host; in memory only."""

    access: Access | None = None

    def wanted(self) -> Wanted:
        """What may be written down."""
        from builders.spec import without_secrets

        return Wanted.model_validate({**self.model_dump(exclude={"access"}), "builder": without_secrets(self.builder)})


def of_hammr(asked: dict[str, Any]) -> Wanted:
    """The element `migration` as hammr sends it (PROTOCOL 4.7). Raises `UserError`."""
    stages = {one.get("xsiType"): one for one in (asked.get("stages") or {}).get("stage") or []}
    missing = [kind for kind in ("ScanStage", "GenerationStage", "PublicationStage") if kind not in stages]
    if missing or not asked.get("name"):
        raise UserError("the migration is not complete", problems=[*([] if asked.get("name") else ["name: is missing"]), *(f"stages: there is no {kind}" for kind in missing)])
    image, sent = stages["GenerationStage"].get("image") or {}, stages["PublicationStage"].get("publishImage") or {}
    profile = image.get("installProfile") or {}
    builder: dict[str, Any] = {"type": (image.get("targetFormat") or {}).get("name") or ""}
    if profile.get("diskSize"):
        builder["installation"] = {"diskSize": profile["diskSize"]}
    if profile.get("memorySize"):
        builder["hardwareSettings"] = {"memory": profile["memorySize"]}
    builder |= {key: sent[key] for key in ("displayName", "keystoneDomain", "keystoneProject", "tenantName", "publicImage") if sent.get(key) not in (None, "")}
    builder["account"] = {key: value for key, value in (sent.get("credAccount") or {}).items() if key in ("name", "uri", "dbId")}
    return Wanted(name=str(asked["name"]), target=AGENT, builder=builder)
