"""ssh to the machines, by the configuration that `make bootstrap` has written: commands, and a way to MLflow's port."""

import contextlib
import os
import subprocess
from collections.abc import Iterable, Iterator
from typing import NoReturn

from local_cloud.core.ports import free_ports
from stack.cloud.deployment import Deployment
from stack.cloud.way_in import takes
from stack.common.errors import StackError
from stack.common.waiting import wait_until

CONNECT = 8  # seconds until a machine must answer
QUIET = ("-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT}")


def command(deployment: Deployment, *words: str) -> list[str]:
    """Raises StackError if there is no configuration: this computer has not made the machines."""
    if not deployment.ssh_config.exists():
        raise StackError(
            f"{deployment.ssh_config} is missing: `make bootstrap` writes it; or copy the folder {deployment.folder} "
            "from the computer that has it."
        )
    return ["ssh", "-F", str(deployment.ssh_config), *words]


def ask(deployment: Deployment, host: str, *words: str, seconds: float = 3 * CONNECT) -> str:
    """What a command on a machine prints.

    Raises:
        StackError: the machine cannot be reached, or the command fails; with the last line of what was said.
    """
    try:
        done = subprocess.run(
            command(deployment, *QUIET, host, *words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise StackError(f"{host} gives no answer by ssh within {seconds:g} s") from None
    if done.returncode:
        raise StackError(f"`{' '.join(words)}` on {host}: {last_line(done.stderr) or f'status {done.returncode}'}")
    return done.stdout


@contextlib.contextmanager
def tunnel(deployment: Deployment, host: str, address: str, port: int) -> Iterator[int]:
    """A port of this computer that leads to `address` and `port` as the machine reaches them, while the block runs.

    Raises:
        StackError: ssh does not get there; with its last line.
    """
    (local,) = free_ports(1)
    forward = f"127.0.0.1:{local}:{address}:{port}"
    process = subprocess.Popen(
        command(deployment, *QUIET, "-o", "ExitOnForwardFailure=yes", "-N", "-L", forward, host),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: process.poll() is not None or takes("127.0.0.1", local), 2 * CONNECT, 0.1)
        if process.poll() is not None or not takes("127.0.0.1", local):
            process.terminate()
            said = last_line(process.communicate()[1])
            raise StackError(f"no tunnel by ssh to {host}: {said or 'it does not answer'}")
        yield local
    finally:
        process.terminate()
        process.wait(timeout=10)


def log_in(deployment: Deployment, host: str, known: Iterable[str]) -> NoReturn:
    """Becomes an ssh session on that machine.

    Raises:
        StackError: there is no such machine; names those that there are.
    """
    if host not in known:
        raise StackError(f"HOST={host}: the machines are {', '.join(known)}, such as `make ssh HOST=mlflow`.")
    line = command(deployment, host)
    os.execvp(line[0], line)


def socks(deployment: Deployment, host: str, port: int) -> None:
    """Lets a browser reach what the machine reaches, by a SOCKS proxy at a port of this computer, until Ctrl-C.

    Raises:
        StackError: ssh ended by itself; what it said stands above.
    """
    options = ("-o", "ExitOnForwardFailure=yes", "-N", "-D", f"127.0.0.1:{port}", host)
    with contextlib.suppress(KeyboardInterrupt):
        if subprocess.run(command(deployment, *options), stdin=subprocess.DEVNULL).returncode:
            raise StackError(f"The way through {host} is closed: ssh has ended, its message is above.")


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
