import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { Server, type ServerChannel } from 'ssh2';
import type { Dial } from '../../src/tailnet/agent-health.ts';

/** What a server does that was given its line; `channel` is its program's. */
export type Program = (channel: ServerChannel, line: string) => void;

export interface SshServer {
  dial: Dial;
  /** The lines that its programs were given. */
  lines: string[];
  /** Commands as they were started, each by a connection of its own. */
  commands: string[];
  /** Cuts all connections without a word. */
  cut(): void;
  close(): Promise<void>;
}

export const succeeds: Program = (channel) => {
  channel.write('done\n');
  channel.exit(0);
  channel.end();
};

/** A server with this host key that lets anyone in, and whose program waits for a line. */
export async function startSshServer(
  hostPrivateKey: string,
  { program = succeeds, greeting = 'ready\n' }: { program?: Program; greeting?: string } = {},
): Promise<SshServer> {
  const lines: string[] = [];
  const commands: string[] = [];
  const sockets = new Set<Socket>();
  const server = new Server({ hostKeys: [hostPrivateKey] }, (client) => {
    client.on('error', () => {});
    client.on('authentication', (context) => context.accept());
    client.on('session', (accept) => {
      accept().on('exec', (acceptExec, _reject, { command }) => {
        commands.push(command);
        const channel = acceptExec();
        channel.write(greeting);
        let heard = '';
        channel.on('data', (chunk: Buffer) => {
          heard += chunk;
          if (!heard.endsWith('\n')) return;
          lines.push(heard.trim());
          program(channel, heard.trim());
        });
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const dial: Dial = async (_address, _port, signal) => {
    const socket = connect(port, '127.0.0.1');
    sockets.add(socket);
    await once(socket, 'connect', { signal });
    return socket;
  };
  const cut = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  return {
    dial,
    lines,
    commands,
    cut,
    close: async () => {
      cut();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
