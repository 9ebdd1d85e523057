import { inspect } from 'node:util';
import { afterEach, expect, it } from 'vitest';
import { generateAgentKeys } from '../../src/agents/secrets.ts';
import { PermanentError, RetryableError } from '../../src/errors.ts';
import { AccessError, runScript } from '../../src/tailnet/admission/run-script.ts';
import { type Program, type SshServer, startSshServer } from './ssh-server.ts';

const own = generateAgentKeys('web1');
const target = {
  address: '203.0.113.7',
  sshPrivateKey: own.sshPrivateKey,
  hostPublicKeys: [own.hostPublicKey],
};
const refusals = new Map([['refused: port', 'A program listens on the port']]);
const limits = () => ({ seconds: 5, signal: AbortSignal.timeout(10_000), refusals });
const ends =
  (code: number, complaint = ''): Program =>
  (channel) => {
    channel.stderr.write(complaint);
    channel.exit(code);
    channel.end();
  };

let server: SshServer;
const start = async (program: Program, hostPrivateKey = own.hostPrivateKey) => {
  server = await startSshServer(hostPrivateKey, { program, greeting: '' });
};
const run = () => runScript(server.dial, target, 'secret\n', limits());
afterEach(() => server.close());

it('sends the script to a root shell’s standard input, and nothing of it as an argument', async () => {
  await start(ends(0));
  await run();
  expect(server.commands).toEqual(['exec sudo -n /bin/sh -s']);
  expect(server.lines).toEqual(['secret']);
});

it('sends nothing to a server that shows another host key', async () => {
  await start(ends(0), generateAgentKeys('other').hostPrivateKey);
  await expect(run()).rejects.toThrow(PermanentError);
  await expect(run()).rejects.toThrow(/shows another SSH host key/);
  expect(server.lines).toEqual([]);
});

it('a script that refuses the server is not tried again, and says why in our words', async () => {
  await start(ends(3, 'noise\nrefused: port\n'));
  const error = await run().catch((thrown) => thrown);
  expect(error).toBeInstanceOf(PermanentError);
  expect(error.message).toBe('203.0.113.7: A program listens on the port');
});

it.each([1, 3])(
  'any other failure is temporary, and shows nothing that the server said: code %i',
  async (code) => {
    const echo: Program = (channel, line) => {
      channel.stderr.write(`sh: 1: ${line}: not found\n`);
      channel.exit(code);
      channel.end();
    };
    await start(echo);
    const error = await run().catch((thrown) => thrown);
    expect(error).toBeInstanceOf(RetryableError);
    expect(error).not.toBeInstanceOf(AccessError);
    expect(error.message).toBe(`203.0.113.7: the script that was sent to it failed with exit code ${code}`);
    expect(inspect(error)).not.toContain('secret');
  },
);

it('tells a server that does not let it in from one that does not answer', async () => {
  await start(ends(0));
  const refusing: typeof server.dial = async () => {
    throw new Error('connect ECONNREFUSED');
  };
  const error = await runScript(refusing, target, '', limits()).catch((thrown) => thrown);
  expect(error).toBeInstanceOf(AccessError);
  expect(error.isRefused).toBe(false);
});
