"""Real machines (systemd as PID 1, ssh) in a network of their own on this host, by systemd-nspawn: see README.md.

Standard library only; needs root. Nothing of it touches the host's own network namespace.
"""
