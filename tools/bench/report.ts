import type { AgingResult } from './aging.ts';
import type { MachineFacts } from './machine.ts';
import type { LeftOut, MachinesResult } from './machines.ts';
import type { Usage } from './meter.ts';
import type { PagesResult } from './pages.ts';
import type { PoolResult } from './pool.ts';
import type { Phase, Round } from './provision.ts';
import type { RecoveryResult } from './recovery.ts';
import { machinesText } from './report-machines.ts';
import { pagesText } from './report-pages.ts';
import { median, spread, summarize } from './statistics.ts';
import type { SweepResult } from './sweep.ts';
import { table } from './table.ts';
import type { WebhookResult } from './webhook.ts';

/** All results of one run. */
export interface Results {
  machine: MachineFacts;
  provision?: Round[];
  webhook?: WebhookResult;
  pool?: PoolResult;
  aging?: AgingResult;
  sweep?: SweepResult;
  recovery?: RecoveryResult[];
  machines?: MachinesResult | LeftOut;
  pages?: PagesResult;
}

/** Formats the results as text. */
export function report(results: Results): string {
  const { machine, provision, webhook, pool, aging, sweep, recovery, machines, pages } = results;
  const parts = [head(machine)];
  if (provision !== undefined) parts.push(provisionTable(provision));
  if (webhook !== undefined) parts.push(webhookText(webhook));
  if (pool !== undefined) parts.push(poolText(pool));
  if (aging !== undefined) parts.push(agingText(aging));
  if (sweep !== undefined) parts.push(sweepText(sweep));
  if (recovery !== undefined) parts.push(...recovery.map(recoveryText));
  if (machines !== undefined) parts.push(machinesText(machines));
  if (pages !== undefined) parts.push(pagesText(pages));
  return parts.join('\n\n');
}

function head(machine: MachineFacts): string {
  return [
    `Benchmark of ${machine.date}`,
    `${machine.cores} cores (${machine.processor}), ${machine.memoryGibibytes.toFixed(1)} GiB, ${machine.system}`,
    `Node ${machine.node}, Pulumi CLI ${machine.pulumi}, SDK ${machine.pulumiSdk}, Postgres ${machine.postgres ?? '(none)'}`,
    `Load average before: ${machine.loadBefore.toFixed(2)}`,
  ].join('\n');
}

/** A measured figure of a round, and which direction is better. */
interface Figure {
  label: string;
  atOnce: number;
  digits: number;
  better: 'less' | 'more';
  values: (round: Round) => number[];
}

const perAgent = (round: Round, total: number) => [total / round.agents];
const cpu = ({ cpuSeconds }: Usage) => Object.values(cpuSeconds).reduce((sum, part) => sum + part, 0);
const perMinute = (round: Round, phase: Phase) => [(round.agents / phase.usage.seconds) * 60];
/** Memory of the side's own processes: both sides share the database and the sandbox. */
const ownMemory = ({ peakMebibytes }: Usage) => Math.max(peakMebibytes.service, peakMebibytes.documented);

const FIGURES: Figure[] = [1, 4].flatMap((atOnce): Figure[] => [
  ...(['provision', 'destroy'] as const).flatMap((phase): Figure[] => [
    {
      label: `${phase}: seconds`,
      atOnce,
      digits: 2,
      better: 'less',
      values: (round) => round[phase].seconds,
    },
    {
      label: `${phase}: agents per minute`,
      atOnce,
      digits: 1,
      better: 'more',
      values: (round) => perMinute(round, round[phase]),
    },
    {
      label: `${phase}: CPU-seconds`,
      atOnce,
      digits: 2,
      better: 'less',
      values: (round) => perAgent(round, cpu(round[phase].usage)),
    },
    {
      label: `${phase}: Hetzner calls`,
      atOnce,
      digits: 1,
      better: 'less',
      values: (round) => perAgent(round, round[phase].usage.hetznerCalls),
    },
  ]),
  {
    label: 'peak memory, MiB',
    atOnce,
    digits: 0,
    better: 'less',
    values: (round) => [Math.max(ownMemory(round.provision.usage), ownMemory(round.destroy.usage))],
  },
]);

