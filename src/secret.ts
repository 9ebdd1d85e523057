import { inspect } from 'node:util';

/**
 * A string that must not be seen. Printing, logging, interpolating or serialising it yields `[redacted]`;
 * only `reveal()` gives the text, so every place that uses a secret can be found by that word.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return '[redacted]';
  }

  toJSON(): string {
    return '[redacted]';
  }

  [inspect.custom](): string {
    return '[redacted]';
  }
}
