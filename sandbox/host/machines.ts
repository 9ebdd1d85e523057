import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SandboxConfig } from '../../src/config/config.ts';
import { explainMissing, type PreparedMachines } from '../../src/config/machine-tools.ts';

export type MachineKind = 'simulated' | 'real';

/** The login server of real machines' tailnet. */
export const LOGIN_SERVER = 'http://10.254.254.1:8080';

const recordPath = (dataDir: string) => join(dataDir, 'sandbox-machines');

/**
 * Returns the kind of machines of an installation. The first start decides it, because a server's machine
 * cannot change its kind. Call it before anything else is written to the folder.
 * @throws Error if the kind contradicts the configuration, or this host cannot run it.
 */
export function chooseMachines(config: SandboxConfig, say: (line: string) => void): MachineKind {
  const { dataDir, sandbox } = config;
  const tools = config.tools.machines;
  const kept = readMachineKind(dataDir);
  const kind =
    kept ?? (sandbox.machines === 'auto' ? ('missing' in tools ? 'simulated' : 'real') : sandbox.machines);
  if (sandbox.machines !== 'auto' && sandbox.machines !== kind)
    throw new Error(
      `The installation in ${dataDir} was created with ${kind} machines and keeps them. Unset SANDBOX_MACHINES, or set another DATA_DIR.`,
    );
  if (kind === 'real' && 'missing' in tools)
    throw new Error(`The machines of ${dataDir} are real: ${explainMissing(tools.missing)}`);
  if (kept === 'simulated' && sandbox.machines === 'auto' && !('missing' in tools))
    say(`The machines in ${dataDir} stay simulated, as they were created; a new DATA_DIR gets real ones.`);
  if (kept === undefined) record(dataDir, kind);
  return kind;
}

/** Reads the recorded kind; undefined for a folder without an installation. */
export function readMachineKind(dataDir: string): MachineKind | undefined {
  if (existsSync(recordPath(dataDir)))
    return readFileSync(recordPath(dataDir), 'utf8').trim() === 'real' ? 'real' : 'simulated';
  // Created by a version that had only simulated machines.
  return existsSync(join(dataDir, 'secrets.json')) ? 'simulated' : undefined;
}

/** Returns the sandbox's options for real machines. */
export function toMachinesOptions(config: SandboxConfig) {
  const tools = config.tools.machines as PreparedMachines;
  return { ...tools, dir: join(config.dataDir, 'machines'), path: config.childEnvironment.PATH };
}

function record(dataDir: string, kind: MachineKind): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const draft = `${recordPath(dataDir)}.${process.pid}`;
  writeFileSync(draft, `${kind}\n`, { mode: 0o600, flush: true });
  renameSync(draft, recordPath(dataDir));
}
