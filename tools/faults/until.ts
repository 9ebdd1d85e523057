import { setTimeout as sleep } from 'node:timers/promises';

/** Waits for a condition. @throws Error with its name and the last problem after `timeoutSeconds` */
export async function until<T>(
  what: string,
  timeoutSeconds: number,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  everyMs = 200,
): Promise<T> {
  const deadline = Date.now() + timeoutSeconds * 1000;
  for (;;) {
    let problem = '';
    try {
      const seen = await look();
      if (seen !== undefined && seen !== false) return seen;
    } catch (error) {
      problem = `: ${error instanceof Error ? error.message : String(error)}`;
    }
    if (Date.now() > deadline) throw new Error(`Not within ${timeoutSeconds} s: ${what}${problem}`);
    await sleep(everyMs);
  }
}
