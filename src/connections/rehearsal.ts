import { join } from 'node:path';
import { z } from 'zod';
import { builtinProviders } from '../config/builtin-providers.ts';
import type { Config, LiveConfig } from '../config/config.ts';
import { requestJson } from '../http-client/request.ts';
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

/** The connections of live mode, or of a rehearsal of it. */
export async function openConnections(config: LiveConfig): Promise<Connections> {
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
  const sandbox = await findSandbox(connections);
  const { tailscale } = connections;
  const { loginServer } = tailscale;
  if (sandbox === undefined) {
    // Whoever is there, or will be: the default is Tailscale's own, and a rehearsal joins nothing outside
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

/**
 * The sandbox behind the endpoints, which says what its machines are. Undefined where none answers: then
 * agents are reached as live mode reaches them.
 */
async function findSandbox({ stripe, hcloud, tailscale }: Connections) {
  const roots = [
    stripe.apiUrl,
    rootBefore(hcloud.endpoint, '/hetzner/v1'),
    rootBefore(tailscale.baseUrl, '/tailscale'),
  ];
  for (const url of new Set(roots.filter((root) => root !== undefined))) {
    const answer = await requestJson({ method: 'GET', url: `${url}/sandbox/network`, headers: {} }).catch(
      () => undefined,
    );
    const machines = network.safeParse(answer);
    if (machines.success) return { url, machines: machines.data };
  }
  return undefined;
}

const rootBefore = (url: string, path: string) =>
  url.endsWith(path) ? url.slice(0, -path.length) : undefined;
