import { ConflictError } from '../errors.ts';

/** The refusal of a service that was started without the clouds' keys. `then`: what else it takes. */
export const noAccessToClouds = (missingKeys: readonly string[], then = ''): ConflictError =>
  new ConflictError(
    `This service has no access to the clouds: only the GitHub runners have the keys. Start it with ${missingKeys.join(' and ')}${then}`,
  );
