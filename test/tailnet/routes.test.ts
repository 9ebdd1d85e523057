import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { routesToTailnet } from '../../src/tailnet/routes.ts';

const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-routes-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Linux's routing table: addresses in host byte order, here little-endian. */
function table(...rows: [destination: string, mask: string][]): string {
  const file = join(folder, 'route');
  const head = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT';
  const lines = rows.map(([to, mask]) => `eth0\t${to}\t0102A8C0\t0003\t0\t0\t0\t${mask}\t0\t0\t0`);
  writeFileSync(file, `${[head, ...lines].join('\n')}\n`);
  return file;
}

test.each([
  ['100.64.0.0/10', '00004064', '0000C0FF', true],
  ['100.100.7.0/24, a part of it', '00076464', '00FFFFFF', true],
  ['0.0.0.0/0, the default route', '00000000', '00000000', false],
  ['100.0.0.0/8, more than it', '00000064', '000000FF', false],
  ['10.0.0.0/8', '0000000A', '000000FF', false],
] as const)('%s', async (_name, destination, mask, leads) => {
  expect(await routesToTailnet(table(['00000000', '00000000'], [destination, mask]))).toBe(leads);
});

test('a system without such a table returns false', async () => {
  expect(await routesToTailnet(join(folder, 'none'))).toBe(false);
});
