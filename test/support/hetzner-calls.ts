import { onTestFinished } from 'vitest';
import type { SandboxFile } from '../../sandbox/host/sandbox-file.ts';

const MOST = 1_000_000;

/**
 * Begins to count the calls of paths of the sandbox's Hetzner API, whoever makes them: a fault that delays
 * them by nothing counts down.
 * @param path a regular expression that begins with ^
 * @returns what returns the count so far; the end of the test ends it
 */
export async function countHetznerCalls(
  { stripeApiUrl }: SandboxFile,
  path: string,
): Promise<() => Promise<number>> {
  const faults = `${stripeApiUrl}/sandbox/faults`;
  const order = { area: 'hetzner', path, times: MOST, effect: { kind: 'latency', ms: 0 } };
  const ordered = await fetch(faults, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(order),
  });
  if (ordered.status !== 201) throw new Error(await ordered.text());
  const { id } = (await ordered.json()) as { id: number };
  onTestFinished(() => void fetch(`${faults}/${id}`, { method: 'DELETE' }).catch(() => {}));
  return async () => {
    const all = (await (await fetch(faults)).json()) as { faults: { id: number; remaining: number }[] };
    const { remaining } = all.faults.find((one) => one.id === id)!;
    return MOST - remaining;
  };
}
