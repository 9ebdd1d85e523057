import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { observeDatabasePool, observeWork } from '../../src/app/observed.ts';
import { observeCall } from '../../src/telemetry/observations.ts';
import { addNodeMetrics } from '../../src/telemetry/process-metrics.ts';
import { dashboardText } from '../../tools/observability/dashboard.ts';
import { startService, type TestService, WEBHOOK_SECRET } from '../support/http-service.ts';
import { deliver, paidCheckout } from '../support/stripe-events.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, 'docs/observability');
const text = (file: string) => readFileSync(join(folder, file), 'utf8');
const promtool = process.env.AGENT_STACKS_PROMTOOL || undefined;
const skipReason = 'promtool could not be set up: no download, and no Go to build it';

const alerts = [...text('alerts.yml').matchAll(/- alert: (\w+)/g)].map(([, name]) => name!);
const alertQueries = [...text('alerts.yml').matchAll(/expr: (["'])(.*)\1$/gm)].map(([, , query]) => query!);
interface Panel {
  title: string;
  panels?: Panel[];
  targets?: { expr: string }[];
}
const panels = (JSON.parse(text('dashboard.json')) as { panels: Panel[] }).panels.flatMap((panel) => [
  panel,
  ...(panel.panels ?? []),
]);
const dashboardQueries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

function check(args: string[], input?: string) {
  const { status, stdout, stderr } = spawnSync(promtool!, args, { cwd: folder, encoding: 'utf8', input });
  return { status, said: stdout + stderr };
}

describe('promtool', () => {
  test.beforeEach(({ skip }) => skip(promtool === undefined, skipReason));

  test('accepts the alerts, and each fires when it must and not otherwise', () => {
    expect(check(['check', 'rules', 'alerts.yml'])).toMatchObject({ status: 0 });
    expect(check(['test', 'rules', 'alerts.test.yml'])).toMatchObject({ status: 0 });
  }, 60_000);

  test('finds an alert that is wrong', () => {
    const made = mkdtempSync(join(tmpdir(), 'agent-stacks-alerts-'));
    try {
      writeFileSync(
        join(made, 'alerts.yml'),
        text('alerts.yml').replace('agent_stacks_workers) == 0', 'agent_stacks_workers) == 9'),
      );
      writeFileSync(join(made, 'alerts.test.yml'), text('alerts.test.yml'));
      expect(check(['test', 'rules', join(made, 'alerts.test.yml')]).status).not.toBe(0);
    } finally {
      rmSync(made, { recursive: true });
    }
  }, 60_000);

  test('parses every query of the dashboard', () => {
    const rules = dashboardQueries.map((query, index) => ({
      record: `dashboard:${index}`,
      expr: query.replaceAll('$__rate_interval', '5m'),
    }));
    const made = mkdtempSync(join(tmpdir(), 'agent-stacks-queries-'));
    const file = join(made, 'rules.json');
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
    expect(check(['check', 'rules', file])).toMatchObject({ status: 0 });
    rmSync(made, { recursive: true });
  });
});

test('each alert has a summary, a description, a page of the runbook, and both of its tests', () => {
  expect(alerts.length).toBeGreaterThan(15);
  expect(new Set(alerts).size).toBe(alerts.length);
  for (const field of ['summary', 'description', 'runbook_url', 'severity'])
    expect(text('alerts.yml').match(new RegExp(`${field}: \\S`, 'g'))).toHaveLength(alerts.length);
  for (const alert of alerts)
    for (const end of ['fires', 'is quiet'])
      expect(text('alerts.test.yml')).toContain(`- name: ${alert} ${end}\n`);
  const headings = [...readFileSync(join(root, 'docs/runbook.md'), 'utf8').matchAll(/^## (.+)$/gm)].map(
    ([, heading]) =>
      heading!
        .toLowerCase()
        .replace(/[^\p{L}\p{N}_\- ]/gu, '')
        .replaceAll(' ', '-'),
  );
  const anchors = [...text('alerts.yml').matchAll(/runbook\.md#(.+)$/gm)].map(([, anchor]) => anchor!);
  expect(anchors.filter((anchor) => !headings.includes(anchor))).toEqual([]);
});

test('the dashboard is what its source makes, in Grafana’s schema', () => {
  expect(text('dashboard.json')).toBe(dashboardText());
  expect(panels.map(({ title }) => title)).toContain('Payment to running');
});

describe('the metrics that alerts and dashboard name', () => {
  let service: TestService;
  let exposed: string;
  beforeAll(async () => {
    service = await startService();
    addNodeMetrics();
    observeDatabasePool({ totalCount: 3, idleCount: 2, waitingCount: 0 });
    observeWork({ running: () => 1, engines: () => ({ busy: 1, idle: 1 }) });
    const headers = new Headers({ 'ratelimit-limit': '3600', 'ratelimit-remaining': '3500' });
    observeCall({ vendor: 'hetzner', method: 'GET', status: 200, seconds: 0.1, headers });
    await deliver(service.url, paidCheckout({ agentId: 'a1' }), { secret: WEBHOOK_SECRET });
    exposed = await (await service.ask('/metrics')).text();
  });
  afterAll(() => service.stop());

  test('are all there', () => {
    const names = [...alertQueries, ...dashboardQueries].flatMap(
      (query) => query.match(/agent_stacks_\w+/g) ?? [],
    );
    const missing = [...new Set(names)].filter(
      (name) => !exposed.includes(`# TYPE ${name.replace(/_(bucket|count|sum)$/, '')} `),
    );
    expect(alertQueries).toHaveLength(alerts.length);
    expect(names.length).toBeGreaterThan(30);
    expect(missing).toEqual([]);
  });

  test('and the page lists each', () => {
    const page = readFileSync(join(root, 'docs/observability.md'), 'utf8');
    const own = [...exposed.matchAll(/^# TYPE agent_stacks_(\w+) /gm)].map(([, name]) => name!);
    const listed = own.filter((name) => !/^(process|nodejs)_/.test(name));
    expect(listed.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });

  test('are in a form that Prometheus reads without a complaint', ({ skip }) => {
    skip(promtool === undefined, skipReason);
    const prefixed = exposed
      .split(/(?=^# HELP )/m)
      .filter((family) => family.startsWith('# HELP agent_stacks_'));
    const said = execFileSync(promtool!, ['check', 'metrics'], {
      input: prefixed.join(''),
      encoding: 'utf8',
    });
    expect(said).toBe('');
  });
});
