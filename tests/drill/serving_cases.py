"""What befalls runs of `score` and `rollback`, and how they must end."""

from tests.drill.acts import WORST, give_alias, kill, when
from tests.drill.cases import CREATE, VICTIMS, Case, rule

DIES = VICTIMS | {"job": "the job's process"}
# As in a retrain: a job is not tried twice, the next run scores what this one has not.
LOST = ("worker", "cloud", "job")
AGAIN = "; then one more run"
SCORE = [
    Case(
        name=f"score-{victim}",
        done=f"kill -9 of {words} when `cluster.score` {WORST['cluster.score'][0]}{AGAIN * (victim in LOST)}",
        green=victim not in LOST,
        act=kill(victim, "cluster.score"),
        dag="score",
    )
    for victim, words in DIES.items()
] + [
    Case(
        "score-create-fails",
        f"the creation of its cluster fails half-way (INTERNAL), each time{AGAIN}",
        False,
        (rule(CREATE, "operation", "INTERNAL"),),
        dag="score",
    ),
    Case(
        "score-champion-moves",
        "the alias is moved by hand while its job runs: every row is by the version that served when it began",
        True,
        act=when("cluster.score", give_alias("1")),
        dag="score",
    ),
]
BEGUN = "change = history.Change(history.ROLLBACK"
SLOWLY = f"__import__('time').sleep(8)\n    {BEGUN}"
ROLLBACK = [
    Case(
        name=f"rollback-{victim}",
        done=f"kill -9 of {words} when `move` begins",
        green=True,
        act=kill(victim, "move"),
        dag="rollback",
    )
    for victim, words in (VICTIMS | {"mlflow": "MLflow", "object-store": "the object store"}).items()
] + [
    Case(
        "rollback-overtaken",
        "the alias is moved by hand between `choose` and `move`",
        False,
        act=when("choose", give_alias("3")),
        dags={"rollback": (BEGUN, SLOWLY)},
        dag="rollback",
    ),
]
SERVING = [*SCORE, *ROLLBACK]
