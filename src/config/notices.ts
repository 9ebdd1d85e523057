import { statSync } from 'node:fs';
import { z } from 'zod';
import { Secret } from '../secret.ts';
import { type EnvironmentReader, withoutWrapping } from './environment-reader.ts';
import { httpUrl } from './fields.ts';
import { isLoopback } from './rehearsal-endpoints.ts';

/** Who is told what happens, besides the log. */
export interface NoticeConfig {
  webhooks: NoticeWebhooks | undefined;
  mail: NoticeMail | undefined;
  /** A folder with the operator's own texts of mails; a text that is not in it is the built-in one. */
  templates: string | undefined;
}

export interface NoticeWebhooks {
  /** Secret, because an address may contain a token. */
  urls: Secret[];
  /** `whsec_` and base64, by the Standard Webhooks specification; several while one rolls. */
  secrets: Secret[];
}

export interface NoticeMail {
  smtpUrl: Secret;
  from: string;
  /** Where the operator reads; without it only buyers get mail. */
  operator: string | undefined;
}

/** Every message is sent to each of them. */
const MOST_RECEIVERS = 20;
/** The specification asks for 24 to 64 bytes. */
const SECRET_BYTES = { least: 24, most: 64 };

const list = (text: string) => text.split(',').map(withoutWrapping).filter(Boolean);

const webhookUrls = z
  .string()
  .transform(list)
  .pipe(z.array(httpUrl).min(1, 'names no address').max(MOST_RECEIVERS, `names more than ${MOST_RECEIVERS}`))
  .refine((urls) => new Set(urls).size === urls.length, 'names an address twice');

const webhookSecrets = z
  .string()
  .transform(list)
  .refine((secrets) => secrets.length > 0 && secrets.length <= 5, 'must be one to five secrets')
  .refine(
    (secrets) => secrets.every(isWebhookSecret),
    'must be whsec_ and the base64 of 24 to 64 bytes; separate several with commas ' +
      '(generate one: echo whsec_$(openssl rand -base64 32))',
  );

function isWebhookSecret(text: string): boolean {
  const [, encoded] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text) ?? [];
  if (encoded === undefined || encoded.length % 4 !== 0) return false;
  const { length } = Buffer.from(encoded, 'base64');
  return length >= SECRET_BYTES.least && length <= SECRET_BYTES.most;
}

const smtpUrl = z
  .string()
  .regex(/^\S+$/, 'must be an address without blanks or line ends')
  .pipe(z.url({ protocol: /^smtps?$/, error: 'must be smtp://… or smtps://…' }))
  // Options behind a question mark could turn the checks of certificates off.
  .refine((url) => new URL(url).search === '', 'must not have options behind a question mark');

/** Plain addresses alone: a name in front of one would need quoting, and a list would reach strangers. */
export const mailAddress = z.email('must be one mail address, such as agents@example.com').max(254);

/**
 * Reads who is told. In live mode webhooks need https; otherwise everything must be on this machine. Problems
 * go to the reader.
 */
export function readNotices(reader: EnvironmentReader): NoticeConfig {
  const urls = reader.read('NOTICE_WEBHOOKS', webhookUrls);
  const secrets = readSecrets(reader);
  const isLive = reader.text('MODE') === 'live';
  for (const url of urls ?? []) {
    const { protocol, hostname } = new URL(url);
    if (isLive && protocol !== 'https:') reader.problems.push('NOTICE_WEBHOOKS must be https in live mode');
    if (!isLive && !isLoopback(hostname))
      reader.problems.push(`NOTICE_WEBHOOKS must be on loopback outside live mode, not ${hostname}`);
  }
  return {
    webhooks: urls && { urls: urls.map((url) => new Secret(url)), secrets },
    mail: readMail(reader, isLive),
    templates: readTemplatesFolder(reader),
  };
}

function readSecrets(reader: EnvironmentReader): Secret[] {
  const secrets =
    reader.text('NOTICE_WEBHOOKS') === undefined
      ? reader.read('NOTICE_WEBHOOK_SECRET', webhookSecrets)
      : reader.required('NOTICE_WEBHOOK_SECRET', webhookSecrets, 'it signs what NOTICE_WEBHOOKS receive');
  return (secrets ?? []).map((text) => new Secret(text));
}

function readMail(reader: EnvironmentReader, isLive: boolean): NoticeMail | undefined {
  const url = reader.read('SMTP_URL', smtpUrl);
  const operator = reader.read('NOTICE_OPERATOR', mailAddress);
  if (reader.text('SMTP_URL') === undefined) {
    reader.read('NOTICE_FROM', mailAddress);
    if (operator !== undefined)
      reader.problems.push('SMTP_URL is missing: NOTICE_OPERATOR gets its mail through it');
    return undefined;
  }
  const from = reader.required('NOTICE_FROM', mailAddress, 'it is the sender of every mail');
  if (url === undefined || from === undefined) return undefined;
  const { hostname } = new URL(url);
  if (!isLive && !isLoopback(hostname))
    reader.problems.push(`SMTP_URL must be on loopback outside live mode, not ${hostname}`);
  return { smtpUrl: new Secret(url), from, operator };
}

function readTemplatesFolder(reader: EnvironmentReader): string | undefined {
  const folder = reader.text('NOTICE_TEMPLATES');
  if (folder !== undefined && statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true)
    reader.problems.push(`NOTICE_TEMPLATES must be a folder: ${folder} is none`);
  return folder;
}
