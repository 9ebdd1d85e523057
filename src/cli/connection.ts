import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { ClientConfig } from '../config/config.ts';
import { Secret } from '../secret.ts';

/** Where the service answers, and the operator's token. */
export interface Connection {
  url: string;
  apiToken: Secret;
}

/** The command cannot be carried out; the message is for the person at the terminal. */
export class CommandError extends Error {
  override name = 'CommandError';
}

/** Nobody answers, or not now: it may again. */
export class ServiceAway extends CommandError {
  override name = 'ServiceAway';
}

const sandboxSchema = z.object({ url: z.url(), apiToken: z.string() });

/**
 * From the environment, or else from the `sandbox.json` of a running sandbox.
 * @throws ServiceAway where neither says it.
 */
export async function findConnection({ url, apiToken, sandboxFile }: ClientConfig): Promise<Connection> {
  if (url !== undefined && apiToken !== undefined) return { url, apiToken };
  const sandbox = await readSandboxFile(sandboxFile);
  const found = { url: url ?? sandbox?.url, apiToken: apiToken ?? sandbox?.apiToken };
  if (found.url === undefined || found.apiToken === undefined) {
    throw new ServiceAway(
      `Nothing runs here: there is no ${sandboxFile}.\n` +
        'Start the service with `npm start`, name its DATA_DIR, or set PUBLIC_URL and API_TOKEN.',
    );
  }
  return { url: found.url, apiToken: found.apiToken };
}

async function readSandboxFile(path: string): Promise<Connection | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new CommandError(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  try {
    const { url, apiToken } = sandboxSchema.parse(JSON.parse(text));
    return { url: url.replace(/\/+$/, ''), apiToken: new Secret(apiToken) };
  } catch (error) {
    throw new CommandError(`${path} is not what the service writes`, { cause: error });
  }
}
