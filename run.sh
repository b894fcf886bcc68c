#!/bin/bash
# Runs one job in a microVM: ./run.sh [OPTIONS] [--] PROGRAM [ARG...]   (--help tells the rest)
#
# Installs what is missing and builds what has changed, then hands over to the launcher
# (harness/src/bin/kiln-run.rs). Messages go to standard error: standard output is the job's.
set -u
KILN_HOME=$(cd -P -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")" && pwd) || exit 125
export KILN_HOME
# shellcheck source=harness/setup.sh
. "$KILN_HOME/harness/setup.sh"
kiln_note_closed
kiln_ready run || exit 125
exec "$KILN_HOME/target/release/kiln-run" "$@"
