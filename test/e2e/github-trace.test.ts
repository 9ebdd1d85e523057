import { expect, test } from 'vitest';
import { traceIdFor } from '../../src/log.ts';
import { type Installation, makeSite, startInstallation } from '../support/installation.ts';
import { type Collector, secondsBySteps, startCollector } from '../support/otlp-collector.ts';
import { act, noAct } from '../support/sandbox-github.ts';
import { paidCheckout } from '../support/stripe-events.ts';
import { latestOperation, runLog } from '../support/workflow-runs.ts';

test('a purchase on a workflow’s runner is one trace, with what the runner saw', async ({ skip }) => {
  skip(act === undefined, noAct);
  const collector: Collector = await startCollector();
  const site = await makeSite({
    EXECUTOR: 'github-actions',
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
  });
  let installation: Installation | undefined;
  try {
    installation = await startInstallation(site);
    await installation.deliver(paidCheckout({ agentId: 'traced', region: 'eu-west' }));
    await installation.untilAgent('traced', 'running', 240);
    const { operationId, workflowRunId } = await latestOperation(installation, 'traced');
    const traceId = traceIdFor(operationId);
    const own = () => collector.spans.filter((span) => span.traceId === traceId);
    await expect.poll(() => own().length, { timeout: 30_000 }).toBeGreaterThan(8);
    const names = own().map(({ name }) => name);
    for (const name of ['POST /api/webhooks/stripe', 'POST /api/runner/claim', 'POST /api/webhooks/github'])
      expect(names).toContain(name);
    expect(names).toContain('pulumi up');
    expect(names.filter((name) => name.startsWith('create '))).not.toEqual([]);
    const { body: ledger } = await installation.ask('/api/agents/traced/ledger');
    const total = Object.values(secondsBySteps(own())).reduce((sum, seconds) => sum + seconds, 0);
    expect(Math.abs(total - ledger.seconds)).toBeLessThan(0.01 * ledger.seconds);
    expect(runLog(installation, workflowRunId)).toContain(`operation ${operationId}, trace ${traceId}`);
  } finally {
    await installation?.stop();
    await site.remove();
    await collector.close();
  }
}, 420_000);
