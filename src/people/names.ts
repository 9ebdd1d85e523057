import { z } from 'zod';
import { ACTORS } from '../database/vocabulary.ts';

const OTHERS: readonly string[] = ACTORS;

/**
 * What people are called: also a mail address. Migrations 0031 and 0052 check the same. Blanks would let a
 * name pass for "… via …"; capitals and other scripts would let two look alike.
 */
const FORM = /^[a-z0-9][a-z0-9._+@-]{0,99}$/;
const PROBLEM = 'must be 1 to 100 lower-case letters, digits and . _ + @ -, a letter or digit first';

/** A login of Tailscale or of an OpenID provider. */
export const loginSchema = z
  .string({ error: PROBLEM })
  .transform((text) => text.toLowerCase())
  .pipe(z.string().regex(FORM, PROBLEM));

export const personNameSchema = z
  .string({ error: PROBLEM })
  .regex(FORM, PROBLEM)
  .refine((name) => !OTHERS.includes(name), 'is what the audit log calls another');
