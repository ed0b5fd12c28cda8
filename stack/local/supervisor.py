"""supervisord: starts the programs in the background, restarts what dies, stops all of them together."""

import contextlib
import subprocess
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from stack.common.envs import ROOT, python_of
from stack.common.errors import StackError
from stack.common.files import write_private
from stack.common.waiting import wait_until
from stack.local.services import PROGRAMS, READY
from stack.local.state import State

START_TIMEOUT, STOP_TIMEOUT = 15, 20  # seconds of supervisord itself
READY_TIMEOUT = 180  # seconds until a program must be ready; Airflow takes 30-60 on two busy cores
RPC_FACTORY = "supervisor.rpcinterface:make_main_rpcinterface"
UNDER_WAY = ("STARTING", "RUNNING", "BACKOFF", "EXITED")  # supervisord starts again what ended by itself
ENDED = ("STOPPED", "EXITED", "FATAL", "UNKNOWN")
LONGEST_STOP = 90  # seconds; then supervisord kills
SOCKET_LIMIT = 100  # bytes a Unix socket's path may have (the kernel's limit is 107)


def socket_of(state: State) -> str:
    path = str(state.folder / "supervisor.sock")
    if len(path) > SOCKET_LIMIT:
        raise StackError(
            f"The state folder {state.folder} is too long by {len(path) - SOCKET_LIMIT} characters (a Unix socket lies "
            "in it). Choose a shorter one: `make demo STATE=/tmp/demo`."
        )
    return path


def configuration(state: State) -> str:
    """supervisord.conf: the daemon, its socket, and every program."""
    sections: dict[str, dict[str, Any]] = {
        "unix_http_server": {"file": socket_of(state), "chmod": "0600"},
        "supervisord": {
            "logfile": f"{state.logs}/supervisord.log",
            "pidfile": f"{state.folder}/supervisord.pid",
            "directory": state.folder,
            "logfile_maxbytes": "5MB",
            "logfile_backups": 1,
            "silent": "true",
        },
        "rpcinterface:supervisor": {"supervisor.rpcinterface_factory": RPC_FACTORY},
    }
    for name in PROGRAMS:
        sections[f"program:{name}"] = {
            "command": f"{python_of('stack')} -m stack.local.services {state.folder} {name}",
            "environment": f'PYTHONPATH="{ROOT}"',
            "autostart": "false",
            "autorestart": "true",
            "startsecs": 2,
            "redirect_stderr": "true",
            "stdout_logfile": f"{state.logs}/{name}.log",
            "stdout_logfile_maxbytes": "20MB",
            "stdout_logfile_backups": 1,
            "stopasgroup": "true",
            "killasgroup": "true",
            # Whoever runs clusters ends them first, and all that runs there.
            "stopwaitsecs": LONGEST_STOP if name == "cloud" else 20,
        }
    return "\n".join(
        line
        for section, settings in sections.items()
        for line in (f"[{section}]", *(f"{key}={value}" for key, value in settings.items()), "")
    )


def rpc(state: State) -> Any:
    transport = SupervisorTransport(None, None, f"unix://{socket_of(state)}")
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor


def is_running(state: State) -> bool:
    with contextlib.suppress(OSError, xmlrpc.client.Error):
        return rpc(state).getState()["statename"] == "RUNNING"
    return False


def process_id(state: State) -> int:
    """The process id of supervisord; all programs are its descendants."""
    return int(rpc(state).getPID())


def start_daemon(state: State) -> None:
    if is_running(state):
        return
    state.require_free_ports()
    state.logs.mkdir(exist_ok=True)
    config = state.folder / "supervisord.conf"
    write_private(config, configuration(state))
    done = subprocess.run(
        [python_of("stack").parent / "supervisord", "-c", config], capture_output=True, text=True, cwd=state.folder
    )
    if done.returncode or not wait_until(lambda: is_running(state), START_TIMEOUT, 0.1):
        raise StackError(f"supervisord did not start: {(done.stderr or done.stdout).strip()}")


def tail_of_log(state: State, name: str, lines: int = 12) -> str:
    log = state.logs / f"{name}.log"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"


def start(state: State, names: list[str]) -> Iterator[tuple[str, float]]:
    """Starts programs side by side; yields each with its seconds when it is ready.

    Raises:
        StackError: one of them ended or was not ready in time; with the end of its log.
    """
    begun = time.monotonic()
    for name in names:
        if status_of(state, name) not in UNDER_WAY:
            with contextlib.suppress(xmlrpc.client.Fault):  # it may have been started again in between
                rpc(state).startProcess(name, False)
    waiting = list(names)
    while waiting:
        for name in list(waiting):
            status = status_of(state, name)
            if status in UNDER_WAY and READY[name](state):
                waiting.remove(name)
                yield name, time.monotonic() - begun
            elif status not in UNDER_WAY or time.monotonic() - begun > READY_TIMEOUT:
                raise StackError(
                    f"{name} is {status} after {time.monotonic() - begun:.0f} s and was not ready. The end of its log "
                    f"({state.logs / f'{name}.log'}):\n{tail_of_log(state, name)}"
                )
        time.sleep(0.3)


def status_of(state: State, name: str) -> str:
    return rpc(state).getProcessInfo(name)["statename"]


def stop(state: State, say: Callable[[str], None] = print) -> bool:
    """Stops everything, Airflow first so that a running task ends while the services it needs still answer."""
    if not is_running(state):
        return False
    for name in reversed(PROGRAMS):
        with contextlib.suppress(xmlrpc.client.Fault):
            stop_program(state, name)
            say(f"stopped {name}")
    rpc(state).shutdown()
    wait_until(lambda: not is_running(state), STOP_TIMEOUT, 0.1)
    return True


def stop_program(state: State, name: str) -> None:
    # Asked to answer when the program has ended, supervisord would keep a core busy until then.
    rpc(state).stopProcess(name, False)
    wait_until(lambda: status_of(state, name) in ENDED, 2 * LONGEST_STOP, 0.1)
