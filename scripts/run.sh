#!/usr/bin/env bash
# Engines and service, in the foreground; Ctrl-C ends the service, the engines stay.
. "$(dirname "$0")/common.sh"

"$ROOT/scripts/install.sh"
as_root "$0" "$@"
"$ROOT/scripts/engines.sh" start
exec forgelet serve "$@"
