"""Keys of ours that no type of UForge has: told in JSON, left out of XML.

They are declared here, by the type that they are added to, and nowhere else: a key that is neither UForge's nor declared is a mistake
of ours, and writing it as XML raises `Undeclared`.
"""

from __future__ import annotations

_ACCOUNT = frozenset(
    {"keystoneDomain", "keystoneProject", "projectDomain", "region", "userId", "applicationCredentialId", "applicationCredentialName", "caCertificate", "insecure"}
)

EXTRAS: dict[str, frozenset[str]] = {
    "UForgeError": frozenset({"code", "hint", "problems", "exitCode"}),
    "Distribution": frozenset({"realName", "realArch"}),
    "Scan": frozenset({"jobId", "target", "exclude", "exitCode"}),
    "Appliance": frozenset({"fromScan"}),
    "ApplianceExport": frozenset({"jobId"}),
    "ApplianceImport": frozenset({"jobId"}),
    "MySoftware": frozenset({"files"}),
    "SoftwareBundleExport": frozenset({"jobId"}),
    "SoftwareBundleImport": frozenset({"jobId"}),
    "ScanImport": frozenset({"jobId"}),
    "CredAccountOpenStack": _ACCOUNT | {"warning"},
    "PublishImageOpenStack": frozenset({"jobId", "sha512sum", "already"}),
    "Migration": frozenset({"stage", "stageList", "state", "jobId", "made", "hint", "exitCode", "ended"}),
    "Deployment": frozenset({"dbId", "jobId", "publication", "ports", "fault", "cloudId", "account"}),
    "Image": frozenset(
        {
            "jobId",
            "folder",
            "bootCommand",
            # the record that the build left (`builders.image.Image`)
            "files",
            "virtualSize",
            "memory",
            "packages",
            "additions",
            "notBrought",
            "nearest",
            "conditions",
            "baseFromCache",
            "stages",
            "provenance",
        }
    ),
}
"""UForge's type -> our keys in it."""

_LOGIN = _ACCOUNT | {"applicationCredentialSecret"}

TAKEN: dict[str, frozenset[str]] = {"CredAccount": _LOGIN, "CredAccountOpenStack": _LOGIN}
"""UForge's type -> texts that it may have in a JSON request although no type of UForge has them."""

OURS = frozenset({"xsiType"})
"""Keys that any object may have: `xsiType` names the concrete type where the declared one is abstract or has derived ones."""
