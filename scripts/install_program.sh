#!/usr/bin/env bash
# install_program.sh PROGRAM PACKAGE: install a Debian package, unless its program is there.
set -euo pipefail

program=$1 package=$2

if command -v "$program" >/dev/null || [[ -x /usr/sbin/$program ]]; then
    exit 0
fi
if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "$program is needed. On Debian and Ubuntu: sudo apt-get install $package" >&2
    exit 1
fi
echo "installing $package"
apt-get update -qq
# In runlevel 1 the package starts no service of its own: tests start what they need.
RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
