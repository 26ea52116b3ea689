"""Every table of the service: importing this makes SQLModel's metadata complete."""

from __future__ import annotations

from emulator.control.tables import Fault
from emulator.resources.accounts.tables import CloudAccount
from emulator.resources.agents.tables import Download
from emulator.resources.appliances.tables import Appliance, ApplianceExport, ApplianceImport, ScanImport
from emulator.resources.bundles.tables import Bundle, BundleExport, BundleImport
from emulator.resources.deployments.tables import Deployment
from emulator.resources.images.tables import Image
from emulator.resources.jobs.tables import Job, JobEvent
from emulator.resources.migrations.tables import Migration
from emulator.resources.publications.tables import Publication
from emulator.resources.scans.tables import Scan, ScannedInstance
from emulator.resources.users.tables import ApiKey, Quota, User

__all__ = [
    "ApiKey",
    "Appliance",
    "ApplianceExport",
    "ApplianceImport",
    "Bundle",
    "BundleExport",
    "BundleImport",
    "CloudAccount",
    "Deployment",
    "Download",
    "Fault",
    "Image",
    "Job",
    "JobEvent",
    "Migration",
    "Publication",
    "Quota",
    "Scan",
    "ScanImport",
    "ScannedInstance",
    "User",
]
