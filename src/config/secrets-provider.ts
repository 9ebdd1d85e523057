import { Secret } from '../secret.ts';
import type { EnvironmentReader } from './environment-reader.ts';
import { isLoopback } from './rehearsal-endpoints.ts';

/** What encrypts the secrets in the stacks' state. */
export interface SecretsProvider {
  /** `passphrase`, or the address of a key as Pulumi takes it, such as `awskms://alias/agents?region=…`. */
  url: string;
  /** The provider that this installation's stacks are being moved away from. */
  before: string | undefined;
  /** The variables of these two providers, for Pulumi's CLI and what it starts. */
  environment: Record<string, Secret>;
}

export const PASSPHRASE = 'passphrase';
export const PASSPHRASE_ONLY: SecretsProvider = { url: PASSPHRASE, before: undefined, environment: {} };

const NAME = 'PULUMI_SECRETS_PROVIDER';
/** Names the previous provider, which also confirms that the change is meant. */
const BEFORE = 'PULUMI_SECRETS_PROVIDER_BEFORE';
const FORMS: Record<string, { form: RegExp; example: string; variables: string[] }> = {
  awskms: {
    form: /^awskms:\/\/[^\s?]+(\?\S*)?$/,
    example: 'awskms://alias/NAME?region=eu-central-1',
    variables: [
      'AWS_ACCESS_KEY_ID',
      'AWS_SECRET_ACCESS_KEY',
      'AWS_SESSION_TOKEN',
      'AWS_REGION',
      'AWS_DEFAULT_REGION',
      'AWS_PROFILE',
      'AWS_CONFIG_FILE',
      'AWS_SHARED_CREDENTIALS_FILE',
      'AWS_ENDPOINT_URL',
      'AWS_ENDPOINT_URL_KMS',
      'AWS_CA_BUNDLE',
      'AWS_ROLE_ARN',
      'AWS_ROLE_SESSION_NAME',
      'AWS_WEB_IDENTITY_TOKEN_FILE',
      'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
      'AWS_CONTAINER_CREDENTIALS_FULL_URI',
      'AWS_CONTAINER_AUTHORIZATION_TOKEN',
      'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
      'AWS_STS_REGIONAL_ENDPOINTS',
      'AWS_USE_FIPS_ENDPOINT',
      'AWS_USE_DUALSTACK_ENDPOINT',
    ],
  },
  gcpkms: {
    form: /^gcpkms:\/\/projects\/[^/\s]+\/locations\/[^/\s]+\/keyRings\/[^/\s]+\/cryptoKeys\/[^/\s]+$/,
    example: 'gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K',
    variables: [
      'GOOGLE_APPLICATION_CREDENTIALS',
      'GOOGLE_CREDENTIALS',
      'GOOGLE_CLOUD_PROJECT',
      'CLOUDSDK_CONFIG',
    ],
  },
  azurekeyvault: {
    form: /^azurekeyvault:\/\/[^/\s]+\/keys\/[^/\s]+(\/[^/\s]+)?$/,
    example: 'azurekeyvault://VAULT.vault.azure.net/keys/KEY/VERSION',
    variables: [
      'AZURE_TENANT_ID',
      'AZURE_CLIENT_ID',
      'AZURE_CLIENT_SECRET',
      'AZURE_CLIENT_CERTIFICATE_PATH',
      'AZURE_FEDERATED_TOKEN_FILE',
      'AZURE_CLIENT_CERTIFICATE_PASSWORD',
      'AZURE_AUTHORITY_HOST',
      'AZURE_CONFIG_DIR',
      'AZURE_KEYVAULT_AUTH_VIA_CLI',
    ],
  },
  hashivault: {
    form: /^hashivault:\/\/[^/\s?]+(\?\S*)?$/,
    example: 'hashivault://KEY',
    variables: [
      'VAULT_SERVER_URL',
      'VAULT_SERVER_TOKEN',
      'VAULT_CACERT',
      'VAULT_CAPATH',
      'VAULT_CLIENT_CERT',
      'VAULT_CLIENT_KEY',
      'VAULT_NAMESPACE',
      'VAULT_TLS_SERVER_NAME',
    ],
  },
};

/**
 * Reads the secrets provider; problems go to the reader.
 * @param staysHere whether nothing outside this machine may be called: the sandbox and a rehearsal
 */
