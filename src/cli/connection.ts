import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { ClientConfig } from '../config/client.ts';
import type { problemSchema } from '../http/problem-json.ts';
import { Secret } from '../secret.ts';

/** The service's address and the operator's token. */
export interface Connection {
  url: string;
  apiToken: Secret;
}

/** The command line cannot be understood. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** The command failed; the message is shown to the operator. */
export class CommandError extends Error {
  override name = 'CommandError';
}

/** The service does not answer at the moment; a later try may succeed. */
export class ServiceAway extends CommandError {
  override name = 'ServiceAway';
}

/** The service refused the request. */
export class RefusedError extends CommandError {
  override name = 'RefusedError';
  readonly problem: z.infer<typeof problemSchema> | undefined;

  constructor(message: string, problem: z.infer<typeof problemSchema> | undefined) {
    super(message);
    this.problem = problem;
  }
}

/** The answer has another form than this version of the commands knows. */
export class MalformedAnswer extends CommandError {
  override name = 'MalformedAnswer';

  constructor(url: string, path: string, { issues }: z.ZodError) {
    const field = issues[0]?.path.join('.') || 'the whole answer';
    super(
      `The service at ${url} answered ${path} in a form that this command does not know (${field}). Is it another version, or another service?`,
    );
  }
}

/** `operatorUrl`: where dashboard and API are, if not with the webhooks. */
const sandboxSchema = z.object({ url: z.url(), operatorUrl: z.url().optional(), apiToken: z.string() });

/**
 * Finds the service: from the environment, or from the `sandbox.json` of a running sandbox.
 * @throws ServiceAway if neither names it.
 */
export async function findConnection({ url, apiToken, sandboxFile }: ClientConfig): Promise<Connection> {
  if (url !== undefined && apiToken !== undefined) return { url, apiToken };
  const sandbox = await readSandboxFile(sandboxFile);
  const found = { url: url ?? sandbox?.url, apiToken: apiToken ?? sandbox?.apiToken };
  if (found.url === undefined || found.apiToken === undefined) {
    throw new ServiceAway(
      `No running service found: ${sandboxFile} does not exist.\n` +
        'Start it with `npm start`, point DATA_DIR at it, or set PUBLIC_URL and API_TOKEN.',
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
    throw new CommandError(`Could not read ${path}: ${(error as Error).message}`, { cause: error });
  }
  try {
    const { url: publicUrl, operatorUrl: url = publicUrl, apiToken } = sandboxSchema.parse(JSON.parse(text));
    return { url: url.replace(/\/+$/, ''), apiToken: new Secret(apiToken) };
  } catch (error) {
    throw new CommandError(`${path} is not a file written by the service`, { cause: error });
  }
}
