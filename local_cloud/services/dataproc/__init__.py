"""Data Processing ("Dataproc"): clusters that are checked like the cloud's, and jobs that really run."""
