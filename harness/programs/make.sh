# make -j2 of a package from its Debian source.
cd /tmp && tar xf /in/sources/bzip2_*.orig.tar.* && cd bzip2-*/ && make -j2 2>&1 | grep -c . ; ./bzip2 -h 2>&1 | head -3; sha256sum bzip2 libbz2.a | cut -c1-64; cd /tmp && tar xf /in/sources/lua5.4_*.orig.tar.* && cd lua-5.4*/ && make -j2 linux 2>&1 | tail -3; echo 'print(1<<10)' | src/lua -; sha256sum src/lua | cut -c1-64
