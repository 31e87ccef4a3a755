package main

import (
	"fmt"
	"math/rand"
	"sort"
	"sync"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const workers = 10

// queueBenchmark runs one of the three workloads of bench/queue_ours.py on controller-runtime's priority queue.
func queueBenchmark(workload string, count int) {
	different := count
	if workload == "merges" {
		different = 10_000
	}
	keys := make([]reconcile.Request, different)
	for i := range keys {
		keys[i] = reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "default", Name: fmt.Sprintf("widget-%06d", i)}}
	}
	queue := priorityqueue.New[reconcile.Request]("bench")
	began, cpu := time.Now(), cpuSeconds()
	var lateness []float64
	switch workload {
	case "adds":
		work(queue, count, func() {
			for i := range keys {
				queue.Add(keys[i])
			}
		}, nil)
	case "merges":
		addMerging(queue, keys, count)
	case "requeue":
		seen := make(map[reconcile.Request]bool, count)
		var lock sync.Mutex
		work(queue, 2*count, func() {
			for i := range keys {
				queue.Add(keys[i])
			}
		}, func(key reconcile.Request) {
			lock.Lock()
			again := !seen[key]
			seen[key] = true
			lock.Unlock()
			if again {
				queue.AddRateLimited(key)
			} else {
				queue.Forget(key)
			}
		})
	case "delays":
		random := rand.New(rand.NewSource(1))
		deadlines := make(map[reconcile.Request]time.Time, count)
		var lock sync.Mutex
		work(queue, count, func() {
			for i := range keys {
				after := time.Duration((0.5 + 2*random.Float64()) * float64(time.Second))
				lock.Lock()
				deadlines[keys[i]] = time.Now().Add(after)
				lock.Unlock()
				queue.AddAfter(keys[i], after)
			}
		}, func(key reconcile.Request) {
			now := time.Now()
			lock.Lock()
			lateness = append(lateness, now.Sub(deadlines[key]).Seconds())
			lock.Unlock()
		})
	}
	result := map[string]any{"cpu": cpuSeconds() - cpu, "wall": time.Since(began).Seconds()}
	if len(lateness) > 0 {
		sort.Float64s(lateness)
		result["late_p50"], result["late_p99"] = lateness[len(lateness)/2], lateness[len(lateness)*99/100]
	}
	emit(result)
	queue.ShutDown()
}

// addMerging adds so often, in bursts of all keys twice, and returns when the workers have caught up.
func addMerging(queue priorityqueue.PriorityQueue[reconcile.Request], keys []reconcile.Request, count int) {
	for range workers {
		go func() {
			for {
				key, shutdown := queue.Get()
				if shutdown {
					return
				}
				queue.Done(key)
			}
		}()
	}
	for range count / (2 * len(keys)) {
		for range 2 {
			for i := range keys {
				queue.Add(keys[i])
			}
		}
		for queue.Len() > 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

// work feeds the queue and returns when its workers have taken `total` keys.
func work(queue priorityqueue.PriorityQueue[reconcile.Request], total int, feed func(), each func(reconcile.Request)) {
	var taken sync.WaitGroup
	taken.Add(total)
	for range workers {
		go func() {
			for {
				key, shutdown := queue.Get()
				if shutdown {
					return
				}
				if each != nil {
					each(key)
				}
				queue.Done(key)
				taken.Done()
			}
		}()
	}
	feed()
	taken.Wait()
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}
