import {
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DatasourceVariableBuilder,
  RowBuilder,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as ChartBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

interface Query {
  expr: string;
  legend: string;
}

interface Panel {
  title: string;
  description: string;
  unit: string;
  queries: Query[];
}

/** What the database knows is the same in every process that is scraped: `max`, never `sum`. */
const quantile = (share: number, metric: string, way: string) =>
  `histogram_quantile(${share}, max by (le) (rate(agent_stacks_${metric}_bucket{way="${way}"}[1h])))`;

const STATS: Panel[] = [
  one('Running agents', 'short', 'max(agent_stacks_agents{status="running"})', 'What customers pay for'),
  one('Failed agents', 'short', 'max(agent_stacks_agents{status="failed"})', 'Each needs a person'),
  one('Orders without an agent', 'short', 'max(agent_stacks_orders_attention)', 'Paid, and not served'),
  one(
    'Unhealthy',
    'short',
    'max(agent_stacks_agents_unhealthy)',
    'Their health address does not answer as it should',
  ),
  one('Workers', 'short', 'max(agent_stacks_workers)', 'Seen within the last minute'),
  one('Oldest wait', 's', 'max(agent_stacks_operations_due_oldest_seconds)', 'Of operations that are due'),
  one(
    'Breakers tripped',
    'short',
    'sum(max by (breaker) (agent_stacks_breaker_tripped))',
    'Changes wait for a person',
  ),
  one(
    'Hetzner requests left',
    'short',
    'min(agent_stacks_hetzner_quota_remaining)',
    'Of this hour, as the last answer said',
  ),
];

function one(title: string, unit: string, expr: string, description: string): Panel {
  return { title, unit, description, queries: [{ expr, legend: title }] };
}

const CHARTS: Record<string, Panel[]> = {
  'From payment to running': [
    {
      title: 'Payment to running',
      description: 'Median and 95th percentile of the last hour; warm: a server that waited was taken over',
      unit: 's',
      queries: ['cold', 'warm'].flatMap((way) => [
        { expr: quantile(0.5, 'running_seconds', way), legend: `${way}, median` },
        { expr: quantile(0.95, 'running_seconds', way), legend: `${way}, 95th percentile` },
      ]),
    },
    {
      title: 'Steps on the way',
      description: 'Mean seconds of each step, over the agents of the last day',
      unit: 's',
      queries: [
        { expr: 'max by (way, step) (agent_stacks_running_step_seconds)', legend: '{{way}} {{step}}' },
      ],
    },
    {
      title: 'Agents by status',
      description: 'All agents',
      unit: 'short',
      queries: [{ expr: 'max by (status) (agent_stacks_agents)', legend: '{{status}}' }],
    },
    {
      title: 'Pool',
      description: 'Slots that are ready, of those that there should be',
      unit: 'short',
      queries: [
        {
          expr: 'max by (project, location, plan) (agent_stacks_pool_ready)',
          legend: '{{plan}} in {{location}} of {{project}}, ready',
        },
        {
          expr: 'max by (project, location, plan) (agent_stacks_pool_size)',
          legend: '{{plan}} in {{location}} of {{project}}, wanted',
        },
      ],
    },
  ],
  Operations: [
    {
      title: 'Operations ended',
      description: 'An hour, by kind and outcome',
      unit: 'short',
      queries: [
        {
          expr: 'max by (kind, outcome) (increase(agent_stacks_operation_duration_seconds_count[1h]))',
          legend: '{{kind}} {{outcome}}',
        },
      ],
    },
    {
      title: 'Wait in the queue',
      description: '95th percentile of how long due operations waited for a worker',
      unit: 's',
      queries: [
        {
          expr: 'histogram_quantile(0.95, max by (le, kind) (rate(agent_stacks_queue_wait_seconds_bucket[$__rate_interval])))',
          legend: '{{kind}}',
        },
      ],
    },
    {
      title: 'What waits',
      description: 'For a worker, for a breaker, for Stripe, for receivers of notices',
      unit: 'short',
      queries: [
        { expr: 'max(agent_stacks_operations_due)', legend: 'operations' },
        { expr: 'sum(max by (breaker) (agent_stacks_breaker_waiting))', legend: 'behind breakers' },
        { expr: 'max(agent_stacks_subscriptions_due)', legend: 'subscriptions' },
        { expr: 'max(agent_stacks_notices_pending)', legend: 'notices' },
      ],
    },
    {
      title: 'Holds',
      description: 'What keeps agents from running',
      unit: 'short',
      queries: [{ expr: 'max by (reason) (agent_stacks_holds)', legend: '{{reason}}' }],
    },
  ],
  'Vendors and processes': [
    {
      title: 'Calls to vendors',
      description: 'A second, by outcome',
      unit: 'reqps',
      queries: [
        {
          expr: 'sum by (vendor, outcome) (rate(agent_stacks_vendor_call_duration_seconds_count[$__rate_interval]))',
          legend: '{{vendor}} {{outcome}}',
        },
      ],
    },
    {
      title: 'Stripe waits',
      description: '99th percentile of the answers to webhooks',
      unit: 's',
      queries: [
        {
          expr: 'histogram_quantile(0.99, sum by (le, route) (rate(agent_stacks_webhook_duration_seconds_bucket[$__rate_interval])))',
          legend: '{{route}}',
        },
      ],
    },
    {
      title: 'Memory',
      description: 'Of each process that is scraped',
      unit: 'bytes',
      queries: [{ expr: 'agent_stacks_process_resident_memory_bytes', legend: '{{instance}}' }],
    },
    {
      title: 'Work of each process',
      description: 'Event loop lag, connections that are waited for, engine processes',
      unit: 'short',
      queries: [
        { expr: 'agent_stacks_nodejs_eventloop_lag_p99_seconds', legend: '{{instance}} lag in seconds' },
        {
          expr: 'agent_stacks_database_connections{state="waiting"}',
          legend: '{{instance}} waiting for the database',
        },
        { expr: 'agent_stacks_engine_processes', legend: '{{instance}} engines {{state}}' },
      ],
    },
  ],
};

// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana replaces it with the chosen data source.
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };

