"""Google Cloud Storage and Azure as target, by obstore."""
