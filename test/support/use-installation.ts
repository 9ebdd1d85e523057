import { afterAll, beforeAll } from 'vitest';
import { type Installation, makeSite, type Site, startInstallation } from './installation.ts';

/** Starts an installation before the file's tests and stops it after them. `ready` gets it once it serves. */
export function useInstallation(
  ready: (started: Installation) => void | Promise<void>,
  variables: NodeJS.ProcessEnv = {},
): void {
  let site: Site | undefined;
  let installation: Installation | undefined;

  beforeAll(async () => {
    site = await makeSite(variables);
    installation = await startInstallation(site);
    await ready(installation);
  }, 180_000);

  afterAll(async () => {
    await installation?.stop();
    await site?.remove();
  }, 90_000);
}
