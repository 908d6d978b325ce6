"""Google Cloud Storage and Azure as store, by obstore."""
