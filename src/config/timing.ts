/** A lease lasts this long from its last renewal, unless the configuration says otherwise. */
export const LEASE_SECONDS = 30;
/** After the first failed try this much time passes, after the second four times as much: an outage of half a minute costs no order. */
export const RETRY_SECONDS = 15;
