import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { failOrders } from '../support/clouds.ts';
import { type Installation, makeSite, type Site, startInstallation } from '../support/installation.ts';
import { collectSecrets, testSecrets } from '../support/secret-claims.ts';
import { type ProcessWatch, type SecretProbes, watchProcesses } from '../support/secret-probes.ts';
import { paidCheckout } from '../support/stripe-events.ts';

const agentId = `canary-${randomUUID().slice(0, 8)}`;
const failingId = `broken-${randomUUID().slice(0, 8)}`;
const probes: SecretProbes = new Map();
const said: { where: string; text: string }[] = [];

let site: Site;
let installation: Installation;
let watch: ProcessWatch;

const searched = () => ({ installation, watch, agentIds: [agentId, failingId] as const, probes });

/** Everything runs once; the tests below examine what it left. */
beforeAll(async () => {
  site = await makeSite();
  watch = watchProcesses(['PULUMI_BACKEND_URL']);
  installation = await startInstallation(site);
  // One provision succeeds; Hetzner refuses another at first, to cover the failure paths.
  await failOrders(installation.connection, [{ status: 500, times: 1 }]);
  for (const id of [failingId, agentId])
    await installation.deliver(paidCheckout({ agentId: id, userId: 'user-1', region: 'eu-central' }));
  for (const id of [failingId, agentId]) await installation.untilAgent(id, 'running', 240);
  await collectSecrets(searched());
  for (const words of [
    ['pulumi', '--', 'stack', 'export', '-s', `agent-${agentId}`],
    ['pulumi', '--', 'preview', '-s', `agent-${agentId}`, '--diff'],
    ['agents', '--', 'logs', agentId, '--json'],
    ['agents', '--', 'refresh', agentId, '--wait'],
    ['agents', '--', 'destroy', failingId, '--yes', '--wait'],
  ]) {
    const waits = words.includes('--wait');
    const outcome = await (waits ? installation.agents(...words.slice(2)) : installation.run(words));
    const { code, stdout, stderr } = outcome;
    expect(`${words.join(' ')}: ${code}${code === 0 ? '' : stderr}`).toBe(`${words.join(' ')}: 0`);
    said.push({ where: `npm run ${words.join(' ')}`, text: stdout + stderr });
  }
}, 600_000);

afterAll(async () => {
  watch?.stop();
  await installation?.stop();
  await site?.remove();
}, 90_000);

describe('no secret of the installation appears', () => {
  testSecrets(() => ({ ...searched(), logs: 'logs/configure/', said }));
});
