"""A policy bundle as an MLflow model, from code: MLflow runs this file, nothing is unpickled."""

from typing import Any

import mlflow.models
import numpy as np
import pandas as pd
from mlflow.pyfunc.model import PythonModel

try:  # what reads a bundle goes with the model, under a name of its own: it must not stand in for an installed hashgym
    from hashgym_bundle.advisor.bundle import Bundle  # type: ignore[import-not-found]
except ModuleNotFoundError:  # while the model is logged
    from hashgym.advisor.bundle import Bundle


class BundleModel(PythonModel):
    """Decides with the bundle among its artifacts."""

    def load_context(self, context: Any) -> None:
        """Load and check the bundle."""
        self.bundle = Bundle(context.artifacts["bundle"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return a set-point [MHz] and an action for each zone, for observations in physical units, a row each."""
        decision = self.bundle.decide(model_input[list(self.bundle.names)].to_numpy(np.float32))
        columns: dict[str, Any] = {}
        for z in range(self.bundle.n_zones):
            columns[f"zone{z}_setpoint_mhz"] = decision.setpoint_mhz[:, z].astype(np.float64)
            columns[f"zone{z}_action"] = decision.action[:, z].astype(np.float64)
        return pd.DataFrame(columns, index=model_input.index)


mlflow.models.set_model(BundleModel())
