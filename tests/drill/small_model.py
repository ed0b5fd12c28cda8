"""Registers versions of a model that looks at one feature, as image 2.2's client does: MODEL EXPERIMENT HOW_MANY."""

import sys

import mlflow
import numpy as np
import pandas as pd
import xgboost
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from fraud_retraining.model import PARAMETERS


def main(name: str, experiment: str, count: int) -> None:
    rows = pd.DataFrame({"tx_amount": np.random.default_rng(1).gamma(2, 40, 500)})
    labels = (rows["tx_amount"] > 180).astype(int)
    mlflow.set_experiment(experiment)
    for version in range(count):
        booster = xgboost.train(PARAMETERS, xgboost.DMatrix(rows, labels), 3 + version)
        with mlflow.start_run():
            logged = mlflow.xgboost.log_model(booster, "model", input_example=rows.head(), model_format="ubj")
        try:
            MlflowClient().create_registered_model(name)
        except MlflowException as there:
            if there.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        mlflow.register_model(logged.model_uri, name)


if __name__ == "__main__":
    main(*sys.argv[1:3], int(sys.argv[3]))
