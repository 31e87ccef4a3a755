//! The kinds of bench/widgets.py with all their fields, as a real operator would declare them.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use serde::{Deserialize, Serialize};

#[derive(CustomResource, Clone, Debug, Deserialize, Serialize)]
#[kube(
    group = "bench.example.com",
    version = "v1",
    kind = "Widget",
    plural = "widgets",
    namespaced,
    status = "WidgetStatus",
    schema = "disabled"
)]
pub struct WidgetSpec {
    pub sequence: i64,
    pub title: String,
    pub replicas: i32,
    pub config: String,
    pub selector: BTreeMap<String, String>,
    pub env: Vec<EnvVar>,
    pub endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct EnvVar {
    pub name: String,
    pub value: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Endpoint {
    pub host: String,
    pub port: i32,
    pub zone: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WidgetStatus {
    pub run: String,
    pub phase: String,
    pub conditions: Vec<Condition>,
}

/// A small object that a Widget owns.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize)]
#[kube(
    group = "bench.example.com",
    version = "v1",
    kind = "Gadget",
    plural = "gadgets",
    namespaced,
    schema = "disabled"
)]
pub struct GadgetSpec {
    pub sequence: i64,
}
