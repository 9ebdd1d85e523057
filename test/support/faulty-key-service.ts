import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** Says how AWS's key service answers: as it should, or with one of its refusals. */
type Mood = 'works' | 'disabled' | 'deleted' | 'expired' | 'silent';

const REFUSALS: Partial<Record<Mood, [type: string, message: string]>> = {
  disabled: ['DisabledException', 'arn:aws:kms:eu-central-1:1:key/k is disabled.'],
  deleted: ['KMSInvalidStateException', 'arn:aws:kms:eu-central-1:1:key/k is pending deletion.'],
  expired: ['ExpiredTokenException', 'The security token included in the request is expired'],
};

/** Stands in for AWS's key service: it hides nothing, and fails on demand. */
export interface FaultyKeyService {
  /** The key as Pulumi's secrets provider. */
  provider: string;
  /** What the provider's library needs. */
  environment: Record<string, string>;
  mood: Mood;
  /** Closes the port, so that connections are refused. */
  stop(): void;
}

export async function startFaultyKeyService(): Promise<FaultyKeyService> {
  const server = createServer((request, response) => void answer(service, request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const service: FaultyKeyService = {
    provider: `awskms://k?region=eu-central-1&endpoint=http://127.0.0.1:${port}`,
    environment: { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' },
    mood: 'works',
    stop: () => close(server),
  };
  return service;
}

function close(server: Server): void {
  server.close();
  server.closeAllConnections();
}

async function answer(
  { mood }: FaultyKeyService,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (mood === 'silent') return;
  const asked = JSON.parse(await text(request)) as { Plaintext?: string; CiphertextBlob?: string };
  const refusal = REFUSALS[mood];
  const said =
    refusal === undefined
      ? { KeyId: 'k', CiphertextBlob: asked.Plaintext, Plaintext: asked.CiphertextBlob }
      : { __type: refusal[0], message: refusal[1] };
  const status = refusal === undefined ? 200 : 400;
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(said));
}
