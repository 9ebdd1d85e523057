import { z } from 'zod';

/** One agent on a real machine, from its payment on. */
export interface Purchase {
  /** From before the signed event is posted until the agent's committed row says `running`. */
  seconds: number;
  /** What these seconds went to, in order; they add up. */
  steps: Share[];
  /** What the seconds of `configuring` went to; they add up as well. */
  configuring: Share[];
  destroySeconds: number;
}

export interface Share {
  name: string;
  seconds: number;
}

/** An agent's newest operation, as the API lists it. */
export const newestOperation = z
  .object({
    items: z
      .array(
        z.object({
          operationId: z.string(),
          attempt: z.number(),
          timeline: z.array(z.object({ step: z.string(), seconds: z.number().nullable() })),
        }),
      )
      .min(1),
  })
  .transform(({ items }) => items[0]!);

export type Operation = z.infer<typeof newestOperation>;

export const BEFORE_THE_FIRST_STEP = 'webhook and queue';
export const BESIDE_THE_TASKS = 'start of Python and Ansible, all between the tasks';

/** The whole by steps. What is in none of them is before the first: the webhook, the queue and the claim. */
export function stepsOf({ timeline }: Pick<Operation, 'timeline'>, seconds: number): Share[] {
  const steps = timeline
    .filter(({ step }) => step !== 'queued' && step !== 'finished')
    .map((entry) => ({ name: entry.step, seconds: entry.seconds ?? 0 }));
  return [{ name: BEFORE_THE_FIRST_STEP, seconds: seconds - total(steps) }, ...steps];
}

/** How ansible/callbacks/progress.py tells of what is done; what is not done yet, or has failed, is told in other words. */
const DONE = /^progress: (.+): (?:ok|changed) \((\d+\.\d+) s\)$/gm;

/** What a configuration's log says of its parts, and what of the whole is in none of them. */
export function configuringOf(log: string, seconds: number): Share[] {
  const parts = [...log.matchAll(DONE)].map(([, name, taken]) => ({ name: name!, seconds: Number(taken) }));
  return [...parts, { name: BESIDE_THE_TASKS, seconds: Math.max(0, seconds - total(parts)) }];
}

function total(shares: readonly Share[]): number {
  return shares.reduce((sum, { seconds }) => sum + seconds, 0);
}
