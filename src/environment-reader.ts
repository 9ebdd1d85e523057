import { z } from 'zod';
import { Secret } from './secret.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Reads the variables one at a time and collects what is wrong with them, so that one message can say all. */
export class EnvironmentReader {
  readonly problems: string[] = [];
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** The variable's text; an empty one counts as unset. */
  text(name: string): string | undefined {
    return this.#environment[name] || undefined;
  }

  pick(names: string[]): Record<string, string> {
    return Object.fromEntries(
      names.flatMap((name) => (this.text(name) === undefined ? [] : [[name, this.text(name)!]])),
    );
  }

  read<T>(name: string, schema: z.ZodType<T>): T | undefined {
    const text = this.text(name);
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

  secret(name: string, schema: z.ZodType<string> = z.string()): Secret | undefined {
    const text = this.read(name, schema);
    return text === undefined ? undefined : new Secret(text);
  }

  requiredSecret(name: string, schema: z.ZodType<string>, why: string): Secret {
    return new Secret(this.required(name, schema, why) ?? '');
  }
}
