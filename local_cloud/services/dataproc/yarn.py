"""A real YARN on this machine: a ResourceManager, and a NodeManager for each host that computes.

All of it is of one user on loopback, without root. What it starts is written down in its folder, so that a later run of
the endpoint can end what an earlier one left behind.
"""

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import psutil

from local_cloud.core.ports import free_ports
from local_cloud.services.dataproc.yarn_sizes import STEP, Hosts, Node

log = logging.getLogger(__name__)
READY_SECONDS = 300.0
EXPIRY_MS = 60_000  # until a host that is silent counts as lost; YARN's own ten minutes are long for a stand-in
_GRACE = 8.0
_RESOURCE_MANAGER = "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager"
_NODE_MANAGER = "org.apache.hadoop.yarn.server.nodemanager.NodeManager"
_JAVA = (
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "-Djava.net.preferIPv4Stack=true",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xmx256m",
)
_RM_PORTS = ("address", "scheduler.address", "resource-tracker.address", "admin.address", "webapp.address")
_NM_PORTS = ("address", "localizer.address", "webapp.address", "collector-service.address")
_LOOPBACK = "127.0.0.1"


class NotStarted(Exception):
    """A process of YARN has ended, or did not answer in time; the message has the end of its log."""


@dataclass(frozen=True)
class Program:
    """What all of YARN's processes are made of: Java, the class path, and the environment of a cluster's machines."""

    java: str
    class_path: str
    environment: Mapping[str, str]
    properties: Mapping[str, str]  # yarn-site.xml's, by the cluster's `yarn:` properties


@dataclass
class Process:
    """A process of ours, by which it is recognised later, too: its id and its start time (UNIX seconds)."""

    pid: int
    started: float

    @property
    def alive(self) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            found = psutil.Process(self.pid)
            return abs(found.create_time() - self.started) < 1 and found.status() != psutil.STATUS_ZOMBIE
        return False

    def signal(self, number: signal.Signals) -> None:
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


