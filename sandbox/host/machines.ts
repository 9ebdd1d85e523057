import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SandboxConfig } from '../../src/config/config.ts';
import { explainMissing, type PreparedMachines } from '../../src/config/machine-tools.ts';

export type MachineKind = 'simulated' | 'real';

/** Where real machines join their tailnet. */
export const LOGIN_SERVER = 'http://10.254.254.1:8080';

const recordOf = (dataDir: string) => join(dataDir, 'sandbox-machines');

/**
 * What stands behind the servers of an installation. Decided at its first start, since a server's machine cannot turn
 * into one of the other kind. To be called before anything else is kept in the folder.
 * @throws Error where what was decided does not fit what is asked for, or what this host has.
 */
export function chooseMachines(config: SandboxConfig, say: (line: string) => void): MachineKind {
  const { dataDir, sandbox } = config;
  const tools = config.tools.machines;
  const kept = readMachineKind(dataDir);
  const kind =
    kept ?? (sandbox.machines === 'auto' ? ('missing' in tools ? 'simulated' : 'real') : sandbox.machines);
  if (sandbox.machines !== 'auto' && sandbox.machines !== kind)
    throw new Error(
      `The installation in ${dataDir} was begun with ${kind} machines, and keeps them. Leave SANDBOX_MACHINES out, or set another DATA_DIR.`,
    );
  if (kind === 'real' && 'missing' in tools)
    throw new Error(`The machines of ${dataDir} are real ones: ${explainMissing(tools.missing)}`);
  if (kept === 'simulated' && sandbox.machines === 'auto' && !('missing' in tools))
    say(
      `The machines in ${dataDir} stay simulated, as it was begun; another DATA_DIR begins with real ones.`,
    );
  if (kept === undefined) record(dataDir, kind);
  return kind;
}

/** What was decided; undefined for a folder that nothing was begun in. */
export function readMachineKind(dataDir: string): MachineKind | undefined {
  if (existsSync(recordOf(dataDir)))
    return readFileSync(recordOf(dataDir), 'utf8').trim() === 'real' ? 'real' : 'simulated';
  // Begun by a version that knew no others.
  return existsSync(join(dataDir, 'secrets.json')) ? 'simulated' : undefined;
}

/** What the sandbox's process is told of real machines. */
export function machinesOf(config: SandboxConfig) {
  const tools = config.tools.machines as PreparedMachines;
  return { ...tools, dir: join(config.dataDir, 'machines'), path: config.childEnvironment.PATH };
}

function record(dataDir: string, kind: MachineKind): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const draft = `${recordOf(dataDir)}.${process.pid}`;
  writeFileSync(draft, `${kind}\n`, { mode: 0o600, flush: true });
  renameSync(draft, recordOf(dataDir));
}
