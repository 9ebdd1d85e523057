/**
 * The sandbox's process. Its parent sends one message, `{type: 'start', …}`, and gets `{type: 'ready', url}`
 * or `{type: 'failed', message}`. It exits when the channel to its parent closes, or at SIGTERM.
 */
import { z } from 'zod';
import { type RunningSandbox, sandboxOptionsSchema, startSandbox } from './start.ts';

export type SandboxStartMessage = { type: 'start' } & z.input<typeof sandboxOptionsSchema>;
export type SandboxAnswer = { type: 'ready'; url: string } | { type: 'failed'; message: string };

const startMessageSchema = sandboxOptionsSchema.extend({ type: z.literal('start') });

/** Real machines take a moment to stop. */
const STOP_TIMEOUT_MS = 5000;

let sandbox: RunningSandbox | undefined;

async function start(message: unknown): Promise<void> {
  try {
    const parsed = startMessageSchema.safeParse(message);
    // Names the invalid fields without their values, which are secrets.
    if (!parsed.success) throw new Error(`Not a valid start message:\n${z.prettifyError(parsed.error)}`);
    sandbox = await startSandbox(parsed.data);
    answer({ type: 'ready', url: sandbox.url });
    void sandbox.failed.then(() => {
      console.error('The machines’ network failed: the sandbox stops');
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

/** Exits after a short timeout at the latest: a later start cleans up the rest. */
async function stop(): Promise<void> {
  setTimeout(() => process.exit(), STOP_TIMEOUT_MS).unref();
  await sandbox?.stop().catch(() => undefined);
  process.exit();
}

if (process.send === undefined) {
  console.error('The service starts the sandbox (npm start); it cannot run on its own.');
  process.exit(1);
}
// The launcher reads this pipe. A broken one must not crash this process, which then stops in order.
process.stderr.on('error', () => undefined);
// Ctrl-C reaches the whole process group; the launcher stops the sandbox last, after everything that still
// needs it.
process.on('SIGINT', () => undefined);
process.once('SIGTERM', stop);
process.once('disconnect', stop);
process.once('message', start);
