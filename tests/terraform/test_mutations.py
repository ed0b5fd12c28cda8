"""The module's own tests can fail: what is broken, and the run that must notice."""

import re
import subprocess
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.terraform.running import change, copy_of, only_runs, printed, terraform

pytestmark = pytest.mark.verify
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Mutation:
    """In `file`, `old` becomes `new`; the run `run` of `tests` must go red."""

    tests: str
    run: str
    file: str
    old: str
    new: str


MUTATIONS = {
    "versioning of artifacts off": Mutation(
        "managed", "defaults", "storage.tf", "versioned = true }", "versioned = false }"
    ),
    "one key for all buckets": Mutation(
        "managed", "defaults", "storage.tf", "[each.key].id\n        sse", '["lake"].id\n        sse'
    ),
    "a key that all its readers may write with": Mutation(
        "roles",
        "least_privilege",
        "storage.tf",
        'each.value.role == "storage.viewer" ? "kms.keys.decrypter" : ',
        "",
    ),
    "a role that another one has already": Mutation(
        "roles", "least_privilege", "storage.tf", " && var.airflow.enabled)", " && false)"
    ),
    "buckets that anybody may list": Mutation(
        "managed", "defaults", "storage.tf", "list        = false", "list        = true"
    ),
    "ssh from everywhere": Mutation("managed", "defaults", "firewall.tf", "= var.operator_cidrs", '= ["0.0.0.0/0"]'),
    "no NTP for clusters": Mutation(
        "managed", "defaults", "firewall.tf", "port           = 123", "port           = 124"
    ),
    "the database for the whole network": Mutation(
        "managed",
        "defaults",
        "firewall.tf",
        'port              = ingress.value\n      predefined_target = "self_security_group"',
        "port              = ingress.value\n      v4_cidr_blocks = local.vpc_cidrs",
    ),
    "a direction without a rule": Mutation(
        "managed",
        "defaults",
        "firewall.tf",
        """  ingress {
    description       = "Its own parts"
    protocol          = "TCP"
    port              = 443
    predefined_target = "self_security_group"
  }
""",
        "",
    ),
    "a primitive role": Mutation("roles", "least_privilege", "identities.tf", '"vpc.user"        =', '"editor" ='),
    "a secret for one more account": Mutation(
        "roles",
        "least_privilege",
        "secrets.tf",
        'mlflow-viewer  = { readers = ["mlflow"]',
        'mlflow-viewer  = { readers = ["mlflow", "airflow"]',
    ),
    "a bucket for one more account": Mutation(
        "roles",
        "least_privilege",
        "storage.tf",
        'artifacts = { mlflow = "storage.editor"',
        'artifacts = { mlflow = "storage.editor", dataproc = "storage.editor"',
    ),
    "the database's password in the state": Mutation(
        "managed",
        "defaults",
        "database.tf",
        "password_wo         = var.database_password",
        'password            = "secret-of-the-database"',
    ),
    "a secret among the outputs": Mutation(
        "managed", "defaults", "outputs.tf", "= var.folder_id", "= nonsensitive(var.airflow_admin_password)"
    ),
    "an S3 key into another secret": Mutation(
        "managed",
        "defaults",
        "secrets.tf",
        "= yandex_lockbox_secret.storage_key[each.key].id\n    e",
        '= "another"\n    e',
    ),
    "a public address that nobody asked for": Mutation(
        "managed", "defaults", "machines.tf", "= each.value.public\n", "= true\n"
    ),
    "the serial console on": Mutation(
        "managed", "defaults", "machines.tf", 'serial-port-enable = "0"', 'serial-port-enable = "1"'
    ),
    "a user beside OS Login": Mutation(
        "options", "database_on_a_machine_and_mlflow_in_public", "machines.tf", 'var.ssh.os_login ? "" : ', ""
    ),
    "logs without labels": Mutation("managed", "defaults", "monitoring.tf", "labels           = local.labels\n", ""),
    "a database that can be deleted": Mutation(
        "managed", "defaults", "database.tf", ".mlflow.id]\n  deletion_protection = var.protect", ".mlflow.id]"
    ),
    "secrets that can be deleted before what they open": Mutation(
        "managed",
        "defaults",
        "secrets.tf",
        "  deletion_protection = var.protect\n\n  password_payload_specification",
        "  password_payload_specification",
    ),
    "a password without a version": Mutation(
        "managed",
        "defaults",
        "secrets.tf",
        "for_each  = yandex_lockbox_secret.password\n",
        'for_each  = { for name, secret in yandex_lockbox_secret.password : name => secret if name != "database" }\n',
    ),
    "user-data that cloud-init does not find": Mutation(
        "managed", "defaults", "machines.tf", "aws_v1_http_endpoint = 1", "aws_v1_http_endpoint = 2"
    ),
    "the machine's token without a header": Mutation(
        "managed", "defaults", "machines.tf", "aws_v2_http_token    = 2", "aws_v2_http_token    = 1"
    ),
    "an address that cannot be given back": Mutation(
        "options",
        "database_on_a_machine_and_mlflow_in_public",
        "machines.tf",
        "  labels    = local.labels\n\n  external_ipv4",
        "  labels    = local.labels\n  deletion_protection = true\n\n  external_ipv4",
    ),
    "an empty configuration of Airflow": Mutation(
        "managed",
        "defaults",
        "orchestrator.tf",
        "length(local.config) > 0 ? local.config : null",
        "local.config",
    ),
    "half an hour for Airflow": Mutation("managed", "defaults", "orchestrator.tf", '"60m"', '"30m"'),
    "a user who is to have a group of his own": Mutation(
        "managed", "defaults", "cloud-init.yaml.tftpl", "    no_user_group: true\n", ""
    ),
    "disks for which a fresh cloud has no quota": Mutation(
        "managed", "defaults_fit_a_fresh_cloud", "variables.tf", "optional(number, 40)", "optional(number, 64)"
    ),
    "a run at its smallest": Mutation(
        "managed",
        "a_larger_run_needs_more",
        "quotas.tf",
        "coalesce(var.dataproc.compute_max_count, var.dataproc.compute_count)",
        "var.dataproc.compute_count",
    ),
    "snapshots that were turned off": Mutation(
        "options", "nothing_is_made_of_what_is_off", "machines.tf", "var.snapshots.keep > 0 ? 1 : 0", "1"
    ),
    "a disk of data that goes with its machine": Mutation(
        "disks",
        "data_have_a_disk_of_their_own",
        "machines.tf",
        "auto_delete = false\n    }",
        "auto_delete = true\n    }",
    ),
    "a disk of data that can be deleted": Mutation(
        "disks",
        "data_have_a_disk_of_their_own",
        "machines.tf",
        "protected = tostring(var.protect)",
        'protected = "false"',
    ),
    "data without snapshots": Mutation(
        "disks",
        "data_have_a_disk_of_their_own",
        "machines.tf",
        "concat(values(yandex_compute_disk.system), values(yandex_compute_disk.data))",
        "values(yandex_compute_disk.system)",
    ),
    "more connections than the server has": Mutation(
        "managed",
        "more_connections_than_the_server_has",
        "database.tf",
        "|| var.database.connections <= local.most_connections",
        "|| true",
    ),
    "managed databases beside the machine": Mutation(
        "options",
        "database_on_a_machine_and_mlflow_in_public",
        "database.tf",
        "local.database_is_managed ? toset(local.databases) : []",
        "toset(local.databases)",
    ),
}


