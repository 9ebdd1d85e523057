import { LOCATIONS } from './locations.ts';
import { money, SERVER_TYPES } from './server-types.ts';

const perLocation = <T>(price: (location: string) => T): T[] => LOCATIONS.map(({ name }) => price(name));

const ADDRESS_TYPES = [
  { type: 'ipv4', euros: 0.5, floatingEuros: 3 },
  { type: 'ipv6', euros: 0, floatingEuros: 1 },
];

/**
 * The answer to `GET /pricing`, in euros. The official document in this repository lacks the call, so the
 * shape is the one that Hetzner's client libraries read (hcloud-go, schema.Pricing). The prices of servers
 * are those of the server types.
 */
export const PRICING = {
  currency: 'EUR',
  vat_rate: '19.000000',
  image: { price_per_gb_month: money(0.011) },
  floating_ip: { price_monthly: money(3) },
  floating_ips: ADDRESS_TYPES.map(({ type, floatingEuros }) => ({
    type,
    prices: perLocation((location) => ({ location, price_monthly: money(floatingEuros) })),
  })),
  primary_ips: ADDRESS_TYPES.map(({ type, euros }) => ({
    type,
    prices: perLocation((location) => ({
      location,
      price_hourly: money(euros / 625),
      price_monthly: money(euros),
    })),
  })),
  server_backup: { percentage: '20.0000000000' },
  server_types: SERVER_TYPES.map(({ id, name, prices }) => ({ id, name, prices })),
  load_balancer_types: [],
  traffic: { price_per_tb: money(1) },
  volume: { price_per_gb_month: money(0.044) },
};
