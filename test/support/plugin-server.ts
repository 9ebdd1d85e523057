import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { placePlugin } from './official-plugins.ts';

export interface PluginServer {
  url: string;
  /** What was asked for. */
  asked: string[];
  close(): void;
}

/** Serves archives of plugins under the names that the Pulumi CLI asks for. `folder`: is filled. */
export async function startPluginServer(
  folder: string,
  plugins: readonly ('hcloud' | 'tailscale' | 'command')[],
): Promise<PluginServer> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const name = request.url!.slice(1);
    asked.push(name);
    const plugin = plugins.find((one) => name.startsWith(`pulumi-resource-${one}-v`));
    if (plugin === undefined) return void response.writeHead(404).end();
    const program = `pulumi-resource-${plugin}`;
    placePlugin(join(folder, plugin, program), plugin, join(folder, 'records'), 'gives up');
    response.end(execFileSync('tar', ['-cz', '-C', join(folder, plugin), program]));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
