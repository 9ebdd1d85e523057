// Before anything that loads the SDK.
import './lazy/hooks.ts';
import { flushCompileCache } from 'node:module';
import { errorMessage, getFailureCode, type ReportedError } from '../../errors.ts';
import { refuseOtherUsers } from '../../processes/peer-user.ts';
import type { FromEngine, StackTask, ToEngine } from './messages.ts';
import { type EngineSettings, openSdk, type ProviderModule } from './run-stack.ts';

/**
 * An engine process: a long-lived process with the Pulumi SDK loaded that does one run at a time. It leads
 * its own process group, and kills the whole group when its lease runs out or its worker goes away, so that a
 * worker that hangs or dies leaves nothing running.
 */

const settings = JSON.parse(process.argv[2] ?? '{}') as EngineSettings;
const send = (message: FromEngine) => process.connected && process.send?.(message);

/** Ends this process group: the CLI, the plugins, their children, and this process. */
function endEverything(): never {
  try {
    process.kill(-process.pid, 'SIGKILL');
  } finally {
    process.exit(1);
  }
}

process.on('disconnect', endEverything);
// Ignores Ctrl-C at the terminal: the worker stops its engine processes in order.
process.on('SIGINT', () => {});
// The providers and the SDK's own servers listen on loopback while a task runs.
refuseOtherUsers();

const providers =
  settings.providerHost === undefined ? undefined : ((await import(settings.providerHost)) as ProviderModule);
const sdk = await openSdk(settings, providers);

let leaseTimer: NodeJS.Timeout | undefined;
let abort: AbortController | undefined;

function holdLease(until: number): void {
  clearTimeout(leaseTimer);
  leaseTimer = setTimeout(endEverything, Math.max(0, until - Date.now()));
}

let flushes = 2;

/**
 * Writes what Node has compiled into its cache, after the start and after the first run, which loads the
 * rest. Node does it when a process exits by itself, but this one is always killed.
 */
function keepCompiledCode(): void {
  if (flushes === 0) return;
  flushes -= 1;
  setImmediate(flushCompileCache);
}

const LONGEST_MESSAGE = 20_000;

function describe(error: unknown): ReportedError {
  const name = error instanceof Error ? error.name : 'Error';
  const code = getFailureCode(error);
  return {
    name,
    message: errorMessage(error).slice(0, LONGEST_MESSAGE),
    ...(code !== undefined && { code }),
  };
}

/** Tells the worker's log of a run. Only its name: an error's text goes to the operation's own log. */
function tellOf({ stackName, verb, operationId }: StackTask) {
  const begun = performance.now();
  const line = { pid: process.pid, stackName, verb, operationId };
  send({ type: 'log', line: { event: 'engine.run_started', ...line } });
  return (event: string, error?: unknown) => {
    const seconds = Math.round(performance.now() - begun) / 1000;
    const name = error instanceof Error ? { error: error.name } : {};
    send({ type: 'log', line: { event, ...line, seconds, ...name } });
  };
}

process.on('message', (message: ToEngine) => {
  switch (message.type) {
    case 'lease':
      if (abort !== undefined) holdLease(message.leaseUntil);
      break;
    case 'cancel':
      abort?.abort();
      break;
    case 'run': {
      const controller = new AbortController();
      abort = controller;
      holdLease(message.leaseUntil);
      const tell = tellOf(message.task);
      sdk
        .run(message.task, (progress) => send({ type: 'progress', progress }), controller.signal)
        .then((result) => {
          tell('engine.run_ended');
          send({ type: 'done', result });
        })
        .catch((error: unknown) => {
          tell('engine.run_failed', error);
          send({ type: 'failed', ...describe(error) });
        })
        .finally(() => {
          abort = undefined;
          clearTimeout(leaseTimer);
          keepCompiledCode();
        });
      break;
    }
  }
});

send({ type: 'ready', pulumiVersion: sdk.version });
keepCompiledCode();
