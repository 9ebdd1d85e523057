import type { EngineConnections } from '../connections/connections.ts';
import { openStateStore } from '../pulumi/open-state.ts';
import { startReportingUnmoved, type UnmovedDeps } from '../reconcile/unmoved-stacks.ts';

/** Reports the stacks that the configured secrets provider does not encrypt yet, wherever their state is. */
export function openUnmovedReport({
  connections,
  database,
  log,
  clock,
}: Pick<UnmovedDeps, 'database' | 'log' | 'clock'> & { connections: Pick<EngineConnections, 'pulumi'> }): {
  stop(): Promise<void>;
} {
  const { state, pool } = openStateStore(connections.pulumi.url);
  const secretsProvider = connections.pulumi.secrets.url;
  const reporting = startReportingUnmoved({ database, state, secretsProvider, clock, log });
  return {
    stop: async () => {
      await reporting.stop();
      await pool?.end();
    },
  };
}
