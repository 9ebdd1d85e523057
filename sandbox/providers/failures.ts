import type { Properties } from './values.ts';

/** Something failed after the resource was created: the engine still records it by its id. */
export class InitializationFailed extends Error {
  override readonly name = 'InitializationFailed';
  readonly id: string;
  readonly state: Properties;

  constructor(id: string, state: Properties, cause: unknown) {
    super(toMessage(cause), { cause });
    this.id = id;
    this.state = state;
  }
}

export function toMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
