#!/bin/bash
# Runs one job as run.sh does, but on Debian's kernel in the same machine: harness/linux.sh [OPTIONS] [--] PROGRAM [ARG...]
set -u
KILN_HOME=$(cd -P -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd) || exit 125
export KILN_HOME
# shellcheck source=harness/setup.sh
. "$KILN_HOME/harness/setup.sh"
kiln_ready run linux || exit 125
exec "$KILN_HOME/target/release/kiln-linux" "$@"
