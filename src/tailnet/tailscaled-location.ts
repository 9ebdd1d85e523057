import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { z } from 'zod';
import type { CallLimits } from '../http-client/exchange.ts';
import { requestAs } from '../http-client/request.ts';

/** Where our tailscaled runs, and with which programs. */
export interface TailscaledLocation {
  /** Prefix of every command; in the sandbox it enters the machines' network. */
  enter: string[];
  tailscale: string;
  tailscaled: string;
  /** Unset: Tailscale's own. */
  loginServer: string | undefined;
  environment: Record<string, string>;
}

const sandboxNetwork = z.object({
  machines: z.literal('real'),
  loginServer: z.string(),
  enter: z.array(z.string()),
  tailscale: z.string(),
  tailscaled: z.string(),
  environment: z.record(z.string(), z.string()).default({}),
});

/**
 * Asks the sandbox where a controller's tailscaled can run. The location changes when the sandbox restarts.
 */
export async function locateInSandbox(
  url: string,
  { timeoutSeconds }: CallLimits = {},
): Promise<TailscaledLocation> {
  return requestAs(sandboxNetwork, { method: 'GET', url, headers: {}, timeoutSeconds });
}

/** Returns this host, with the programs on its PATH; undefined if it lacks them. */
export function locateOnHost(
  path: string | undefined,
  loginServer: string | undefined,
): TailscaledLocation | undefined {
  const folders = [...(path ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin'];
  const find = (name: string) =>
    folders
      .filter((folder) => folder !== '')
      .map((folder) => join(folder, name))
      .find(isExecutable);
  const [tailscale, tailscaled] = [find('tailscale'), find('tailscaled')];
  if (tailscale === undefined || tailscaled === undefined) return undefined;
  return { enter: [], tailscale, tailscaled, loginServer, environment: {} };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