@dataclass
class Yarn:
    """One cluster's YARN. `hosts` is what it begins with and may grow to; containers are multiples of `minimum` MiB."""

    folder: Path
    program: Program
    hosts: list[Hosts]
    minimum: int = 1024
    ports: dict[str, int] = field(default_factory=dict)
    nodes: dict[str, Process] = field(default_factory=dict)
    manager: Process | None = None
    _children: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    _made: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _closed: threading.Event = field(default_factory=threading.Event)

    # -------------------------------------------------------------------------------------------- life
    def start(self) -> None:
        """Start every process; `wait_ready` waits for them."""
        end_left_behind(self.folder)
        shutil.rmtree(self.folder / "nodes", ignore_errors=True)
        self.conf.mkdir(parents=True, exist_ok=True)
        self.ports = dict(zip(_RM_PORTS, free_ports(len(_RM_PORTS)), strict=True))
        self.scratch.mkdir(exist_ok=True)
        write_xml(self.conf / "core-site.xml", {"fs.defaultFS": "file:///", "hadoop.tmp.dir": str(self.scratch)})
        write_xml(self.conf / "yarn-site.xml", self._common())
        write_xml(self.conf / "capacity-scheduler.xml", _QUEUES)
        self.manager = self._launch(_RESOURCE_MANAGER, self.conf, "resourcemanager")
        for hosts in self.hosts:
            for _ in range(hosts.count):
                self._add(hosts.node)
        if self.may_grow:  # in a cluster of fixed size nobody replaces a host that is lost
            threading.Thread(target=self._grow, daemon=True, name="yarn-grow").start()

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Until the ResourceManager has all nodes; raises `NotStarted`."""
        deadline = time.monotonic() + seconds
        while not self._closed.is_set():
            if self.manager is None or not self.manager.alive:
                raise NotStarted(f"the ResourceManager has ended: {self._tail('resourcemanager')}")
            for name in list(self.nodes):
                if not self.nodes[name].alive:
                    raise NotStarted(f"the NodeManager {name} has ended: {self._tail(name)}")
            if self.metrics().get("nodes", 0) >= len(self.nodes):
                return
            if time.monotonic() > deadline:
                raise NotStarted(f"YARN has {self.metrics() or 'not answered'} after {seconds:.0f} s")
            time.sleep(0.2)

    def close(self) -> None:
        """End every process, and all that ran in containers."""
        self._closed.set()
        with self._lock:
            end_left_behind(self.folder)
            for child in self._children:
                child.wait()
            self._children.clear()
            self.nodes.clear()
            self.manager = None

    # -------------------------------------------------------------------------------------------- nodes
    def lose(self, name: str) -> None:
        """A host is gone from one moment to the next, with everything that ran on it."""
        with self._lock:
            process = self.nodes.pop(name)
            process.signal(signal.SIGKILL)
            end_inside(self.folder / "nodes" / name, grace=0)
            self._write_down()

    def preempt(self, name: str) -> None:
        """The cloud takes a host back: it is told to shut down. Another takes its place where the cluster may grow."""
        with self._lock:
            process = self.nodes.pop(name)
            process.signal(signal.SIGTERM)
        wait_for(lambda: not process.alive, _GRACE)
        process.signal(signal.SIGKILL)
        end_inside(self.folder / "nodes" / name, grace=1)
        with self._lock:
            self._write_down()
            if self.may_grow and not self._closed.is_set():
                self.add()

    def add(self) -> None:
        """One more host, of the subcluster that may grow, or of the last one."""
        with self._lock:
            growing = [hosts for hosts in self.hosts if hosts.most > hosts.count] or self.hosts
            self._add(growing[-1].node)

    def _add(self, node: Node) -> None:
        with self._lock:
            self._made += 1
            name = f"node-{self._made}"
            home = self.folder / "nodes" / name
            conf = home / "conf"
            conf.mkdir(parents=True)
            shutil.copy(self.conf / "core-site.xml", conf)
            own = {f"yarn.nodemanager.{key}": f"{_LOOPBACK}:0" for key in _NM_PORTS}
            own |= {
                "yarn.nodemanager.hostname": _LOOPBACK,
                "yarn.nodemanager.local-dirs": str(home / "local"),
                "yarn.nodemanager.log-dirs": str(home / "logs"),
                "yarn.nodemanager.resource.memory-mb": str(node.memory),
                "yarn.nodemanager.resource.cpu-vcores": str(node.cores),
            }
            write_xml(conf / "yarn-site.xml", {**self._common(), **own, **self.program.properties})
            self.nodes[name] = self._launch(_NODE_MANAGER, conf, name)

    def _grow(self) -> None:
        """What autoscaling does: as long as containers wait, one host more, up to the most."""
        most = sum(hosts.most for hosts in self.hosts)
        while not self._closed.wait(2):
            with self._lock:
                if len(self.nodes) < most and not self._closed.is_set() and self.metrics().get("pending"):
                    self.add()
                    waited = len(self.nodes)
                else:
                    continue
            wait_for(lambda: self._closed.is_set() or self.metrics().get("nodes", 0) >= waited, 60)  # noqa: B023

    # -------------------------------------------------------------------------------------------- applications
    def metrics(self) -> dict[str, int]:
        """The ResourceManager's own counts, of nodes and of the one queue; empty as long as it does not answer.

        By JMX: in the jar that holds all of YARN, most of the REST API's answers lack their values.
        """
        nodes, queue = self._bean("name=ClusterMetrics"), self._bean("name=QueueMetrics,q0=root")
        if not (nodes and queue):
            return {}
        return {
            "nodes": nodes["NumActiveNMs"],
            "lost": nodes["NumLostNMs"],
            "containers": queue["AllocatedContainers"],
            "pending": queue["PendingContainers"],
            "cores": queue["AllocatedVCores"],
            "memory": queue["AllocatedMB"],
        }

    def state_of(self, application: str) -> str:
        """The state of an application, e.g. RUNNING; empty if there is none, or nobody to ask."""
        return str(self._ask(f"ws/v1/cluster/apps/{application}/state").get("state", ""))

    def kill(self, application: str) -> None:
        """End an application that is still there."""
        body = json.dumps({"state": "KILLED"}).encode()
        address = f"{self._web}/ws/v1/cluster/apps/{application}/state"
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"}, method="PUT")
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=10):
            pass

    def victim(self, application: str) -> str:
        """The host to befall: one that runs an executor and, if there is such a one, no application master."""
        found = {name: self._containers(name, application) for name in list(self.nodes)}
        return max(found, key=lambda name: (not any(c.endswith("_000001") for c in found[name]), len(found[name])))

    def executors(self, application: str) -> int:
        """Containers of an application that run, without its master."""
        names = [container for name in list(self.nodes) for container in self._containers(name, application)]
        return sum(not name.endswith("_000001") for name in names)

    def master_logs(self, application: str) -> list[Path]:
        """What the application master has written, where its driver ran there."""
        found = (self.folder / "nodes").glob(f"*/logs/{application}/container_*_000001/*")
        return sorted(path for path in found if path.name in ("stdout", "stderr"))

    # -------------------------------------------------------------------------------------------- within
    @property
    def may_grow(self) -> bool:
        return any(hosts.most > hosts.count for hosts in self.hosts)

    @property
    def scratch(self) -> Path:
        """Where its processes put what they unpack: it goes with the folder."""
        return self.folder / "tmp"

    @property
    def conf(self) -> Path:
        """HADOOP_CONF_DIR of whoever submits."""
        return self.folder / "conf"

    @property
    def _web(self) -> str:
        return f"http://{_LOOPBACK}:{self.ports['webapp.address']}"

    def _bean(self, query: str) -> dict[str, Any]:
        beans = self._ask(f"jmx?qry=Hadoop:service=ResourceManager,{query}").get("beans") or [{}]
        return dict(beans[0])

    def _ask(self, path: str) -> dict[str, Any]:
        with (
            contextlib.suppress(OSError, ValueError),
            urllib.request.urlopen(f"{self._web}/{path}", timeout=10) as answer,
        ):
            return dict(json.load(answer))
        return {}

    def _containers(self, node: str, application: str) -> list[str]:
        """Names of an application's containers whose processes run on a node."""
        places = (self.folder / "nodes" / node / "local").glob(f"usercache/*/appcache/{application}/container_*")
        busy = {where for _, where in working_in(self.folder / "nodes" / node)}
        return [place.name for place in places if str(place) in busy]

    def _common(self) -> dict[str, str]:
        largest = [hosts.node for hosts in self.hosts]
        return {
            "yarn.resourcemanager.hostname": _LOOPBACK,
            "yarn.resourcemanager.bind-host": _LOOPBACK,
            "yarn.nodemanager.bind-host": _LOOPBACK,
            **{f"yarn.resourcemanager.{key}": f"{_LOOPBACK}:{port}" for key, port in self.ports.items()},
            "yarn.resourcemanager.scheduler.class": f"{_SCHEDULER}.CapacityScheduler",
            "yarn.scheduler.minimum-allocation-mb": str(self.minimum),
            "yarn.scheduler.maximum-allocation-mb": str(max(node.memory for node in largest)),
            "yarn.scheduler.maximum-allocation-vcores": str(max(node.cores for node in largest)),
            # A container that outgrows its memory is killed; virtual memory says nothing of a JVM.
            "yarn.nodemanager.pmem-check-enabled": "true",
            "yarn.nodemanager.vmem-check-enabled": "false",
            "yarn.nodemanager.container-monitor.interval-ms": "1000",
            # Else YARN leaves limits to cgroups, whether or not it uses them, and nothing is ever killed.
            "yarn.nodemanager.resource.memory.enforced": "false",
            # The disks are those of this machine, and a full one is nothing that a cluster of the cloud would have.
            "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "100",
            "yarn.nodemanager.env-whitelist": ",".join(sorted(self.program.environment)),
            "yarn.nm.liveness-monitor.expiry-interval-ms": str(EXPIRY_MS),
            "yarn.resourcemanager.nodemanagers.heartbeat-interval-ms": "500",
            "yarn.application.classpath": self.program.class_path.replace(":", ","),
        }

    def _launch(self, main: str, conf: Path, name: str) -> Process:
        environment = {**self.program.environment, "HADOOP_CONF_DIR": str(conf)}
        java = [self.program.java, *_JAVA, f"-Djava.io.tmpdir={self.scratch}"]
        command = [*java, "-cp", f"{conf}:{self.program.class_path}", main]
        with (self.folder / f"{name}.log").open("ab") as output:
            child = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._children.append(child)
        process = Process(child.pid, psutil.Process(child.pid).create_time())
        if main == _RESOURCE_MANAGER:
            self.manager = process
        else:
            self.nodes[name] = process
        self._write_down()
        return process

    def _write_down(self) -> None:
        every = [*self.nodes.values(), *([self.manager] if self.manager else [])]
        file = self.folder / _RECORD
        file.with_suffix(".new").write_text(json.dumps([asdict(each) for each in every]))
        file.with_suffix(".new").replace(file)

    def _tail(self, name: str) -> str:
        file = self.folder / f"{name}.log"
        lines = file.read_text(errors="replace").splitlines() if file.exists() else []
        return " | ".join(line.strip() for line in lines[-8:]) or "its log is empty"


