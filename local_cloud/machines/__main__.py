"""`python -m local_cloud.machines`: machines on this host, from the command line."""

import argparse
import json
import os
import sys
from pathlib import Path

from local_cloud.machines import base, disks, host, layers, relay
from local_cloud.machines.lab import Lab
from local_cloud.machines.machine import Machine, Request, introduce, machines


def main() -> int:
    """Exit status: the command's own, or 1 with one message if the host or the request is at fault."""
    arguments = parser().parse_args()
    try:
        if arguments.command != "list":
            host.preflight()
        lab = Lab(arguments.lab)
        assert lab.folder  # a bad name ends here
        arguments.run(lab, arguments)
    except host.MachineError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="python -m local_cloud.machines", description=__doc__)
    lab = os.environ.get("MACHINES_LAB", "lab")
    result.add_argument("--lab", default=lab, help="the network the machines live in (MACHINES_LAB)")
    commands = result.add_subparsers(dest="command", required=True)

    one = commands.add_parser("up", help="make a machine and boot it; boots it again if it was stopped")
    one.add_argument("name")
    one.add_argument("--debian", choices=base.SUITES, default=base.DEFAULT)
    one.add_argument("--address", help="in 10.231.7.0/24; by default the next free one from .11")
    one.add_argument("--user", default="deploy", help="the first user: sudo without a password, log-in by key")
    one.add_argument("--authorized-key", type=Path, help="public key file; by default that of the lab")
    one.add_argument("--bind", action="append", default=[], help="HOST-PATH:GUEST-PATH, as systemd-nspawn's --bind")
    one.add_argument("--layer", default="", help="begin with what `keep` has kept under this name")
    one.add_argument(
        "--disk",
        action="append",
        default=[],
        help="NAME=SIZE (512M, 2G): a disk beside its own, /dev/disk/by-id/virtio-NAME; NAME=SIZE,KEY: the one of that "
        "key, which may go from machine to machine",
    )
    one.add_argument(
        "--instance",
        type=Path,
        help="JSON of the API's Instance: cloud-init makes the user, by the user-data that the metadata service has",
    )
    one.add_argument(
        "--identity", help="[lab:]HOST:PORT of the endpoint's metadata listener, on this host or in the lab: its tokens"
    )
    one.add_argument("--authority", type=Path, help="certificate (PEM) that it trusts besides Debian's")
    one.add_argument("--no-wait", action="store_true", help="return when it boots, not when ssh answers")
    one.set_defaults(run=up)

    one = commands.add_parser("disk", help="let a disk of a machine grow, also while it runs")
    one.add_argument("name")
    one.add_argument("disk")
    one.add_argument("size", help="512M, 2G")
    one.set_defaults(run=grow)

    one = commands.add_parser("remove-disk", help="remove a disk that has a key; its machine must be down")
    one.add_argument("key")
    one.set_defaults(run=lambda lab, a: disks.Disk(lab, "", "", a.key).remove())

    one = commands.add_parser("names", help="let the lab know names besides its machines', in place of earlier ones")
    one.add_argument("whose")
    one.add_argument("name", nargs="*", help="NAME=ADDRESS")
    one.set_defaults(run=know)

    one = commands.add_parser("keep", help="shut a machine down and keep what it has installed; the machine is removed")
    one.add_argument("name")
    one.add_argument("layer", help="KIND-HASH; the newest three of a kind are kept")
    one.set_defaults(run=keep)

    one = commands.add_parser(
        "down", help="remove machines; disks beside their own stay, for the next one of that name"
    )
    one.add_argument("name", nargs="*")
    one.add_argument("--all", action="store_true", help="all of the lab, every disk, and the lab itself")
    one.add_argument("--forget", action="store_true", help="with --all: its key and its logs, too")
    one.set_defaults(run=down)

    one = commands.add_parser("stop", help="shut a machine down; the disk stays")
    one.add_argument("name")
    one.add_argument("--now", action="store_true", help="cut the power instead")
    one.set_defaults(run=lambda lab, a: Machine(lab, a.name).stop(a.now))

    one = commands.add_parser("list", help="what there is")
    one.add_argument("--json", action="store_true")
    one.set_defaults(run=show)

    one = commands.add_parser("inventory", help="the lab as an Ansible inventory (YAML)")
    one.set_defaults(run=inventory)

    one = commands.add_parser("ssh", help="log in, or run a command")
    one.add_argument("name")
    one.add_argument("rest", nargs=argparse.REMAINDER)
    one.set_defaults(
        run=lambda lab, a: os.execvp("ssh", ["ssh", "-F", str(lab.folder / "ssh_config"), a.name, *a.rest])
    )

    one = commands.add_parser("exec", help="run a command in the lab's network, outside of the machines")
    one.add_argument("rest", nargs=argparse.REMAINDER)
    one.set_defaults(run=lambda lab, a: lab.enter(a.rest[a.rest[:1] == ["--"] :]))

    one = commands.add_parser("serve", help="the same in the background, until `down --all`; its log is NAME.log")
    one.add_argument("name")
    one.add_argument("rest", nargs=argparse.REMAINDER)
    one.set_defaults(run=serve)

    one = commands.add_parser("end", help="end what `serve` has started under that name")
    one.add_argument("name")
    one.set_defaults(run=lambda lab, a: lab.end(a.name))

    one = commands.add_parser("relay", help="TCP between host and lab, until it is ended")
    one.add_argument("listen", help="host:ADDRESS:PORT or lab:ADDRESS:PORT")
    one.add_argument("to", help="the same")
    one.add_argument("--certificate", type=Path, help="key and chain in one PEM file: it is listened with TLS")
    one.set_defaults(run=relay_between)

    one = commands.add_parser("clean", help="remove base images and layers that no machine uses")
    one.set_defaults(run=clean)
    return result


