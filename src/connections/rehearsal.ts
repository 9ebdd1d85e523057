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
 * Whether events of Stripe's test mode buy agents. Never in live mode; in a rehearsal where its key is a test
 * key, as a sandbox's is.
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
 * The connections of live mode, or of a rehearsal of it.
 * @param waiter where the rehearsal's sandbox is waited for.
 * @throws SandboxAwayError where nobody waits and it cannot be reached
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
    // Whoever is there: the default is Tailscale's own, and a rehearsal joins nothing outside
    // this machine.
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

/** Nobody answers at the endpoints, so what the sandbox's machines are is not known. */
class SandboxAwayError extends Error {
  override name = 'SandboxAwayError';
}

const PAUSE_MS = 500;
const ANSWER_SECONDS = 5;

/** Taken for machines of their own, simulated ones could not be reached until the next start. */
async function untilFound(connections: Connections, waiter: Waiter): Promise<Sandbox | undefined> {
  let why: string | undefined;
  const look = async (): Promise<Sandbox | undefined> => {
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
  return waitFor('the sandbox of this rehearsal', look(), waiter, () => why);
}

interface Sandbox {
  url: string;
  machines: z.infer<typeof network>;
}

/**
 * The sandbox behind the endpoints, which says what its machines are. Undefined where others answer there:
 * then agents are reached as live mode reaches them.
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
      const machines = network.safeParse(parseOrNothing(text));
      if (machines.success) return { url, machines: machines.data };
    } catch (error) {
      silent.push(errorMessage(error));
    }
  }
  if (silent.length === 0) return undefined;
  throw new SandboxAwayError(
    `${silent.join('; ')}: start the sandbox, or set HCLOUD_ENDPOINT and TAILSCALE_BASE_URL to where it is`,
  );
}

function parseOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const rootBefore = (url: string, path: string) =>
  url.endsWith(path) ? url.slice(0, -path.length) : undefined;
