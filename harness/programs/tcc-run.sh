# tcc compiles into memory and runs there.
cat > /tmp/a.c <<'P'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
static int cmp(const void *a, const void *b) { return *(int *)a - *(int *)b; }
int main(int argc, char **argv) {
    int v[1000]; unsigned x = 1; for (int i = 0; i < 1000; i++) v[i] = (x = x * 1103515245 + 12345) >> 16 & 0x7fff;
    qsort(v, 1000, sizeof *v, cmp); printf("%d %d %d %.6f %s\n", v[0], v[500], v[999], sqrt(2), argv[1]); return 9;
}
P
tcc -lm -run /tmp/a.c word; echo $?; printf '#!/usr/bin/tcc -run\n#include <stdio.h>\nint main(){puts("script");return 0;}\n' > /tmp/s.c; chmod +x /tmp/s.c; /tmp/s.c; tcc -o /tmp/a /tmp/a.c -lm && /tmp/a b
