import { expect, test } from 'vitest';
import { runScript } from '../../../../sandbox/providers/command/process.ts';

const script = (command: string) => ({
  command,
  interpreter: [],
  dir: undefined,
  stdin: undefined,
  environment: { PATH: process.env.PATH! },
  onLine: () => {},
});

test.each([
  ['lines on standard output', 'yes', 'stdout'],
  ['one line on standard output', 'cat /dev/zero', 'stdout'],
  ['lines on standard error', 'yes >&2', 'stderr'],
])('a script with endless output is killed: %s', { timeout: 60_000 }, async (_, command, stream) => {
  const error = (await runScript(script(command), AbortSignal.timeout(50_000)).then(
    () => expect.unreachable('the script was not killed'),
    (thrown: unknown) => thrown,
  )) as Error;
  expect(error.message).toMatch(`more than 4194304 characters on ${stream}: running "${command}"`);
  expect(error.message.length).toBeLessThan(20_000);
});

test('output up to the limit is complete to the last character', async () => {
  const { stdout } = await runScript(
    script('head -c 4000000 /dev/zero | tr "\\0" x'),
    AbortSignal.timeout(50_000),
  );
  expect(stdout).toBe('x'.repeat(4_000_000));
});
