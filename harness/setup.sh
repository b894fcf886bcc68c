# Sourced by run.sh and harness/test.sh: installs what is missing and builds what has changed.
#
# kiln_ready WHAT... is the one function for callers; WHAT is "run" (the launcher and the kernel),
# "linux" (what runs jobs on Linux) or "test" (what the tests need, too). It says on standard error what it does, does nothing when
# nothing is to do, and returns 1 after one line that says what is wrong.
# shellcheck shell=bash

KILN_TARGET=x86_64-unknown-none

kiln_say() { printf 'kiln: %s\n' "$*" >&2; }

# Tells the launcher, in KILN_CLOSED, which of the standard descriptors the caller has closed: they are closed for
# the job, too. The launcher can't see it any more, as its runtime opens them. bash itself may have left the
# script that it reads in the place of standard error.
kiln_note_closed() {
    KILN_CLOSED=
    [[ -e /proc/$$/fd/0 ]] || KILN_CLOSED+=0
    [[ -e /proc/$$/fd/1 ]] || KILN_CLOSED+=1
    if [[ ! -e /proc/$$/fd/2 || /proc/$$/fd/2 -ef ${BASH_SOURCE[-1]} ]]; then
        KILN_CLOSED+=2
        exec 2>/dev/null
    fi
    export KILN_CLOSED
}

