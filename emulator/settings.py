"""Everything that can be set, by environment (`FORGELET_…`) or config file (TOML or YAML), with its default.

The config file is `FORGELET_CONFIG`, else `config.toml`, `config.yml` or `config.yaml` in platformdirs' `user_config_dir("forgelet")`.
The environment wins over the file; options of the command line win over both.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from platformdirs import user_config_dir, user_data_dir
from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
    YamlConfigSettingsSource,
)

from scanner.errors import UserError

SECRET = "secret"
Secret = Annotated[str, SECRET]
"""A setting of which nobody is told more than that there is one."""


def config_file() -> Path | None:
    """The config file in use, None when there is none."""
    named = os.environ.get("FORGELET_CONFIG")
    if named:
        return Path(named)
    folder = Path(user_config_dir("forgelet"))
    return next((folder / name for name in ("config.toml", "config.yml", "config.yaml") if (folder / name).is_file()), None)


class Settings(BaseSettings):
    """The settings of the service and of its client."""

    model_config = SettingsConfigDict(env_prefix="FORGELET_", extra="ignore")

    host: str = "127.0.0.1"
    """Address that the service listens on."""
    port: int = Field(default=8090, ge=0, le=65535)
    """Port that the service listens on; 0 takes a free one."""
    data: Path = Field(default_factory=lambda: Path(user_data_dir("forgelet")))
    """The one folder that holds everything: database, reports, images, logs, cache."""
    url: str = "http://127.0.0.1:8090/api"
    """Where the client finds the service."""
    user: str = "root"
    """The first user of the service, and the one that the client logs in as."""
    password: Secret = "forgelet"
    """Password of the first user, and of the client's login."""
    token: Secret = ""
    """What opens the control plane (`/_forgelet`) to other machines than this; empty: it is for this machine only."""
    publickey: Secret = ""
    """The client logs in with this API key and the secret one, not with the password."""
    secretkey: Secret = ""
    """The secret key of that API key."""
    agent_wait: float = Field(default=60, gt=0)
    """Seconds after the download of hammr's agent within which it must have reported."""
    agent_silence: float = Field(default=120, gt=0)
    """Seconds without a sign of life after which an agent of hammr's is given up."""
    listing_pause: float = Field(default=1, ge=0, le=60)
    """Seconds that hammr's listing by name takes while all scans of it are finished."""
    tls: bool = False
    """Serve https, with a certificate that the service makes and signs itself (`tls/certificate.pem` in the data folder)."""
    insecure: bool = False
    """The client takes any certificate."""
    ca: str = ""
    """File with the certificate, or its authority's, that the client trusts; empty: the machine's authorities."""
    journal: Path | None = None
    """Folder in which every answer of the service is written down (`emulator/control/answers.py`); empty: none is."""
    accel: str = ""
    """How virtual machines run: `kvm` for hardware acceleration; anything else is emulation, which works everywhere."""
    debian_mirror: str = ""
    """Debian mirror; empty: as in the host's own apt configuration."""
    debian_security_mirror: str = ""
    """Mirror of Debian's security archive; empty: as in the host's own apt configuration."""
    cache_size: int = Field(default=20480, ge=0)
    """MiB that base disks and packages may take in the cache; what was used longest ago goes first."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = config_file()
        if file is None:
            return (init_settings, env_settings)
        reader = TomlConfigSettingsSource if file.suffix == ".toml" else YamlConfigSettingsSource
        return (init_settings, env_settings, reader(settings_cls, file))

    def environment(self) -> dict[str, str]:
        """What a job's process must see of these settings, as environment variables."""
        names = ("accel", "debian_mirror", "debian_security_mirror", "cache_size")
        return {f"FORGELET_{name.upper()}": str(value) for name in names if (value := getattr(self, name)) != ""}


def hidden() -> frozenset[str]:
    """Names of the settings that are secrets."""
    return frozenset(name for name, field in Settings.model_fields.items() if SECRET in field.metadata)


def load(**overrides: Any) -> Settings:
    """The settings in force; overrides that are None do not count. Raises `UserError` naming every wrong one."""
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        problems = [f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors()]
        raise UserError("the settings are wrong", hint=f"check FORGELET_… in the environment and {config_file()}", problems=problems) from error
    except (OSError, ValueError) as error:
        raise UserError(f"the config file {config_file()} cannot be read: {error}", hint="mend or remove it") from error
