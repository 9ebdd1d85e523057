import { join } from 'node:path';
import { tailnetDomain } from '../identity.ts';

export type HeadscalePlace = {
  /** Folder of its database and keys. */
  dir: string;
  /** Unix socket of its administration. */
  socket: string;
  /** Where machines reach it. */
  address: string;
  port: number;
};

/** What a relay between machines is called where the tailnet lists it. */
const relay = { id: 999, code: 'sandbox', name: 'Sandbox' };
const stunPort = 3478;

/**
 * headscale's configuration (JSON is YAML). It speaks to nobody outside: its own relay and no other, no look for updates,
 * no log collection, no name servers; and it tells devices of each other at once, where its defaults gather changes for most of a second.
 */
export function headscaleSettings({ dir, socket, address, port }: HeadscalePlace) {
  return {
    server_url: `http://${address}:${port}`,
    listen_addr: `${address}:${port}`,
    metrics_listen_addr: '',
    grpc_listen_addr: '127.0.0.1:0',
    unix_socket: socket,
    unix_socket_permission: '0600',
    noise: { private_key_path: join(dir, 'noise.key') },
    // Random, so that an address of a deleted device hardly ever comes back for another one.
    prefixes: { v4: '100.64.0.0/10', v6: 'fd7a:115c:a1e0::/48', allocation: 'random' },
    derp: {
      server: {
        enabled: true,
        region_id: relay.id,
        region_code: relay.code,
        region_name: relay.name,
        verify_clients: true,
        stun_listen_addr: `${address}:${stunPort}`,
        private_key_path: join(dir, 'derp.key'),
        automatically_add_embedded_derp_region: true,
        ipv4: address,
        // Its own word for: not by this. A machine with an IPv6 address would wait three seconds for an answer before it names its relay.
        ipv6: 'none',
      },
      urls: [],
      paths: [],
      auto_update_enabled: false,
    },
    disable_check_updates: true,
    // Tailscale forgets an ephemeral device after half an hour or more offline; this is the least that headscale takes.
    node: { expiry: '0', ephemeral: { inactivity_timeout: '70s' } },
    database: { type: 'sqlite', sqlite: { path: join(dir, 'headscale.sqlite'), write_ahead_log: true } },
    log: { level: 'warn', format: 'text' },
    policy: { mode: 'database' },
    dns: {
      magic_dns: false,
      base_domain: tailnetDomain,
      override_local_dns: false,
      nameservers: { global: [] },
    },
    logtail: { enabled: false },
    taildrop: { enabled: false },
    tuning: { batch_change_delay: '20ms', node_store_batch_timeout: '10ms' },
  };
}
