# shellcheck shell=sh
# SPDX-License-Identifier: BSD-3-Clause
# Sourced: install_missing PACKAGE... installs what is missing from Debian's packages, and says so.
# Downloads stay in a cache of the user's, so that a second machine or a second run is quick.

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        echo "cannot install packages: neither root nor sudo" >&2
        return 1
    fi
}

install_missing() {
    missing=
    for package in "$@"; do
        state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
        [ "$state" = "install ok installed" ] || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    echo "installing:$missing"
    cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/libremediate/apt
    mkdir -p "$cache/partial"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    # shellcheck disable=SC2086 # the list is split on purpose
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o "Dir::Cache::archives=$cache" -o APT::Keep-Downloaded-Packages=true $missing \
        >"$cache/install.log" 2>&1 || { tail -20 "$cache/install.log" >&2; return 1; }
}
