# coreutils and friends over a tree.
cd /tmp && cp -a /usr/share/perl5 /usr/include tree 2>/dev/null || { mkdir tree; cp -a /usr/share/perl5 /usr/include tree; }
cd tree && find . -type f | sort | wc -l
find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum
find . -name '*.h' -printf '%p %s %m %y %l\n' | sort | md5sum
ls -lR --time-style=+%s | grep -v '^total' | cksum
du -a --apparent-size include | sort -k2 | sha1sum
cat include/*.h | tr a-z A-Z | sort -u | head -5
cat include/*.h > whole; split -b 10000 whole part. && cat part.* | cmp - whole && echo parts; ls part.* | wc -l
seq 100000 | shuf --random-source=/bin/bash | sort -n --parallel=2 | md5sum
seq 1000 | paste - - - - | cut -f2 | head -3; seq 10 | tac | nl | tail -2; seq 20 | pr -3 -t | head -3
ln include/stdio.h hard; ln -s include/stdio.h soft; stat -c '%h %F %s' hard soft; readlink -f soft
mkfifo pipe; (echo in > pipe &); cat pipe; touch -d 2001-02-03T04:05:06.789 t; stat -c %y t
chmod 1751 t; chown 12:34 t; stat -c '%A %u %g' t; install -D -m 700 t a/b/c; mv -v a z; rm -rvf z | wc -l
dd if=/dev/zero of=big bs=1M count=20 conv=fsync 2>&1 | head -2; truncate -s 100M sparse; du sparse; cp --sparse=always sparse s2; du s2
timeout 0.2 sleep 5; echo $?; nproc; env -i A=1 env; id; date -u -d @1e9 +%F; factor 1234567890123; printf '%s\n' b a c | sort -c; echo $?
mktemp -d XXXX >/dev/null && df . >/dev/null && sync && cd / && rm -rf /tmp/tree && ls /tmp | wc -l
