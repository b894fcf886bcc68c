# tcc builds itself until nothing changes.
mkdir /tmp/tcc && cd /tmp/tcc && tar xf /in/sources/tcc_*.orig.tar.* && ./configure >/dev/null && make -j2 tcc libtcc1.a >/dev/null 2>&1; echo $?
one() { $1 -B. -I. -Iinclude -DONE_SOURCE=1 -DTCC_TARGET_X86_64 -DCONFIG_TRIPLET=\"x86_64-linux-gnu\" -o $2 tcc.c -ldl -lpthread; }
one ./tcc tcc1 && one ./tcc1 tcc2 && one ./tcc2 tcc3 && cmp tcc2 tcc3 && sha256sum tcc3 | cut -c1-64; echo 'int main(){return 17;}' > x.c; ./tcc3 -B. -run x.c; echo $?
