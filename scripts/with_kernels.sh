#!/bin/sh
# with_kernels.sh COMPILED COMMAND...: run COMMAND with the kernels that the folder COMPILED holds.
#
# numba uses a cache only where it can write, and the image is read-only. So its kernels are copied to
# NUMBA_CACHE_DIR, once for each version of them; where that place is full, to a new folder in /tmp.
set -eu
compiled=$1
shift

copy_to() {
    mkdir -p "$1/kernels" || return 1
    for version in "$compiled"/kernels/*; do
        target=$1/kernels/${version##*/}
        [ -d "$target" ] && continue
        # Under its name only when it is whole: a start may be killed at any moment.
        rm -rf "$target.part"
        cp -R "$version" "$target.part" && mv "$target.part" "$target" || { rm -rf "$target.part"; return 1; }
    done
}

if ! copy_to "$NUMBA_CACHE_DIR"; then
    NUMBA_CACHE_DIR=$(mktemp -d)
    export NUMBA_CACHE_DIR
    echo "the kernels are cached in $NUMBA_CACHE_DIR" >&2
    copy_to "$NUMBA_CACHE_DIR"
fi
exec "$@"
