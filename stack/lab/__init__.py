"""`make … TARGET=local`: a deployment whose cloud is this host: the local cloud, and machines in a lab."""
