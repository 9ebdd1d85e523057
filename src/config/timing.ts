/** How long a lease lasts after its last renewal, unless the configuration says otherwise. */
export const LEASE_SECONDS = 30;
/**
 * Pause after the first failed try; the second pause is four times as long. An outage of half a minute costs
 * no order.
 */
export const RETRY_SECONDS = 15;
/** How long a new server may take to join the tailnet before the next try replaces it. */
export const JOIN_SECONDS = 180;
