/** Where MLflow's own servers do not keep the contract of the stores. */

/** What no MLflow 3 server keeps, each promise with the reason. */
export const MLFLOW_3: Readonly<Record<string, string>> = {
  "renames an experiment, but never to a name in use": "MLflow's server gives its database's error, BAD_REQUEST",
  "searches logged models by attributes, params, tags and metrics on datasets, in any order":
    "MLflow's server finds nothing on a dataset whose digest is not given",
};
