"""`/_forgelet/config`: no setting that is a secret is shown, and none is forgotten."""

from __future__ import annotations

from typing import Any

from emulator.control.journal.documents import secret
from emulator.settings import Settings, hidden


def test_every_setting_that_sounds_like_a_secret_is_one() -> None:
    assert hidden() == {name for name in Settings.model_fields if secret(name)}
    assert {"password", "token", "secretkey"} <= hidden()


def test_only_that_a_secret_is_set_is_shown(drive: Any) -> None:
    for name in hidden():
        setattr(drive.service.settings, name, f"sesame-{name}")
    answer = drive.http.get("/_forgelet/config", headers={"X-Forgelet-Token": "sesame-token"})
    assert "sesame" not in answer.text
    shown = answer.json()["settings"]
    assert shown.keys() == Settings.model_fields.keys()
    assert {shown[name] for name in hidden()} == {"***"}
    drive.service.settings.secretkey = ""
    assert drive.http.get("/_forgelet/config", headers={"X-Forgelet-Token": "sesame-token"}).json()["settings"]["secretkey"] == ""
