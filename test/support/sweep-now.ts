import type { SandboxFile } from '../../sandbox/host/sandbox-file.ts';
import { createDatabase, createPool } from '../../src/database/connect.ts';
import { createHetznerClient } from '../../src/hetzner/hetzner.ts';
import { createLog } from '../../src/log.ts';
import { sweep } from '../../src/reconcile/sweep/sweep.ts';
import type { SweepReport } from '../../src/reconcile/sweep/sweeps.ts';
import { Secret } from '../../src/secret.ts';
import { createTailscaleClient } from '../../src/tailscale/tailscale.ts';

/** Sweeps a running installation now instead of within ten minutes. */
export async function sweepInstallation(connection: SandboxFile): Promise<SweepReport> {
  const pool = createPool(new Secret(connection.databaseUrl), 2, 'sweep of a test');
  const hetzner = { token: new Secret(connection.hcloudToken), endpoint: connection.hcloudEndpoint };
  const tailscale = {
    credential: { kind: 'api-key' as const, key: new Secret(connection.tailscaleApiKey) },
    tailnet: '-',
    baseUrl: connection.tailscaleBaseUrl,
    loginServer: undefined,
  };
  try {
    return await sweep(
      {
        database: createDatabase(pool),
        log: createLog('/dev/null'),
        openClouds: (watches) => ({
          projects: new Map([['default', createHetznerClient(hetzner, watches.project('default'))]]),
          tailscale: createTailscaleClient(tailscale, watches.tailscale),
        }),
      },
      new AbortController().signal,
    );
  } finally {
    await pool.end();
  }
}
