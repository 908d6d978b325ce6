"""S3 and compatible servers as store."""
