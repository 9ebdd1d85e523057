import type { Secret } from '../secret.ts';
import { deriveKeyset, type KeptKeys, type Keyset } from './keyset.ts';

/** What a process outside of the audit chain needs of a former passphrase. */
export type Recognized = Pick<KeptKeys, 'names' | 'versions'>;

/**
 * The passphrases of this process: the configured one, and the one that it replaces. Values open with either.
 * Which of them seals is the database's to say, because other processes may still have the former one only.
 */
export class Keyring {
  readonly #passphrases: { current: Secret; former: Secret | undefined };
  #keysets: { current: Keyset; former: Keyset | undefined } | undefined;
  #sealing: Keyset | undefined;
  #kept: readonly Recognized[] = [];

  constructor(current: Secret, former?: Secret) {
    this.#passphrases = { current, former };
  }

  /** Of `PULUMI_CONFIG_PASSPHRASE`. */
  get current(): Keyset {
    return this.#derived().current;
  }

  /** Of `PULUMI_CONFIG_PASSPHRASE_BEFORE`. */
  get former(): Keyset | undefined {
    return this.#derived().former;
  }

  /** Both, the current one first. */
  get all(): Keyset[] {
    const { current, former } = this.#derived();
    return former === undefined ? [current] : [current, former];
  }

  get ids(): string[] {
    return this.all.map(({ id }) => id);
  }

  find(id: string): Keyset | undefined {
    return this.all.find((one) => one.id === id);
  }

  /** What seals now, and encrypts new stacks. */
  get sealing(): Keyset {
    return this.#sealing ?? this.current;
  }

  /** @returns whether this process has that key; without it nothing changes */
  sealWith(id: string): boolean {
    const found = this.find(id);
    if (found !== undefined) this.#sealing = found;
    return found !== undefined;
  }

  /** What is kept of the passphrases before, the oldest first. */
  get kept(): readonly Recognized[] {
    return this.#kept;
  }

  keep(kept: readonly Recognized[]): void {
    this.#kept = kept;
  }

  /** Makes versions of the playbook. It never changes: no server is configured again for a new passphrase. */
  get versions(): Secret {
    return this.#kept[0]?.versions ?? this.sealing.versions;
  }

  /** Derived when first needed: most tests and commands need none. */
  #derived(): { current: Keyset; former: Keyset | undefined } {
    this.#keysets ??= {
      current: deriveKeyset(this.#passphrases.current),
      former: this.#passphrases.former && deriveKeyset(this.#passphrases.former),
    };
    return this.#keysets;
  }
}
