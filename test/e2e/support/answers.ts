/**
 * Before an installation stops: every answer that its sandbox's Hetzner API has given must have fitted the official document.
 * @throws Error that shows those that did not.
 */
export async function recordAnswers(sandboxUrl: string): Promise<void> {
  const response = await fetch(`${sandboxUrl}/sandbox/hetzner/violations`);
  const { checked, violations } = (await response.json()) as { checked: number; violations: unknown[] };
  if (violations.length > 0)
    throw new Error(
      `Answers of the sandbox's Hetzner API against the document:\n${JSON.stringify(violations, null, 2)}`,
    );
  if (checked === 0) throw new Error('No answer of the Hetzner API was checked against the document');
}
