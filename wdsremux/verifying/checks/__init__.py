"""What `verify` looks at: a dataset of wdsremux, a folder of another tool, one shard."""
