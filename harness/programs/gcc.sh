# gcc and g++ compile and run.
cd /tmp && cat > a.c <<'P'
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <dlfcn.h>
static __thread int tls; static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER; static int sum;
static void *work(void *p) { for (int i = 0; i < 1000; i++) { tls++; pthread_mutex_lock(&m); sum++; pthread_mutex_unlock(&m); } return (void *)(long)tls; }
int main(void) { pthread_t t[8]; long r = 0; for (int i = 0; i < 8; i++) pthread_create(t + i, 0, work, 0); for (int i = 0; i < 8; i++) { void *v; pthread_join(t[i], &v); r += (long)v; }
 void *h = dlopen("./lib.so", RTLD_NOW); int (*f)(int) = h ? dlsym(h, "twice") : 0; printf("%d %ld %d\n", sum, r, f ? f(21) : -1); return 3; }
P
echo 'int twice(int x) { return 2 * x; }' > l.c
cat > b.cc <<'P'
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <vector>
#include <stdexcept>
#include <numeric>
int main() { std::map<std::string, int> m; for (int i = 0; i < 100; i++) m["k" + std::to_string(i % 10)] += i; for (auto &[k, v] : m) std::cout << k << '=' << v << ' '; std::cout << '\n';
 try { throw std::runtime_error("thrown"); } catch (std::exception &e) { std::cout << e.what() << '\n'; }
 std::vector<std::thread> ts; std::vector<long> rs(4); for (int i = 0; i < 4; i++) ts.emplace_back([&, i] { std::vector<int> v(10000, i); rs[i] = std::accumulate(v.begin(), v.end(), 0L); }); for (auto &t : ts) t.join(); std::cout << rs[3] << '\n'; return 4; }
P
gcc -O2 -pthread a.c -o a -ldl && gcc -shared -fPIC -o lib.so l.c && ./a; echo $?
gcc -O2 -static -pthread a.c -o as 2>/dev/null && ./as; echo $?; gcc -static-pie -pthread a.c -o asp 2>/dev/null && ./asp; echo $?
g++ -O1 -std=c++17 b.cc -o b -pthread && ./b; echo $?; echo 'int main(){return x;}' > bad.c; gcc bad.c; echo $?
musl-gcc -O1 -o am l.c -x c - <<'P'
#include <stdio.h>
int twice(int); int main(void) { printf("musl %d\n", twice(4)); return 0; }
P
./am; sha256sum a b | cut -c1-64
