import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) if (child.exitCode === null) child.kill('SIGKILL');
});

async function start() {
  const child = fork(fileURLToPath(new URL('processes/until-stopped.ts', import.meta.url)), [], {
    stdio: ['pipe', 'pipe', 'inherit', 'ipc'],
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  children.push(child);
  let printed = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  const says = async (text: string) => {
    while (!printed.includes(text)) await once(child.stdout!, 'data');
  };
  await says('ready');
  return { child, says };
}

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s requests an orderly stop', async (signal) => {
  const { child, says } = await start();
  child.kill(signal);
  await says('stopping true');
  expect(child.exitCode).toBeNull();
});

test('the exit of the launcher requests it too', async () => {
  const { child, says } = await start();
  child.disconnect();
  await says('stopping true');
});

test('the same Ctrl-C twice, from the terminal and from npm, does not cut the stop short', async () => {
  const { child, says } = await start();
  child.kill('SIGINT');
  await says('stopping');
  child.kill('SIGINT');
  child.kill('SIGTERM');
  child.stdin!.write('go\n');
  const [code] = await once(child, 'exit');
  expect(code).toBe(0);
});

test('an impatient second Ctrl-C exits at once', async () => {
  const { child, says } = await start();
  child.kill('SIGINT');
  await says('stopping');
  const exited = once(child, 'exit');
  const timer = setInterval(() => child.kill('SIGINT'), 100);
  const [code] = await exited;
  clearInterval(timer);
  expect(code).toBe(130);
});
