import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SandboxFile } from '../../sandbox/host/sandbox-file.ts';
import { recordAnswers } from './answer-records.ts';
import { createEnvironment, type Outcome, runToEnd } from './commands.ts';
import { query } from './database-query.ts';
import { eventually } from './eventually.ts';
import { untilAllExited } from './installation-processes.ts';
import { memoryFolder } from './memory-folder.ts';
import { placeCluster } from './prepared-cluster.ts';
import { deliver, type SignOptions } from './stripe-events.ts';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const { scripts } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  scripts: Record<string, string>;
};
const START_SECONDS = 120;
const STOP_SECONDS = 60;

/** A DATA_DIR for one test file; `remove` kills its processes and deletes the folder. */
export interface Site {
  dataDir: string;
  environment: NodeJS.ProcessEnv;
  remove(): Promise<void>;
}

/**
 * Creates the folder, also for temporary files: every process of the installation carries its path in its
 * environment.
 */
export async function makeSite(variables: NodeJS.ProcessEnv = {}): Promise<Site> {
  // The disks of real machines are large.
  const parent = variables.SANDBOX_MACHINES === 'real' ? tmpdir() : memoryFolder;
  const dataDir = await mkdtemp(join(parent, `agent-stacks-test-${process.pid}-`));
  await chmod(dataDir, 0o700);
  const temporary = join(dataDir, 'tmp');
  await mkdir(temporary);
  // A first start makes its database itself.
  if (variables.SANDBOX_DEMO_ORDER !== 'on' && variables.DATABASE_URL === undefined)
    await placeCluster(dataDir);
  const environment = createEnvironment({
    DATA_DIR: dataDir,
    TMPDIR: temporary,
    PORT: '0',
    SANDBOX_VALIDATE_ANSWERS: '1',
    // Most tests behave the same with either kind. Tests of real machines set their own.
    SANDBOX_MACHINES: 'simulated',
    // Tests buy their own agents; those of the first start ask for the demo's.
    SANDBOX_DEMO_ORDER: 'off',
    // They also count servers: those of slots say how many there are of them.
    POOL: 'none',
    RETRY_SECONDS: '2',
    ...variables,
  });
  return {
    dataDir,
    environment,
    remove: async () => {
      await untilAllExited(dataDir, 5).catch(() => {});
      await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** A service started by `npm start`, as by a person in a terminal. */
export interface Installation {
  site: Site;
  /** Seconds from the command until the service was ready. */
  readySeconds: number;
  /** Its whole output, on both streams. */
  terminal(): string;
  connection: SandboxFile;
  /** Calls the service's API with the operator's token. */
  // biome-ignore lint/suspicious/noExplicitAny: answers are judged by the tests' expectations.
  ask(path: string, init?: RequestInit & { json?: unknown }): Promise<{ status: number; body: any }>;
  /** Delivers an event to the webhook, by default signed with the sandbox's secret. */
  deliver(event: unknown, options?: SignOptions): ReturnType<typeof deliver>;
  /** Returns rows of one of its databases. */
  // biome-ignore lint/suspicious/noExplicitAny: rows are judged by the tests' expectations.
  query(sql: string, parameters?: unknown[], database?: 'agents' | 'pulumi' | 'sandbox'): Promise<any[]>;
  /** Runs `npm run --silent <words>` on this installation and waits for its end. */
  npm(words: string[], variables?: NodeJS.ProcessEnv): Promise<Outcome>;
  /** The same without npm, which takes as long to start as what it runs. */
  run(words: string[], variables?: NodeJS.ProcessEnv): Promise<Outcome>;
  /** Runs an operator's command in this process, where a process of its own is not the point. */
  agents(...words: string[]): Promise<Outcome>;
  /** Returns the agent once it has that status. Throws at once if it has failed instead. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  untilAgent(agentId: string, status: string, withinSeconds?: number): Promise<any>;
  /** Ctrl-C: SIGINT to the whole group, as a terminal sends it. Resolves when the command has ended. */
  stop(): Promise<void>;
  /** Kills every process of the command at once, as a crash of the host would. */
  kill(): Promise<void>;
}

export interface StartOptions {
  args?: string[];
  variables?: NodeJS.ProcessEnv;
}

/** Runs `npm start` and waits until it is ready. @throws Error with its output if it ends instead. */
export async function startInstallation(site: Site, options: StartOptions = {}): Promise<Installation> {
  const begun = Date.now();
  const command = startCommand(site, options);
  await eventually(
    'the service is ready',
    () => {
      if (command.exitCode() !== undefined)
        throw new Error(`npm start ended with ${command.exitCode()}:\n${command.said()}`);
      return /^ *Ready \(/m.test(command.said());
    },
    { withinSeconds: START_SECONDS, describe: command.said },
  );
  const readySeconds = (Date.now() - begun) / 1000;
  const hostDir = /Credentials\s+(\S+)\/sandbox\.json/.exec(command.said())?.[1] ?? site.dataDir;
  const connection = JSON.parse(await readFile(join(hostDir, 'sandbox.json'), 'utf8')) as SandboxFile;
  const url = /Dashboard\s+(\S+)/.exec(command.said())?.[1] ?? connection.url;
  return {
    site,
    readySeconds,
    terminal: command.said,
    connection,
    ...doors(site, connection, url),
    ...stopping(),
  };

  function stopping() {
    let stopped: Promise<void> | undefined;
    const stop = async () => {
      try {
        await recordAnswers(connection.stripeApiUrl, hostDir);
      } finally {
        command.signalGroup('SIGINT');
        await command.ended(STOP_SECONDS);
      }
      // npm's shell dies of the signal itself, so npm has no exit code to report.
      if (!command.said().includes('Stopped.'))
        throw new Error(`npm start did not stop in order:\n${command.said().slice(-3000)}`);
    };
    return {
      stop: () => {
        stopped ??= stop();
        return stopped;
      },
      kill: async () => {
        stopped ??= Promise.resolve();
        command.signalGroup('SIGKILL');
        await command.ended(STOP_SECONDS);
      },
    };
  }
}

/** A started `npm start`, which may exit by itself. */
export interface StartCommand {
  child: ChildProcess;
  said(): string;
  exitCode(): number | null | undefined;
  signalGroup(signal: NodeJS.Signals): void;
  ended(withinSeconds: number): Promise<number | null>;
}

const running = new Set<StartCommand['signalGroup']>();
process.once('exit', () => {
  for (const signalGroup of running) signalGroup('SIGTERM');
});

export function startCommand(site: Site, { args = [], variables = {} }: StartOptions = {}): StartCommand {
  const child = spawn('npm', ['start', ...(args.length > 0 ? ['--', ...args] : [])], {
    cwd: ROOT,
    env: { ...site.environment, ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group, like a terminal's foreground job.
    detached: true,
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
  let code: number | null | undefined;
  const closed = new Promise<void>((resolve) => {
    child.once('close', (exitCode) => {
      code = exitCode;
      resolve();
    });
  });
  const signalGroup = (signal: NodeJS.Signals) => {
    if (code === undefined && child.pid !== undefined) process.kill(-child.pid, signal);
  };
  running.add(signalGroup);
  void closed.then(() => running.delete(signalGroup));
  return {
    child,
    said: () => text,
    exitCode: () => code,
    signalGroup,
    ended: async (withinSeconds) => {
      const late = AbortSignal.timeout(withinSeconds * 1000);
      await Promise.race([
        closed,
        new Promise((_resolve, reject) =>
          late.addEventListener('abort', () => {
            signalGroup('SIGKILL');
            reject(new Error(`npm start did not end within ${withinSeconds} s:\n${text.slice(-3000)}`));
          }),
        ),
      ]);
      return code ?? null;
    },
  };
}

function doors(site: Site, connection: SandboxFile, url: string) {
  const ask: Installation['ask'] = async (path, { json, ...init } = {}) => {
    const headers = new Headers(init.headers);
    headers.set('authorization', `Bearer ${connection.apiToken}`);
    if (json !== undefined) headers.set('content-type', 'application/json');
    const response = await fetch(`${url}${path}`, {
      ...(json === undefined ? {} : { method: 'POST', body: JSON.stringify(json) }),
      ...init,
      headers,
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') === true;
    return { status: response.status, body: isJson ? JSON.parse(text) : text };
  };
  return {
    ask,
    deliver: (event: unknown, options: SignOptions = {}) =>
      deliver(url, event, { secret: connection.stripeWebhookSecret, ...options }),
    query: (sql: string, parameters: unknown[] = [], database: 'agents' | 'pulumi' | 'sandbox' = 'agents') =>
      query(databaseUrl(connection, database), sql, parameters),
    npm: (words: string[], variables: NodeJS.ProcessEnv = {}) =>
      runToEnd('npm', ['run', '--silent', ...words], {
        cwd: ROOT,
        env: { ...site.environment, ...variables },
      }),
    run: ([name, ...words]: string[], variables: NodeJS.ProcessEnv = {}) => {
      const [program, ...args] = scripts[name!]!.split(' ');
      return runToEnd(program!, [...args, ...(words[0] === '--' ? words.slice(1) : words)], {
        cwd: ROOT,
        env: { ...site.environment, ...variables },
      });
    },
    agents: async (...words: string[]) => {
      // Most tests run none, and the commands are much code.
      const { runOperatorCommand } = await import('./operator-command.ts');
      return runOperatorCommand(site.environment, words);
    },
    untilAgent: async (agentId: string, status: string, withinSeconds = 90) => {
      let last: { status: number; body: Record<string, unknown> } | undefined;
      await eventually(
        `agent ${agentId} is ${status}`,
        async () => {
          last = await ask(`/api/agents/${agentId}`);
          if (last.body.status === 'failed' && status !== 'failed')
            throw new Error(`Agent ${agentId} failed: ${last.body.error}`);
          return last.body.status === status;
        },
        { withinSeconds, describe: () => JSON.stringify(last?.body) },
      );
      return last?.body;
    },
  };
}

function databaseUrl(connection: SandboxFile, database: 'agents' | 'pulumi' | 'sandbox'): string {
  if (database === 'agents') return connection.databaseUrl;
  const url = new URL(connection.pulumiBackendUrl);
  url.search = '';
  if (database === 'sandbox') url.pathname = url.pathname.replace(/pulumi$/, 'sandbox');
  return url.href;
}
