import { join } from 'node:path';
import { TAILNET_DOMAIN } from '../identity.ts';

export interface HeadscaleLocation {
  /** Folder of headscale's database and keys. */
  dir: string;
  /** Unix socket of the admin API. */
  socket: string;
  /** Address at which machines reach it. */
  address: string;
  port: number;
}

/** The relay between machines, as the tailnet lists it. */
const RELAY = { id: 999, code: 'sandbox', name: 'Sandbox' };
const STUN_PORT = 3478;

/**
 * Returns headscale's configuration (JSON is YAML). It makes no outside connections: only its own relay, no
 * update check, no log collection, no name servers. It announces devices to each other immediately, while the
 * defaults batch changes for most of a second.
 */
export function toHeadscaleSettings({ dir, socket, address, port }: HeadscaleLocation) {
  return {
    server_url: `http://${address}:${port}`,
    listen_addr: `${address}:${port}`,
    metrics_listen_addr: '',
    grpc_listen_addr: '127.0.0.1:0',
    unix_socket: socket,
    unix_socket_permission: '0600',
    noise: { private_key_path: join(dir, 'noise.key') },
    // Random, so that the address of a deleted device is hardly ever reused.
    prefixes: { v4: '100.64.0.0/10', v6: 'fd7a:115c:a1e0::/48', allocation: 'random' },
    derp: {
      server: toRelaySettings(dir, address),
      urls: [],
      paths: [],
      auto_update_enabled: false,
    },
    disable_check_updates: true,
    // Tailscale removes an ephemeral device after half an hour or more offline; headscale's minimum is 70 s.
    node: { expiry: '0', ephemeral: { inactivity_timeout: '70s' } },
    database: { type: 'sqlite', sqlite: { path: join(dir, 'headscale.sqlite'), write_ahead_log: true } },
    log: { level: 'warn', format: 'text' },
    policy: { mode: 'database' },
    dns: {
      magic_dns: false,
      base_domain: TAILNET_DOMAIN,
      override_local_dns: false,
      nameservers: { global: [] },
    },
    logtail: { enabled: false },
    taildrop: { enabled: false },
    tuning: { batch_change_delay: '20ms', node_store_batch_timeout: '10ms' },
  };
}

function toRelaySettings(dir: string, address: string) {
  return {
    enabled: true,
    region_id: RELAY.id,
    region_code: RELAY.code,
    region_name: RELAY.name,
    verify_clients: true,
    stun_listen_addr: `${address}:${STUN_PORT}`,
    private_key_path: join(dir, 'derp.key'),
    automatically_add_embedded_derp_region: true,
    ipv4: address,
    // Disables IPv6: a machine with an IPv6 address would wait three seconds before it picks a relay.
    ipv6: 'none',
  };
}
