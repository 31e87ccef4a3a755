"""Talking to a Kubernetes API server: transport, typed errors, the live client and the cached client."""
