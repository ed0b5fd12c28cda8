"""What is not deleted unless its protection is lifted: seen before a plan is made so, and lifted on purpose."""

from typing import Any

from stack.cloud.terraform import Terraform
from stack.common.console import say
from stack.common.errors import StackError


def is_protected(values: dict[str, Any]) -> bool:
    """Whether the cloud refuses to delete a resource, or Terraform a bucket with something in it or a disk of data."""
    if (values.get("labels") or {}).get("protected") == "true":
        return True
    return values.get("deletion_protection") in (True, "true") or values.get("force_destroy") is False


def require_kept(changes: list[dict[str, Any]]) -> None:
    """Of a plan's `resource_changes`.

    Raises:
        StackError: one would delete what is protected; an apply would end there, with all else done that it could do.
    """
    lost = [
        each["address"]
        for each in changes
        if "delete" in each["change"]["actions"] and is_protected(each["change"]["before"] or {})
    ]
    if lost:
        raise StackError(
            f"The settings would delete what has data and is protected: {', '.join(lost)}. Nothing was done. Take back "
            "what would delete it (database.kind, zone, prefix, a smaller or another disk), or carry the data over: "
            "docs/operations.md, 'Another database'."
        )


def lift_protection(module: Terraform) -> None:
    """Applies `protect = false` to what the state has as protected, and to nothing else: nothing is made anew."""
    protected = [each["address"] for each in module.resources() if is_protected(each["values"])]
    if protected:
        say(f"  lifting the protection of {', '.join(protected)}")
        targets = [f"-target={address}" for address in protected]
        module.run("apply", "-auto-approve", "-compact-warnings", *module.options, "-var=protect=false", *targets)
