"""Files and URLs beside the shards that other readers need."""