# The packages that hold the programs that aren't there.
kiln_missing_packages() {
    local pair
    for pair in "$@"; do
        if [[ ${pair%%:*} == /* ]]; then
            [[ -e ${pair%%:*} ]] || printf '%s\n' "${pair#*:}"
        else
            PATH="$PATH:/usr/sbin:/sbin" type -P "${pair%%:*}" >/dev/null || printf '%s\n' "${pair#*:}"
        fi
    done | sort -u
}

# kiln_packages PROGRAM:PACKAGE...: installs the packages whose programs are missing.
kiln_packages() {
    local packages
    mapfile -t packages < <(kiln_missing_packages "$@")
    ((${#packages[@]})) || return 0
    if ((EUID != 0)) || ! type -P apt-get >/dev/null; then
        kiln_say "these packages are missing; type: sudo apt-get install ${packages[*]}"
        return 1
    fi
    kiln_say "installing ${packages[*]}"
    if ! kiln_quietly apt-get -qq update ||
        ! DEBIAN_FRONTEND=noninteractive kiln_quietly apt-get -qq -y --no-install-recommends install "${packages[@]}"; then
        kiln_say "apt-get install ${packages[*]} failed"
        return 1
    fi
}

# kiln_source PACKAGE DIR: the upstream part of a Debian source package, unless DIR has it.
kiln_source() {
    compgen -G "$2/$1_*.orig.tar.*" >/dev/null && return 0
    local apt=$KILN_HOME/target/apt options uri
    options=(-o "Dir::State::Lists=$apt/lists" -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::Cache=$apt/cache" -o "APT::Sandbox::User=$(id -un)")
    if [[ ! -e $apt/sources.list ]]; then
        mkdir -p "$apt"/{lists,cache}/partial
        echo 'deb-src http://deb.debian.org/debian bookworm main' >"$apt/sources.list"
        apt-get "${options[@]}" -qq update || return 1
    fi
    uri=$(apt-get "${options[@]}" source -qq --print-uris --download-only "$1" | grep -o "'[^']*orig.tar.[a-z0-9]*'" | head -1 | tr -d "'")
    [[ -n $uri ]] && curl -sSfL -o "$2/${uri##*/}" "$uri"
}

# Runs a command in the project; what it says is shown only when it fails.
kiln_quietly() {
    local log status
    log=$(cd "$KILN_HOME" && "$@" </dev/null 2>&1)
    status=$?
    ((status == 0)) || printf '%s\n' "$log" >&2
    return "$status"
}

# Whether everything in "$@" is there and no source of the project is younger than it.
kiln_fresh() {
    local built sources
    for built in "$@"; do
        [[ -e $built ]] || return 1
    done
    sources=("$KILN_HOME"/Cargo.{toml,lock} "$KILN_HOME"/.cargo "$KILN_HOME"/rust-toolchain.toml
        "$KILN_HOME"/kernel "$KILN_HOME"/pvh "$KILN_HOME"/harness/{src,init,Cargo.toml})
    for built in "$@"; do
        [[ -z $(find "${sources[@]}" -newer "$built" -print -quit 2>/dev/null) ]] || return 1
    done
}

# The bare-metal target, from rustup; without it kernels are built another way.
kiln_target() {
    local sysroot
    sysroot=$(cd "$KILN_HOME" && rustc --print sysroot 2>/dev/null) || return 1
    [[ -d $sysroot/lib/rustlib/$KILN_TARGET ]] && return 0
    type -P rustup >/dev/null || return 1
    kiln_say "adding Rust's target $KILN_TARGET"
    kiln_quietly rustup target add "$KILN_TARGET"
    [[ -d $sysroot/lib/rustlib/$KILN_TARGET ]]
}

# Builds the kernel `cargo $1` names with Debian's compiler and its library sources, where rustup's target
# can't be had.
kiln_debian_kernel() {
    kiln_say "rustup has no target $KILN_TARGET here: building the kernel with Debian's compiler"
    local lld
    # The newest linker that the archive has; any will do.
    ((EUID != 0)) || kiln_quietly apt-get -qq update
    lld=$(apt-cache --names-only search '^lld-[0-9]+$' 2>/dev/null | cut -d' ' -f1 | sort -V | tail -1)
    kiln_packages /usr/share/doc/rustc-web:rustc-web /usr/share/doc/cargo-web:cargo-web \
        /usr/share/doc/rust-web-src:rust-web-src "/usr/share/doc/${lld:=lld}:$lld" || return 1
    RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
        CARGO_UNSTABLE_BUILD_STD=core,alloc,compiler_builtins \
        CARGO_UNSTABLE_BUILD_STD_FEATURES=compiler-builtins-mem \
        CARGO_TARGET_X86_64_UNKNOWN_NONE_LINKER=$lld \
        kiln_quietly /usr/bin/cargo "$1" --locked
}

# The kernel that is run (kernel) or the one with tests of itself (kernel-dev).
kiln_build_kernel() {
    if kiln_target; then
        kiln_quietly cargo "$1" --locked
    else
        kiln_debian_kernel "$1"
    fi
}

# Cargo from the caller's PATH or from where rustup puts it, with the toolchain the project names.
kiln_toolchain() {
    if ! type -P cargo >/dev/null; then
        if [[ ! -x $HOME/.cargo/bin/cargo ]]; then
            kiln_say "Rust is missing: install it from https://rustup.rs"
            return 1
        fi
        PATH=$HOME/.cargo/bin:$PATH
    fi
    if ! (cd "$KILN_HOME" && cargo --version) >/dev/null 2>&1; then
        local wanted
        wanted=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' "$KILN_HOME/rust-toolchain.toml")
        if [[ $(rustc +stable --version 2>/dev/null) == "rustc $wanted "* ]]; then
            export RUSTUP_TOOLCHAIN=stable
        else
            kiln_say "adding Rust $wanted"
            if ! kiln_quietly rustup toolchain install "$wanted" --profile minimal; then
                # Where only the installed toolchain can be had, it is the next best.
                export RUSTUP_TOOLCHAIN=stable
                kiln_say "Rust $wanted can't be had: trying $(rustc --version 2>&1 | head -1)"
            fi
        fi
    fi
}

# kiln_component COMMAND COMPONENT: a part of the toolchain that the tests use.
kiln_component() {
    (cd "$KILN_HOME" && "$1" --version) >/dev/null 2>&1 && return 0
    kiln_say "adding Rust's component $2"
    kiln_quietly rustup component add "$2"
}

KILN_LAUNCHER=$KILN_HOME/target/release/kiln-run
KILN_KERNEL_ELF=$KILN_HOME/target/$KILN_TARGET/release/kiln

# The launcher and the kernel, when a source is younger than either.
kiln_build() {
    kiln_toolchain || return 1
    kiln_say "building the launcher and the kernel (a minute or two the first time)"
    if ! kiln_quietly cargo build --locked --release -p kiln-harness --bin kiln-run || ! kiln_build_kernel kernel; then
        kiln_say "the build failed"
        return 1
    fi
    # cargo leaves a result alone that hasn't changed; its age is how the next run knows.
    touch -c "$KILN_LAUNCHER" "$KILN_KERNEL_ELF"
}

# The test runner and the userland programs, static so that they run in any root. Cargo itself
# looks what has changed.
kiln_build_tests() {
    kiln_toolchain || return 1
    # Without them their own tests fail and say so; the others still run.
    kiln_component cargo-fmt rustfmt
    kiln_component cargo-clippy clippy
    if ! kiln_quietly cargo build --locked --release -p kiln-harness --bins ||
        ! kiln_quietly cargo build --locked --release -p kiln-count ||
        ! RUSTFLAGS='-C target-feature=+crt-static' kiln_quietly cargo build --locked --release \
            -p kiln-userland --target x86_64-unknown-linux-gnu ||
        ! kiln_build_kernel kernel-dev; then
        kiln_say "the build of the tests failed"
        return 1
    fi
}

# The launcher for Linux and its first process.
kiln_build_linux() {
    local init=$KILN_HOME/target/x86_64-unknown-linux-gnu/release/kiln-linux-init
    local launchers=("$KILN_HOME"/target/release/kiln-{linux,compare})
    kiln_fresh "$init" "${launchers[@]}" && return 0
    kiln_toolchain || return 1
    if ! kiln_quietly cargo build --locked --release -p kiln-harness --bins ||
        ! RUSTFLAGS='-C target-feature=+crt-static' kiln_quietly cargo build --locked --release \
            -p kiln-linux-init --target x86_64-unknown-linux-gnu; then
        kiln_say "the build of the launcher for Linux failed"
        return 1
    fi
    touch -c "$init" "${launchers[@]}"
}

kiln_ready() {
    local fresh= tests=
    local packages=(qemu-system-x86_64:qemu-system-x86 mke2fs:e2fsprogs busybox:busybox-static)
    ! kiln_fresh "$KILN_LAUNCHER" "$KILN_KERNEL_ELF" || fresh=1
    [[ " $* " != *" test "* ]] || tests=1
    # All at once: who can't install them has one command to type.
    [[ $fresh && ! $tests ]] || packages+=(cc:gcc /usr/include/stdio.h:libc6-dev
        /etc/ssl/certs/ca-certificates.crt:ca-certificates)
    [[ ! $tests ]] || packages+=(fsck.erofs:erofs-utils gzip:gzip zstd:zstd xz:xz-utils cmp:diffutils cpio:cpio
        setfattr:attr script:bsdutils strace:strace)
    kiln_packages "${packages[@]}" || return 1
    [[ $fresh ]] || kiln_build || return 1
    [[ " $* " != *" linux "* ]] || kiln_build_linux || return 1
    [[ ! $tests ]] || kiln_build_tests
}
