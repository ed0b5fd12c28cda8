"""Key Management Service: keys that encrypt nothing, with their versions."""
