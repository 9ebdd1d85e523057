import { isIP, isIPv4 } from 'node:net';
import { z } from 'zod';
import { oneWord, withoutWrapping } from './environment-reader.ts';

// Schemas of single environment variables. Operators read the error texts.

// URL parsers are lenient: they would silently drop a line end inside an address.
const unbroken = z.string().regex(/^\S+$/, 'must be an address without blanks or line ends');
/** Refuses credentials: `fetch` rejects an address that has some, with a message that repeats them. */
export const httpUrl = unbroken
  .pipe(z.url({ protocol: /^https?$/, error: 'must be an http(s) URL' }))
  .refine((url) => !hasCredentials(url), 'must be an address without a user name and password');
/** An API's base address, without a trailing slash: paths are appended to it. */
export const endpointUrl = httpUrl.transform((url) => url.replace(/\/+$/, ''));
/** Our client knows no list of hosts, as others do. */
const namesOneHost = (url: string) => !/^postgres(ql)?:\/\/([^/?#]*@)?[^@/?#]*,[^@/?#]*([/?#]|$)/.test(url);
const ONE_HOST = 'must name one host: an address that moves to the standby in a failover';
export const postgresUrl = unbroken
  .refine(namesOneHost, { error: ONE_HOST, abort: true })
  .pipe(z.url({ protocol: /^postgres(ql)?$/, error: 'must be a postgres:// URL' }));
/** A secret that people may choose. */
export const oneLine = z.string().regex(/^[^\p{Cc}]*$/u, 'must be one line without control characters');
export const port = z
  .string()
  .regex(/^\d{1,5}$/, 'must be a port number')
  .transform(Number)
  .refine((value) => value <= 65_535, 'must be a port number');
export const userId = z
  .string()
  .regex(/^\d{1,10}$/, 'must be a numeric user id')
  .transform(Number);
/** Used as part of addresses. */
export const hostName = z
  .string()
  .refine(
    (text) => isIP(text) !== 0 || (/^[\w.-]+$/.test(text) && URL.canParse(`http://${text}`)),
    'must be a host name or address',
  );
/** The state is encrypted with exactly this text, here and on every runner. */
export const passphrase = oneLine
  .refine((text) => text.trim() !== '', 'must not be blank')
  .refine((text) => withoutWrapping(text) === text, 'has blanks or quotes around it: remove them');
/** Pulumi treats an unknown scheme as the address of its own cloud. */
export const backendUrl = z
  .string()
  .regex(
    /^(postgres(ql)?|s3|gs|azblob|file|https):\/\/\S+$/,
    'must be the address of a Pulumi backend, such as postgres://…',
  )
  .refine(namesOneHost, ONE_HOST);
export const sandboxBackendUrl = z
  .string()
  .regex(/^(postgres(ql)?|file):\/\/\S+$/, 'must begin with postgres:// or file:// in sandbox mode')
  .refine(namesOneHost, ONE_HOST);
export const webhookSecrets = z
  .string()
  .transform((text) => text.split(',').map(withoutWrapping).filter(Boolean))
  .refine((secrets) => secrets.length > 0, 'names no secret')
  .refine(
    (secrets) => secrets.every((secret) => /^whsec_[\w+/=-]+$/.test(secret)),
    'must be whsec_… as Stripe shows it; separate several with commas',
  );
export const concurrency = z.coerce
  .number({ error: 'must be a whole number from 1 to 64' })
  .int('must be a whole number from 1 to 64')
  .min(1, 'must be a whole number from 1 to 64')
  .max(64, 'must be a whole number from 1 to 64');
export const retrySeconds = z.coerce
  .number({ error: 'must be a number of seconds from 1 to 300' })
  .min(1, 'must be a number of seconds from 1 to 300')
  .max(300, 'must be a number of seconds from 1 to 300');
const joinLimit = 'must be a whole number of seconds from 10 to 600';
export const joinSeconds = z.coerce
  .number({ error: joinLimit })
  .int(joinLimit)
  .min(10, joinLimit)
  .max(600, joinLimit);
/** Below ten seconds a busy machine misses renewals. All processes of an installation need the same value. */
export const leaseSeconds = z.coerce
  .number({ error: 'must be a number of seconds from 10 to 300' })
  .min(10, 'must be a number of seconds from 10 to 300')
  .max(300, 'must be a number of seconds from 10 to 300');
const limit = 'must be a whole number from 1 to 10000000';
export const sandboxLimit = z.coerce.number({ error: limit }).int(limit).min(1, limit).max(10_000_000, limit);
export const apiToken = oneWord.min(16, 'must have at least 16 characters');
export const hcloudToken = z
  .string()
  .regex(/^[A-Za-z0-9]{64}$/, 'must be exactly 64 letters and digits long, as Hetzner issues it');
export const stripeKey = z
  .string()
  .regex(
    /^[rs]k_(live|test)_\w+$/,
    'must start with sk_live_, rk_live_, sk_test_ or rk_test_, followed by letters, digits and _ only',
  );

/** As in Express's `trust proxy`: the number of proxies in front, or their addresses. */
export type TrustedProxies = boolean | number | string;

const NAMED_NETWORKS = ['loopback', 'linklocal', 'uniquelocal'];
const PROXIES_PROBLEM =
  'must be a number of proxies, or a list of addresses, networks (10.0.0.0/8), loopback, linklocal, uniquelocal';

export const trustedProxies = z
  .string()
  .transform((text) => text.trim())
  .refine(namesProxies, PROXIES_PROBLEM)
  .transform((text): TrustedProxies => {
    if (text === 'true' || text === 'false') return text === 'true';
    return /^\d+$/.test(text) ? Number(text) : text;
  });

function namesProxies(text: string): boolean {
  return /^(true|false|\d{1,2})$/.test(text) || text.split(',').every((part) => isNetwork(part.trim()));
}

function isNetwork(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/');
  if (prefix === undefined) return NAMED_NETWORKS.includes(address) || isIP(address) !== 0;
  if (rest.length > 0 || isIP(address) === 0 || !/^[1-9]\d{0,2}$/.test(prefix)) return false;
  return Number(prefix) <= (isIPv4(address) ? 32 : 128);
}

function hasCredentials(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { username, password } = new URL(text);
  return username !== '' || password !== '';
}
