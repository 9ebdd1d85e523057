import { setTimeout as sleep } from 'node:timers/promises';
import type { SandboxFile } from '../../sandbox/host/sandbox-file.ts';

type Call = (method: 'GET' | 'POST', path: string, body?: object) => Promise<unknown>;

/**
 * Plain calls of the sandbox's two clouds. They wait if the quota is spent. @throws Error on any other
 * refusal
 */
export function cloudCalls(sandbox: SandboxFile): { hetzner: Call; tailscale: Call } {
  return {
    hetzner: caller(sandbox.hcloudEndpoint, sandbox.hcloudToken),
    tailscale: caller(`${sandbox.tailscaleBaseUrl}/api/v2`, sandbox.tailscaleApiKey),
  };
}

const PAUSE_MS = 1_000;

function caller(base: string, token: string): Call {
  return async (method, path, body) => {
    for (;;) {
      const response = await fetch(`${base}${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (response.ok) return JSON.parse(text);
      if (response.status !== 429)
        throw new Error(`${method} ${path} failed with ${response.status}: ${text}`);
      await sleep(PAUSE_MS);
    }
  };
}