export function readSecretsProvider(reader: EnvironmentReader, staysHere: boolean): SecretsProvider {
  const url = readProvider(reader, NAME, staysHere) ?? PASSPHRASE;
  const before = readProvider(reader, BEFORE, staysHere);
  const backend = reader.text('PULUMI_BACKEND_URL');
  if (before !== undefined && backend !== undefined && !/^postgres(ql)?:/.test(backend))
    reader.problems.push(`${BEFORE} needs a Postgres backend: only there do stacks move by themselves`);
  const names = [url, before].flatMap((one) =>
    one === undefined ? [] : (FORMS[scheme(one)]?.variables ?? []),
  );
  const given = reader.pick(names);
  // Without credentials AWS's library would ask the machine's metadata service for some.
  if (staysHere && names.includes('AWS_REGION')) given.AWS_EC2_METADATA_DISABLED = 'true';
  const environment = Object.fromEntries(
    Object.entries(given).map(([name, value]) => [name, new Secret(value)]),
  );
  return { url, before, environment };
}

const LACKS_VERSION = /^azurekeyvault:\/\/[^/]+\/keys\/[^/]+$/;

/**
 * Says what is wrong with the address of a key in Azure that names no version, and how to mend it; undefined
 * for any other. Azure decrypts with the key's newest version then, so the first rotation closes every state.
 */
export function versionProblem(url: string): { detail: string; cure: string } | undefined {
  if (!LACKS_VERSION.test(url)) return undefined;
  return {
    detail: `${NAME}=${url} names no version of the key: after the key’s first rotation Azure decrypts with its newest version, and no state can be opened any more`,
    cure: `Do not rotate the key before ${NAME} names its present version: ${url}/VERSION. Stacks that are encrypted by the address without one move if ${BEFORE}=${url} is set beside it. To rotate later, set ${NAME} to the new version and ${BEFORE} to the one before.`,
  };
}

const scheme = (url: string) => url.split(':')[0] ?? '';

function readProvider(reader: EnvironmentReader, name: string, staysHere: boolean): string | undefined {
  const url = reader.text(name);
  if (url === undefined || url === PASSPHRASE) return url;
  const known = FORMS[scheme(url)];
  if (known === undefined) {
    reader.problems.push(`${name} must be passphrase or begin with ${Object.keys(FORMS).join('://, ')}://`);
    return undefined;
  }
  if (!known.form.test(url) || url.includes('@')) {
    reader.problems.push(`${name} must be of the form ${known.example}`);
    return undefined;
  }
  reader.problems.push(...lacking(reader, name, url), ...(staysHere ? leaving(reader, name, url) : []));
  return url;
}

const parameter = (url: string, name: string) =>
  new URLSearchParams(url.split('?')[1] ?? '').get(name) ?? undefined;

/** What the provider's library would miss only at the first order. */
function lacking(reader: EnvironmentReader, name: string, url: string): string[] {
  const isSet = (variable: string) => reader.text(variable) !== undefined;
  if (scheme(url) === 'awskms') {
    const hasRegion = ['AWS_REGION', 'AWS_DEFAULT_REGION', 'AWS_PROFILE'].some(isSet);
    return hasRegion || parameter(url, 'region') !== undefined || parameter(url, 'profile') !== undefined
      ? []
      : [`${name} names no region: add ?region=…, or set AWS_REGION`];
  }
  if (scheme(url) !== 'hashivault') return [];
  return ['VAULT_SERVER_URL', 'VAULT_SERVER_TOKEN']
    .filter((variable) => !isSet(variable))
    .map((variable) => `${variable} is missing: ${name} is a key in Vault`);
}

/** In the sandbox and in a rehearsal nothing outside this machine is called. */
function leaving(reader: EnvironmentReader, name: string, url: string): string[] {
  const endpoint =
    scheme(url) === 'awskms'
      ? (parameter(url, 'endpoint') ?? reader.text('AWS_ENDPOINT_URL_KMS') ?? reader.text('AWS_ENDPOINT_URL'))
      : scheme(url) === 'hashivault'
        ? reader.text('VAULT_SERVER_URL')
        : undefined;
  const isHere = endpoint !== undefined && URL.canParse(endpoint) && isLoopback(new URL(endpoint).hostname);
  if (!isHere)
    return [
      `${name} must be a key on this machine in this mode: awskms or hashivault with an endpoint on loopback`,
    ];
  // A role is assumed at AWS itself, and a profile may do that too.
  if (['role', 'profile'].some((one) => parameter(url, one) !== undefined))
    return [`${name} must not name a role or a profile in this mode`];
  const keys = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'];
  if (scheme(url) !== 'awskms' || keys.every((key) => reader.text(key) !== undefined)) return [];
  return [`${keys.join(' and ')} are missing: in this mode nothing else is asked for credentials`];
}
