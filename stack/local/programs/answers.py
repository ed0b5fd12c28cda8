"""How one sees from outside that a program is ready."""

import contextlib
import socket

import requests

from stack.local.state import State


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def answers(url: str) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(url, timeout=5).ok
    return False


def airflow_is_healthy(state: State, component: str) -> bool:
    with contextlib.suppress(requests.RequestException, ValueError, KeyError):
        health = requests.get(f"{state.url('airflow')}/api/v2/monitor/health", timeout=5).json()
        return health[component]["status"] == "healthy"
    return False
