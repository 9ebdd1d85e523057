import { setTimeout as pause } from 'node:timers/promises';
import { optional } from '@optique/core/modifiers';
import { allPages, answer } from '../../../client/client.ts';
import type { AgentJson } from '../../http/agents/agent-json.ts';
import type { Arguments } from '../arguments.ts';
import { type Command, defineCommand, json } from '../command.ts';
import { ServiceAway } from '../connection.ts';
import { type Line, tableLines } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { AGENT_COLUMNS, agentRow, PAGE } from './lists.ts';

/** Short enough to seem live, and a page of rows is cheap for the service. */
const LOOK_EVERY_MS = 1_000;

export const watch = ({ agent }: Arguments): Command =>
  defineCommand({
    name: 'watch',
    brief: 'the list, or one agent, as it changes; Ctrl-C ends it',
    detail:
      'On a terminal it keeps the list up to date. Otherwise it prints a line for every change, with --json a document a line: the agent as it is now. It outlives a restart of the service.',
    examples: ['watch', 'watch ada', "watch --json | jq -r '[.agentId, .status] | @tsv'"],
    fields: { agentId: optional(agent), ...json },
    run: async ({ agentId, json: asJson }, terminal) => {
      const interrupted = terminal.untilInterrupted();
      let known = new Map<string, string>();
      let isFirst = true;
      while (!interrupted.aborted) {
        const agents = await read(terminal, agentId, isFirst);
        if (agents !== undefined) {
          known = show(terminal, { agents, known, asJson });
          isFirst = false;
        }
        await pause(LOOK_EVERY_MS, undefined, { signal: interrupted }).catch(() => {});
      }
      // The terminal has shown ^C on the line after the list: the shell's prompt goes below it.
      if (terminal.redraw !== undefined && !asJson) terminal.print('');
      return true;
    },
  });

/** Undefined while the service is away, but at the first look that is an error like any other. */
async function read(
  { api, redraw }: Terminal,
  agentId: string | undefined,
  isFirst: boolean,
): Promise<AgentJson[] | undefined> {
  try {
    if (agentId !== undefined)
      return [await answer(api.GET('/api/agents/{agentId}', { params: { path: { agentId } } }))];
    const page = (cursor: string | undefined) =>
      answer(api.GET('/api/agents', { params: { query: { limit: PAGE, ...(cursor && { cursor }) } } }));
    // A terminal shows one page; the lines of changes have to be complete.
    return redraw === undefined ? await allPages(page) : (await page(undefined)).items;
  } catch (error) {
    if (isFirst || !(error instanceof ServiceAway)) throw error;
    return undefined;
  }
}

interface Seen {
  agents: readonly AgentJson[];
  /** What was shown of each agent before. */
  known: ReadonlyMap<string, string>;
  asJson: boolean;
}

function show(terminal: Terminal, { agents, known, asJson }: Seen): Map<string, string> {
  const { print, redraw, width, height } = terminal;
  if (redraw !== undefined && !asJson) {
    const table = tableLines(AGENT_COLUMNS, agents.map(agentRow), width);
    redraw([...fitHeight(table, height), [], hint()]);
    return new Map();
  }
  const now = new Map(agents.map((one) => [one.agentId, stateOf(one)]));
  for (const one of agents)
    if (known.get(one.agentId) !== stateOf(one)) print(asJson ? JSON.stringify(one) : changeLine(one, known));
  return now;
}

const stateOf = ({ status, step, health, plan, holds, protected: isProtected, error }: AgentJson) =>
  JSON.stringify([status, step, health, plan, holds.map(({ reason }) => reason), isProtected, error]);

function changeLine(agent: AgentJson, known: ReadonlyMap<string, string>): string {
  const { agentId, status, step, health, updatedAt } = agent;
  const words = [status, status === 'provisioning' && step, health !== 'unknown' && health].filter(Boolean);
  const mark = known.has(agentId) ? '→' : '·';
  return `${updatedAt.slice(0, 19)}  ${agentId}  ${mark} ${words.join(', ')}`;
}

/** The empty line, the hint and the cursor's. */
const BELOW = 3;

/** What would scroll the heading out of sight is counted instead. */
function fitHeight(table: readonly Line[], height = Infinity): readonly Line[] {
  const room = Math.max(3, height - BELOW);
  if (table.length <= room) return table;
  const shown = table.slice(0, room - 1);
  return [...shown, [{ text: `… and ${table.length - shown.length} more`, format: 'dim' }]];
}

const hint = (): Line => [
  { text: `${new Date().toISOString().slice(0, 19)}  Ctrl-C ends it`, format: 'dim' },
];
