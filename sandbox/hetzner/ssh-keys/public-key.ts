import { createHash } from 'node:crypto';

/** The number of length-prefixed fields after the type's name in the key. */
const FIELDS_BY_TYPE: Record<string, number> = {
  'ssh-rsa': 2,
  'ssh-ed25519': 1,
  'ecdsa-sha2-nistp256': 2,
  'ecdsa-sha2-nistp384': 2,
  'ecdsa-sha2-nistp521': 2,
  'sk-ssh-ed25519@openssh.com': 2,
  'sk-ecdsa-sha2-nistp256@openssh.com': 3,
};

/** Returns the MD5 fingerprint of an OpenSSH public key line, as `aa:bb:…`; undefined for an invalid key. */
export function publicKeyFingerprint(line: string): string | undefined {
  const [type = '', encoded = ''] = line.trim().split(/\s+/);
  if (line.trim().includes('\n') || !/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) return undefined;
  const blob = Buffer.from(encoded, 'base64');
  const fields = readFields(blob);
  const expected = Object.hasOwn(FIELDS_BY_TYPE, type) ? FIELDS_BY_TYPE[type] : undefined;
  if (expected === undefined || fields?.length !== expected + 1) return undefined;
  if (fields[0]!.toString() !== type) return undefined;
  if (type === 'ssh-ed25519' && fields[1]!.length !== 32) return undefined;
  return createHash('md5').update(blob).digest('hex').match(/../g)!.join(':');
}

/**
 * Splits SSH's wire format (4 bytes of length, then as many bytes); undefined if the lengths do not add up.
 */
function readFields(blob: Buffer): Buffer[] | undefined {
  const fields: Buffer[] = [];
  let offset = 0;
  while (offset < blob.length) {
    if (offset + 4 > blob.length) return undefined;
    const end = offset + 4 + blob.readUInt32BE(offset);
    if (end > blob.length) return undefined;
    fields.push(blob.subarray(offset + 4, end));
    offset = end;
  }
  return fields;
}
