import { createReadStream } from 'node:fs';
import { chmod, copyFile, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AwsClient } from 'aws4fetch';
import type { BackupStore } from '../config/backups.ts';
import { BackupError } from './backup-error.ts';

/** Where backups are kept. The names of an installation's sort by the time at which they were made. */
export interface Store {
  /** Puts a file there, whole or not at all. @returns where it is, without credentials */
  put(name: string, path: string): Promise<string>;
  /** Names of backups, the oldest first. */
  list(): Promise<string[]>;
  get(name: string): Promise<AsyncIterable<Uint8Array>>;
  remove(name: string): Promise<void>;
}

const NAME = /^agent-stacks-[a-z]+-[0-9a-f]{12}-\d{8}T\d{6}Z-[0-9a-f]{8}\.age$/;

/** Whether a file is named as this service names backups: no other is ever removed. */
export const isBackupName = (name: string): boolean => NAME.test(name);

export function openStore(store: BackupStore): Store {
  return store.kind === 'folder' ? openFolder(store.path) : openBucket(store);
}

function openFolder(folder: string): Store {
  return {
    put: async (name, path) => {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const target = join(folder, name);
      await copyFile(path, `${target}.partial`);
      await chmod(`${target}.partial`, 0o600);
      await rename(`${target}.partial`, target);
      return target;
    },
    list: async () => (await readdir(folder).catch(() => [])).filter(isBackupName).sort(),
    get: async (name) => createReadStream(join(folder, name)),
    remove: (name) => rm(join(folder, name), { force: true }),
  };
}

const TIMEOUT_MS = 15 * 60_000;

/** Any S3: the bucket is a part of the path, which all of them understand. */
function openBucket({
  bucket,
  prefix,
  endpoint,
  region,
  credentials,
}: Extract<BackupStore, { kind: 's3' }>): Store {
  const client = new AwsClient({
    accessKeyId: credentials.id,
    secretAccessKey: credentials.secret.reveal(),
    ...(credentials.session && { sessionToken: credentials.session.reveal() }),
    service: 's3',
    region,
    retries: 3,
  });
  const keyOf = (name: string) => (prefix === '' ? name : `${prefix}/${name}`);
  const call = async (method: string, path: string, body?: Uint8Array) => {
    const url = `${endpoint}/${bucket}${path}`;
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const init =
      body === undefined ? { method, signal } : { method, signal, body: body as unknown as string };
    const response = await client.fetch(url, init);
    if (response.ok) return response;
    const said = (await response.text()).match(/<Code>([^<]{1,100})<\/Code>/)?.[1];
    throw new BackupError(
      `S3 answered ${method} with ${response.status}${said === undefined ? '' : ` (${said})`}`,
    );
  };
  const objectPath = (name: string) => `/${keyOf(name).split('/').map(encodeURIComponent).join('/')}`;
  return {
    put: async (name, path) => {
      await call('PUT', objectPath(name), await readFile(path));
      return `s3://${bucket}/${keyOf(name)}`;
    },
    list: () => listBucket(call, prefix === '' ? '' : `${prefix}/`),
    get: async (name) => (await call('GET', objectPath(name))).body as unknown as AsyncIterable<Uint8Array>,
    remove: async (name) => void (await call('DELETE', objectPath(name))),
  };
}

async function listBucket(
  call: (method: string, path: string) => Promise<Response>,
  prefix: string,
): Promise<string[]> {
  const names: string[] = [];
  let after: string | undefined;
  do {
    const query = new URLSearchParams({
      'list-type': '2',
      prefix,
      ...(after && { 'continuation-token': after }),
    });
    const xml = await (await call('GET', `?${query}`)).text();
    for (const [, key = ''] of xml.matchAll(/<Key>([^<]*)<\/Key>/g)) names.push(key.slice(prefix.length));
    after = xml.match(/<NextContinuationToken>([^<]+)</)?.[1];
  } while (after !== undefined);
  return names.filter(isBackupName).sort();
}
