"""Virtual Private Cloud: networks that route nothing, but whose descriptions are checked like the cloud's."""
