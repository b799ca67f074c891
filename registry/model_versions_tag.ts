/** The tag of a logged model that lists the versions of registered models made of it. */
export const MODEL_VERSIONS_TAG = "mlflow.modelVersions";

/** The value of the tag with one more version, as Python's `json.dumps` writes it. */
export function withModelVersion(
  value: string | undefined,
  { name, version }: { readonly name: string; readonly version: number },
): string {
  const listed = read(value);
  const isThere = listed.some((entry) => entry.name === name && String(entry.version) === String(version));
  const entries = (isThere ? listed : [...listed, { name, version }]).map((entry) =>
    `{"name": ${JSON.stringify(entry.name)}, "version": ${JSON.stringify(entry.version)}}`
  );
  return `[${entries.join(", ")}]`;
}

function read(value: string | undefined): { readonly name: string; readonly version: unknown }[] {
  try {
    const list = JSON.parse(value ?? "[]");
    return Array.isArray(list) ? list : [];
  } catch {
    // What somebody else has written there is no list of versions.
    return [];
  }
}
