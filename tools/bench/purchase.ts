import { z } from 'zod';

/** One agent on a real machine, from its payment on. */
export interface Purchase {
  /** From just before the signed event is posted until the agent's committed row says `running`. */
  seconds: number;
  /** Where these seconds went, in order; they add up. */
  steps: Share[];
  /** Where the seconds of `configuring` went; they add up too. */
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
export const BESIDE_THE_TASKS = 'start of Python and Ansible, time between tasks';

/**
 * Splits the whole into steps. The rest comes before the first step: the webhook, the queue and the claim.
 */
export function splitSteps({ timeline }: Pick<Operation, 'timeline'>, seconds: number): Share[] {
  const steps = timeline
    .filter(({ step }) => step !== 'queued' && step !== 'finished')
    .map((entry) => ({ name: entry.step, seconds: entry.seconds ?? 0 }));
  return [{ name: BEFORE_THE_FIRST_STEP, seconds: seconds - total(steps) }, ...steps];
}

/**
 * The progress line of a finished task in ansible/callbacks/progress.py; retries and failures have other
 * words.
 */
const DONE = /^progress: (.+): (?:ok|changed) \((\d+\.\d+) s\)(?: (?:operation|trace)=\S+)*$/gm;

/** Splits a configuration into its logged tasks and the rest between them. */
export function splitConfiguring(log: string, seconds: number): Share[] {
  const parts = [...log.matchAll(DONE)].map(([, name, taken]) => ({ name: name!, seconds: Number(taken) }));
  return [...parts, { name: BESIDE_THE_TASKS, seconds: Math.max(0, seconds - total(parts)) }];
}

function total(shares: readonly Share[]): number {
  return shares.reduce((sum, { seconds }) => sum + seconds, 0);
}
