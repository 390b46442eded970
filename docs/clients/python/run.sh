#!/usr/bin/env bash
# Runs check.py in a virtual environment under target/. Arguments go to check.py: the path of a sesshu binary.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
venv=$root/target/python-client-venv

# The copy of the requirements is written last: it stands for an environment that is complete.
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    mkdir -p "$root/target"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --only-binary :all: -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/requirements.txt"
fi

exec env PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" "$here/check.py" "$@"
