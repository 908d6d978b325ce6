"""An output on disk: head, entries, ledger, card, shards, indexes; written, read, loaded."""
