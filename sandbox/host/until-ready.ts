import { poll } from '../../src/processes/poll.ts';
import { readSandboxFile, type SandboxFile } from './sandbox-file.ts';

const JOIN_TIMEOUT_SECONDS = 90;

/**
 * Waits until the process that hosts this DATA_DIR has written its sandbox file.
 * @throws Error if it does not do so in time
 */
export async function untilReady(dataDir: string, signal: AbortSignal | undefined): Promise<SandboxFile> {
  const polling = { intervalMs: 200, timeoutMs: JOIN_TIMEOUT_SECONDS * 1000, signal };
  const file = await poll(() => readSandboxFile(dataDir), polling);
  if (file === undefined)
    throw new Error(
      `The process that holds ${dataDir} did not become ready within ${JOIN_TIMEOUT_SECONDS} s`,
    );
  return file;
}
