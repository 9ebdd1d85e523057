import { createCipheriv, createDecipheriv, createHmac, hkdfSync, scrypt, timingSafeEqual } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { Keyring } from '../keys/keyring.ts';
import type { Keyset } from '../keys/keyset.ts';
import type { Secret } from '../secret.ts';

/**
 * Seals what has to survive the loss of both databases, as labels of a resource at Hetzner. Everybody who can
 * read the project can read the labels.
 */
export interface RecordSeal {
  /**
   * The same text gives the same labels, so that a comparison shows whether they are up to date. `name`: the
   * resource's, which never changes and to which the labels are bound.
   * @throws Error if the text is too long for labels
   */
  seal(name: string, text: string): Promise<Record<string, string>>;
  /**
   * Returns undefined if there are no such labels.
   * @throws Error if they are another resource's, incomplete, changed, or sealed with another passphrase
   */
  open(name: string, labels: Readonly<Record<string, string>>): Promise<string | undefined>;
}

/**
 * Whatever changes what is sealed or how its key is derived raises it: the keeper writes records of another
 * format again. Format 1 had another derivation, and is not opened.
 */
export const RECORD_FORMAT = 2;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SALT = 'agent-stacks records v1';
/**
 * Whoever reads the labels can try passphrases at home: each try takes a quarter of a second. OWASP counts
 * this as much as 2¹⁷ once, which needs 128 MiB in each worker instead of 16. Derived once in a process, when
 * it is first needed.
 */
const COST = { N: 2 ** 14, r: 8, p: 5 };

/** What most texts have in common, so that it takes no room. Changing it needs a new format. */
const DICTIONARY = Buffer.from(
  '"holds":[["operator","payment","abuse","dispute"]],"isProtected":true,"fingerprint":"","subscriptionId":"sub_1' +
    '"snapshotId":"","ipv6":"2a01:4f8:","ipv4":"65.108.","tailnetName":".ts.net","tailnetIp":"100.","nodeId":"n' +
    'CNTRL","serverId":"1","loginServer":"https://","keepDisk":true,"pollInterval":"2s","joinTimeoutSeconds":180,' +
    '"configuredBy":" 1","configurationVersion":"","healthPort":8080,"joinName":"join-","keyGeneration":1,"firewallId":' +
    '1,"image":"debian-12","serverType":"cpx11","serverName":"srv-","hibernated":{"operationId":"","location":"ash' +
    '","hil","fsn1","hel1","nbg1","createdAt":"2026-","project":"default","plan":"starter","pro","max","region":"' +
    'us-east","us-west","eu-west","eu-north","eu-central","userId":"user-","kind":"agent","slot","id":"',
);

/** Hetzner wants a letter or digit at both ends of a value of at most 63 characters. */
const CHUNK = 61;
const VALUE = /^x([A-Za-z0-9_-]{1,61})x$/;
const KEY = /^record-(\d{1,2})$/;
/** Far more than a record needs: about 1,800 bytes. */
const MOST_LABELS = 40;
const LONGEST_TEXT = 16_000;

/**
 * Seals under a key derived from the installation's passphrase, and opens what a former one sealed while it
 * is there. Layout: format, nonce, tag, ciphertext.
 */
export function createRecordSeal(keys: Secret | Keyring): RecordSeal {
  const keyring = keys instanceof Keyring ? keys : new Keyring(keys);
  return {
    seal: async (name, text) => {
      const packed = deflateRawSync(Buffer.from(text), { level: 9, dictionary: DICTIONARY });
      return toLabels(encrypt(await keysOf(keyring.sealing), name, packed));
    },
    open: async (name, labels) => {
      const sealed = fromLabels(labels);
      if (sealed === undefined) return undefined;
      let cause: unknown;
      for (const key of keyring.all) {
        try {
          return unpack(decrypt(await keysOf(key), name, sealed));
        } catch (error) {
          cause = error;
        }
      }
      throw new Error(
        `The record in the labels of ${name} cannot be opened: they were changed, or PULUMI_CONFIG_PASSPHRASE was`,
        { cause },
      );
    },
  };
}

/** Whether there is a record in the labels that one of the passphrases opens. */
export const canOpen = (
  seal: RecordSeal,
  name: string,
  labels: Readonly<Record<string, string>>,
): Promise<boolean> =>
  seal.open(name, labels).then(
    (text) => text !== undefined,
    () => false,
  );

const unpack = (packed: Buffer): string =>
  inflateRawSync(packed, { dictionary: DICTIONARY, maxOutputLength: LONGEST_TEXT }).toString();

