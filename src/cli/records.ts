import { receiptJson } from '../http/agents/show-receipt.ts';
import { auditJson, verificationJson } from '../http/audit-json.ts';
import { noticeJson } from '../http/notice-json.ts';
import { table } from './table.ts';
import { agentPath, all, type Of, printJson, type Terminal } from './terminal.ts';

/** Lists notices with their deliveries, newest first. */
export async function notices({ agentId, json }: Of<'notices'>, terminal: Terminal): Promise<boolean> {
  const query = agentId === undefined ? {} : { agentId };
  const found = await all(terminal.client, '/api/notices', query, noticeJson);
  if (json) return printJson(terminal, found);
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
  terminal.print(table(['AT', 'TYPE', 'AGENT', 'RECEIVER', 'STATUS', 'ATTEMPTS', 'ERROR'], rows));
  return true;
}

/** Lists the audit log, newest first, or verifies its chain. @returns false if something is wrong with it */
export async function audit(command: Of<'audit'>, terminal: Terminal): Promise<boolean> {
  if (command.verify) return verify(command, terminal);
  const { agentId, json } = command;
  const query = agentId === undefined ? {} : { agentId };
  const rows = await all(terminal.client, '/api/audit', query, auditJson);
  if (json) return printJson(terminal, rows);
  terminal.print(
    table(
      ['ROW', 'AT', 'ACTOR', 'ACTION', 'AGENT', 'DETAILS'],
      rows.map((row) => [
        String(row.id),
        row.at.slice(0, 19),
        row.actor,
        row.action,
        row.agentId,
        Object.keys(row.details).length === 0 ? null : JSON.stringify(row.details),
      ]),
    ),
  );
  return true;
}

async function verify({ head: noted, json }: Of<'audit'>, terminal: Terminal): Promise<boolean> {
  const { client, print } = terminal;
  const query = noted === undefined ? '' : `?${new URLSearchParams({ head: noted })}`;
  const found = await client.get(`/api/audit/verification${query}`, verificationJson);
  const { rows, waiting, head, flaw } = found;
  if (json) printJson(terminal, found);
  else if (flaw !== null) {
    const where = [
      flaw.auditId !== null && `row ${flaw.auditId}`,
      flaw.position !== null && `position ${flaw.position}`,
    ].filter((part) => part !== false);
    const verdict = flaw.kind === 'date' ? 'has a date that goes back' : 'was tampered with';
    print(`The audit log ${verdict} (${[flaw.kind, ...where].join(', ')}): ${flaw.detail}.`);
  } else print(`The audit log is whole: ${rows} rows verified, ${waiting} not sealed yet.`);
  // An end from after a date that was looked at stands for that look.
  if (!json && head !== null && (flaw === null || flaw.kind === 'date'))
    print(`Its end, worth noting elsewhere: --head ${head.position}:${head.hash}`);
  return flaw === null;
}

/** Prints the receipt of an agent's deletion. */
export async function receipt({ agentId, json }: Of<'receipt'>, terminal: Terminal): Promise<boolean> {
  const found = await terminal.client.get(`${agentPath(agentId)}/receipt`, receiptJson);
  if (json) return printJson(terminal, found);
  const { body, chain, ...head } = found;
  terminal.print(
    table(
      ['RECEIPT', found.receiptId],
      [
        ...Object.entries(head).slice(1),
        ['chain', chain === null ? 'not sealed yet' : `position ${chain.position}, ${chain.hash}`],
      ],
    ),
  );
  terminal.print(JSON.stringify(body, null, 2));
  return true;
}
