"""How samples become tar shards, and how shards are described."""
