/** The environment that a test gives to the programs it starts. */

/**
 * This process's environment without `MLFLOW_*`: a variable of the developer's own shell (MLFLOW_TRACKING_URI above
 * all) would send a test's runs elsewhere.
 */
export function cleanEnv(): Record<string, string> {
  const kept = Object.entries(Deno.env.toObject()).filter(([name]) => !/^_?MLFLOW_/.test(name));
  return {
    ...Object.fromEntries(kept),
    MLFLOW_DISABLE_TELEMETRY: "true",
    DO_NOT_TRACK: "true",
    NO_COLOR: "1",
    PYTHONUNBUFFERED: "1",
    PYTHONDONTWRITEBYTECODE: "1",
  };
}
