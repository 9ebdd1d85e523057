import { setTimeout as sleep } from 'node:timers/promises';
import { readSandboxFile, type SandboxFile } from './sandbox-file.ts';

const JOIN_TIMEOUT_SECONDS = 90;

/** Where everything of the installation is that another process hosts on this DATA_DIR, once that says so. @throws Error where it does not in time */
export async function untilReady(dataDir: string, signal: AbortSignal | undefined): Promise<SandboxFile> {
  const deadline = Date.now() + JOIN_TIMEOUT_SECONDS * 1000;
  for (;;) {
    const file = readSandboxFile(dataDir);
    if (file !== undefined) return file;
    if (Date.now() > deadline)
      throw new Error(
        `The process that holds ${dataDir} did not become ready within ${JOIN_TIMEOUT_SECONDS} s`,
      );
    await sleep(200, undefined, { signal });
  }
}
