#!/bin/bash
# Runs real programs on Kiln and on Linux and tells which agree: harness/programs.sh [--cpus "1 2"] [--root IMAGE] [NAME...]
#
# Each NAME is a script in harness/programs; without one, all. The root is target/images/debian.ext4 (images/build.sh makes it).
# Results stay in target/programs/NAME-CPUS: what each printed, and e2fsck's word on the disk. The table's last columns count
# lines that Linux printed and Kiln didn't, of all that Linux printed.
set -u
KILN_HOME=$(cd -P -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd) || exit 125
export KILN_HOME LC_ALL=C
# shellcheck source=harness/setup.sh
. "$KILN_HOME/harness/setup.sh"
here=$KILN_HOME/target/programs
root=$KILN_HOME/target/images/debian.ext4
cpus='1 2' names=()
while (($#)); do
    case $1 in
    --cpus) cpus=$2 && shift ;;
    --root) root=$2 && shift ;;
    *) names+=("$1") ;;
    esac
    shift
done
((${#names[@]})) || mapfile -t names < <(cd "$KILN_HOME/harness/programs" && printf '%s\n' *.sh | sed 's/\.sh$//')
kiln_ready run linux || exit 125
[[ -e $root ]] || "$KILN_HOME/images/build.sh" debian || exit 125

# What the jobs build, from Debian's archive and crates.io.
sources() {
    local dir=$1
    mkdir -p "$dir" && cd "$dir" || return 1
    kiln_say "fetching sources"
    local package
    for package in bzip2 lua5.4 tcc; do
        kiln_source "$package" . || return 1
    done
    # Debian's package of python's tests leaves these out.
    if [[ ! -d test_sqlite3 ]]; then
        mkdir -p python && kiln_source python3.11 python || return 1
        tar -xf python/python3.11_*.orig.tar.* --strip-components=3 --wildcards '*/Lib/test/test_sqlite3' || return 1
    fi
    compgen -G 'hello_*.deb' >/dev/null || apt-get download -qq hello || return 1
    [[ -e libsqlite3-sys.crate ]] || curl -sSfL -o libsqlite3-sys.crate \
        https://static.crates.io/crates/libsqlite3-sys/libsqlite3-sys-0.28.0.crate
}
(sources "$here/in/sources") || exit 125
cp -r "$KILN_HOME/harness/programs/." "$here/in/"

# Lines of the first file that the second lacks.
missing() { comm -23 <(sort "$1") <(sort "$2") | wc -l; }

printf '%-26s %4s  %-9s %7s %7s\n' program cpus result missing lines
failed=0
for name in "${names[@]}"; do
    for count in $cpus; do
        kept=$here/$name-$count
        rm -rf "$kept" && mkdir -p "$kept"
        verdict=$("$KILN_HOME/target/release/kiln-compare" --keep "$kept" --root "$root" --in "$here/in" --memory "${KILN_MEMORY:-1536M}" \
            --cpus "$count" --timeout "${KILN_TIMEOUT:-1200}" -- sh "/in/$name.sh" </dev/null 2>&1)
        printf '%s\n' "$verdict" >"$kept/verdict"
        a=$kept/linux/stdout b=$kept/kiln/stdout
        case $verdict in equal*) word=equal ;; different*) word=different ;; *) word=failed ;; esac
        [[ $word == equal ]] || failed=1
        printf '%-26s %4s  %-9s %7s %7s\n' "$name" "$count" "$word" "$(missing "$a" "$b" 2>/dev/null)" "$(wc -l <"$a" 2>/dev/null)"
    done
done
exit "$failed"
