import { expect, test } from 'vitest';
import { readCloudInit } from '../../../sandbox/machines/cloud-init.ts';

const expected = { hostname: 'agent-1', tailnetKey: 'tskey-auth-abc' };

test.each([
  [
    'a block',
    `#cloud-config
hostname: agent-1
write_files:
  - path: /etc/other
    content: |
      nothing
  - path: /etc/agent/tailnet-key
    permissions: '0600'
    content: |
      tskey-auth-abc
  - path: /etc/third
    content: third
runcmd:
  - [echo, hello]
`,
  ],
  [
    'one line, content first, no indentation',
    `#cloud-config
write_files:
- content: tskey-auth-abc
  path: /etc/agent/tailnet-key
- content: x
  path: /etc/other
hostname: agent-1`,
  ],
  [
    'quotes',
    `#cloud-config
hostname: "agent-1"
write_files:
  - path: "/etc/agent/tailnet-key"
    content: "tskey-auth-abc\\n"
`,
  ],
  [
    'JSON, which is YAML too',
    `#cloud-config
${JSON.stringify({ hostname: 'agent-1', write_files: [{ path: '/etc/agent/tailnet-key', content: 'tskey-auth-abc\n' }] })}`,
  ],
])('hostname and key are found in %s', (_what, userData) => {
  expect(readCloudInit(userData)).toEqual(expected);
});

test.each(['', '#!/bin/sh\nhostname: agent-1\n', '#cloud-config\npackages: [git]\n'])(
  '%j has neither',
  (userData) => {
    expect(readCloudInit(userData)).toEqual({});
  },
);
