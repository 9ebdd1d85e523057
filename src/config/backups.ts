import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { Secret } from '../secret.ts';
import { duration } from './billing.ts';
import type { EnvironmentReader } from './environment-reader.ts';
import { isLoopback } from './rehearsal-endpoints.ts';

/** Where backups are kept. */
export type BackupStore =
  | { kind: 'folder'; path: string }
  | {
      kind: 's3';
      bucket: string;
      /** Without slashes around it; may be empty. */
      prefix: string;
      endpoint: string;
      region: string;
      credentials: { id: string; secret: Secret; session: Secret | undefined };
    };

export interface BackupConfig {
  /** Undefined: no backup is made on a schedule. */
  to: BackupStore | undefined;
  everyMs: number;
  /** How many are kept. */
  keep: number;
  /** Public keys of `age`; empty: the passphrase encrypts. */
  recipients: string[];
}

const DAY_MS = 86_400_000;
const DEFAULT_KEEP = 14;

const S3 = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([\w!.*'()/-]{0,200}))?(?:\?([^#\s]*))?$/;
const target = z
  .string()
  .max(1_000)
  .refine(
    (text) => isAbsolute(text) || S3.test(text),
    'must be an absolute path, or s3://BUCKET/PREFIX?endpoint=https://…&region=…',
  );
const keep = z.coerce
  .number({ error: 'must be a whole number from 1 to 1000' })
  .int('must be a whole number from 1 to 1000')
  .min(1, 'must be a whole number from 1 to 1000')
  .max(1_000, 'must be a whole number from 1 to 1000');
const recipients = z
  .string()
  .transform((text) => text.split(',').map((one) => one.trim()))
  .refine(
    (all) => all.every((one) => /^age1[a-z0-9]{20,2000}$/.test(one)),
    'must be public keys of age (age1…), separated by commas',
  );

export function readBackups(reader: EnvironmentReader): BackupConfig {
  const to = reader.read('BACKUP_TO', target);
  return {
    to: to === undefined ? undefined : readStore(reader, to),
    everyMs: reader.read('BACKUP_EVERY', duration) ?? DAY_MS,
    keep: reader.read('BACKUP_KEEP', keep) ?? DEFAULT_KEEP,
    recipients: reader.read('BACKUP_RECIPIENTS', recipients) ?? [],
  };
}

/** Reads an address as `BACKUP_TO` has it. Problems are collected in the reader. */
export function readStore(reader: EnvironmentReader, to: string): BackupStore | undefined {
  const [, bucket, path = '', query = ''] = S3.exec(to) ?? [];
  if (bucket === undefined) return { kind: 'folder', path: to };
  const options = new URLSearchParams(query);
  const region = options.get('region') ?? reader.text('AWS_REGION') ?? 'us-east-1';
  const endpoint = options.get('endpoint') ?? `https://s3.${region}.amazonaws.com`;
  const id = reader.text('AWS_ACCESS_KEY_ID');
  const secret = reader.text('AWS_SECRET_ACCESS_KEY');
  const session = reader.text('AWS_SESSION_TOKEN');
  const problem = findProblem(reader, endpoint);
  if (problem !== undefined) reader.problems.push(`BACKUP_TO ${problem}`);
  if (id === undefined || secret === undefined) {
    reader.problems.push(
      'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are missing: BACKUP_TO is an S3 bucket',
    );
    return undefined;
  }
  const credentials = {
    id,
    secret: new Secret(secret),
    session: session === undefined ? undefined : new Secret(session),
  };
  const prefix = path.replace(/^\/+|\/+$/g, '');
  return { kind: 's3', bucket, prefix, endpoint: endpoint.replace(/\/+$/, ''), region, credentials };
}

/** In sandbox mode nothing outside this machine is called. */
function findProblem(reader: EnvironmentReader, endpoint: string): string | undefined {
  if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol))
    return 'has an endpoint that is no http(s) address';
  const isOpen = new URL(endpoint).protocol === 'http:' && !isLoopback(new URL(endpoint).hostname);
  if (isOpen) return 'has an endpoint without TLS';
  const isSandbox = (reader.text('MODE') ?? 'sandbox') === 'sandbox';
  if (isSandbox && !isLoopback(new URL(endpoint).hostname))
    return 'must be on this machine in sandbox mode, which calls nothing outside it';
  return undefined;
}
