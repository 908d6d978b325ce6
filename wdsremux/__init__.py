"""Stream an image dataset through preprocessing once and pack it into WebDataset shards."""
