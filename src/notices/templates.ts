import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { NoticeType } from '../database/vocabulary.ts';
import type { Notice } from './receiver.ts';

export type Reader = 'operator' | 'buyer';

/** The types that are mailed to each of them. */
export const MAILED: Record<Reader, readonly NoticeType[]> = {
  operator: [
    'agent.running',
    'agent.failed',
    'agent.resumed',
    'order.attention',
    'breaker.tripped',
    'fleet.mismatch',
  ],
  buyer: [
    'agent.running',
    'agent.payment_failed',
    'agent.will_suspend',
    'agent.will_delete',
    'agent.deleted',
  ],
};

/** Cases of a type whose mail to the buyer differs, by the file's name before the reader. */
const CASES: Partial<Record<NoticeType, readonly string[]>> = {
  // Nothing is owed, and the subscription ends; or the agent is switched off already, and its server becomes
  // a snapshot.
  'agent.will_suspend': ['end', 'hibernate', 'hibernate-undated'],
};

/** The names of all mails, which are those of their files. */
export const MAILS: readonly string[] = [
  ...MAILED.operator.map((type) => `${type}.operator`),
  ...MAILED.buyer.flatMap((type) => [
    `${type}.buyer`,
    ...(CASES[type] ?? []).map((one) => `${type}.${one}.buyer`),
  ]),
];

function mailName({ type, data: { harm, harmAt, unpaidSince } }: Notice, reader: Reader): string {
  if (type !== 'agent.will_suspend' || reader !== 'buyer') return `${type}.${reader}`;
  if (harm === 'hibernate') return `${type}.${typeof harmAt === 'string' ? harm : 'hibernate-undated'}.buyer`;
  return unpaidSince === null ? `${type}.end.buyer` : `${type}.buyer`;
}

/** A mail's texts with their placeholders. */
interface Template {
  subject: string;
  text: string;
}

/** Writes a notice's mail. */
export type MailWriter = (notice: Notice, reader: Reader) => { subject: string; text: string };

const BUILT_IN = join(import.meta.dirname, 'templates');
const LONGEST_SUBJECT = 200;

/**
 * Reads all texts: the operator's own where `folder` has one, otherwise the built-in one.
 * @throws Error that names a file that is no template
 */
export function readTemplates(folder: string | undefined): MailWriter {
  const templates = new Map<string, Template>();
  for (const name of MAILS) {
    const own = folder === undefined ? undefined : join(folder, `${name}.txt`);
    const file = own !== undefined && existsSync(own) ? own : join(BUILT_IN, `${name}.txt`);
    templates.set(name, parseTemplate(readFileSync(file, 'utf8'), file));
  }
  return (notice, reader) => {
    const template = templates.get(mailName(notice, reader));
    if (template === undefined) throw new Error(`There is no mail ${notice.type} to the ${reader}`);
    const subject = oneLine(fill(template.subject, notice)).slice(0, LONGEST_SUBJECT);
    return { subject, text: fill(template.text, notice) };
  };
}

function parseTemplate(content: string, file: string): Template {
  const [, subject, text] = /^Subject: *(\S[^\r\n]*)\r?\n\r?\n(\s*\S[\s\S]*)$/.exec(content) ?? [];
  if (subject === undefined || text === undefined)
    throw new Error(`${file} is no template: it must begin with “Subject: …” and an empty line`);
  const [broken] = content.replaceAll(/\{\{\w+\}\}/g, '').match(/\{\{.{0,30}/) ?? [];
  if (broken !== undefined) throw new Error(`${file} has a placeholder that is not {{name}}: ${broken}`);
  return { subject, text };
}

function fill(template: string, { type, agentId, at, data }: Notice): string {
  const values: Record<string, unknown> = {
    ...data,
    agentId: agentId ?? data.agentId,
    type,
    at: at.toISOString(),
  };
  return template.replaceAll(/\{\{(\w+)\}\}/g, (_all, name: string) =>
    Object.hasOwn(values, name) ? inWords(values[name]) : 'unknown',
  );
}

const TIME = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' });
/** No 30 February and no 25 o'clock: texts of others may look like times. */
const isoTime = z.iso.datetime();

function inWords(value: unknown): string {
  if (value === null || value === undefined || value === '') return 'unknown';
  if (typeof value !== 'string') return JSON.stringify(value);
  return isoTime.safeParse(value).success ? `${TIME.format(new Date(value))} UTC` : value;
}

/** A line end in a subject would begin another header. */
const oneLine = (text: string) => text.replaceAll(/\p{Cc}+|[\u2028\u2029]+/gu, ' ').trim();