_RECORD = "processes.json"
_SCHEDULER = "org.apache.hadoop.yarn.server.resourcemanager.scheduler.capacity"
_QUEUES = {
    "yarn.scheduler.capacity.root.queues": "default",
    "yarn.scheduler.capacity.root.default.capacity": "100",
    "yarn.scheduler.capacity.maximum-am-resource-percent": "0.25",
    # Counts cores, too. The service leaves YARN's default, which counts memory alone: this one is the stricter.
    "yarn.scheduler.capacity.resource-calculator": "org.apache.hadoop.yarn.util.resource.DominantResourceCalculator",
}


def minimum_allocation(factor: float) -> int:
    """MiB to which YARN rounds a container up: a GiB as on the service, or a step if hosts are scaled down."""
    return 1024 if factor == 1 else STEP


def end_left_behind(folder: Path) -> None:
    """End the processes that the folder's record names, if they are still the same ones, and what containers ran."""
    record = folder / _RECORD
    processes = [Process(**each) for each in json.loads(record.read_text())] if record.exists() else []
    for process in processes:
        process.signal(signal.SIGTERM)
    wait_for(lambda: not any(process.alive for process in processes), _GRACE)
    for process in processes:
        process.signal(signal.SIGKILL)
    end_inside(folder, grace=1)
    record.unlink(missing_ok=True)


