import { z } from 'zod';
import { Secret } from '../secret.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the variables one at a time and collects what is wrong with them, so that one message can say all.
 * What files of settings and pasting leave around a value is taken off: blanks and line ends, then one pair
 * of quotes.
 */
export class EnvironmentReader {
  readonly problems: string[] = [];
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** The variable's text; an empty one counts as unset. */
  text(name: string): string | undefined {
    return withoutWrapping(this.#environment[name] ?? '') || undefined;
  }

  /** As they stand: these are handed on, not used here. */
  pick(names: readonly string[]): Record<string, string> {
    return Object.fromEntries(
      names.flatMap((name) => (this.#environment[name] ? [[name, this.#environment[name]]] : [])),
    );
  }

  read<T>(name: string, schema: z.ZodType<T>): T | undefined {
    return this.#parse(name, this.text(name), schema);
  }

  #parse<T>(name: string, text: string | undefined, schema: z.ZodType<T>): T | undefined {
    if (text === undefined) return undefined;
    const parsed = schema.safeParse(text);
    if (parsed.success) return parsed.data;
    this.problems.push(`${name} ${parsed.error.issues[0]?.message ?? 'is malformed'}`);
    return undefined;
  }

  choice<T extends string>(name: string, values: readonly [T, ...T[]]): T | undefined {
    return this.read(name, z.enum(values, { error: `must be one of ${values.join(', ')}` }));
  }

  required<T>(name: string, schema: z.ZodType<T>, why: string): T | undefined {
    if (this.text(name) === undefined) this.problems.push(`${name} is missing: ${why}`);
    return this.read(name, schema);
  }

  secret(name: string, schema: z.ZodType<string> = oneWord): Secret | undefined {
    const text = this.read(name, schema);
    return text === undefined ? undefined : new Secret(text);
  }

  /** Nothing is taken off: with a key of which every character counts, what is meant cannot be guessed. */
  exactSecret(name: string, schema: z.ZodType<string>, why?: string): Secret | undefined {
    const given = this.#environment[name] || undefined;
    if (given === undefined && why !== undefined) this.problems.push(`${name} is missing: ${why}`);
    const text = this.#parse(name, given, schema);
    return text === undefined ? undefined : new Secret(text);
  }

  requiredSecret(name: string, schema: z.ZodType<string>, why: string): Secret {
    return new Secret(this.required(name, schema, why) ?? '');
  }
}

/** What a credential looks like that travels in a header. */
export const oneWord = z
  .string()
  .regex(/^[\x21\x23-\x26\x28-\x7e]+$/, 'must be one word, without blanks, line ends or quotes in it');

/** Without blanks and line ends at its ends, and without a pair of quotes around it. */
export function withoutWrapping(text: string): string {
  const trimmed = text.trim();
  const [, , inner] = /^(["'])(.*)\1$/s.exec(trimmed) ?? [];
  // With more of the same quotes inside they are no pair around all of it.
  return inner === undefined || inner.includes(trimmed[0]!) ? trimmed : inner.trim();
}
