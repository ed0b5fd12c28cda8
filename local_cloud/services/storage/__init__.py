"""Object Storage's API of buckets: what is said of a bucket here, while its objects are in the object store."""
