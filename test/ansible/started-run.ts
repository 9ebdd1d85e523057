import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../support/eventually.ts';
import { ansibleFolder } from './ansible-folder.ts';

export const script = join(import.meta.dirname, '../../ansible/configure');

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Run {
  process: ChildProcess;
  ended: Promise<Ended>;
}

/** A folder for one test, its environment for `configure`, and a function to start it. `close` removes it. */
export function setup(environment: Record<string, string> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'configure-test-'));
  const logFile = join(folder, 'log');
  const scratch = mkdtempSync(join(tmpdir(), 'cfg-'));
  const all: Record<string, string> = {
    PATH: process.env.PATH ?? '',
    AGENT_ID: 'agent-1',
    AGENT_HOST: '100.64.0.1',
    AGENT_HEALTH_PORT: '8080',
    AGENT_LOG_FILE: logFile,
    AGENT_TIMEOUT_SECONDS: '60',
    // A separate folder, because any run on this machine would clean up a killed run's leftovers before the
    // test sees them.
    AGENT_SCRATCH_DIR: scratch,
    ...(ansibleFolder ? { ANSIBLE_BIN: ansibleFolder } : {}),
    ...environment,
  };
  const runs: Run[] = [];
  return {
    folder,
    logFile,
    start(more: Record<string, string> = {}, through: string[] = []): Run {
      const [command, ...args] = [...through, script];
      const run = startRun(command as string, args, { ...all, ...more });
      runs.push(run);
      return run;
    },
    log: () => readFileSync(logFile, 'utf8'),
    async close() {
      for (const run of runs) run.process.kill('SIGTERM');
      await Promise.all(runs.map((run) => run.ended));
      for (const path of [folder, scratch]) rmSync(path, { recursive: true });
    },
    scratch,
    /** The private folders of runs started here. */
    scratchFolders: () => readdirSync(scratch).map((name) => join(scratch, name)),
  };
}

function startRun(command: string, args: string[], env: Record<string, string>): Run {
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
  return { process: child, ended };
}

/** Waits until the condition returns something, for at most 15 s. */
export function until<T>(what: string, condition: () => T | undefined | false) {
  return eventually(what, condition, { withinSeconds: 15, pollMs: 25 });
}

/** All processes of this machine, with their argument lists. */
export function argumentLists(): { pid: number; text: string }[] {
  return execFileSync('ps', ['-eww', '-o', 'pid=,args='], { encoding: 'utf8' })
    .split('\n')
    .map((line) => ({ pid: Number.parseInt(line, 10), text: line.trim().replace(/^\d+\s+/, '') }))
    .filter((each) => each.pid > 0);
}

/** A fresh ed25519 public key in the format of a known_hosts file, without the host. */
export function hostPublicKey(): string {
  const { publicKey } = generateKeyPairSync('ed25519');
  const { x } = publicKey.export({ format: 'jwk' });
  const parts = [Buffer.from('ssh-ed25519'), Buffer.from(x as string, 'base64url')];
  const framed = parts.map((part) => Buffer.concat([Buffer.from([0, 0, 0, part.length]), part]));
  return `ssh-ed25519 ${Buffer.concat(framed).toString('base64')}`;
}

/** Text shaped like a private key that contains the canary. */
export function privateKeyWith(canary: string): string {
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${canary}\n-----END OPENSSH PRIVATE KEY-----\n`;
}
