# gcc -O2 of sqlite's amalgamation, and what comes out.
cd /tmp && tar xf /in/sources/libsqlite3-sys.crate && cd libsqlite3-sys-*/sqlite3 && gcc -O2 -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION -c sqlite3.c -o /tmp/s.o && sha256sum /tmp/s.o
cat > /tmp/m.c <<'P'
#include "sqlite3.h"
#include <stdio.h>
static int row(void *p, int n, char **v, char **c) { puts(v[0]); return 0; }
int main(void) { sqlite3 *d; sqlite3_open(":memory:", &d); return sqlite3_exec(d, "select sqlite_version(); with recursive n(i) as (select 1 union all select i+1 from n where i<1000) select sum(i) from n", row, 0, 0); }
P
gcc -I. /tmp/m.c /tmp/s.o -o /tmp/m -lm && /tmp/m