/** Whether a label is a part of a record. */
export const isRecordLabel = (key: string): boolean => KEY.test(key);

/** The labels with this record in place of any other. */
export function withRecord(
  labels: Readonly<Record<string, string>>,
  record: Readonly<Record<string, string>>,
): Record<string, string> {
  return { ...Object.fromEntries(Object.entries(labels).filter(([key]) => !isRecordLabel(key))), ...record };
}

/** Whether the labels hold exactly this record. */
export function hasRecord(
  labels: Readonly<Record<string, string>>,
  record: Readonly<Record<string, string>>,
): boolean {
  const present = Object.keys(labels).filter(isRecordLabel);
  return present.length === Object.keys(record).length && present.every((key) => labels[key] === record[key]);
}

interface SealKeys {
  text: Buffer;
  nonce: Buffer;
}

/** Of each keyset of the process, however many seals use it. */
const derived = new WeakMap<Keyset, Promise<SealKeys>>();

function keysOf(keyset: Keyset): Promise<SealKeys> {
  const own = derived.get(keyset) ?? deriveKeys(keyset.passphrase);
  derived.set(keyset, own);
  return own;
}

/** A key for something else in labels: as hard to guess, and the passphrase is not derived once more. */
export async function deriveLabelKey(keyset: Keyset, purpose: string): Promise<Buffer> {
  const { text, nonce } = await keysOf(keyset);
  return Buffer.from(hkdfSync('sha256', Buffer.concat([text, nonce]), SALT, purpose, 32));
}

/** In a thread of its own: everything else goes on meanwhile. */
function deriveKeys(passphrase: Secret): Promise<SealKeys> {
  return new Promise((resolve, reject) => {
    scrypt(passphrase.reveal(), SALT, 64, COST, (error, key) =>
      error === null ? resolve({ text: key.subarray(0, 32), nonce: key.subarray(32) }) : reject(error),
    );
  });
}

/**
 * The nonce is a keyed hash of what is sealed: it repeats only for the same text of the same resource, which
 * then looks the same. Nothing else is needed to keep it unique, such as a counter that would be lost too.
 */
const nonceOf = (key: Buffer, name: string, text: Buffer) =>
  createHmac('sha256', key).update(`${name}\0`).update(text).digest().subarray(0, NONCE_BYTES);

function encrypt(keys: SealKeys, name: string, text: Buffer): Buffer {
  const nonce = nonceOf(keys.nonce, name, text);
  const cipher = createCipheriv('aes-256-gcm', keys.text, nonce).setAAD(Buffer.from(name));
  const sealed = Buffer.concat([cipher.update(text), cipher.final()]);
  return Buffer.concat([Buffer.of(RECORD_FORMAT), nonce, cipher.getAuthTag(), sealed]);
}

function decrypt(keys: SealKeys, name: string, sealed: Buffer): Buffer {
  if (sealed[0] !== RECORD_FORMAT) throw new Error('Unknown format');
  const nonce = sealed.subarray(1, 1 + NONCE_BYTES);
  const tag = sealed.subarray(1 + NONCE_BYTES, 1 + NONCE_BYTES + TAG_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', keys.text, nonce, { authTagLength: TAG_BYTES })
    .setAAD(Buffer.from(name))
    .setAuthTag(tag);
  const text = Buffer.concat([
    decipher.update(sealed.subarray(1 + NONCE_BYTES + TAG_BYTES)),
    decipher.final(),
  ]);
  if (!timingSafeEqual(nonce, nonceOf(keys.nonce, name, text))) throw new Error('Another nonce');
  return text;
}

function toLabels(sealed: Buffer): Record<string, string> {
  const chunks = sealed.toString('base64url').match(new RegExp(`.{1,${CHUNK}}`, 'g')) ?? [];
  if (chunks.length > MOST_LABELS)
    throw new Error(`A record of ${sealed.length} bytes is too long for labels`);
  return Object.fromEntries(chunks.map((chunk, index) => [`record-${index}`, `x${chunk}x`]));
}

function fromLabels(labels: Readonly<Record<string, string>>): Buffer | undefined {
  const parts = Object.entries(labels)
    .filter(([key]) => isRecordLabel(key))
    .sort(([one], [other]) => Number(KEY.exec(one)?.[1]) - Number(KEY.exec(other)?.[1]))
    .map(([, value]) => VALUE.exec(value)?.[1] ?? '');
  return parts.length === 0 ? undefined : Buffer.from(parts.join(''), 'base64url');
}
