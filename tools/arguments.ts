import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { z } from 'zod';
import { errorMessage } from '../src/errors.ts';

/** The schema of an option that counts something, from 1 to `most`. */
export function count(option: string, most: number, least = 1) {
  const error = `${option} takes a whole number from ${least} to ${most}`;
  return z.coerce.number({ error }).int({ error }).min(least, { error }).max(most, { error });
}

/** Reads a tool's arguments. @throws Error that says what is wrong with them */
export function readArguments<S extends z.ZodType>(
  args: string[],
  options: ParseArgsOptionsConfig,
  schema: S,
): z.output<S> {
  const parsed = schema.safeParse(parse(args, options));
  if (!parsed.success) throw new Error(parsed.error.issues[0]?.message ?? 'malformed');
  return parsed.data;
}

function parse(args: string[], options: ParseArgsOptionsConfig) {
  try {
    return parseArgs({ args, options }).values;
  } catch (error) {
    throw new Error(errorMessage(error), { cause: error });
  }
}
