import { describe, expect, test } from 'vitest';
import {
  getFailureCode,
  PermanentError,
  RateLimitedError,
  RetryableError,
  reportError,
  reportedError,
} from '../../src/errors.ts';
import { errorMessages, plainDiagnostic } from '../../src/pulumi/diagnostics.ts';
import { engineError, pulumiError } from '../../src/pulumi/errors.ts';

/**
 * An error of hcloud 1.41 on terraform-plugin-framework, under CLI 3.259: first progress, then the whole
 * diagnostic, in both its frames.
 */
const framework = (reason: string, code: string, status: number) => `code: 255
 stdout: Updating (agent-ada):
 +  hcloud:index:SshKey ssh-key creating (0s) error: [ERROR] An unexpected error was encountered during an API request.
 +  hcloud:index:SshKey ssh-key **creating failed** error: API request failed: An unexpected error was encountered during an API request.
    pulumi:pulumi:Stack agents-agent-ada **failed** 1 error
Diagnostics:
  hcloud:index:SshKey (ssh-key):
    error: [ERROR] An unexpected error was encountered during an API request.
    
    ${reason}
    
    Error code: ${code}
    Status code: ${status}
    : API request failed
    error: API request failed: An unexpected error was encountered during an API request.
    
    ${reason}
    
    Error code: ${code}
    Status code: ${status}

  pulumi:pulumi:Stack (agents-agent-ada):
    error: update failed

Resources:
    + 1 created

Duration: 2s

 stderr: 
 err?: Error: Command failed with exit code 255
`;

/** The same error on SDK v2. */
const sdk2 = (reason: string) => `code: 255
Diagnostics:
  hcloud:index:Server (server):
    error:   sdk-v2/provider2.go:571: sdk.helper_schema: ${reason}: provider=hcloud@1.41.0
    error: 1 error occurred:
    \t* ${reason}

  pulumi:pulumi:Stack (agents-agent-ada):
    error: update failed
`;

describe.each([
  ['unable to authenticate (unauthorized)', 'unauthorized', 401, PermanentError],
  ['insufficient permissions for this request (forbidden)', 'forbidden', 403, PermanentError],
  ['an internal error occurred (service_error)', 'service_error', 500, RetryableError],
  ['limit of requests reached (rate_limit_exceeded)', 'rate_limit_exceeded', 429, RateLimitedError],
  ['server limit exceeded (resource_limit_exceeded)', 'resource_limit_exceeded', 403, RetryableError],
] as const)('%s', (reason, code, status, Class) => {
  test('appears once, with the right class, on terraform-plugin-framework', () => {
    const error = pulumiError(new Error(framework(reason, code, status)));
    expect(error.message).toBe(reason);
    expect(error.constructor).toBe(Class);
    const { name, message } = error;
    expect(engineError({ name, message }).constructor).toBe(Class);
  });

  test('appears once, with the right class, on SDK v2', () => {
    const error = pulumiError(new Error(sdk2(reason)));
    expect(error.message).toBe(reason);
    expect(error.constructor).toBe(Class);
  });

  test('gets its code if the message lacks it', () => {
    const bare = reason.replace(/ \(\w+\)$/, '');
    const error = pulumiError(new Error(framework(bare, code, status)));
    expect(error.message).toBe(reason);
    expect(error.constructor).toBe(Class);
  });

  test('is the same in the log as in the error, in both frames', () => {
    const [first, second] = framework(reason, code, status)
      .split('    error: ')
      .slice(1, 3)
      .map((text) => text.split('\n\n')[0]!);
    expect([plainDiagnostic(first!), plainDiagnostic(second!)]).toEqual([reason, reason]);
  });
});

test.each([
  ['unable to authenticate (unauthorized)', 'unauthorized', 401, 'credential-refused'],
  ['insufficient permissions for this request (forbidden)', 'forbidden', 403, 'credential-refused'],
  ['server limit exceeded (resource_limit_exceeded)', 'resource_limit_exceeded', 403, 'limit-reached'],
  ['no capacity (resource_unavailable)', 'resource_unavailable', 412, 'sold-out'],
  ['an internal error occurred (service_error)', 'service_error', 500, undefined],
] as const)(
  '%s has the code of its cure, also after another process has reported it',
  (reason, code, status, expected) => {
    const error = pulumiError(new Error(framework(reason, code, status)));
    expect(getFailureCode(error)).toBe(expected);
    expect(getFailureCode(engineError({ ...reportError(error), name: error.name }))).toBe(expected);
    expect(getFailureCode(reportedError(reportError(error)))).toBe(expected);
  },
);

test('a reason of several lines becomes one sentence', () => {
  const error = pulumiError(
    new Error(framework("invalid input in field 'name'\n    \n    name is not unique", 'invalid_input', 422)),
  );
  expect(error.message).toBe("invalid input in field 'name' name is not unique (invalid_input)");
  expect(error).toBeInstanceOf(PermanentError);
});

test('errors of several resources all appear, in order', () => {
  const two =
    framework('unable to authenticate (unauthorized)', 'unauthorized', 401) +
    sdk2('no capacity (resource_unavailable)');
  expect(errorMessages(two)).toEqual([
    'unable to authenticate (unauthorized)',
    'no capacity (resource_unavailable)',
  ]);
});

test('any other diagnostic of the framework appears once as well', () => {
  const text = `Diagnostics:
  hcloud:index:SshKey (ssh-key):
    error: [ERROR] Provided label is not valid: it is too long
    : Invalid Attribute Value
    error: Invalid Attribute Value: Provided label is not valid: it is too long

  pulumi:pulumi:Stack (agents-agent-ada):
    error: update failed
`;
  expect(errorMessages(text)).toEqual(['Provided label is not valid: it is too long']);
});

test('text without a frame keeps its lines', () => {
  expect(plainDiagnostic('  the host cannot be reached\n    for 3 s\n')).toBe(
    'the host cannot be reached\n    for 3 s',
  );
});
