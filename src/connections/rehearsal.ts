import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { builtinProviders } from '../config/builtin-providers.ts';
import type { Config, LiveConfig } from '../config/config.ts';
import { errorMessage } from '../errors.ts';
import { exchange } from '../http-client/exchange.ts';
import { type Waiter, waitFor } from '../processes/waiting.ts';
import { accountInKey } from '../stripe/account.ts';
import { type Connections, healthAddress, liveConnections } from './connections.ts';

/**
 * Whether events from Stripe's test mode buy agents: always in sandbox mode, never in live mode, and in a
 * rehearsal only if its key is a test key.
 */
export function actsOnTestEvents(config: Config): boolean {
  if (config.mode === 'sandbox') return true;
  return config.mode === 'rehearsal' && accountInKey(config.accounts.stripe.secretKey).mode === 'test';
}

const network = z.discriminatedUnion('machines', [
  z.object({ machines: z.literal('simulated') }),
  z.object({ machines: z.literal('real'), loginServer: z.string() }),
]);

/**
 * Opens the connections of live mode or of a rehearsal.
 * @param waiter if given, waits for the rehearsal's sandbox
 * @throws SandboxAwayError without a waiter, if the sandbox cannot be reached
 */
export async function openConnections(config: LiveConfig, waiter?: Waiter): Promise<Connections> {
  const connections = liveConnections(config);
  if (config.mode === 'live') return connections;
  const builtin = config.providers === 'builtin';
  const rehearsed: Connections = {
    ...connections,
    pulumi: {
      ...connections.pulumi,
      home: builtin ? join(config.dataDir, 'pulumi-home') : undefined,
    },
    providerHost: builtin ? builtinProviders : undefined,
  };
  const sandbox = await (waiter === undefined ? findSandbox(connections) : untilFound(connections, waiter));
  const { tailscale } = connections;
  const { loginServer } = tailscale;
  if (sandbox === undefined) {
    // Never fall back to Tailscale's own login server: a rehearsal joins nothing outside this machine.
    return { ...rehearsed, tailscale: { ...tailscale, loginServer: loginServer ?? tailscale.baseUrl } };
  }
  const { url, machines } = sandbox;
  const isReal = machines.machines === 'real';
  return {
    ...rehearsed,
    stripe: { ...connections.stripe, apiUrl: connections.stripe.apiUrl ?? url },
    tailscale: {
      ...connections.tailscale,
      loginServer: loginServer ?? (machines.machines === 'real' ? machines.loginServer : undefined),
    },
    machines: isReal ? 'ssh' : 'simulated',
    networkUrl: isReal ? `${url}/sandbox/network` : undefined,
    healthAddress: isReal ? healthAddress : (tailnetIp) => `${url}/sandbox/machines/${tailnetIp}/health`,
  };
}

/** The endpoints do not answer, so it is unknown which kind of machines the sandbox uses. */
class SandboxAwayError extends Error {
  override name = 'SandboxAwayError';
}

const PAUSE_MS = 500;
const ANSWER_SECONDS = 5;

/**
 * Waits for the sandbox. Without it, the connections would assume real machines, and simulated ones would
 * stay unreachable until the next start.
 */
async function untilFound(connections: Connections, waiter: Waiter): Promise<Sandbox | undefined> {
  let why: string | undefined;
  const poll = async (): Promise<Sandbox | undefined> => {
    for (;;) {
      try {
        return await findSandbox(connections);
      } catch (error) {
        if (!(error instanceof SandboxAwayError)) throw error;
        why = error.message;
        await sleep(PAUSE_MS, undefined, { signal: waiter.signal });
      }
    }
  };
  return waitFor('the sandbox of this rehearsal', poll(), waiter, () => why);
}

interface Sandbox {
  url: string;
  machines: z.infer<typeof network>;
}

/**
 * Finds the sandbox behind the endpoints and the kind of its machines. Undefined if something else answers
 * there: then agents are reached as in live mode.
 * @throws SandboxAwayError
 */
async function findSandbox({ stripe, hcloud, tailscale }: Connections): Promise<Sandbox | undefined> {
  const roots = [
    stripe.apiUrl,
    rootBefore(hcloud.endpoint, '/hetzner/v1'),
    rootBefore(tailscale.baseUrl, '/tailscale'),
  ];
  const silent: string[] = [];
  for (const url of new Set(roots.filter((root) => root !== undefined))) {
    const call = {
      method: 'GET',
      url: `${url}/sandbox/network`,
      headers: {},
      timeoutSeconds: ANSWER_SECONDS,
    };
    try {
      const { text } = await exchange(call);
      const machines = network.safeParse(parseJson(text));
      if (machines.success) return { url, machines: machines.data };
    } catch (error) {
      silent.push(errorMessage(error));
    }
  }
  if (silent.length === 0) return undefined;
  throw new SandboxAwayError(
    `${silent.join('; ')}: start the sandbox, or set HCLOUD_ENDPOINT and TAILSCALE_BASE_URL to its address`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const rootBefore = (url: string, path: string) =>
  url.endsWith(path) ? url.slice(0, -path.length) : undefined;
