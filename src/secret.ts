import { inspect } from 'node:util';

/**
 * Wraps a string that must not leak. Printing, logging, interpolating or serialising it yields `[redacted]`;
 * only `reveal()` returns the text, so every use of a secret can be found by that word.
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
