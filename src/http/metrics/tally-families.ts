import { AGENT_STATUSES } from '../../agents/states.ts';
import { PROVISION_WAYS } from '../../operations/ledger.ts';
import { LONG_BOUNDS, SHORT_BOUNDS, type Tally, type TallyName } from '../../operations/tallies.ts';
import { type Bucketed, type Family, histogramSamples, PREFIX } from '../../telemetry/families.ts';

/** The metrics that are made of kept counts. */
export function tallyFamilies(tallies: ReadonlyMap<TallyName, Tally[]>): Family[] {
  const get = (name: TallyName) => tallies.get(name) ?? [];
  const agents = get('agents');
  const samples = AGENT_STATUSES.map((status) => ({
    labels: { status },
    value: agents.find(({ labels }) => labels.status === status)?.count ?? 0,
  }));
  return [
    { name: `${PREFIX}agents`, type: 'gauge', help: 'Agents by status', samples },
    {
      name: `${PREFIX}operations`,
      type: 'gauge',
      help: 'Operations by kind and status',
      samples: toSamples(get('operations'), ['kind', 'status']),
    },
    {
      name: `${PREFIX}stripe_events_total`,
      type: 'counter',
      help: 'Stripe events received, by outcome',
      samples: toSamples(get('stripe_events'), ['outcome']),
    },
    ...HISTOGRAMS.map(({ name, help, tally, labels, always, bounds = SHORT_BOUNDS }) => ({
      name: `${PREFIX}${name}`,
      type: 'histogram' as const,
      help,
      samples: histogramSamples(bounds, bucketed(get(tally), labels, always)),
    })),
  ];
}

interface HistogramDefinition {
  name: string;
  help: string;
  tally: TallyName;
  labels: string[];
  /** Labels that are shown without any count too. */
  always?: Record<string, string>[];
  bounds?: readonly number[];
}

const HISTOGRAMS: HistogramDefinition[] = [
  {
    name: 'provision_seconds',
    help: 'From the order to the running agent',
    tally: 'provision',
    labels: [],
    always: [{}],
    bounds: LONG_BOUNDS,
  },
  {
    name: 'running_seconds',
    help: 'From the payment to the running agent, by how it got its server',
    tally: 'running',
    labels: ['way'],
    always: PROVISION_WAYS.map((way) => ({ way })),
  },
  {
    name: 'operation_duration_seconds',
    help: 'From the request to the end of an operation, waits and all tries included',
    tally: 'operation',
    labels: ['kind', 'outcome'],
  },
  {
    name: 'operation_execution_seconds',
    help: 'From the beginning of its first try to the end of an operation',
    tally: 'executing',
    labels: ['kind', 'outcome'],
  },
  {
    name: 'queue_wait_seconds',
    help: 'How long operations that were due waited until an executor began them, each try',
    tally: 'queue_wait',
    labels: ['kind'],
  },
];

const pick = (labels: Record<string, string>, names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, labels[name] ?? '']));

function toSamples(tallies: readonly Tally[], names: readonly string[]) {
  return tallies.map(({ labels, count }) => ({ labels: pick(labels, names), value: count }));
}

/** Groups the counts of a histogram. */
function bucketed(
  tallies: readonly Tally[],
  names: readonly string[],
  always: readonly Record<string, string>[] = [],
): Bucketed[] {
  const groups = new Map<string, Bucketed & { counts: Map<string, number> }>();
  const groupOf = (labels: Record<string, string>) => {
    const own = pick(labels, names);
    const key = JSON.stringify(own);
    const group = groups.get(key) ?? { labels: own, counts: new Map(), sum: 0 };
    groups.set(key, group);
    return group;
  };
  for (const labels of always) groupOf(labels);
  for (const { labels, count, seconds } of tallies) {
    const group = groupOf(labels);
    group.counts.set(labels.le ?? '+Inf', count);
    group.sum += seconds;
  }
  return [...groups.values()];
}
