import { type Config, type LiveConfig, readConfig } from '../../config/config.ts';
import { ConfigError } from '../../config/config-error.ts';
import type { Environment } from '../../config/environment-reader.ts';
import type { Connections } from '../../connections/connections.ts';
import { openConnections } from '../../connections/rehearsal.ts';
import { createDatabase, createPool } from '../../database/connect.ts';
import { errorMessage } from '../../errors.ts';
import { allChecks, type Examination, examine, type Finding } from '../../reconcile/checks/examine.ts';
import { diskProbe, toolsProbe } from '../../reconcile/checks/host-probes.ts';
import { stateKeyProbes } from '../../reconcile/checks/live-probes.ts';
import { findReason } from '../../reconcile/checks/reasons.ts';
import { installPlugins } from './install.ts';
import { findTailnetProbe } from './tailnet.ts';

/** What `doctor --json` prints; the fields stay as they are. */
export interface Report {
  ok: boolean;
  mode: string;
  checks: ReportedCheck[];
  /** Checks that were not made, because one before them failed. */
  notChecked: { name: string; after: string }[];
}

export interface ReportedCheck {
  name: string;
  ok: boolean;
  /** `error`: orders wait, or do not arrive, until it is mended. Null if it is well. */
  severity: 'error' | 'warning' | null;
  detail: string;
  why: string | null;
  cure: string | null;
}

/**
 * Makes all checks of the installation that the environment describes. Changes nothing but what is installed.
 */
export async function runDoctor(
  environment: Environment,
  { installs }: { installs: boolean },
): Promise<Report> {
  let config: Config;
  try {
    config = readConfig(environment);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return toReport('unknown', { findings: configurationFindings(error), skipped: [] });
  }
  if (installs && config.providers === 'official') await installPlugins(config);
  return toReport(config.mode, await examineInstallation(config));
}

async function examineInstallation(config: Config): Promise<Examination> {
  if (config.mode === 'sandbox') return examine(sandboxChecks(config));
  let connections: Connections;
  try {
    connections = await openConnections(config as LiveConfig);
  } catch (error) {
    const cure = 'npm run rehearse';
    return { findings: [failed('sandbox', errorMessage(error), cure)], skipped: [] };
  }
  const pool = createPool(connections.databaseUrl, 4, 'agent-stacks doctor');
  try {
    const database = createDatabase(pool);
    const tailnet = await findTailnetProbe(config, connections);
    return await examine(allChecks({ config, connections, database, tailnet }));
  } finally {
    await pool.end();
  }
}

/** Sandbox mode sets everything else up itself. */
const sandboxChecks = (config: Config) => [
  { probe: toolsProbe({ ...config.tools, environment: config.childEnvironment }) },
  { probe: diskProbe([config.dataDir, config.cacheDir]) },
  ...stateKeyProbes(config).map((probe) => ({ probe })),
];

function configurationFindings({ problems, message }: ConfigError): Finding[] {
  const cure = 'Set it in the environment of the service, or let it be asked for: npm run agents -- init';
  return (problems.length > 0 ? problems : [message]).map((problem) =>
    failed('configuration', problem, cure),
  );
}

const failed = (name: string, detail: string, cure: string): Finding => ({
  ...{ name, ok: false, blocks: true, detail, cure },
});

function toReport(mode: string, { findings, skipped }: Examination): Report {
  return {
    ok: findings.every(({ ok }) => ok),
    mode,
    checks: findings.map(({ name, ok, blocks, detail, cure }) => ({
      name,
      ok,
      severity: ok ? null : blocks ? 'error' : 'warning',
      detail,
      why: findReason(name) ?? null,
      cure,
    })),
    notChecked: skipped,
  };
}
