import { optional } from '@optique/core/modifiers';
import { string } from '@optique/core/valueparser';
import { allPages, answer } from '../../../client/client.ts';
import type { Arguments } from '../arguments.ts';
import { type Command, defineCommand, json, text } from '../command.ts';
import { UsageError } from '../connection.ts';
import { printJson, printTable, type Terminal } from '../terminal.ts';
import { PAGE } from './lists.ts';

export const notices = ({ agent }: Arguments): Command =>
  defineCommand({
    name: 'notices',
    brief: 'what was told to receivers, and whether it arrived',
    examples: ['notices', 'notices ada --json'],
    fields: { agentId: optional(agent), ...json },
    run: async ({ agentId, json: asJson }, terminal) => {
      const query = { limit: PAGE, ...(agentId && { agentId }) };
      const found = await allPages((cursor) =>
        answer(
          terminal.api.GET('/api/notices', { params: { query: { ...query, ...(cursor && { cursor }) } } }),
        ),
      );
      if (asJson) return printJson(terminal, found);
      const rows = found.flatMap((notice) => {
        const head = [notice.at.slice(0, 19), notice.type, notice.agentId];
        if (notice.deliveries.length === 0) return [[...head, null, null, null, null]];
        return notice.deliveries.map(({ receiver, status, attempts, error }) => [
          ...head,
          receiver,
          status,
          String(attempts),
          error,
        ]);
      });
      printTable(terminal, ['AT', 'TYPE', 'AGENT', 'RECEIVER', 'STATUS', 'ATTEMPTS', 'ERROR'], rows);
      return true;
    },
  });

export const audit = ({ agent }: Arguments): Command =>
  defineCommand({
    name: 'audit',
    brief: 'who asked for what, and what changed; `audit verify` checks that no row was changed',
    detail: 'With an agent, only its rows. `verify` exits 1 if a row was changed.',
    examples: ['audit', 'audit ada', 'audit verify --head 812:5f1c…'],
    fields: {
      scope: optional(agent),
      head: text(
        '--head',
        string({ metavar: 'POSITION:HASH' }),
        'an end of the chain that was noted earlier and must be in it',
      ),
      ...json,
    },
    run: async ({ scope, head, json: asJson }, terminal) => {
      if (scope === 'verify') return verify({ head, asJson }, terminal);
      if (head !== undefined) throw new UsageError('--head belongs to `audit verify`.');
      const query = { limit: PAGE, ...(scope && { agentId: scope }) };
      const rows = await allPages((cursor) =>
        answer(
          terminal.api.GET('/api/audit', { params: { query: { ...query, ...(cursor && { cursor }) } } }),
        ),
      );
      if (asJson) return printJson(terminal, rows);
      printTable(
        terminal,
        ['ROW', 'AT', 'ACTOR', 'ACTION', 'AGENT', 'DETAILS'],
        rows.map((row) => [
          String(row.id),
          row.at.slice(0, 19),
          row.actor,
          row.action,
          row.agentId,
          Object.keys(row.details).length === 0 ? null : JSON.stringify(row.details),
        ]),
      );
      return true;
    },
  });

async function verify(
  { head: noted, asJson }: { head: string | undefined; asJson: boolean },
  terminal: Terminal,
): Promise<boolean> {
  const { api, print } = terminal;
  const query = noted === undefined ? {} : { head: noted };
  const found = await answer(api.GET('/api/audit/verification', { params: { query } }));
  const { rows, waiting, head, flaw } = found;
  if (asJson) printJson(terminal, found);
  else if (flaw !== null) {
    const where = [
      flaw.auditId !== null && `row ${flaw.auditId}`,
      flaw.position !== null && `position ${flaw.position}`,
    ].filter((part) => part !== false);
    const verdict = flaw.kind === 'date' ? 'has a date that goes back' : 'was tampered with';
    print(`The audit log ${verdict} (${[flaw.kind, ...where].join(', ')}): ${flaw.detail}.`);
  } else print(`The audit log is whole: ${rows} rows verified, ${waiting} not sealed yet.`);
  // An end from after a date that was looked at stands for that look.
  if (!asJson && head !== null && (flaw === null || flaw.kind === 'date'))
    print(`Its end, worth noting elsewhere: --head ${head.position}:${head.hash}`);
  return flaw === null;
}

export const receipt = ({ agent }: Arguments): Command =>
  defineCommand({
    name: 'receipt',
    brief: 'what was deleted of an agent, and when the clouds confirmed it',
    examples: ['receipt eve'],
    fields: { agentId: agent, ...json },
    run: async ({ agentId, json: asJson }, terminal) => {
      const found = await answer(
        terminal.api.GET('/api/agents/{agentId}/receipt', { params: { path: { agentId } } }),
      );
      if (asJson) return printJson(terminal, found);
      const { body, chain, ...head } = found;
      printTable(
        terminal,
        ['RECEIPT', found.receiptId],
        [
          ...Object.entries(head).slice(1),
          ['chain', chain === null ? 'not sealed yet' : `position ${chain.position}, ${chain.hash}`],
        ],
      );
      terminal.print(JSON.stringify(body, null, 2));
      return true;
    },
  });

/** `open`: prints the address of the agent's page. */
export const open = ({ agent }: Arguments): Command =>
  defineCommand({
    name: 'open',
    brief: 'the address of its page on the dashboard',
    examples: ['open ada'],
    fields: { agentId: agent, ...json },
    run: async ({ agentId, json: asJson }, terminal) => {
      await answer(terminal.api.GET('/api/agents/{agentId}', { params: { path: { agentId } } }));
      const url = `${(await terminal.connect()).url}/agents/${encodeURIComponent(agentId)}`;
      if (asJson) return printJson(terminal, { agentId, url });
      terminal.print(url);
      return true;
    },
  });
