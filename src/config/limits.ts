import { z } from 'zod';
import type { EnvironmentReader } from './environment-reader.ts';

/** What the service may do by itself before a person has to approve more. */
export interface Limits {
  createsPerHour: number;
  destroysPerHour: number;
  /** Percent of the fleet within an hour, but at least one. */
  destroysPercent: number;
  /** Of all servers together; undefined: no limit. */
  eurosPerHour: number | undefined;
  suspensionsPerDay: { count: number } | { percent: number };
}

export const DEFAULT_LIMITS: Limits = {
  createsPerHour: 60,
  destroysPerHour: 5,
  destroysPercent: 5,
  eurosPerHour: undefined,
  suspensionsPerDay: { percent: 20 },
};

const WHOLE = 'must be a whole number, 0 or more';
const count = z
  .string()
  .regex(/^\d{1,6}$/, WHOLE)
  .transform(Number);

const PERCENT = 'must be a percentage from 0% to 100%, such as 5%';
const percent = z
  .string()
  .regex(/^\d{1,3}(\.\d{1,3})? ?%$/, PERCENT)
  .transform((text) => Number(text.replace(/ ?%$/, '')))
  .refine((value) => value <= 100, PERCENT);

const euros = z
  .string()
  .regex(/^\d{1,7}(\.\d{1,4})?$/, 'must be an amount in euros, such as 2.50')
  .transform(Number);

const suspensions = z
  .string()
  .transform((text) => ({ text, isPercent: text.endsWith('%') }))
  .pipe(
    z.union(
      [
        z.object({ isPercent: z.literal(true), text: percent }).transform(({ text }) => ({ percent: text })),
        z.object({ isPercent: z.literal(false), text: count }).transform(({ text }) => ({ count: text })),
      ],
      { error: 'must be a whole number, or a percentage from 0% to 100%, such as 20%' },
    ),
  );

/** Reads the limits of the breakers. Problems are collected in the reader. */
export function readLimits(reader: EnvironmentReader): Limits {
  return {
    createsPerHour: reader.read('LIMIT_CREATES_PER_HOUR', count) ?? DEFAULT_LIMITS.createsPerHour,
    destroysPerHour: reader.read('LIMIT_DESTROYS_PER_HOUR', count) ?? DEFAULT_LIMITS.destroysPerHour,
    destroysPercent: reader.read('LIMIT_DESTROYS_SHARE', percent) ?? DEFAULT_LIMITS.destroysPercent,
    eurosPerHour: reader.read('LIMIT_EUR_PER_HOUR', euros),
    suspensionsPerDay:
      reader.read('LIMIT_SUSPENSIONS_PER_DAY', suspensions) ?? DEFAULT_LIMITS.suspensionsPerDay,
  };
}
