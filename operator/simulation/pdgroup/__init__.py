"""A stand-in for the PDGroup controller: enough of it that Clusters and TiKVs find a living PD."""