/** Builds the dashboard, in the form in which Grafana exports and imports one. */
export function buildDashboard(): Dashboard {
  const builder = new DashboardBuilder('agent-stacks')
    .uid('agent-stacks')
    .description('Orders, agents, operations and what serves them. Made by tools/observability/dashboard.ts.')
    .tags(['agent-stacks'])
    .editable()
    .tooltip(DashboardCursorSync.Crosshair)
    .refresh('1m')
    .time({ from: 'now-6h', to: 'now' })
    .timezone('browser')
    .withVariable(new DatasourceVariableBuilder('datasource').type('prometheus').label('Data source'));
  builder.withRow(new RowBuilder('Now'));
  for (const panel of STATS) builder.withPanel(fill(new StatBuilder(), panel).span(3).height(4));
  for (const [title, panels] of Object.entries(CHARTS)) {
    builder.withRow(new RowBuilder(title));
    for (const panel of panels) builder.withPanel(fill(new ChartBuilder(), panel).span(12).height(8));
  }
  return builder.build();
}

function fill<Builder extends StatBuilder | ChartBuilder>(builder: Builder, panel: Panel): Builder {
  builder.title(panel.title).description(panel.description).unit(panel.unit).datasource(DATASOURCE);
  panel.queries.forEach(({ expr, legend }, index) => {
    const refId = String.fromCharCode('A'.charCodeAt(0) + index);
    builder.withTarget(new DataqueryBuilder().expr(expr).legendFormat(legend).refId(refId));
  });
  return builder;
}

/** The text of docs/observability/dashboard.json. */
export const dashboardText = (): string => `${JSON.stringify(buildDashboard(), null, 2)}\n`;
