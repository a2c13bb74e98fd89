package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type node struct {
	left, right *node
	value       int
}

func build(depth, value int) *node {
	if depth == 0 {
		return &node{value: value}
	}
	return &node{build(depth-1, 2*value), build(depth-1, 2*value+1), value}
}

func (n *node) sum() int {
	if n == nil {
		return 0
	}
	return n.value + n.left.sum() + n.right.sum()
}

// pipeline sends numbers through stages of goroutines and adds up what comes out.
func pipeline(workers, count int) int {
	in, out := make(chan int), make(chan int, 8)
	var stage sync.WaitGroup
	for w := 0; w < workers; w++ {
		stage.Add(1)
		go func() {
			defer stage.Done()
			for n := range in {
				sum := sha256.Sum256([]byte(fmt.Sprint(n)))
				out <- int(sum[0])<<8 + int(sum[31])
			}
		}()
	}
	go func() {
		for i := 0; i < count; i++ {
			in <- i
		}
		close(in)
		stage.Wait()
		close(out)
	}()
	total := 0
	for v := range out {
		total += v
	}
	return total
}

// sieve is a chain of goroutines, one a prime.
func sieve(count int) int {
	ch := make(chan int)
	go func(out chan int) {
		for i := 2; ; i++ {
			out <- i
		}
	}(ch)
	prime := 0
	for i := 0; i < count; i++ {
		prime = <-ch
		next := make(chan int)
		go func(in, out chan int, p int) {
			for {
				if n := <-in; n%p != 0 {
					out <- n
				}
			}
		}(ch, next, prime)
		ch = next
	}
	return prime
}

// caught turns a fault of this thread into an error.
func caught(f func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = r.(error)
		}
	}()
	f()
	return nil
}

func server() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				data, _ := io.ReadAll(c)
				io.WriteString(c, strings.ToUpper(string(data)))
				c.Close()
			}()
		}
	}()
	var answers []string
	var lock sync.Mutex
	var clients sync.WaitGroup
	for i := 0; i < 20; i++ {
		clients.Add(1)
		go func(i int) {
			defer clients.Done()
			c, err := net.Dial("tcp", listener.Addr().String())
			if err != nil {
				panic(err)
			}
			fmt.Fprintf(c, "client %02d", i)
			c.(*net.TCPConn).CloseWrite()
			data, _ := io.ReadAll(c)
			lock.Lock()
			answers = append(answers, string(data))
			lock.Unlock()
		}(i)
	}
	clients.Wait()
	listener.Close()
	sort.Strings(answers)
	return strings.Join([]string{answers[0], answers[19], fmt.Sprint(len(answers))}, ", "), nil
}

func main() {
	runtime.GOMAXPROCS(4)
	debug.SetGCPercent(20)
	fmt.Println("pipeline", pipeline(8, 5000))
	fmt.Println("sieve", sieve(200))

	var trees sync.WaitGroup
	var total atomic.Int64
	for i := 0; i < 8; i++ {
		trees.Add(1)
		go func(i int) {
			defer trees.Done()
			for j := 0; j < 20; j++ {
				total.Add(int64(build(11, i+j).sum()))
			}
		}(i)
	}
	trees.Wait()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	fmt.Println("trees", total.Load(), "collected", memory.NumGC > 5)

	// A loop without calls, which only a signal can preempt.
	var stop atomic.Bool
	done := make(chan bool)
	for i := 0; i < 4; i++ {
		go func() {
			n := 0
			for !stop.Load() {
				n++
			}
			done <- n > 0
		}()
	}
	time.Sleep(50 * time.Millisecond)
	runtime.GC()
	stop.Store(true)
	fmt.Println("preempted", <-done && <-done && <-done && <-done)

	var nothing *node
	fmt.Println(caught(func() { fmt.Println(nothing.value) }))
	fmt.Println(caught(func() { fmt.Println([]int{1, 2, 3}[len(os.Args)+5]) }))
	fmt.Println(caught(func() { fmt.Println(1 / (len(os.Args) - len(os.Args))) }))

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	select {
	case <-ctx.Done():
		fmt.Println(ctx.Err(), errors.Is(ctx.Err(), context.DeadlineExceeded))
	case <-time.After(time.Minute):
		fmt.Println("no time-out")
	}

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	fmt.Println(<-signals)

	fmt.Println(server())
	out, err := exec.Command("sh", "-c", "echo from a child; exit 3").CombinedOutput()
	fmt.Printf("%q %v\n", out, err)
}
