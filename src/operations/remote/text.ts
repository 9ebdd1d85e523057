/** Text from a runner as Postgres can store it: without NUL and halves of characters, and not without end. */
export function storableText(text: string, maxLength: number): string {
  return text.toWellFormed().replaceAll('\u0000', '').slice(0, maxLength).toWellFormed();
}
