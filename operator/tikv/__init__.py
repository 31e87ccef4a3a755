"""The TiKV controller: renders, creates, watches over, moves and removes one store of a cluster."""
