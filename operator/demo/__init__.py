"""The demo: a whole cluster's life on an embedded API server, watched live.

`manifests` reads what is to be created, `world` watches what becomes of it, `scenario` is the story with its end states,
`live` and `summary` show it to a person, and `stage` puts API server, simulation and operator together.
"""
