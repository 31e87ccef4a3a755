//! kube-rs as a contestant: the same work as bench/ours.py and bench/go/main.go.
//!
//! Every fact leaves as one JSON object a line on standard output; bench/README.md describes the lines.

mod widget;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::error::Error;
use std::fmt::Debug;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::watcher;
use kube::{Api, Client, Config, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use widget::{Gadget, Widget};

/// What the command line asks for, as `-name value` pairs.
struct Options {
    scenario: String,
    kubeconfig: String,
    count: usize,
    workers: u16,
    run: String,
}

impl Options {
    fn parse() -> Result<Self, Box<dyn Error>> {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let mut values: HashMap<&str, &str> = HashMap::new();
        for pair in words.chunks(2) {
            let [name, value] = pair else {
                return Err(format!("{} has no value", pair[0]).into());
            };
            values.insert(name.trim_start_matches('-'), value);
        }
        let text = |name: &str| values.get(name).copied().unwrap_or_default().to_owned();
        Ok(Self {
            scenario: text("scenario"),
            kubeconfig: text("kubeconfig"),
            count: values.get("count").unwrap_or(&"0").parse()?,
            workers: values.get("workers").unwrap_or(&"1").parse()?,
            run: text("run"),
        })
    }
}

/// What was seen: counted by every reconcile, told at the end.
#[derive(Default)]
struct Notes {
    names: HashSet<String>,
    sightings: Vec<(String, i64, u64)>,
    total: usize,
    written: usize,
}

struct Bench {
    options: Options,
    client: Client,
    notes: Mutex<Notes>,
}

impl Bench {
    /// Count a reconcile, and say "ready" when every object was reconciled once.
    fn note(&self, name: String, sequence: i64, at: u64) {
        let mut notes = self.notes.lock().expect("no reconcile panics");
        notes.total += 1;
        if notes.names.len() < self.options.count {
            notes.names.insert(name.clone());
            if notes.names.len() == self.options.count {
                emit(json!({"event": "ready", "at": now()}));
            }
        }
        if matches!(self.options.scenario.as_str(), "latency" | "fanin") {
            notes.sightings.push((name, sequence, at));
        }
    }

    fn wrote(&self) {
        let mut notes = self.notes.lock().expect("no reconcile panics");
        notes.written += 1;
        if notes.written == self.options.count {
            emit(json!({"event": "written", "at": now()}));
        }
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.expect("after 1970").as_nanos()).expect("before 2554")
}

fn emit(fact: Value) {
    println!("{fact}"); // standard output is flushed at each end of line
}

async fn reconcile_pod(pod: Arc<Pod>, bench: Arc<Bench>) -> Result<Action, kube::Error> {
    bench.note(pod.name_any(), 0, now());
    Ok(Action::await_change())
}

/// kube-rs hands the object over as its cache has it.
async fn reconcile_widget(widget: Arc<Widget>, bench: Arc<Bench>) -> Result<Action, kube::Error> {
    let started = now();
    bench.note(widget.name_any(), widget.spec.sequence, started);
    let run = widget.status.as_ref().map_or("", |status| &status.run);
    if bench.options.scenario == "status" && run != bench.options.run {
        let mut changed = Widget::clone(&widget);
        changed
            .status
            .get_or_insert_default()
            .run
            .clone_from(&bench.options.run);
        let namespace = widget.namespace().unwrap_or_default();
        let api: Api<Widget> = Api::namespaced(bench.client.clone(), &namespace);
        api.replace_status(&widget.name_any(), &PostParams::default(), &changed)
            .await?;
        bench.wrote();
    }
    Ok(Action::await_change())
}

/// Print what went wrong with a reconcile or a watch; kube-rs tries again.
async fn complain<T, E: Debug>(outcome: Result<T, E>) {
    if let Err(error) = outcome {
        eprintln!("kube-rs: {error:?}");
    }
}

fn retry<K>(_: Arc<K>, _: &kube::Error, _: Arc<Bench>) -> Action {
    Action::requeue(Duration::from_secs(1))
}

/// A controller of the kind, with the defaults but for the number of concurrent reconciles.
fn controller<K>(bench: &Bench) -> Controller<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    Controller::new(
        Api::<K>::all(bench.client.clone()),
        watcher::Config::default(),
    )
    .with_config(controller::Config::default().concurrency(bench.options.workers))
    .shutdown_on_signal()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse()?;
    let kubeconfig = Kubeconfig::read_from(Path::new(&options.kubeconfig))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let client = Client::try_from(config)?;
    let bench = Arc::new(Bench {
        options,
        client,
        notes: Mutex::default(),
    });
    let mut versions = BTreeMap::new();
    if bench.options.scenario == "pods" {
        controller::<Pod>(&bench)
            .run(reconcile_pod, retry, bench.clone())
            .for_each(complain)
            .await;
    } else {
        let mut widgets = controller::<Widget>(&bench);
        if bench.options.scenario == "fanin" {
            widgets = widgets.owns(
                Api::<Gadget>::all(bench.client.clone()),
                watcher::Config::default(),
            );
        }
        let cache = widgets.store();
        widgets
            .run(reconcile_widget, retry, bench.clone())
            .for_each(complain)
            .await;
        if bench.options.scenario == "churn" {
            for widget in cache.state() {
                versions.insert(
                    widget.name_any(),
                    widget.resource_version().unwrap_or_default(),
                );
            }
        }
    }
    let notes = bench.notes.lock().expect("no reconcile panics");
    emit(
        json!({"event": "end", "reconciles": notes.total, "seen": notes.sightings, "versions": versions}),
    );
    Ok(())
}
