import { spawn } from 'node:child_process';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { inputs, makeFolder, type Receiver, scriptsFolder, secret } from '../../support/workflow.ts';

export interface ScriptRun {
  args?: string[];
  environment?: Record<string, string>;
  input?: string | Buffer;
}

export interface Ended {
  code: number | null;
  out: string;
  err: string;
}

/** A job of the workflow, for a receiver: its environment, and its scripts, each run alone. */
export async function makeJob(receiver?: Receiver) {
  const temp = await makeFolder();
  const bin = join(temp, 'bin');
  await mkdir(bin);
  const environment: Record<string, string> = {
    PATH: [bin, process.env.PATH].join(delimiter),
    RUNNER_TEMP: temp,
    JOB_ID: inputs.job_id,
    GITHUB_RUN_ID: '900',
    GITHUB_SERVER_URL: 'https://github.example',
    GITHUB_REPOSITORY: 'acme/agents',
    CALLBACK_URL: receiver?.url ?? '',
    CALLBACK_ORIGIN: receiver?.origin ?? '',
    GITHUB_CALLBACK_SECRET: secret,
    OIDC_AUDIENCE: '',
  };
  /** Puts a program before those of the machine. */
  const replace = async (name: string, script: string) => {
    await writeFile(join(bin, name), `#!/bin/bash\n${script}\n`);
    await chmod(join(bin, name), 0o755);
  };
  const run = async (name: string, { args = [], environment: changed = {}, input = '' }: ScriptRun = {}) => {
    const child = spawn('bash', [join(scriptsFolder, name), ...args], {
      cwd: temp,
      env: { ...environment, ...changed },
    });
    child.stdin.on('error', () => {}).end(input);
    const code = new Promise<number | null>((resolve) => child.once('close', resolve));
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
    return { code: await code, out, err };
  };
  return { temp, replace, run };
}
