import type { SandboxFixture } from './sandbox.ts';

export const DAY = 24 * 3600;

export interface ClockAnswer {
  now: string;
  offsetSeconds: number;
  targetSeconds: number | null;
}

/** Calls one of the sandbox's own controls. */
export function control(
  sandbox: Pick<SandboxFixture, 'url'>,
  method: string,
  path: string,
  body?: unknown,
): Promise<Response> {
  return fetch(`${sandbox.url}/sandbox/${path}`, {
    method,
    ...(body !== undefined && {
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    }),
  });
}

/** Moves the sandbox's clock, and waits until what falls due on the way has run. */
export async function advance(
  sandbox: Pick<SandboxFixture, 'url'>,
  advanceSeconds: number,
): Promise<ClockAnswer> {
  const response = await control(sandbox, 'POST', 'clock', { advanceSeconds });
  if (!response.ok) throw new Error(`The clock answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as ClockAnswer;
}

export async function readClock(sandbox: Pick<SandboxFixture, 'url'>): Promise<ClockAnswer> {
  return (await (await control(sandbox, 'GET', 'clock')).json()) as ClockAnswer;
}

/** Returns the sandbox's time in Unix seconds. */
export async function nowSeconds(sandbox: Pick<SandboxFixture, 'url'>): Promise<number> {
  return Math.floor(Date.parse((await readClock(sandbox)).now) / 1000);
}

/** Returns the types of a customer's events since a time in Unix seconds, oldest first. */
export async function eventsOf(
  { stripe }: SandboxFixture,
  customer: unknown,
  since: number,
): Promise<string[]> {
  const { data } = await stripe.events.list({ created: { gte: since }, limit: 100 });
  const own = data.filter((event) => Reflect.get(event.data.object, 'customer') === customer);
  return own.map(({ type }) => type).reverse();
}
