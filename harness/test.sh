#!/bin/bash
# Runs the tests: harness/test.sh [--long] [--list] [NAME...]
#
# Without a NAME that is all that CI runs: format, lints, the host's tests, and the tests in VMs.
# Installs what is missing and says so; the last line is `N passed, N failed`.
set -u
KILN_HOME=$(cd -P -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd) || exit 125
export KILN_HOME
# shellcheck source=harness/setup.sh
. "$KILN_HOME/harness/setup.sh"
kiln_ready test || exit 125
# Signals that the caller ignores (nohup, a job in the background) would be ignored by the programs, too.
exec env --default-signal=HUP,INT,QUIT,PIPE,TERM "$KILN_HOME/target/release/kiln-test" "$@"