function provisionTable(rounds: readonly Round[]): string {
  const [ours, ...others] = [...new Set(rounds.map(({ side }) => side))];
  const rows = FIGURES.map((figure) => {
    const of = (side: string | undefined) =>
      rounds
        .filter((round) => round.side === side && round.atOnce === figure.atOnce)
        .flatMap((round) => figure.values(round));
    const compared = others.flatMap((side) => [
      spread(summarize(of(side)), figure.digits),
      `${ratio(median(of(ours)), median(of(side)), figure.better).toFixed(2)}x`,
    ]);
    return [
      `${figure.label}, ${figure.atOnce} at once`,
      spread(summarize(of(ours)), figure.digits),
      ...compared,
    ];
  });
  const header = ['median (min-max)', ours ?? '', ...others.flatMap((side) => [side, 'better by'])];
  return [
    table(header, rows),
    'Per agent. CPU: all processes, with Postgres and the sandbox. Memory: only the side’s own processes.',
    'As documented: the plain Automation API calls. Documented example: with the refresh that its example program runs first.',
  ].join('\n');
}

function ratio(ours: number, theirs: number, better: 'less' | 'more'): number {
  return better === 'less' ? theirs / ours : ours / theirs;
}

function poolText(result: PoolResult): string {
  const { slots, orders, hits, misses, milliseconds, servers, doubled } = result;
  return [
    `Pool: ${slots} slots, ${orders} orders within a second`,
    `${hits} hits, ${misses} misses; ${servers} servers, ${doubled} with two owners`,
    `posted → running, of the hits: median ${milliseconds.median.toFixed(0)} ms, ` +
      `99th percentile ${milliseconds.p99.toFixed(0)} ms, at most ${milliseconds.max.toFixed(0)} ms`,
  ].join('\n');
}

function webhookText(result: WebhookResult): string {
  const { milliseconds: ms } = result;
  return [
    `Webhook, ${result.eventsPerSecond} signed events a second for ${result.seconds} s, one --role api process:`,
    `  ${result.sent} sent, ${result.errors} errors; ${result.distinct} different events, ${result.stored} stored`,
    `  milliseconds from the planned moment to the complete answer: median ${ms.median.toFixed(1)}, ` +
      `p95 ${ms.p95.toFixed(1)}, p99 ${ms.p99.toFixed(1)}, max ${ms.max.toFixed(1)} ` +
      `(the generator itself was up to ${result.generatorLagMs.toFixed(1)} behind)`,
  ].join('\n');
}

function agingText(result: AgingResult): string {
  const { stateRows: rows } = result;
  return [
    `Aging, ${result.refreshes} refreshes of one agent:`,
    `  first ten ${result.firstTenMedianSeconds.toFixed(2)} s, last ten ${result.lastTenMedianSeconds.toFixed(2)} s (medians)`,
    `  rows of its state: ${rows.provisioned} after the provision, ${rows.tenth} after ten refreshes, ${rows.last} at the end`,
  ].join('\n');
}

function recoveryText(result: RecoveryResult): string {
  const { agents, machines, rowsSeconds, stacksSeconds, healthySeconds } = result;
  return [
    `Both databases dropped with ${agents} agents on ${machines} machines, rebuilt from the clouds; no server made`,
    'or deleted, every preview clean, billing goes on:',
    `  rows ${rowsSeconds.toFixed(1)} s, all stacks imported ${stacksSeconds.toFixed(0)} s, all healthy ${healthySeconds.toFixed(0)} s`,
  ].join('\n');
}

function sweepText(result: SweepResult): string {
  return [
    `Sweep over ${result.agents} agents (${result.compared} resources compared, ${result.seconds.length} sweeps):`,
    `  ${spread(summarize(result.seconds), 2)} s; ${result.calls.join(' + ')} API calls, ${result.hetznerCalls.toFixed(0)} of them to Hetzner`,
  ].join('\n');
}