def up(lab: Lab, arguments: argparse.Namespace) -> None:
    wanted_disks = tuple(disks.split(text) for text in arguments.disk)  # what is refused leaves no lab behind
    with host.exclusive(f"lab-{lab.name}"):
        lab.ensure()
    key = arguments.authorized_key or lab.key.with_suffix(".pub")
    if arguments.layer and (problem := layers.problem(arguments.layer)):
        raise host.MachineError(f"{problem}; make it: keep NAME {arguments.layer}, or begin without --layer")
    wanted = Request(
        authorized_key=key.read_text(),
        debian=arguments.debian,
        address=arguments.address,
        user=arguments.user,
        binds=tuple(arguments.bind),
        layer=str(layers.files(arguments.layer)) if arguments.layer else "",
        disks=wanted_disks,
        instance=arguments.instance.read_text() if arguments.instance else None,
        identity=in_namespace(lab, arguments.identity) if arguments.identity else None,
        authority=arguments.authority.read_text() if arguments.authority else None,
        wait=not arguments.no_wait,
    )
    Machine(lab, arguments.name).up(wanted)


def grow(lab: Lab, arguments: argparse.Namespace) -> None:
    told = Machine(lab, arguments.name).record.disks if Machine(lab, arguments.name).exists else []
    found = [disks.Disk.of(lab, arguments.name, each) for each in told]
    known = {disk.name: disk for disk in found}
    known.get(arguments.disk, disks.Disk(lab, arguments.name, arguments.disk)).size_to(arguments.size)


def know(lab: Lab, arguments: argparse.Namespace) -> None:
    with host.exclusive(f"lab-{lab.name}"):
        lab.ensure()
        lab.know(arguments.whose, dict(each.split("=", 1) for each in arguments.name))
        introduce(lab)


def in_namespace(lab: Lab, endpoint: str) -> str:
    """An endpoint whose namespace `lab` is this lab's."""
    return endpoint.replace("lab:", f"{lab.namespace}:", 1)


def keep(lab: Lab, arguments: argparse.Namespace) -> None:
    layers.keep(Machine(lab, arguments.name), arguments.layer)
    print(f"{layers.folder(arguments.layer)}: kept")


def down(lab: Lab, arguments: argparse.Namespace) -> None:
    for name in [machine.name for machine in machines(lab)] if arguments.all else arguments.name:
        Machine(lab, name).down()
        print(f"{name}: removed")
    if arguments.all:
        disks.remove_all(lab)
        lab.remove()
        if arguments.forget:
            lab.forget()


def facts(machine: Machine) -> dict[str, object]:
    record = machine.record
    state = "running" if machine.running else "stopped"
    return {"name": machine.name, "address": record.address, "debian": record.debian, "state": state}


def show(lab: Lab, arguments: argparse.Namespace) -> None:
    found = [facts(machine) for machine in machines(lab)]
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    for machine in found:
        print("{name:20} {address:14} Debian {debian}  {state}".format(**machine))


def inventory(lab: Lab, _: argparse.Namespace) -> None:
    lines = ["all:", "  vars:", f'    ansible_ssh_common_args: "-F {lab.folder / "ssh_config"}"']
    # Labs share addresses, and by default Ansible's kept connections are found by address alone.
    lines += [f"    ansible_control_path_dir: {lab.connections}", "  hosts:"]
    for machine in machines(lab):
        record = machine.record
        lines.append(f"    {machine.name}: {{ansible_host: {record.address}, ansible_user: {record.user}}}")
    print("\n".join(lines))


def relay_between(lab: Lab, arguments: argparse.Namespace) -> None:
    listen, to = (in_namespace(lab, text) for text in (arguments.listen, arguments.to))
    relay.serve(relay.Endpoint.parse(listen), relay.Endpoint.parse(to), arguments.certificate)


def serve(lab: Lab, arguments: argparse.Namespace) -> None:
    with host.exclusive(f"lab-{lab.name}"):
        lab.ensure()
        lab.serve(arguments.name, arguments.rest[arguments.rest[:1] == ["--"] :])


def clean(_: Lab, __: argparse.Namespace) -> None:
    for folder in layers.clean():
        print(f"{folder}: removed")


if __name__ == "__main__":
    sys.exit(main())
