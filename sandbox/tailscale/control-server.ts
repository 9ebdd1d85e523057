import type { Caller } from './credentials.ts';
import type { KeyRequest } from './key-request.ts';

/** A device of the tailnet, as far as the API shows it. */
export type Device = {
  id: string;
  nodeId: string;
  hostname: string;
  /** The name that it was given, or else its hostname, as a DNS label that no other device has. */
  label: string;
  addresses: string[];
  tags: string[];
  registeredBy: string;
  authorized: boolean;
  ephemeral: boolean;
  keyExpiryDisabled: boolean;
  machineKey: string;
  nodeKey: string;
  createdAt: Date;
  /** When its key expires, or would if it did (`keyExpiryDisabled`). */
  expiresAt: Date;
  connected: boolean;
  lastSeenAt?: Date | undefined;
};

/** `name` is a DNS label, or empty: then the device is called by its hostname again. */
export type DeviceChange = {
  authorized?: boolean;
  tags?: string[];
  keyExpiryDisabled?: boolean;
  name?: string;
};

export type MadeKey = {
  secret: string;
  /** The control server's own number for it; null where the key's row is all there is. */
  controlNumber: string | null;
};

export type KeyState = { used: boolean; expired: boolean };

/** What keeps the tailnet together: lets devices in by their keys, knows them, throws them out, says who may reach whom. */
export interface ControlServer {
  /** What a new tailnet allows, as a policy file. */
  initialPolicy: string;
  /** `id` is how the API will call it. */
  createKey(key: { id: string; request: KeyRequest; expiresAt: Date; caller: Caller }): Promise<MadeKey>;
  /** By control number, what has become of keys; empty where their rows say it. */
  keyStates(): Promise<Map<string, KeyState>>;
  /** From then on it lets nobody in. */
  revokeKey(controlNumber: string | null): Promise<void>;
  listDevices(): Promise<Device[]>;
  /** Cuts it off at once. @returns false where there is none with this id. */
  deleteDevice(id: string): Promise<boolean>;
  /**
   * @returns false where there is none with this id.
   * @throws TailscaleError 400 for a name that another device has.
   */
  changeDevice(id: string, change: DeviceChange): Promise<boolean>;
  /** @throws TailscaleError 400 where it refuses the policy. */
  enforcePolicy(text: string): Promise<void>;
}