def end_inside(folder: Path, grace: float) -> None:
    """End every process that works in the folder: what containers ran, however deep."""
    if not folder.exists():
        return
    if grace:
        for process in inside(folder):
            with contextlib.suppress(psutil.Error):
                process.terminate()
        wait_for(lambda: not inside(folder), grace)
    for _ in range(3):  # what was started while the first were being ended
        for process in inside(folder):
            with contextlib.suppress(psutil.Error):
                process.kill()
        wait_for(lambda: not inside(folder), 1)


def inside(folder: Path) -> list[psutil.Process]:
    """The living processes that work in a container of the folder's, a cluster's or a node's; no daemon does."""
    return [process for process, _ in working_in(folder)]


def working_in(folder: Path) -> list[tuple[psutil.Process, str]]:
    """The same, each with its working directory."""
    found, places = [], (f"{folder}/nodes/", f"{folder}/local/")
    # Asked one by one: what `process_iter` remembers of a process is shared with every other thread that iterates.
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            where = process.cwd()
            if where.startswith(places) and process.status() != psutil.STATUS_ZOMBIE:
                found.append((process, where))
    return found


def wait_for(what: Callable[[], bool], seconds: float, pause: float = 0.05) -> bool:
    """Whether it became true within so many seconds."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def write_xml(path: Path, properties: Mapping[str, str]) -> None:
    """A configuration file as Hadoop reads it."""
    lines = [
        f"<property><name>{escape(name)}</name><value>{escape(value)}</value></property>"
        for name, value in properties.items()
    ]
    path.write_text("\n".join(["<configuration>", *lines, "</configuration>", ""]))
