/** A text as one word of a POSIX shell, written as Python's `shlex.quote` writes it. */
export function shellQuote(text: string): string {
  if (text === "") return "''";
  return /[^A-Za-z0-9_@%+=:,./-]/.test(text) ? `'${text.replaceAll("'", `'"'"'`)}'` : text;
}
