"""Which modules have routes, and under which prefix; importing them takes about as long as the half of the start-up."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from emulator.control import health

if TYPE_CHECKING:
    from emulator.control.operations import Operations


@cache
def operations() -> Operations:
    """Every operation of the service by name."""
    from emulator.control.operations import Operations

    found = Operations()
    for prefix, module in [("/_forgelet", health), *routers()]:
        found.add(prefix, module)
    return found


def routers() -> list[tuple[str, Any]]:
    """The modules with routes, each with the prefix of its paths."""
    from emulator.control import about, determinism, fault_routes, report_routes
    from emulator.control import routes as control
    from emulator.control import users as user_control
    from emulator.control.journal import routes as journal
    from emulator.control.seeds import routes as seeds
    from emulator.control.snapshots import routes as snapshots
    from emulator.resources.accounts import routes as accounts
    from emulator.resources.agents import binaries
    from emulator.resources.agents import routes as agents
    from emulator.resources.appliances import archives
    from emulator.resources.appliances import builds as appliance_builds
    from emulator.resources.appliances import routes as appliances
    from emulator.resources.bundles import routes as bundles
    from emulator.resources.deployments import routes as deployments
    from emulator.resources.distributions import routes as distributions
    from emulator.resources.formats import routes as formats
    from emulator.resources.images import explain as origins
    from emulator.resources.images import routes as images
    from emulator.resources.jobs import routes as jobs
    from emulator.resources.migrations import routes as migrations
    from emulator.resources.orgs import routes as orgs
    from emulator.resources.publications import routes as publications
    from emulator.resources.quotas import routes as quotas
    from emulator.resources.scans import builds, compare, explain, reports
    from emulator.resources.scans import routes as scans
    from emulator.resources.targets import routes as targets
    from emulator.resources.users import routes as users

    uforge = (accounts, distributions, formats, orgs, quotas, users, agents, scans, reports, compare, explain, builds, images, origins)
    more = (appliances, archives, appliance_builds, bundles, publications, deployments, migrations)
    ours = (control, fault_routes, report_routes, journal, snapshots, seeds, determinism, about, user_control, jobs, targets)
    return [*(("/api", one) for one in (*uforge, *more)), ("", binaries), *(("/_forgelet", one) for one in ours)]
