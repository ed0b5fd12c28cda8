"""The cloud's services: a folder each, with its models, its verbs, its errors. `registry.py` lists them."""
