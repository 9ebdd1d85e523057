import { spawn } from 'node:child_process';

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/**
 * Variables that would select another installation than the one under test, or reveal to a command that it
 * runs in a test.
 */
const NOT_INHERITED =
  /^(MODE|HOST|PORT|PUBLIC_URL|DATA_DIR|DATABASE_URL|API_TOKEN|VIEWER_TOKEN|PROGRAM_TOKEN|EXECUTOR|WORKER_CONCURRENCY|PROVIDERS|NODE_ENV|TEST|DEV|PROD|NODE_OPTIONS|AGENT_STACKS_TEST_RECORD|(SANDBOX|STRIPE|HCLOUD|TAILSCALE|PULUMI|GITHUB|VITEST)_?.*)$/;

const { NODE_COMPILE_CACHE } = process.env;

/** Where programs of Node keep compiled code. Without it their start takes twice the processor time. */
export const compileCache: Record<string, string> =
  NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE };

/** The environment of a person who sets these variables, with this machine's caches and certificates. */
export function createEnvironment(variables: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !NOT_INHERITED.test(name));
  return { ...Object.fromEntries(inherited), ...variables };
}

/** Runs a command and waits for its end. */
export async function runToEnd(
  command: string,
  args: string[],
  options: { cwd: string; env: NodeJS.ProcessEnv },
): Promise<Outcome> {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, stdout, stderr };
}
