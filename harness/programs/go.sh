# Go: goroutines, channels, files, processes.
cd /tmp && cat > a.go <<'P'
package main
import ("fmt"; "os"; "os/exec"; "sort"; "sync"; "time"; "net"; "io"; "runtime")
func main() {
 var wg sync.WaitGroup; c := make(chan int, 10); for i := 0; i < 50; i++ { wg.Add(1); go func(i int) { defer wg.Done(); runtime.Gosched(); c <- i * i }(i) }
 go func() { wg.Wait(); close(c) }(); var all []int; for v := range c { all = append(all, v) }; sort.Ints(all); fmt.Println(len(all), all[49])
 out, err := exec.Command("echo", "child").Output(); fmt.Printf("%s%v\n", out, err); os.WriteFile("f", []byte("data"), 0600); b, _ := os.ReadFile("f"); fmt.Println(string(b))
 l, err := net.Listen("tcp", "127.0.0.1:0"); if err != nil { fmt.Println(err) } else { go func() { s, _ := l.Accept(); io.WriteString(s, "tcp"); s.Close() }(); s, _ := net.Dial("tcp", l.Addr().String()); r, _ := io.ReadAll(s); fmt.Println(string(r)) }
 select { case <-time.After(20 * time.Millisecond): fmt.Println("timer") }; var m [][]byte; for i := 0; i < 64; i++ { m = append(m, make([]byte, 1<<20)) }; m = nil; runtime.GC(); fmt.Println(len(m)); os.Exit(6) }
P
export GOCACHE=/tmp/gocache GO111MODULE=off HOME=/tmp GOFLAGS=-p=2; CGO_ENABLED=0 go build -o a a.go && ./a
