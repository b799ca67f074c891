/** Environment variables for the time of a test. */

/** Sets variables, runs the work and puts back what was there; `undefined` removes one. */
export async function withEnv<T>(
  variables: Readonly<Record<string, string | undefined>>,
  work: () => Promise<T>,
): Promise<T> {
  const before = Object.keys(variables).map((name) => [name, Deno.env.get(name)] as const);
  const set = (entries: Iterable<readonly [string, string | undefined]>) => {
    for (const [name, value] of entries) value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
  };
  set(Object.entries(variables));
  try {
    return await work();
  } finally {
    set(before);
  }
}
