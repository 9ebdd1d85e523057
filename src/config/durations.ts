import { z } from 'zod';

const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 } as const;
type Unit = keyof typeof UNITS;
const LONGEST = 3_650 * UNITS.d;

const PROBLEM = 'must be a duration such as 14d, 12h, 30m or 45s, longer than nothing and at most 3650d';

/** A duration as people write it. Returns milliseconds. */
export const duration = z
  .string()
  .regex(/^\d{1,9}[dhms]$/, PROBLEM)
  .transform((text) => Number(text.slice(0, -1)) * UNITS[text.slice(-1) as Unit])
  .refine((milliseconds) => milliseconds > 0 && milliseconds <= LONGEST, PROBLEM);
