"""A front before an S3 server: refuses what Object Storage refuses, and answers what such a server has no answer to."""
