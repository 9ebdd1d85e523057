/**
 * The sandbox's process. Whoever forks it sends one message, `{type: 'start', …}`, and gets `{type: 'ready', url}` or
 * `{type: 'failed', message}`. It ends with the channel to its parent, or at SIGTERM.
 */
import { z } from 'zod';
import { type RunningSandbox, sandboxOptionsSchema, startSandbox } from './start.ts';

export type SandboxStartMessage = { type: 'start' } & z.input<typeof sandboxOptionsSchema>;
export type SandboxAnswer = { type: 'ready'; url: string } | { type: 'failed'; message: string };

const startMessageSchema = sandboxOptionsSchema.extend({ type: z.literal('start') });

/** Real machines take a moment to go. */
const endWithinMs = 5000;

let sandbox: RunningSandbox | undefined;

async function start(message: unknown): Promise<void> {
  try {
    const parsed = startMessageSchema.safeParse(message);
    // Which fields are wrong, not what is in them: they hold secrets.
    if (!parsed.success) throw new Error(`Not a valid start message:\n${z.prettifyError(parsed.error)}`);
    sandbox = await startSandbox(parsed.data);
    answer({ type: 'ready', url: sandbox.url });
    void sandbox.failed.then(() => {
      console.error('The network of the machines is gone: the sandbox cannot go on');
      process.exit(1);
    });
  } catch (error) {
    process.exitCode = 1;
    const message = error instanceof Error ? error.message : String(error);
    answer({ type: 'failed', message }, () => process.disconnect?.());
  }
}

function answer(message: SandboxAnswer, sent?: () => void): void {
  process.send?.(message, undefined, undefined, sent);
}

/** Nothing is waited for that a later start could not do as well. */
async function end(): Promise<void> {
  setTimeout(() => process.exit(), endWithinMs).unref();
  await sandbox?.stop().catch(() => undefined);
  process.exit();
}

if (process.send === undefined) {
  console.error('The sandbox is started by the service (npm start), not by hand.');
  process.exit(1);
}
// The launcher prints what is written there. Where it is gone there is nobody to tell, and this process ends in order all the same.
process.stderr.on('error', () => undefined);
// Ctrl-C reaches the whole process group; the launcher ends the sandbox last, after those who still need it.
process.on('SIGINT', () => undefined);
process.once('SIGTERM', end);
process.once('disconnect', end);
process.once('message', start);
