import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { z } from 'zod';
import type { CallLimits } from '../http-client/exchange.ts';
import { requestAs } from '../http-client/request.ts';

/** Where and with what a tailscaled of ours is run. */
export interface Surroundings {
  /** Words before every command: in the sandbox they lead into the network in which its machines are. */
  enter: string[];
  tailscale: string;
  tailscaled: string;
  /** Where it is not Tailscale's own. */
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

/** Asks the sandbox for the place that it keeps for a controller. Another one after each of its starts. */
export async function sandboxSurroundings(
  url: string,
  { timeoutSeconds }: CallLimits = {},
): Promise<Surroundings> {
  return requestAs(sandboxNetwork, { method: 'GET', url, headers: {}, timeoutSeconds });
}

/** This host itself, with the programs that are on its PATH; undefined where they are not. */
export function hostSurroundings(
  path: string | undefined,
  loginServer: string | undefined,
): Surroundings | undefined {
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
