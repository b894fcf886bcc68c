# Sourced by images/build.sh: make_tar FILE makes the root. busybox finds musl's ld.so at run time, lua is static.
# shellcheck shell=bash

make_tar() {
    local root=$work/root build=$work/build include=$work/include package jobs
    jobs=$(nproc)
    kiln_packages musl-gcc:musl-tools make:make gcc:gcc bzip2:bzip2 curl:curl /usr/include/linux/fs.h:linux-libc-dev || return 1
    mkdir -p "$root"/{bin,dev,etc,home,in,lib,out,proc,root,run,sbin,sys,tmp,usr/bin,usr/sbin,var/tmp} "$build" "$include" || return 1
    chmod 1777 "$root"/{tmp,var/tmp} && chmod 700 "$root/root"
    for package in $(recipe sources); do
        kiln_say "$name: fetching $package"
        kiln_source "$package" "$build" || return 1
        tar -C "$build" -xf "$build/${package}"_*.orig.tar.* || return 1
    done
    # The kernel's own headers, which musl leaves to others.
    ln -s /usr/include/linux /usr/include/asm-generic /usr/include/mtd /usr/include/x86_64-linux-gnu/asm "$include/"
    kiln_say "$name: building musl"
    (cd "$build"/musl-*/ && ./configure --prefix=/usr --syslibdir=/lib && make -j"$jobs" && make DESTDIR="$work/musl" install) >>"$work/log" 2>&1 || return 1
    cp "$work/musl/usr/lib/libc.so" "$root/lib/ld-musl-x86_64.so.1" && ln -s ld-musl-x86_64.so.1 "$root/lib/libc.musl-x86_64.so.1"
    kiln_say "$name: building busybox"
    (cd "$build"/busybox-*/ && make defconfig && sed -i 's/^CONFIG_TC=y/# CONFIG_TC is not set/' .config &&
        KCONFIG_NOTIMESTAMP=1 make -j"$jobs" CC=musl-gcc EXTRA_CFLAGS="-isystem $include" busybox) >>"$work/log" 2>&1 || return 1
    cp "$build"/busybox-*/busybox "$root/bin/"
    "$root/bin/busybox" --list-full 2>/dev/null | while read -r package; do
        [[ -e $root/$package ]] || ln -s /bin/busybox "$root/$package"
    done
    kiln_say "$name: building lua"
    (cd "$build"/lua-*/src && make -j"$jobs" CC=musl-gcc MYCFLAGS=-DLUA_USE_POSIX MYLIBS=-static lua) >>"$work/log" 2>&1 || return 1
    cp "$build"/lua-*/src/lua "$root/usr/bin/"
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnobody:x:65534:\n' >"$root/etc/group"
    tar -C "$root" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$epoch" -cf "$1" .
}
