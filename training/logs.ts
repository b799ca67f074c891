/** The values of a callback's logs as numbers: where tfjs calls a callback directly, they are still scalars. */
export async function numbers(logs: Readonly<Record<string, unknown>> = {}): Promise<Record<string, number>> {
  const values = Object.entries(logs).map(async ([name, value]) => {
    if (typeof value === "number") return [name, value] as const;
    const [number] = await (value as { data(): Promise<ArrayLike<number> & Iterable<number>> }).data();
    return [name, number] as const;
  });
  return Object.fromEntries(await Promise.all(values));
}
