import { createConnection, createServer, type Server, type Socket } from 'node:net';

/** A connection to the database that can be cut. */
export interface DatabaseProxy {
  url: string;
  /** Cuts every connection and accepts no more. */
  cut(): Promise<void>;
  restore(): Promise<void>;
  /**
   * From now on nothing passes over the connections there are, which stay open even if the server ends; new
   * ones work. @returns a function that closes them
   */
  silence(): () => void;
  /** Sends new connections to another server. */
  lead(databaseUrl: string): void;
}

export async function startProxy(databaseUrl: string): Promise<DatabaseProxy> {
  let target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  const silent = new Set<Socket>();
  const server: Server = createServer((incoming) => {
    const outgoing = createConnection(Number(target.port), target.hostname);
    incoming.pipe(outgoing).pipe(incoming);
    for (const socket of [incoming, outgoing]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        if (silent.has(incoming)) return;
        incoming.destroy();
        outgoing.destroy();
      });
    }
  });
  const listen = (port: number) =>
    new Promise<number>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
    });
  const port = await listen(0);
  const url = new URL(databaseUrl);
  url.host = `127.0.0.1:${port}`;
  return {
    url: url.href,
    cut: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
    silence: () => {
      const silenced = [...sockets];
      for (const socket of silenced) silent.add(socket.unpipe().pause());
      return () => {
        for (const socket of silenced) {
          silent.delete(socket);
          socket.destroy();
        }
      };
    },
    lead: (other) => {
      target = new URL(other);
    },
    restore: async () => {
      await listen(port);
    },
  };
}
