#!/bin/bash
# Makes a root file system from a recipe: images/build.sh [--tar] [--output FILE] NAME
#
# NAME is a directory beside this file: busybox (the built-in root), debian, alpine-like. The result is
# target/images/NAME.ext4 (busybox: .erofs), or with --tar NAME.tar, for run.sh's --root. The same packages give the
# same bytes. Nothing but Debian's archive is asked.
set -u -o pipefail
KILN_HOME=$(cd -P -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd) || exit 125
export KILN_HOME LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
# shellcheck source=harness/setup.sh
. "$KILN_HOME/harness/setup.sh"
MIRROR=${KILN_MIRROR:-http://deb.debian.org}
# File systems made here all have this identity; what is told apart by it lives in other VMs.
UUID=6b696c6e-0000-4000-8000-000000000000

die() {
    kiln_say "$*"
    exit 125
}

# recipe KEY: the words of all lines of the recipe that begin with KEY.
recipe() { sed -n "s/^$1  *//p" "$KILN_HOME/images/$name/recipe"; }

# Says on a terminal how far it is, elsewhere only what it begins.
progress() {
    local line
    while IFS= read -r line; do
        case $line in
        I:*) kiln_say "$name: ${line#I: }" ;;
        done*) ;;
        *) printf '%s\n' "$line" >>"$work/log" ;;
        esac
    done
}

# The packages, installed as Debian installs them, as a tar.
debian_tar() {
    local archive lines=() packages
    while read -r archive; do
        lines+=("deb $MIRROR/$archive")
    done < <(recipe archive)
    packages=$(recipe packages | tr ' \n' ',,')
    kiln_packages mmdebstrap:mmdebstrap fakeroot:fakeroot || return 1
    SOURCE_DATE_EPOCH=$epoch mmdebstrap --variant=minbase --format=tar --include="${packages%,}" \
        --dpkgopt=force-unsafe-io --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
        --customize-hook='rm -f "$1"/etc/resolv.conf "$1"/var/lib/dpkg/*-old "$1"/etc/*/*.d/99mmdebstrap; echo kiln > "$1"/etc/hostname' \
        --customize-hook='printf "127.0.0.1 localhost\n::1 localhost\n" > "$1"/etc/hosts' \
        --customize-hook='mkdir -p "$1"/in "$1"/out' \
        "$(recipe suite)" "$1" "${lines[@]}" 2>&1 | progress
}

# A tree as an ext4 image: "$1" the tar, "$2" the image. Runs as root or under fakeroot.
ext4_from_tar() {
    kiln_say "$name: unpacking"
    mkdir "$work/tree" && tar -C "$work/tree" --numeric-owner --xattrs --xattrs-include='*' -xpf "$1" || return 1
    kiln_say "$name: writing the file system"
    E2FSPROGS_FAKE_TIME=$epoch mke2fs -q -F -t ext4 -m 0 -U "$UUID" -E "hash_seed=$UUID,root_owner=0:0" \
        -d "$work/tree" "$2" "$(recipe size)" 2>>"$work/log" || return 1
    same_times "$2"
}

# mke2fs takes over when the unpacked files were made and last read; that isn't the tree's.
same_times() {
    local image=$1 used first=11
    used=$(dumpe2fs -h "$image" 2>/dev/null | awk -F': *' '/^Inode count/ {all = $2} /^Free inodes/ {print all - $2}')
    seq "$first" "$used" | awk -v at="@$epoch" \
        '{print "sif <" $1 "> ctime " at; print "sif <" $1 "> atime " at}
         END {print "sif <2> ctime " at; print "sif <2> atime " at}' >"$work/times"
    E2FSPROGS_FAKE_TIME=$epoch debugfs -w -f "$work/times" "$image" >/dev/null 2>>"$work/log"
}

build() {
    local tar=$work/root.tar
    epoch=$(recipe epoch)
    if [[ -e $KILN_HOME/images/$name/make.sh ]]; then
        # shellcheck source=/dev/null
        . "$KILN_HOME/images/$name/make.sh"
        make_tar "$tar" || return 1
    else
        debian_tar "$tar" || return 1
    fi
    if [[ $kind == tar ]]; then
        mv "$tar" "$made"
    elif ((EUID == 0)); then
        ext4_from_tar "$tar" "$made"
    else
        export -f ext4_from_tar same_times recipe kiln_say
        export name work epoch UUID
        fakeroot bash -c 'ext4_from_tar "$1" "$2"' bash "$tar" "$made"
    fi
}

kind=ext4 output='' name=''
while (($#)); do
    case $1 in
    --tar) kind=tar ;;
    --output) output=${2:?a file is missing} && shift ;;
    -*) sed -n '2,6s/^# \{0,1\}//p' "$0" && exit ;;
    *) name=$1 ;;
    esac
    shift
done
[[ -n $name && -e $KILN_HOME/images/$name/recipe ]] || die "which image? images/build.sh NAME, NAME one of: $(cd "$KILN_HOME/images" && ls -d */ | tr -d /| xargs)"
if [[ $name == busybox ]]; then
    kiln_ready run || exit 125
    kind=erofs
fi
output=${output:-$KILN_HOME/target/images/$name.$kind}
mkdir -p "$(dirname "$output")" || exit 125
# Beside the result, which then gets its name in one step.
work=$(mktemp -d "$output.XXXXXX") || exit 125
trap 'rm -rf "$work"' EXIT
made=$work/made
if [[ $name == busybox ]]; then
    cp "$("$KILN_HOME/target/release/kiln-root")" "$made" || exit 125
else
    kiln_packages mke2fs:e2fsprogs || exit 125
    build || {
        tail -3 "$work/log" >&2
        die "$name couldn't be made"
    }
fi
mv "$made" "$output" && kiln_say "$name: $output ($(du -h "$output" | cut -f1))"
