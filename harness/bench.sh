#!/bin/bash
# Measures Kiln beside Linux in the same QEMU: harness/bench.sh [boot|micro|jobs|scale|all|counts] [NAME...] [--rounds N]
#     [--peer cloud|minimal] [--json FILE] [--svg FILE] [--root IMAGE]
set -u
KILN_HOME=$(cd -P -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd) || exit 125
export KILN_HOME
# shellcheck source=harness/setup.sh
. "$KILN_HOME/harness/setup.sh"
kiln_ready run linux || exit 125
# What the small Linux is built with, once.
if [[ " $* " == *minimal* && ! -e ${XDG_CACHE_HOME:-$HOME/.cache}/kiln/linux-minimal/vmlinux ]]; then
    kiln_packages flex:flex bison:bison bc:bc make:make xz:xz-utils /usr/include/libelf.h:libelf-dev || exit 125
fi
cd "$KILN_HOME" && cargo build -q --locked --release -p kiln-harness -p kiln-count >&2 || exit 125
RUSTFLAGS='-C target-feature=+crt-static' cargo build -q --locked --release -p kiln-userland \
    --target x86_64-unknown-linux-gnu >&2 || exit 125
exec target/release/kiln-bench "$@"