def outcome_of(module: Path, mutation: Mutation) -> Done:
    """What the one run says of a copy that has the mutation."""
    with copy_of(module) as copy:
        tests = copy / f"tests/{mutation.tests}.tftest.hcl"
        tests.write_text(only_runs(tests.read_text(), f'^run "{mutation.run}"'))
        change(copy / mutation.file, mutation.old, mutation.new)
        return terraform(copy, "test", "-no-color", f"-filter=tests/{tests.name}")


@pytest.fixture(scope="session")
def outcomes(module: Path, workers: ThreadPoolExecutor, request: pytest.FixtureRequest) -> Mapping[str, Future[Done]]:
    """Of each mutation whose test is chosen, all begun at once."""
    calls = [item.callspec for item in request.session.items if hasattr(item, "callspec")]
    chosen = [call.params["mutation"] for call in calls if "mutation" in call.params]
    return {name: workers.submit(outcome_of, module, MUTATIONS[name]) for name in chosen}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_break_is_noticed(outcomes: Mapping[str, Future[Done]], mutation: str) -> None:
    done = outcomes[mutation].result()
    assert done.returncode, f"terraform test passed with {mutation}:\n{printed(done)}"
    assert f'run "{MUTATIONS[mutation].run}"' in done.stdout, printed(done)
    assert not re.search(r"Failure! \d+ passed, 0 failed", done.stdout), printed(done)


def is_idle(variables: Path, name: str, begin: int, end: int) -> bool:
    """True if all runs of the variable pass although its condition at source[begin:end] is always true."""
    with copy_of(variables) as copy:
        path, tests = copy / "variables.tf", copy / "tests/validation.tftest.hcl"
        source = path.read_text()
        path.write_text(f"{source[:begin]}    condition = var.{name} != [1]{source[end:]}")
        tests.write_text(only_runs(tests.read_text(), re.escape(f"[var.{name}]")))
        return terraform(copy, "test", "-no-color").returncode == 0


def test_each_validation_is_needed(variables: Path, workers: ThreadPoolExecutor) -> None:
    """All runs of validation.tftest.hcl pass; with any one condition always true, a run of that variable goes red."""
    source = (variables / "variables.tf").read_text()
    done = terraform(variables, "test", "-no-color")
    assert done.returncode == 0, printed(done)
    outcomes = {}
    for variable in re.finditer(r'^variable "(\w+)" \{.*?^\}', source, re.S | re.M):
        for condition in re.finditer(r"    condition +=.*?(?=\n    error_message)", variable[0], re.S):
            begin, end = variable.start() + condition.start(), variable.start() + condition.end()
            outcomes[begin, condition[0]] = workers.submit(is_idle, variables, variable[1], begin, end)
    assert len(outcomes) == source.count("    condition ")
    idle = [condition for (_, condition), outcome in outcomes.items() if outcome.result()]
    assert idle == [], "no run of validation.tftest.hcl notices when these validations are gone"
