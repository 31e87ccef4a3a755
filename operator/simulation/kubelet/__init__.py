"""The simulated nodes: scheduler, kubelet and volume provisioner; each a pure part and a controller around it."""
