#!/usr/bin/env bash
# container.sh: the container image of packaging/, built and tried without any registry: the base comes from this machine's apt mirrors, the
# Python side from this machine's pip. The image stays (forgelet:local); what it was tried in goes.
. "$(dirname "$0")/common.sh"

BASE=forgelet/base:bookworm
IMAGE=forgelet:local
LABEL=forgelet=1

"$ROOT/scripts/install.sh"
as_root "$0" "$@"
"$ROOT/scripts/engines.sh" start

CONTEXT=$(mktemp -d)
TRIED=
ended() {
    [ -z "$TRIED" ] || docker rm --force --volumes "$TRIED" > /dev/null
    rm -rf "$CONTEXT"
}
trap ended EXIT

make_base() {
    docker image inspect "$BASE" > /dev/null 2>&1 && return 0
    say "... the base, $BASE, from this machine's apt mirrors"
    "$VENV/bin/python" -c 'from emulator.lab.image import source_lines; from scanner.host.mirrors import debian_mirrors
print(*source_lines("bookworm", debian_mirrors()), sep="\n")' > "$CONTEXT/sources"
    mmdebstrap --quiet --variant=minbase bookworm "$CONTEXT/base.tar" "$CONTEXT/sources"
    docker import --change "LABEL $LABEL" "$CONTEXT/base.tar" "$BASE" > /dev/null
    rm "$CONTEXT/base.tar"
}

make_image() {
    say '... the Python side, as wheels'
    git -C "$ROOT" ls-files -z | (cd "$ROOT" && xargs -0 cp --parents --target-directory "$CONTEXT")
    "$VENV/bin/pip" wheel --quiet --disable-pip-version-check --wheel-dir "$CONTEXT/wheels" 'setuptools>=77' "$ROOT[all]"
    say "... the image, $IMAGE"
    docker build --quiet --network host --label "$LABEL" --build-arg "BASE=$BASE" --build-arg 'PIP_OPTIONS=--no-index --find-links /src/wheels' \
        --file "$CONTEXT/packaging/Dockerfile" --tag "$IMAGE" "$CONTEXT" > /dev/null
}

# Started as docs/how-to/install.md says, on a port that is free.
try_image() {
    FORGELET_TOKEN=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    export FORGELET_TOKEN
    TRIED=$(docker run --detach --label "$LABEL" --env FORGELET_TOKEN --publish 127.0.0.1::8090 "$IMAGE")
    local at
    at=http://$(docker port "$TRIED" 8090/tcp)
    until_true 30 "$VENV/bin/forgelet" --url "$at/api" status || { docker logs "$TRIED" >&2; die 'the container does not answer' "docker logs $TRIED" 3; }
    "$VENV/bin/forgelet" --url "$at/api" status
    docker exec "$TRIED" forgelet --version
    docker exec "$TRIED" forgelet user list
}

make_base
make_image
try_image
say "OK: $IMAGE serves; start it: docker run --rm -e FORGELET_TOKEN -p 127.0.0.1:8090:8090 $IMAGE"
