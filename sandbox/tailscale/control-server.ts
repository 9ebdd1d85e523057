import type { Caller } from './credentials.ts';
import type { KeyRequest } from './key-request.ts';

/** A device of the tailnet, with the properties that the API shows. */
export interface Device {
  id: string;
  nodeId: string;
  hostname: string;
  /** Its assigned name, or its hostname if it has none: a DNS label unique in the tailnet. */
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
  /** When its key expires; ignored while `keyExpiryDisabled`. */
  expiresAt: Date;
  connected: boolean;
  lastSeenAt?: Date | undefined;
}

/** `name` is a DNS label. An empty one makes the name follow the hostname again. */
export interface DeviceChange {
  authorized?: boolean;
  tags?: string[];
  keyExpiryDisabled?: boolean;
  name?: string;
}

export interface MadeKey {
  secret: string;
  /** The control server's own id of the key; null if only our row exists. */
  controlNumber: string | null;
}

export interface KeyState {
  used: boolean;
  expired: boolean;
}

/**
 * The tailnet's control server: admits devices by their keys, lists and removes them, enforces the policy.
 */
export interface ControlServer {
  /** The policy file of a new tailnet. */
  initialPolicy: string;
  /** `id` is the key's id in the API. */
  createKey(key: { id: string; request: KeyRequest; expiresAt: Date; caller: Caller }): Promise<MadeKey>;
  /** Returns the state of every key by control number; empty if the rows hold it. */
  keyStates(): Promise<Map<string, KeyState>>;
  /** No device can join with the key afterwards. */
  revokeKey(controlNumber: string | null): Promise<void>;
  listDevices(): Promise<Device[]>;
  /** Disconnects the device immediately. @returns false if no device has this id. */
  deleteDevice(id: string): Promise<boolean>;
  /**
   * @returns false if no device has this id.
   * @throws TailscaleError 400 if another device has the name.
   */
  changeDevice(id: string, change: DeviceChange): Promise<boolean>;
  /** @throws TailscaleError 400 if the control server rejects the policy. */
  enforcePolicy(text: string): Promise<void>;
}
