import { AGENT_STATUSES } from '../../agents/states.ts';
import { WAYS } from '../../operations/ledger.ts';
import { LONG_BOUNDS, SHORT_BOUNDS, type Tally, type TallyName } from '../../operations/tallies.ts';
import { type Bucketed, type Family, histogramSamples, PREFIX } from '../../telemetry/families.ts';

/** The metrics that are made of kept counts. */
export function tallyFamilies(tallies: ReadonlyMap<TallyName, Tally[]>): Family[] {
  const get = (name: TallyName) => tallies.get(name) ?? [];
  const agents = get('agents');
  const histogram = (
    name: string,
    help: string,
    rows: readonly Bucketed[],
    bounds: readonly number[] = SHORT_BOUNDS,
  ): Family => ({
    name: `${PREFIX}${name}`,
    type: 'histogram',
    help,
    samples: histogramSamples(bounds, rows),
  });
  return [
    {
      name: `${PREFIX}agents`,
      type: 'gauge',
      help: 'Agents by status',
      samples: AGENT_STATUSES.map((status) => ({
        labels: { status },
        value: agents.find(({ labels }) => labels.status === status)?.count ?? 0,
      })),
    },
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
    histogram(
      'provision_seconds',
      'From the order to the running agent',
      bucketed(get('provision'), [], [{}]),
      LONG_BOUNDS,
    ),
    histogram(
      'running_seconds',
      'From the payment to the running agent, by how it got its server',
      bucketed(
        get('running'),
        ['way'],
        WAYS.map((way) => ({ way })),
      ),
    ),
    histogram(
      'operation_duration_seconds',
      'From the request to the end of an operation, waits and all tries included',
      bucketed(get('operation'), ['kind', 'outcome']),
    ),
    histogram(
      'operation_execution_seconds',
      'From the beginning of its first try to the end of an operation',
      bucketed(get('executing'), ['kind', 'outcome']),
    ),
    histogram(
      'queue_wait_seconds',
      'How long operations that were due waited until an executor began them, each try',
      bucketed(get('queue_wait'), ['kind']),
    ),
  ];
}

const pick = (labels: Record<string, string>, names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, labels[name] ?? '']));

function toSamples(tallies: readonly Tally[], names: readonly string[]) {
  return tallies.map(({ labels, count }) => ({ labels: pick(labels, names), value: count }));
}

/** Groups the counts of a histogram; `always`: labels that are shown without any count too. */
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
