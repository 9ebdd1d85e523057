import { parseArgs } from 'node:util';
import { z } from 'zod';
import { errorMessage } from '../../src/errors.ts';

export const MEASUREMENTS = ['provision', 'webhook', 'aging', 'sweep', 'machines'] as const;
export type Measurement = (typeof MEASUREMENTS)[number];

export interface Options {
  measurements: readonly Measurement[];
  rounds: number;
  /** Agents bought in sequence on real machines. */
  purchases: number;
  /** Also writes all figures to this file, as JSON. */
  json: string | undefined;
}

export const USAGE = `Usage: npm run bench -- [--only ${MEASUREMENTS.join(',')}] [--rounds N] [--purchases N] [--json FILE]`;

function count(option: string) {
  const error = `${option} takes a whole number from 1 to 100`;
  return z.coerce.number({ error }).int({ error }).min(1, { error }).max(100, { error });
}

const schema = z.object({
  only: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(MEASUREMENTS, { error: `--only takes ${MEASUREMENTS.join(', ')}` })).min(1))
    .optional(),
  rounds: count('--rounds').default(3),
  purchases: count('--purchases').default(5),
  json: z.string().optional(),
});

/** @throws Error that says what is wrong with the arguments. */
export function readOptions(args: string[]): Options {
  const { values } = parseOptions(args);
  const parsed = schema.safeParse(values);
  if (!parsed.success) throw new Error(parsed.error.issues[0]?.message ?? 'malformed');
  const { only, rounds, purchases, json } = parsed.data;
  return { measurements: only ?? MEASUREMENTS, rounds, purchases, json };
}

function parseOptions(args: string[]) {
  try {
    const options = {
      only: { type: 'string' },
      rounds: { type: 'string' },
      purchases: { type: 'string' },
      json: { type: 'string' },
    } as const;
    return parseArgs({ args, options });
  } catch (error) {
    throw new Error(errorMessage(error), { cause: error });
  }
}
