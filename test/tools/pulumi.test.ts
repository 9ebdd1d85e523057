import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { ensurePulumi } from '../../tools/setup/pulumi.mjs';
import { Interrupted, run } from '../../tools/setup/run.mjs';
import { createContext } from '../support/set-up-context.ts';

async function writeCli(folder: string, version: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, 'pulumi');
  await writeFile(path, `#!/bin/sh\necho v${version}\n`);
  await chmod(path, 0o755);
  return path;
}

const making = (name: string, version = '3.259.0') => ({
  name,
  obtain: vi.fn(async (_context: unknown, folder: string) => {
    await writeCli(join(folder, 'bin'), version);
    return null;
  }),
});
const refusing = (name: string, unavailable: string) => ({
  name,
  obtain: vi.fn(async () => ({ unavailable })),
});

test('the CLI on PATH is taken if it has exactly the version', async () => {
  const context = await createContext(run);
  const cli = await writeCli(join(context.cacheDir, 'on path'), '3.259.0');
  const way = making('any');
  const env = { PATH: join(context.cacheDir, 'on path') };
  expect(await ensurePulumi({ ...context, env }, [way])).toBe(cli);
  expect(way.obtain).not.toHaveBeenCalled();
});

test('another version on PATH is passed over; what was made once is used from then on', async () => {
  const context = await createContext(run);
  await writeCli(join(context.cacheDir, 'on path'), '3.260.0');
  const env = { PATH: join(context.cacheDir, 'on path') };
  const way = making('any');
  const path = await ensurePulumi({ ...context, env }, [way]);
  expect(path).toBe(join(context.cacheDir, 'pulumi-3.259.0', 'bin', 'pulumi'));
  expect(await ensurePulumi({ ...context, env }, [way])).toBe(path);
  expect(way.obtain).toHaveBeenCalledOnce();
});

test('the ways are gone in order until one works', async () => {
  const context = await createContext(run);
  const [first, second, third] = [refusing('first', 'away'), making('second', '3.1.0'), making('third')];
  await ensurePulumi(context, [first, second, third, refusing('fourth', 'never asked')]);
  const order = [first, second, third].map(({ obtain }) => obtain.mock.invocationCallOrder[0]!);
  expect(order).toEqual(order.toSorted((a, b) => a - b));
});

test('when none works the message gives the reason of each, and nothing is left', async () => {
  const context = await createContext(run);
  const ways = [refusing('a download', 'out of reach'), refusing('a build', 'Go is missing')];
  await expect(ensurePulumi(context, ways)).rejects.toThrow(
    /3\.259\.0 could not be set up\.\n {2}a download: out of reach\n {2}a build: Go is missing/,
  );
  expect(await readdir(context.cacheDir)).toEqual(['claims']);
});

test('two at once make one, and the second says for whom it waits', async () => {
  const context = await createContext(run);
  const way = making('slow');
  const other = await createContext(run);
  const both = await Promise.all([
    ensurePulumi(context, [way]),
    ensurePulumi({ ...other, cacheDir: context.cacheDir }, [way]),
  ]);
  expect(both[0]).toBe(both[1]);
  expect(way.obtain).toHaveBeenCalledOnce();
  expect(other.said).toEqual([expect.stringContaining(`Waiting for process ${process.pid}`)]);
});

test('an interruption leaves nothing half made', async () => {
  const context = await createContext(run);
  const interrupt = new AbortController();
  const way = {
    name: 'slow',
    obtain: async (_context: unknown, folder: string) => {
      await writeFile(join(folder, 'half'), '');
      setTimeout(() => interrupt.abort(), 50);
      await run('sleep', ['60'], { signal: interrupt.signal });
      return null;
    },
  };
  await expect(ensurePulumi({ ...context, signal: interrupt.signal }, [way])).rejects.toThrow(Interrupted);
  expect(await readdir(context.cacheDir)).toEqual(['claims']);
});
