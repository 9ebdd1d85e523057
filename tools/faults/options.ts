import { parseArgs } from 'node:util';
import { z } from 'zod';
import { errorMessage } from '../../src/errors.ts';

export const USAGE = `Usage:
  npm run faults -- [--rounds 30] [--seed 1] [--workers 2] [--json FILE]
  npm run faults -- --matrix [--moments 30] [--only everything,worker,runner,cli,configure,ansible]
  npm run faults -- --scenarios [--short] [--only NAME,…]`;

function count(option: string) {
  const error = `${option} takes a whole number from 1 to 10000`;
  return z.coerce.number({ error }).int({ error }).min(1, { error }).max(10_000, { error });
}

const schema = z.object({
  rounds: count('--rounds').default(30),
  seed: count('--seed').default(1),
  workers: count('--workers').default(2),
  moments: count('--moments').default(30),
  matrix: z.boolean().default(false),
  scenarios: z.boolean().default(false),
  short: z.boolean().default(false),
  /** Names of targets or scenarios. */
  only: z
    .string()
    .transform((text) => text.split(','))
    .optional(),
  /** Also writes the report to this file. */
  json: z.string().optional(),
});
export type Options = z.output<typeof schema>;

/** @throws Error that says what is wrong with the arguments. */
export function readOptions(args: string[]): Options {
  const parsed = schema.safeParse(parse(args));
  if (!parsed.success) throw new Error(parsed.error.issues[0]?.message ?? 'malformed');
  return parsed.data;
}

function parse(args: string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args,
      options: {
        rounds: text,
        seed: text,
        workers: text,
        moments: text,
        only: text,
        json: text,
        matrix: flag,
        scenarios: flag,
        short: flag,
      },
    }).values;
  } catch (error) {
    throw new Error(errorMessage(error), { cause: error });
  }
}
