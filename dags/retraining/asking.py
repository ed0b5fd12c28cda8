"""The task that waits for a person: Airflow's own human-in-the-loop operator, or a sensor where there is none yet.

Both ask the same question, tell the same channels, and return the same answer; nothing that needs no answer waits.
"""

from typing import Any

from dags.retraining import alerts, approval, compat, lake, registry, settings


def question(decision: Any, context: Any) -> dict[str, Any] | None:
    """What a person is asked about a decision; None: nothing. Who asks first tells people."""
    known = settings.read()
    if not approval.is_wanted(known, decision):
        print("nobody is asked: there is nothing to promote, or promotions are automatic")
        return None
    client, uri = registry.connect()
    link = registry.report_url(uri, client, decision["mlflow_run_id"])
    asked, is_new = approval.ask(lake.client(), known, decision, link)
    if is_new:
        where = compat.answer_url(context["dag"].dag_id, context["run_id"], context["task"].task_id, asked["version"])
        title = f"{context['dag'].dag_id} waits for your approval of version {asked['version']}"
        alerts.send(title, f"{approval.text(asked)}\n\nAnswer here: {where}")
    return asked


if compat.ASKS_PEOPLE:
    from airflow.providers.standard.operators.hitl import HITLOperator
    from airflow.sdk.definitions.param import ParamsDict

    YES, NO = "Approve", "Reject"

    class Approval(HITLOperator):
        """Returns the answer (`approval.answer`) that a person gives on this task's page, None if nobody is asked."""

        template_fields = ("decision",)

        def __init__(self, *, decision: Any, **kwargs: Any) -> None:
            super().__init__(
                subject="Shall it serve?",
                options=[YES, NO],
                defaults=NO,
                response_timeout=approval.LONGEST,
                **kwargs,
            )
            self.decision = decision
            why = compat.Param("", type="string", title="Why", description="for the record")
            self.params = ParamsDict({"why": why})  # the DAG's own belong to the form that starts a run

        def execute(self, context: Any) -> Any:
            asked = question(self.decision, context)
            if asked is None:
                return None
            self.subject, self.body = approval.subject(asked), approval.text(asked)
            self.response_timeout = approval.time_left(asked)
            return super().execute(context)

        def execute_complete(self, context: Any, event: Any) -> dict[str, str]:
            said = super().execute_complete(context, event)
            who = said["responded_by_user"]
            if who is None:
                return approval.nobody()
            verdict = approval.APPROVED if said["chosen_options"] == [YES] else approval.REFUSED
            return approval.answer(verdict, who["name"], said["params_input"].get("why", ""))

else:
    from airflow.sensors.base import BaseSensorOperator, PokeReturnValue

    class Approval(BaseSensorOperator):  # type: ignore[no-redef]
        """Returns the answer (`approval.answer`) that the DAG `approve` has left, None if nobody is asked."""

        template_fields = ("decision",)

        def __init__(self, *, decision: Any, **kwargs: Any) -> None:
            super().__init__(mode="reschedule", poke_interval=60, timeout=approval.LONGEST.total_seconds(), **kwargs)
            self.decision = decision

        def poke(self, context: Any) -> Any:
            asked = question(self.decision, context)
            if asked is None:
                return PokeReturnValue(is_done=True)
            given = approval.answered(lake.client(), settings.read()["lake_bucket"], asked)
            if given is None and approval.time_left(asked).total_seconds() <= 0:
                given = approval.nobody()
            return PokeReturnValue(is_done=given is not None, xcom_value=given)
