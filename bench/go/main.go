// Go's controller-runtime as the benchmark's counterpart: the same work as bench/ours.py and bench/queue_ours.py.
//
// Every fact leaves as one JSON object a line on standard output; bench/README.md describes the lines.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

var (
	scenario   = flag.String("scenario", "", "idle, cold, pods, latency, churn, status, fanin; or adds, merges, requeue, delays")
	count      = flag.Int("count", 0, "objects, or keys")
	concurrent = flag.Int("workers", 1, "concurrent reconciles")
	run        = flag.String("run", "", "what a status write writes")
)

var output sync.Mutex

func emit(fact any) {
	output.Lock()
	defer output.Unlock()
	if err := json.NewEncoder(os.Stdout).Encode(fact); err != nil {
		panic(err)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	flag.Parse()
	switch *scenario {
	case "adds", "merges", "requeue", "delays":
		queueBenchmark(*scenario, *count)
	default:
		runManager()
	}
}

// sighting is one reconcile: which object, the sequence number it saw, and when it started (nanoseconds).
type sighting struct {
	name     string
	sequence int64
	at       int64
}

type reconciler struct {
	client    client.Client
	lock      sync.Mutex
	names     map[string]bool
	sightings []sighting
	written   atomic.Int64
	total     atomic.Int64
}

func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	started := time.Now().UnixNano()
	if *scenario == "pods" {
		pod := &corev1.Pod{}
		if err := r.client.Get(ctx, request.NamespacedName, pod); err != nil {
			return ctrl.Result{}, client.IgnoreNotFound(err)
		}
		r.note(request.Name, 0, started)
		return ctrl.Result{}, nil
	}
	widget := &Widget{}
	if err := r.client.Get(ctx, request.NamespacedName, widget); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	r.note(request.Name, widget.Spec.Sequence, started)
	if *scenario == "status" && widget.Status.Run != *run {
		widget.Status.Run = *run
		if err := r.client.Status().Update(ctx, widget); err != nil {
			return ctrl.Result{}, err
		}
		if r.written.Add(1) == int64(*count) {
			emit(map[string]any{"event": "written", "at": time.Now().UnixNano()})
		}
	}
	return ctrl.Result{}, nil
}

// note counts a reconcile, and says "ready" when every object was reconciled once.
func (r *reconciler) note(name string, sequence, at int64) {
	r.total.Add(1)
	r.lock.Lock()
	defer r.lock.Unlock()
	if len(r.names) < *count {
		r.names[name] = true
		if len(r.names) == *count {
			emit(map[string]any{"event": "ready", "at": time.Now().UnixNano()})
		}
	}
	if *scenario == "latency" || *scenario == "fanin" {
		r.sightings = append(r.sightings, sighting{name, sequence, at})
	}
}

func runManager() {
	ctrl.SetLogger(logr.Discard())
	scheme := runtime.NewScheme()
	must(clientgoscheme.AddToScheme(scheme))
	addToScheme(scheme)
	config := ctrl.GetConfigOrDie() // of the flag -kubeconfig
	config.QPS = -1                 // no limit in the client, as in the other contestants
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                 scheme,
		Metrics:                server.Options{BindAddress: "127.0.0.1:0"},
		HealthProbeBindAddress: "127.0.0.1:0",
	})
	must(err)
	r := &reconciler{client: manager.GetClient(), names: map[string]bool{}}
	builder := ctrl.NewControllerManagedBy(manager).Named("bench").
		WithOptions(controller.Options{MaxConcurrentReconciles: *concurrent})
	if *scenario == "pods" {
		builder = builder.For(&corev1.Pod{})
	} else {
		builder = builder.For(&Widget{})
	}
	if *scenario == "fanin" {
		builder = builder.Owns(&Gadget{})
	}
	must(builder.Complete(r))
	ctx := ctrl.SetupSignalHandler()
	must(manager.Start(ctx))
	r.report(manager.GetClient())
}

// report tells what was seen; the cache can still be read.
func (r *reconciler) report(reader client.Reader) {
	seen := make([][3]any, 0, len(r.sightings))
	for _, s := range r.sightings {
		seen = append(seen, [3]any{s.name, s.sequence, s.at})
	}
	versions := map[string]string{}
	if *scenario == "churn" {
		var widgets WidgetList
		must(reader.List(context.Background(), &widgets))
		for i := range widgets.Items {
			versions[widgets.Items[i].Name] = widgets.Items[i].ResourceVersion
		}
	}
	emit(map[string]any{"event": "end", "reconciles": r.total.Load(), "seen": seen, "versions": versions})
}
