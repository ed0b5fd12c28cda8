"""The Operation service: how work that has begun goes on."""
