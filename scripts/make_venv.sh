#!/usr/bin/env bash
# Create .venv with Python 3.11 or newer; leave one that works alone.
set -euo pipefail

venv=.venv
new_enough='import sys; sys.exit(sys.version_info < (3, 11))'

if "$venv/bin/python" -c "$new_enough" 2>/dev/null && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    exit 0
fi

python=
for candidate in python3.11 python3; do
    # Run it: a name on the PATH may be a shim for a Python that is not installed.
    if "$candidate" -c "$new_enough" 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [[ -z $python ]]; then
    found=$(python3 --version 2>/dev/null || echo "no python3")
    echo "Python 3.11 or newer is needed as python3.11 or python3; found $found." >&2
    exit 1
fi

# Debian keeps venv in a package of its own.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
        echo "$python has no venv module. On Debian and Ubuntu: sudo apt-get install $package" >&2
        exit 1
    fi
    echo "installing $package"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package" >/dev/null
fi

echo "creating $venv with $("$python" --version)"
"$python" -m venv --clear "$venv"
