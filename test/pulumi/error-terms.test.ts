import { expect, test } from 'vitest';
import { LostError } from '../../src/errors.ts';
import { NotJoinedError, pulumiError } from '../../src/pulumi/errors.ts';

/**
 * The CLI's framing of a command's failure: once in its progress, and once under `Diagnostics`, with the
 * command's whole output.
 */
const configurationFailed = (how: string, said: string) => `code: -2
 stdout: Updating (agent-a1):
 +  command:local:Command configuration creating (0s) error: ${how}: running "exec \\"$AGENT_STACKS_CONFIGURE\\"":
 +  command:local:Command configuration **creating failed** error: ${how}: running "exec \\"$AGENT_STACKS_CONFIGURE\\"":
    pulumi:pulumi:Stack agents-agent-a1 **failed** 1 error
Diagnostics:
  command:local:Command (configuration):
    error: ${how}: running "exec \\"$AGENT_STACKS_CONFIGURE\\"":
${said}

  pulumi:pulumi:Stack (agents-agent-a1):
    error: update failed

Resources:
    + 4 created
`;

test('a failed configuration is reported in the script’s own words', () => {
  const error = pulumiError(
    new Error(
      configurationFailed(
        'exit status 1',
        '    fatal: the host cannot be reached\n    configure: Ansible failed',
      ),
    ),
  );
  expect(error.message).toBe(
    'The configuration of the server failed (exit status 1)\nfatal: the host cannot be reached\nconfigure: Ansible failed',
  );
});

test('a configuration that timed out is reported as such', () => {
  expect(pulumiError(new Error(configurationFailed('exit status 124', ''))).message).toBe(
    'The configuration of the server failed (it took too long)',
  );
});

test.each(['signal: killed', 'signal: SIGKILL', 'signal: SIGTERM', 'exit status 137'])(
  'a configuration that ended with %s was killed from outside, and is lost',
  (how) => {
    expect(pulumiError(new Error(configurationFailed(how, '')))).toBeInstanceOf(LostError);
  },
);

test('a server that did not join is reported as such, without the engine’s terms', () => {
  const text =
    'error: Unhandled exception: Error: error serializing property "environment": invocation of tailscale:index/getDevice:getDevice returned an error: Could not find device with hostname="agent-a1"';
  const error = pulumiError(new Error(text));
  expect(error).toBeInstanceOf(NotJoinedError);
  expect(error.message).toBe('The server did not join the tailnet in time: there is no device agent-a1');
});

test.each([
  'failed to ping PostgreSQL: pq: the database system is starting up (57P03)',
  'failed to ping PostgreSQL: dial tcp 127.0.0.1:37773: connect: connection refused',
])('an unavailable state is a loss, not a failed try: %s', (why) => {
  const text = `error: unable to open state database "postgres://user:secret@127.0.0.1:1/pulumi": ${why}`;
  const error = pulumiError(new Error(text));
  expect(error).toBeInstanceOf(LostError);
  expect(error.message).not.toContain('secret');
});

test('a missing answer is reported as such', () => {
  const error = pulumiError(
    new Error('error: POST "https://api.hetzner.cloud/v1/servers": other side closed'),
  );
  expect(error.message).toBe('POST https://api.hetzner.cloud/v1/servers: no answer (other side closed)');
});
