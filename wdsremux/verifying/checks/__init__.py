"""What `verify` looks at: a dataset of ours, a folder that others made, one shard."""
