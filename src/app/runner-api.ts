import type { Config } from '../config/config.ts';
import type { Connections } from '../connections/connections.ts';
import type { Database } from '../database/connect.ts';
import type { RemoteDeps } from '../executors/github-actions/deps.ts';
import { createIdentityCheck, type IdentityCheck } from '../github/identity.ts';
import type { Log } from '../log.ts';
import type { IsStillWanted } from '../operations/last-check.ts';
import type { Fence } from '../pulumi/fence.ts';
import { openPulumiState, type PulumiState } from '../pulumi/open-state.ts';
import { createFoundationStore } from '../runbooks/steps/foundation-store.ts';

/**
 * Opens what the web server needs to serve GitHub runners; `remote` is undefined without a callback secret.
 * Pulumi's state is opened only when the first runner needs it, because most installations have no runners.
 */
export function openRemote(deps: {
  config: Config;
  connections: Connections;
  database: Database;
  log: Log;
  isStillWanted: IsStillWanted | undefined;
  /** Whether traces are collected. */
  isTraced: boolean;
}): { remote: RemoteDeps | undefined; close(): Promise<void> } {
  const { config, connections, database, log } = deps;
  const { callbackSecret } = connections.github;
  if (callbackSecret === undefined) return { remote: undefined, close: async () => {} };
  let opened: Promise<PulumiState> | undefined;
  const getFence = async (): Promise<Fence> => {
    opened ??= openPulumiState(connections.pulumi.url, log);
    return (await opened).fence;
  };
  const evict: Fence['evict'] = async (attempt) => (await getFence()).evict(attempt);
  return {
    remote: {
      callbackSecret,
      isStillWanted: deps.isStillWanted,
      isTraced: deps.isTraced,
      getFence,
      pulumi: connections.pulumi,
      foundations: createFoundationStore(database, { evict }, connections.pulumi.secrets.url),
      retrySeconds: config.retrySeconds,
      planServers: config.billing.plans.servers,
      snapshots: config.snapshots,
      keyring: connections.pulumi.keyring,
      checkIdentity: identityCheckFor(connections),
    },
    close: async () => void (await (await opened)?.close()),
  };
}

function identityCheckFor({ github }: Connections): IdentityCheck | undefined {
  const { oidc, owner, repo } = github;
  if (oidc === undefined || owner === undefined || repo === undefined) return undefined;
  return createIdentityCheck({ ...oidc, owner, repo });
}
