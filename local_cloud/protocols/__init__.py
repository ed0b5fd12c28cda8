"""How calls come in: gRPC, REST, and the metadata service of machines. They know the API, and no service."""
