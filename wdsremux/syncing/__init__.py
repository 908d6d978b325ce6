"""The parts of a sync: what there is, what is to be sent, how it is sent, what loaders read."""
