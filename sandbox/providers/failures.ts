import type { Properties } from './values.ts';

/** The resource was created, then something failed: the engine records it by its id all the same. */
export class InitializationFailed extends Error {
  override readonly name = 'InitializationFailed';
  readonly id: string;
  readonly state: Properties;

  constructor(id: string, state: Properties, cause: unknown) {
    super(messageOf(cause), { cause });
    this.id = id;
    this.state = state;
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
