import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { freePort } from '../../sandbox/host/free-port.ts';
import { eventually } from './eventually.ts';

/** moto's server, which `npm test` sets up; undefined if it could not be installed. */
const motoServer = process.env.AGENT_STACKS_MOTO || undefined;

/** Why there is no key service on this machine, or null. */
export const noKeyService =
  motoServer === undefined ? 'moto is not installed: run the tests with npm test' : null;

/** AWS's key service on this machine, with one key. */
export interface KeyService {
  /** The key as Pulumi's secrets provider. */
  provider: string;
  /** What the provider's library needs. */
  environment: Record<string, string>;
  stop(): Promise<void>;
}

export async function startKeyService(): Promise<KeyService> {
  if (motoServer === undefined) throw new Error(String(noKeyService));
  const port = await freePort(null);
  const child = spawn(motoServer, ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  const keyId = await eventually('the key service answers', () => createKey(url), { withinSeconds: 60 });
  return {
    provider: `awskms://${keyId}?region=eu-central-1&endpoint=${url}`,
    environment: { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' },
    stop: async () => {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
  };
}

/** moto does not check the signature, but takes service and region from it. */
async function createKey(url: string): Promise<string | undefined> {
  const scope = 'Credential=test/20260101/eu-central-1/kms/aws4_request';
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': 'TrentService.CreateKey',
      authorization: `AWS4-HMAC-SHA256 ${scope}, SignedHeaders=host, Signature=none`,
    },
    body: '{}',
  }).catch(() => undefined);
  if (response?.ok !== true) return undefined;
  const answer = (await response.json()) as { KeyMetadata: { KeyId: string } };
  return answer.KeyMetadata.KeyId;
}
