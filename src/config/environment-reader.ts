import { z } from 'zod';
import { Secret } from '../secret.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads variables one at a time and collects their problems, so that one message can list them all. Strips
 * what settings files and pasting leave around a value: blanks, line ends, then one pair of quotes.
 */
export class EnvironmentReader {
  readonly problems: string[] = [];
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** Returns the variable's text; an empty one counts as unset. */
  text(name: string): string | undefined {
    return withoutWrapping(this.#environment[name] ?? '') || undefined;
  }

  /** Returns the variables unchanged: they are passed on, not used here. */
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

  /** Strips nothing: in a key every character counts, and guessing what was meant is not safe. */
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

/** A credential that travels in a header. */
export const oneWord = z
  .string()
  .regex(/^[\x21\x23-\x26\x28-\x7e]+$/, 'must be one word, without blanks, line ends or quotes in it');

/** Strips surrounding blanks, line ends and one pair of quotes. */
export function withoutWrapping(text: string): string {
  const trimmed = text.trim();
  const [, , inner] = /^(["'])(.*)\1$/s.exec(trimmed) ?? [];
  // If the same quote occurs inside, the outer two are not a pair.
  return inner === undefined || inner.includes(trimmed[0]!) ? trimmed : inner.trim();
}
