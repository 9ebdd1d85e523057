export type Vendor = 'hetzner' | 'tailscale' | 'stripe' | 'github';

/** A call of a vendor's API. `status`: the answer's; undefined if none came. */
export interface ObservedCall {
  vendor: Vendor;
  /** Which of the vendor's accounts. */
  account?: string | undefined;
  method: string;
  status: number | undefined;
  seconds: number;
  headers: Headers | undefined;
}

type Observer = (call: ObservedCall) => void;

let observer: Observer | undefined;

/** Names what counts calls. Processes that serve no metrics have none, and load nothing for it. */
export function observeCallsWith(next: Observer): void {
  observer = next;
}

export function observeCall(call: ObservedCall): void {
  observer?.(call);
}
