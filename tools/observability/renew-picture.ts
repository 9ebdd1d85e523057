import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { readConfig } from '../../src/config/config.ts';
import { useOwnEnvironment } from '../../src/config/process-environment.ts';
import { createDatabase, createPool } from '../../src/database/connect.ts';
import { type Ledger, readLedger } from '../../src/operations/ledger.ts';
import { readTraceRows } from '../../src/operations/traces/read-trace.ts';
import { toTrace } from '../../src/operations/traces/to-trace.ts';
import { say } from '../../src/processes/terminal-text.mjs';
import { Secret } from '../../src/secret.ts';
import type { Trace } from '../../src/telemetry/span.ts';
import { openInstallation } from '../bench/installation.ts';
import { drawTrace } from './draw-trace.ts';

const AGENT = 'picture';
/** Nobody listens there: the trace is read from the database, where it waits for a collector. */
const NO_COLLECTOR = 'http://127.0.0.1:9';
/** The last spans of an operation arrive a moment after its end. */
const GRACE_MS = 3_000;

/** Buys an agent on a real machine and draws its trace. @throws Error without real machines */
export async function renewPicture(file: string): Promise<void> {
  const config = readConfig({ ...process.env, MODE: 'sandbox', HOST: '127.0.0.1', PORT: '0' });
  useOwnEnvironment(process.env, config.childEnvironment);
  const machines = config.tools.machines;
  if ('missing' in machines) throw new Error(`No real machines here: ${machines.missing.join('; ')}`);
  const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-picture-'));
  const closers: (() => Promise<unknown>)[] = [];
  try {
    const { ours, service } = await openInstallation({
      root: new URL('../..', import.meta.url).pathname,
      folder: join(folder, 'installation'),
      environment: {
        ...config.childEnvironment,
        ...toolsEnvironment(config),
        SANDBOX_MACHINES: 'real',
        // The picture is that of a new server.
        POOL: 'none',
        AGENT_STACKS_MACHINE_TOOLS: JSON.stringify(machines),
        OTEL_EXPORTER_OTLP_ENDPOINT: NO_COLLECTOR,
      },
      ansibleBin: config.tools.ansible,
      defer: (close) => closers.unshift(close),
      tell: say,
    });
    say('buying an agent');
    await ours.provision(AGENT);
    await new Promise((resolve) => setTimeout(resolve, GRACE_MS));
    writeFileSync(file, await draw(service.sandbox.databaseUrl));
    await ours.destroy(AGENT);
    say(`wrote ${file}`);
  } finally {
    for (const close of closers) await close().catch(() => {});
    rmSync(folder, { recursive: true, force: true });
  }
}

function toolsEnvironment({ cacheDir, tools }: ReturnType<typeof readConfig>): Record<string, string> {
  return {
    CACHE_DIR: cacheDir,
    ...(tools.pulumi === undefined ? {} : { AGENT_STACKS_PULUMI: tools.pulumi }),
    ...(tools.ansible === undefined ? {} : { AGENT_STACKS_ANSIBLE: tools.ansible }),
  };
}

const MOST_APART = 0.01;

/** @throws Error if the spans of the waiting and of the steps are not what the ledger says */
function assertAddsUp({ spans }: Trace, { seconds }: Ledger): void {
  const steps = spans.filter(({ attributes }) => attributes?.['agent_stacks.ledger.step'] !== undefined);
  const total = steps.reduce(
    (sum, span) => sum + (span.endedAt.getTime() - span.startedAt.getTime()) / 1000,
    0,
  );
  const text = `ledger ${seconds?.toFixed(3)} s, spans ${total.toFixed(3)} s`;
  if (seconds === null || Math.abs(total - seconds) > MOST_APART * seconds) throw new Error(text);
  say(text);
}

async function draw(databaseUrl: string): Promise<string> {
  // A count beyond 2^53 does not occur; as in the service.
  pg.types.setTypeParser(pg.types.builtins.INT8, Number);
  const database = createDatabase(createPool(new Secret(databaseUrl), 2, 'picture'));
  try {
    const ledger = await readLedger(database, AGENT);
    const rows = ledger && (await readTraceRows(database, ledger.operationId));
    if (ledger === undefined || rows === undefined) throw new Error(`${AGENT} has no trace`);
    const trace = toTrace(rows, '');
    assertAddsUp(trace, ledger);
    return drawTrace(trace, ledger);
  } finally {
    await database.destroy();
  }
}
