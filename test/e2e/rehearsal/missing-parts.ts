import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { locateOnHost } from '../../../src/tailnet/tailscaled-location.ts';
import { getHoldings } from '../../support/clouds.ts';
import type { Installation } from '../../support/installation.ts';
import { installedPath, placePlugin, pluginNames } from '../../support/official-plugins.ts';
import { makeRehearsal, type Rehearsal } from '../../support/rehearsal.ts';
import { paidCheckout } from '../../support/stripe-events.ts';

const order = (agentId: string) => paidCheckout({ agentId, userId: 'user-1', region: 'eu-central' });

export interface Parts {
  sandbox: Installation;
  rehearsal: Rehearsal;
  /** Where the clouds are for this rehearsal. */
  clouds: NodeJS.ProcessEnv;
}

/** Declares tests of a service that lacks something of this machine. */
export function testMissingParts(get: () => Parts): void {
  it('waits for missing plugins, and continues by itself when they are installed', async () => {
    const { rehearsal, clouds } = get();
    const home = join(rehearsal.site.dataDir, 'home');
    const running = await rehearsal.start({
      ...clouds,
      PROVIDERS: 'official',
      PULUMI_HOME: home,
    });
    onTestFinished(running.stop);
    expect(running.said()).toContain('pulumi plugin install resource hcloud 1.41.0');
    expect((await running.deliver(order('plugins-1'))).status).toBe(200);
    const waiting = await running.untilOperation('plugins-1', ({ error }) => error !== null);
    expect(waiting).toMatchObject({ status: 'queued', attempt: 0 });
    expect(waiting.error).toContain('plugins are missing: hcloud 1.41.0, tailscale 0.29.1, command 1.2.1');
    for (const name of pluginNames)
      placePlugin(installedPath(home, name), name, join(rehearsal.site.dataDir, 'starts'), 'serves');
    await running.untilOperation('plugins-1', ({ status }) => status === 'succeeded', 180);
  }, 240_000);

  it('creates no unreachable server without a node on the tailnet', async ({ skip }) => {
    skip(locateOnHost(process.env.PATH, undefined) !== undefined, 'a tailscaled is installed here');
    const { sandbox } = get();
    const another = await makeRehearsal(sandbox);
    // Addresses that do not look like a sandbox, so agents are reached as in live mode.
    const { hcloudEndpoint, tailscaleBaseUrl } = sandbox.connection;
    const running = await another.start({
      HCLOUD_ENDPOINT: `${hcloudEndpoint}/.`,
      TAILSCALE_BASE_URL: `${tailscaleBaseUrl}/.`,
    });
    onTestFinished(async () => {
      await running.stop();
      await another.remove();
    });
    expect(running.said()).toMatch(/ {2}- tailnet: .*cannot reach the tailnet.*\n.*Install tailscale/);
    expect((await running.deliver(order('no-place-1'))).status).toBe(200);
    const waiting = await running.untilOperation('no-place-1', ({ error }) => error !== null);
    expect(waiting).toMatchObject({ status: 'queued', attempt: 0 });
    expect(waiting.error).toContain('tailnet');
    expect(await getHoldings(sandbox.connection, 'no-place-1')).toMatchObject({
      servers: [],
      tailnetKeys: [],
    });
    // An operation that needs no route to the machine does not wait.
    const destroy = await running.ask('/api/agents/no-place-1/destroy', { method: 'POST' });
    expect(destroy.status).toBe(202);
    await running.untilOperation(
      'no-place-1',
      ({ kind, status }) => kind === 'destroy' && status === 'succeeded',
    );
  }, 240_000);
}
