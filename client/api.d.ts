// Generated from the OpenAPI document: node tools/generate-client.ts. Do not edit.
export interface paths {
    "/api/agents": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Agents, newest first */
        get: operations["listAgents"];
        put?: never;
        /** Create an agent by hand: without an order, or for one that has no agent */
        post: operations["createAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{agentId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One agent */
        get: operations["showAgent"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /** Protect an agent from being destroyed, or lift its protection */
        patch: operations["changeAgent"];
        trace?: never;
    };
    "/api/agents/{agentId}/abandon": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Give up what could not be undone on a server that is given back: the agent’s keys and device are removed all the same */
        post: operations["abandonAdoption"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{agentId}/adopt": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Make a server that was made by hand in one of the Hetzner projects an agent, or say what that would do */
        post: operations["adoptServer"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{agentId}/destroy": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Ask for a destroy */
        post: operations["destroyAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{agentId}/hibernate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Ask for a hibernate */
        post: operations["hibernateAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{agentId}/hold": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Hold an agent: it is switched off until the hold is released */
        post: operations["holdAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{agentId}/ledger": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Where the time from the order to the running agent went */
        get: operations["showLedger"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{agentId}/operations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The operations of an agent, newest first */
        get: operations["listOperations"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{agentId}/rebuild": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Ask for a rebuild */
        post: operations["rebuildAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{agentId}/receipt": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The receipt of an agent’s deletion */
        get: operations["showReceipt"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{agentId}/reconfigure": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Ask for a reconfigure */
        post: operations["reconfigureAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{agentId}/refresh": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Ask for a refresh */
        post: operations["refreshAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{agentId}/release": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Release a hold: the agent runs again once nothing holds it */
        post: operations["releaseAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{agentId}/resize": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Change the plan: the server gets that plan’s size and keeps its disk */
        post: operations["resizeAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{agentId}/restart": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Ask for a restart */
        post: operations["restartAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{agentId}/revert": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Put the agent back to one of its snapshots; everything since then is lost */
        post: operations["revertAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{agentId}/snapshot": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Keep a snapshot of the disk beside the server, which goes on as it was */
        post: operations["snapshotAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{agentId}/snapshot-drill": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Make a server from the agent’s newest snapshot, closed to everything, to show that it boots */
        post: operations["drillSnapshot"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{agentId}/snapshots": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The snapshots of an agent’s disk that are kept beside its server, the newest first */
        get: operations["listSnapshots"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{agentId}/start": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Ask for a start */
        post: operations["startAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{agentId}/stop": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Ask for a stop */
        post: operations["stopAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{agentId}/wake": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Ask for a wake */
        post: operations["wakeAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/attention": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Everything that needs a person, newest first, each with its cause and what to do; proposals are listed apart */
        get: operations["listAttention"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/audit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The audit log, newest first: who asked for what, and what changed */
        get: operations["listAudit"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/audit/verification": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Recomputes the chain over the audit log and names the first thing that is wrong */
        get: operations["verifyAudit"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/backups": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The latest backups of both databases, and attempts at one, the newest first */
        get: operations["listBackups"];
        put?: never;
        /** Make a backup of both databases now, and restore it into a scratch database */
        post: operations["createBackup"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/breakers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Breakers: what the service may do by itself, and what they hold back */
        get: operations["listBreakers"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/breakers/{name}/approve": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Let what waits for a tripped breaker go, at the allowed rate */
        post: operations["approve"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/breakers/{name}/changes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What waits for a breaker, the oldest first: the order in which it goes */
        get: operations["listHeld"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/canary": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The last canaries, the newest first, with the time and the money of each step */
        get: operations["listCanaries"];
        put?: never;
        /** Take one agent through a whole life, to show that everything works */
        post: operations["startCanary"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Live events of all operations, as server-sent events; after a reconnect, read the lists again */
        get: operations["feed"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/figures": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The fleet by status, and the last 24 hours: provisions, their times, and why operations failed */
        get: operations["showFigures"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/identity": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whose token or session this is, and whether it may act */
        get: operations["showIdentity"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/images": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The images that new servers are made from, and their builds, the newest first */
        get: operations["listImages"];
        put?: never;
        /** Build an image of this version of the playbook, unless it is being built */
        post: operations["buildImage"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/images/prune": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Remove the images that no new server is made from, except those that one is being made from */
        post: operations["pruneImages"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/notices": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Notices, newest first, each with its deliveries */
        get: operations["listNotices"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/operations/{operationId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One operation with its timeline */
        get: operations["showOperation"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/operations/{operationId}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Cancel an unfinished operation */
        post: operations["cancelOperation"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/operations/{operationId}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The events of an operation as server-sent events, followed by `end` */
        get: operations["operationEvents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/operations/{operationId}/retry": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Retry a failed or cancelled operation */
        post: operations["retryOperation"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/orders": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Orders from Stripe, newest first; each with its agent, or the reason why it has none */
        get: operations["listOrders"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/orders/{sessionId}/link": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Give an order without an agent one that exists: its subscription is followed for that agent */
        post: operations["linkOrder"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/people": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Everybody who may sign in, by name, on one page */
        get: operations["listPeople"];
        put?: never;
        /** Add somebody */
        post: operations["addPerson"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/people/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Remove somebody; their tokens and sessions are refused at once */
        delete: operations["removePerson"];
        options?: never;
        head?: never;
        /** Change what somebody may do, at once */
        patch: operations["changePerson"];
        trace?: never;
    };
    "/api/pool": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The servers that wait for customers */
        get: operations["showPool"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/pool/{slotId}/remove": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Let the pool remove a server that waited for an order and that a restore has left without a row. The caller vouches that no agent runs on it */
        post: operations["removeSlot"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The Hetzner projects among which agents are placed, in the order of the configuration */
        get: operations["listProjects"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{name}/drain": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Let no agent and no waiting server come into a Hetzner project any more; its agents live on */
        post: operations["drainProject"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{name}/undrain": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Let agents come into a drained Hetzner project again */
        post: operations["undrainProject"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/proposals": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What programs proposed, newest first; decided ones for 30 days */
        get: operations["listProposals"];
        put?: never;
        /** Propose what loses data or takes an agent from its customer; a person decides on the page */
        post: operations["createProposal"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/rebuild-state": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Rebuild the rows of agents and orders from Hetzner, Tailscale and Stripe, and import the stacks. Changes nothing at a cloud */
        post: operations["rebuildState"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/rebuild-state/accept": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Vouch that the rows are all there is after a restore, where only the GitHub runners have the keys to look at the clouds */
        post: operations["acceptState"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/rekey": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** How far a change of the passphrase is, and what is left under the former one */
        get: operations["showRekey"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/runner/claim": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Hands a runner its work */
        post: operations["claimWork"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/runner/record": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Takes a runner’s records */
        post: operations["recordWork"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Open sessions in browsers, newest first, on one page; for an admin everybody’s */
        get: operations["listSessions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/sessions/{sessionId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** End a session at once; one’s own, or as an admin anybody’s */
        delete: operations["endSession"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/snapshot-drills": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The last restore drills, the newest first */
        get: operations["listSnapshotDrills"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/snapshots/{snapshotId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Delete a snapshot of an agent, for good */
        delete: operations["removeSnapshot"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Tokens of people, newest first; for an admin everybody’s, for others their own */
        get: operations["listTokens"];
        put?: never;
        /** Make a token for somebody */
        post: operations["createToken"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tokens/{tokenId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Revoke a token at once, and the sessions opened with it; one’s own, or as an admin anybody’s */
        delete: operations["revokeToken"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/webhooks/github": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Where a runner reports */
        post: operations["receiveRunnerReport"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/webhooks/stripe": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Where Stripe delivers its events */
        post: operations["receiveStripeEvent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/healthz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether the process responds */
        get: operations["liveness"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Counts and durations in Prometheus’ text format: the installation’s, and this process’s own */
        get: operations["metrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This document */
        get: operations["document"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/readyz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether requests can be served and orders executed: database, queue, schema version, and configuration problems that workers report. `?verbose` needs the operator’s token and shows every check */
        get: operations["readiness"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        Adoption: {
            /** @description What its owner runs on the server, as root, so that the service may log in. It has no secret in it; null with a mere plan */
            accessScript: string | null;
            agentId: string;
            /** @description What is different on the server afterwards */
            changes: string[];
            /** @description What becomes part of the agent’s stack */
            imports: string[];
            location: string;
            /** @description What no adoption does */
            never: string[];
            /** @description What does it; null: this is what would be done */
            operationId: string | null;
            plan: string;
            /** @description The Hetzner project of the server */
            project: string;
            /** @description Why it cannot be adopted; empty: it can */
            refusals: string[];
            region: string;
            server: {
                ipv4: string | null;
                location: string;
                name: string;
                serverId: string;
                serverType: string;
                /** @description What its disk was made from, if Hetzner still tells */
                system: string | null;
            };
        };
        AdoptServer: {
            /** @description Whether to do it; default: only say what */
            apply?: boolean;
            /** @description The server’s own host key: /etc/ssh/ssh_host_ed25519_key.pub. Needed to apply */
            hostKey?: string;
            /** @enum {string} */
            plan?: "starter" | "pro" | "max";
            /** @description Default: the Hetzner project that has such a server */
            project?: string;
            /**
             * @description Default: the server’s location
             * @example eu-central
             */
            region?: string;
            /**
             * @description Hetzner’s id or name of the server
             * @example web1
             */
            server: string;
            userId: string;
        };
        Agent: {
            agentId: string;
            /** @description How its subscription stands; null without one, and until it was read for the first time */
            billing: components["schemas"]["Billing"] | null;
            /** Format: date-time */
            createdAt: string;
            error: string | null;
            /** @enum {string} */
            health: "unknown" | "healthy" | "unhealthy";
            /** @description What keeps it from running, or from being deleted */
            holds: components["schemas"]["Hold"][];
            ipv4: string | null;
            ipv6: string | null;
            location: string;
            plan: string;
            /** @description Since when it keeps the plan of a person’s resize, until its price changes; null without one */
            planChosenAt: string | null;
            /** @description The Hetzner project of its server */
            project: string;
            /** @description Nobody may destroy it */
            protected: boolean;
            region: string;
            serverId: string | null;
            serverName: string | null;
            stackName: string;
            /** @enum {string} */
            status: "requested" | "provisioning" | "running" | "stopping" | "stopped" | "suspended" | "hibernated" | "failed" | "destroying" | "destroyed";
            step: ("queued" | "creating_server" | "joining_network" | "configuring" | "verifying" | "running") | null;
            subscriptionId: string | null;
            tailnetIp: string | null;
            tailnetName: string | null;
            /** @description When it stopped answering; null unless it is unhealthy */
            unhealthySince: string | null;
            /** Format: date-time */
            updatedAt: string;
            userId: string;
        };
        AgentChange: {
            protected: boolean;
        };
        /** @example agent-7 */
        AgentId: string;
        Attention: {
            agentId: string | null;
            cause: string;
            /** @enum {string} */
            class: "order" | "failed" | "unhealthy" | "breaker" | "mismatch" | "configuration";
            /** @description What a person does about it */
            cure: string;
            /** Format: date-time */
            since: string;
        };
        AuditRow: {
            action: string;
            /** @description Who: `operator`, `operator via mcp` (a program for them), `stripe` or `service` */
            actor: string;
            agentId: string | null;
            /** Format: date-time */
            at: string;
            details: {
                [key: string]: unknown;
            };
            hash: string | null;
            id: number;
            operationId: string | null;
            /** @description Its place in the chain; null until it is sealed */
            position: number | null;
        };
        AuditVerification: {
            /** @description The first thing that is wrong, a `date` last; null if nothing is */
            flaw: {
                auditId: number | null;
                detail: string;
                /** @enum {string} */
                kind: "altered" | "removed" | "inserted" | "link-missing" | "head" | "receipt" | "date";
                position: number | null;
            } | null;
            /** @description The end of the chain; worth noting elsewhere */
            head: {
                hash: string;
                position: number;
            } | null;
            /** @description How many rows were verified */
            rows: number;
            /** @description Rows that are not sealed yet */
            waiting: number;
        };
        Backup: {
            backupId: number;
            bytes: number | null;
            error: string | null;
            finishedAt: string | null;
            /** @description Where it is; null: it is not there */
            location: string | null;
            rows: number | null;
            /** Format: date-time */
            startedAt: string;
            /** @description When it was restored into a scratch database and found complete */
            verifiedAt: string | null;
        };
        Billing: {
            cancelAt: string | null;
            deleteAt: string | null;
            hibernateAt: string | null;
            /** @enum {string} */
            state: "incomplete" | "trial" | "paid" | "paused" | "past_due" | "suspended" | "ending" | "ended" | "unknown";
            subscriptionId: string;
            suspendAt: string | null;
            unpaidSince: string | null;
        };
        Breaker: {
            /** @description The limit; null: none */
            allowed: number | null;
            /** @description Those of them that go at the allowed rate */
            approved: number;
            /** @description When a person last approved; null: not yet */
            approvedAt: string | null;
            /** @description Why it tripped */
            cause: string | null;
            /** @description What a person does about it */
            cure: string;
            /** @enum {string} */
            name: "creates" | "destroys" | "spend" | "suspensions";
            title: string;
            tripped: boolean;
            trippedAt: string | null;
            /** @description Changes within the period; spend: euros an hour */
            used: number | null;
            /** @description Changes that wait for it */
            waiting: number;
        };
        Canary: {
            agentId: string;
            /** @enum {string} */
            cause: "person" | "schedule";
            error: string | null;
            /** @description Each of its servers for an hour, which Hetzner bills at least; null: not known yet */
            expectedEuros: number | null;
            finishedAt: string | null;
            maxEuros: number;
            plan: string;
            region: string;
            /** Format: uuid */
            runId: string;
            /** Format: date-time */
            startedAt: string;
            /** @enum {string} */
            status: "running" | "succeeded" | "failed" | "refused";
            steps: {
                error: string | null;
                /** @description What the step adds to the bill */
                euros: number | null;
                kind: string;
                seconds: number | null;
                status: string;
            }[];
        };
        CreatedToken: {
            /** Format: date-time */
            createdAt: string;
            createdBy: string;
            /** Format: date-time */
            expiresAt: string;
            /** @description What it is for */
            label: string;
            /** @description Within ten minutes */
            lastUsedAt: string | null;
            /** @description Whose it is */
            name: string;
            revokedAt: string | null;
            /** @enum {string} */
            status: "open" | "expired" | "revoked";
            /** @description The token itself. Only this answer has it */
            token: string;
            /** Format: uuid */
            tokenId: string;
        };
        Figures: {
            failures: {
                agentId: string;
                count: number;
                error: string;
                failedStep: string | null;
                kind: string;
                /** Format: date-time */
                last: string;
            }[];
            /** @description Agents by status */
            fleet: {
                [key: string]: number;
            };
            hours: {
                failed: number;
                /** Format: date-time */
                hour: string;
                /** @description From the payment to running, of those that succeeded; null: none did */
                medianSeconds: number | null;
                /** @description The 95th percentile of the same */
                slowSeconds: number | null;
                succeeded: number;
            }[];
            /** @description Provisions that ended within the last 24 hours */
            provisions: {
                failed: number;
                /** @description From the payment to running, of those that succeeded; null: none did */
                medianSeconds: number | null;
                /** @description The 95th percentile of the same */
                slowSeconds: number | null;
                succeeded: number;
            };
        };
        HeldChange: {
            agentId: string;
            approved: boolean;
            cause: string;
            kind: string;
            /** Format: date-time */
            since: string;
        };
        Hold: {
            by: string;
            note: string | null;
            /** @enum {string} */
            reason: "payment" | "dispute" | "abuse" | "operator";
            /** Format: date-time */
            since: string;
        };
        HoldRelease: {
            /** @description Why, for the audit log and the dashboard */
            note?: string;
            /** @enum {string} */
            reason: "payment" | "dispute" | "abuse" | "operator";
        };
        Identity: {
            /** @description Whether this token or session may change anything */
            mayAct: boolean;
            name: string;
            /** @enum {string} */
            role: "viewer" | "support" | "operator" | "admin" | "program";
        };
        Image: {
            /** @enum {string} */
            architecture: "x86" | "arm";
            availableAt: string | null;
            /** Format: date-time */
            createdAt: string;
            error: string | null;
            /** @description Whether new servers may be made from it now */
            fits: boolean;
            imageId: string;
            /** @description Where it is built; servers everywhere are made from it */
            location: string;
            project: string;
            /** @description What Hetzner bills */
            sizeGb: number | null;
            snapshotId: string | null;
            /**
             * @description bad: no server is made from it any more
             * @enum {string}
             */
            status: "building" | "available" | "bad" | "removing" | "removed";
            step: string | null;
            /** @description The version of the playbook that it is configured with */
            version: string;
        };
        Ledger: {
            agentId: string;
            /** Format: uuid */
            operationId: string;
            /** Format: date-time */
            orderedAt: string;
            runningAt: string | null;
            /** @description Null until the agent runs */
            seconds: number | null;
            steps: {
                seconds: number;
                step: string;
            }[];
            /**
             * @description `warm`: a server of the pool was taken over; `adopted`: one that was made by hand
             * @enum {string}
             */
            way: "cold" | "warm" | "adopted";
        };
        NewAgent: {
            agentId?: components["schemas"]["AgentId"];
            /**
             * @description The checkout session of an order without an agent, which this agent is for
             * @example cs_live_a1b2c3
             */
            order?: string;
            /** @enum {string} */
            plan?: "starter" | "pro" | "max";
            /**
             * @description us-east, us-west, eu-central, eu-west, eu-north, ap-southeast, or a Hetzner location's own name
             * @example eu-central
             */
            region: string;
            userId: string;
        };
        NewCanary: {
            maxEuros: number;
            /** @enum {string} */
            plan?: "starter" | "pro" | "max";
            /**
             * @description us-east, us-west, eu-central, eu-west, eu-north, ap-southeast, or a Hetzner location's own name
             * @default eu-central
             * @example eu-central
             */
            region: string;
        };
        NewHold: {
            /** @description Why, for the audit log and the dashboard */
            note?: string;
            /** @enum {string} */
            reason: "abuse" | "operator";
        };
        NewPerson: {
            login?: string;
            name: string;
            /** @enum {string} */
            role: "viewer" | "support" | "operator" | "admin";
        };
        NewProposal: {
            agentId: components["schemas"]["AgentId"];
            /** @enum {string} */
            kind: "stop" | "rebuild" | "hibernate" | "destroy";
            reason: string;
        };
        NewToken: {
            /** @description Until it expires; default 90 */
            days?: number;
            label: string;
            /** @description Whose it will be */
            name: string;
        };
        Notice: {
            agentId: string | null;
            /**
             * Format: date-time
             * @description When it happened
             */
            at: string;
            data: {
                [key: string]: unknown;
            };
            deliveries: {
                /** @description The status of the last answer, of HTTP or SMTP */
                answer: number | null;
                attempts: number;
                deliveredAt: string | null;
                error: string | null;
                /** @description When the next attempt is due */
                nextAt: string | null;
                receiver: string;
                /** @enum {string} */
                status: "pending" | "delivered" | "failed";
            }[];
            /** @description What it announces; nothing is announced twice */
            key: string;
            /** @description Also the id of the webhook’s message */
            noticeId: string;
            /** @enum {string} */
            type: "agent.running" | "agent.failed" | "agent.payment_failed" | "agent.will_suspend" | "agent.suspended" | "agent.resumed" | "agent.will_delete" | "agent.deleted" | "order.attention" | "breaker.tripped" | "fleet.mismatch";
        };
        Operation: {
            agentId: string;
            /** @description The number of tries so far */
            attempt: number;
            /** Format: date-time */
            createdAt: string;
            error: string | null;
            /** @enum {string} */
            executor: "local" | "github-actions";
            failedStep: string | null;
            finishedAt: string | null;
            /** @enum {string} */
            kind: "provision" | "adopt-server" | "adopt" | "import" | "start" | "stop" | "restart" | "reconfigure" | "resize" | "refresh" | "snapshot" | "rebuild" | "revert" | "suspend" | "resume" | "hibernate" | "wake" | "rollback" | "destroy";
            /** Format: uuid */
            operationId: string;
            /** @description The number of failed tries */
            retryCount: number;
            startedAt: string | null;
            /** @enum {string} */
            status: "queued" | "active" | "succeeded" | "failed" | "cancelled";
            step: string | null;
            stripeEventId: string | null;
            timeline: {
                /** @description Null while the step is in progress */
                seconds: number | null;
                /** Format: date-time */
                startedAt: string;
                step: string;
            }[];
            workflowRunId: string | null;
        };
        Order: {
            agentId: string | null;
            /** @description Why the order has no agent */
            attention: string | null;
            /** Format: date-time */
            createdAt: string;
            customerId: string | null;
            metadata: {
                [key: string]: unknown;
            };
            sessionId: string;
            stripeEventId: string;
            subscriptionId: string | null;
        };
        OrderLink: {
            agentId: components["schemas"]["AgentId"];
        };
        Person: {
            /** Format: date-time */
            createdAt: string;
            createdBy: string;
            /** @description What Tailscale and the OpenID provider call them */
            login: string;
            /** @description As the audit log names them */
            name: string;
            /** @enum {string} */
            role: "viewer" | "support" | "operator" | "admin";
            /** @description Whether the OpenID provider says the role */
            roleByClaim: boolean;
        };
        PersonChange: {
            /** @enum {string} */
            role: "viewer" | "support" | "operator" | "admin";
        };
        Problem: {
            /** @description What is wrong with this request */
            detail: string;
            status: number;
            /** @description The status in words */
            title: string;
            /**
             * @description Which kind of problem, for programs; relative to this service, whose page explains it
             * @enum {string}
             */
            type: "/problems/invalid-request" | "/problems/token-required" | "/problems/other-site" | "/problems/role-not-allowed" | "/problems/approval-required" | "/problems/not-found" | "/problems/method-not-allowed" | "/problems/conflict" | "/problems/body-too-large" | "/problems/not-json" | "/problems/other-host" | "/problems/idempotency-key-reused" | "/problems/too-many-wrong-tokens" | "/problems/too-many-by-programs" | "/problems/internal" | "/problems/unavailable";
        };
        Project: {
            /** @description Agents that are not destroyed */
            agents: number;
            /** @description Whether HCLOUD_PROJECTS still names it */
            configured: boolean;
            drainedBy: string | null;
            /** @description Nothing new comes into it since then; null: it is not drained */
            drainingSince: string | null;
            /** @description Restore drills that may still have a server */
            drills: number;
            /** @description Hetzner has refused it a server: until then others come first */
            fullUntil: string | null;
            images: number;
            /** @description Where its agents may be; null: everywhere */
            locations: string[] | null;
            /** @description How many servers it may have; null: no limit */
            mostServers: number | null;
            name: string;
            /** @description What counts towards mostServers */
            servers: number;
            /** @description Servers that wait for customers, or are being removed */
            slots: number;
            /** @description Snapshots of agents’ disks, those of destroyed agents too */
            snapshots: number;
        };
        Proposal: {
            agentId: string;
            /** @description The agent’s when it was proposed; approved only while it still is */
            agentStatus: string;
            decidedAt: string | null;
            decidedBy: string | null;
            /** Format: date-time */
            expiresAt: string;
            kind: string;
            /** @description What an approved one led to */
            operationId: string | null;
            /** Format: uuid */
            proposalId: string;
            /** Format: date-time */
            proposedAt: string;
            proposedBy: string;
            reason: string;
            /** @enum {string} */
            status: "open" | "expired" | "approved" | "rejected";
        };
        Rebuilt: {
            agents: {
                /**
                 * @description rebuilt: it had no row; corrected: its row was older than its record; resumed: its provision goes on; known: nothing was changed; destroyed: nothing of it exists; unclear: see `unclear`
                 * @enum {string}
                 */
                action: "rebuilt" | "corrected" | "resumed" | "known" | "destroyed" | "unclear";
                agentId: string;
                status: string;
            }[];
            /** @description false: this is what would be done */
            applied: boolean;
            /** @description Orders that were linked to their agents again */
            orders: number;
            /** @description By their records. One without a row becomes none: it may be an agent’s by now */
            slots: {
                /** @enum {string} */
                action: "known" | "unclear";
                slotId: string;
            }[];
            /** @description Snapshots of agents that have their rows again */
            snapshots: number;
            /** @description What a person has to decide; also under /api/attention */
            unclear: {
                agentId: string | null;
                cause: string;
                cure: string;
            }[];
        };
        Receipt: {
            agentId: string;
            /** @description Who the agent was, what was removed, when each cloud said that it is gone, what is kept until when */
            body: {
                [key: string]: unknown;
            };
            /** @description The link of the audit chain that holds it; null until it is sealed */
            chain: {
                auditId: number;
                hash: string;
                position: number;
            } | null;
            /** @description SHA-256 of the body, as in the audit log */
            hash: string;
            /** Format: date-time */
            issuedAt: string;
            /** @description The operation: `destroy` or `hibernate` */
            kind: string;
            receiptId: string;
        };
        Resize: {
            /** @enum {string} */
            plan: "starter" | "pro" | "max";
        };
        Revert: {
            /** Format: uuid */
            snapshot: string;
        };
        ServerSentEvent: {
            /** @description JSON */
            data: string;
            event: string;
            /** @description Where a reconnecting client resumes: `Last-Event-ID` */
            id?: string;
        };
        Session: {
            /** @description What the browser calls itself */
            browser: string | null;
            /** Format: date-time */
            createdAt: string;
            /** Format: date-time */
            expiresAt: string;
            /** @description Within ten minutes */
            lastUsedAt: string | null;
            /** @enum {string} */
            method: "token" | "oidc" | "tailscale";
            /** @description Whose it is; `operator`: of who holds API_TOKEN */
            name: string;
            /** Format: uuid */
            sessionId: string;
        };
        Slot: {
            /** Format: date-time */
            createdAt: string;
            /** @description When it last answered */
            healthyAt: string | null;
            location: string;
            plan: string;
            project: string;
            /** @description The version of the playbook that it is configured with */
            release: string | null;
            slotId: string;
            /**
             * @description claimed: its agent has not adopted it yet; retired: it is being removed
             * @enum {string}
             */
            status: "preparing" | "ready" | "claimed" | "retired";
        };
        Snapshot: {
            agentId: string;
            /** @description null: the schedule, a person or the agent’s destroy decides */
            deleteAfter: string | null;
            error: string | null;
            hetznerId: string | null;
            /**
             * Format: date-time
             * @description Nothing on it is older than this
             */
            madeAt: string;
            /** @description What Hetzner bills */
            sizeGb: number | null;
            /**
             * Format: uuid
             * @description The id of the operation that made it
             */
            snapshotId: string;
            /**
             * @description lost: Hetzner no longer has it
             * @enum {string}
             */
            status: "making" | "available" | "removing" | "removed" | "lost";
            /** @enum {string} */
            why: "scheduled" | "by-hand" | "before-destroy";
        };
        SnapshotDrill: {
            agentId: string;
            /** @enum {string} */
            cause: "person" | "schedule";
            drillId: string;
            error: string | null;
            /** @description When its server was gone */
            finishedAt: string | null;
            /** Format: uuid */
            snapshotId: string;
            /** Format: date-time */
            snapshotMadeAt: string;
            /** Format: date-time */
            startedAt: string;
            /** @enum {string} */
            status: "running" | "succeeded" | "failed" | "cancelled";
        };
        Token: {
            /** Format: date-time */
            createdAt: string;
            createdBy: string;
            /** Format: date-time */
            expiresAt: string;
            /** @description What it is for */
            label: string;
            /** @description Within ten minutes */
            lastUsedAt: string | null;
            /** @description Whose it is */
            name: string;
            revokedAt: string | null;
            /** @enum {string} */
            status: "open" | "expired" | "revoked";
            /** Format: uuid */
            tokenId: string;
        };
    };
    responses: {
        /** @description The body is larger than 64 KiB */
        BodyTooLarge: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The role does not allow it, or a cookie alone came from another site */
        Forbidden: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The role does not allow it, or a cookie alone came from another site, or a program asks, which may only propose this or leave it to a person */
        ForbiddenOrApprovalRequired: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Internal error; see the log */
        Internal: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The request, or something in it, is not valid */
        InvalidRequest: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Method not allowed */
        MethodNotAllowed: {
            headers: {
                /** @description The methods that are allowed */
                Allow: string;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Not found */
        NotFound: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The body is not JSON */
        NotJson: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Sandbox mode: the request is for a host other than this machine */
        OtherHost: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The role does not allow it */
        OtherRole: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The operator’s token is required */
        TokenRequired: {
            headers: {
                /** @description After a wrong token: `r`, how many more are allowed, and `t`, until when in seconds */
                RateLimit?: string;
                /** @description After a wrong token: `q` of them are allowed in `w` seconds from one address */
                "RateLimit-Policy"?: string;
                "WWW-Authenticate": string;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Too many wrong tokens from this address, or too many operations within an hour that programs asked for */
        TooMany: {
            headers: {
                /** @description After a wrong token: `r`, how many more are allowed, and `t`, until when in seconds */
                RateLimit?: string;
                /** @description After a wrong token: `q` of them are allowed in `w` seconds from one address */
                "RateLimit-Policy"?: string;
                /** @description In how many seconds to try again */
                "Retry-After": string;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Too many wrong tokens from this address */
        TooManyWrongTokens: {
            headers: {
                /** @description After a wrong token: `r`, how many more are allowed, and `t`, until when in seconds */
                RateLimit?: string;
                /** @description After a wrong token: `q` of them are allowed in `w` seconds from one address */
                "RateLimit-Policy"?: string;
                /** @description In how many seconds to try again */
                "Retry-After": string;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The database is unavailable, or the service is starting */
        Unavailable: {
            headers: {
                /** @description In how many seconds to try again */
                "Retry-After": string;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
    };
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    listAgents: {
        parameters: {
            query?: {
                /** @description `nextCursor` of the page before */
                cursor?: string;
                limit?: number;
                /** @description Only those with it in an id, user, address, server, subscription, region or plan */
                q?: string;
                status?: "requested" | "provisioning" | "running" | "stopping" | "stopped" | "suspended" | "hibernated" | "failed" | "destroying" | "destroyed";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of agents */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Agent"][];
                        nextCursor: string | null;
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    createAgent: {
        parameters: {
            query?: never;
            header?: {
                "idempotency-key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewAgent"];
            };
        };
        responses: {
            /** @description Accepted; the operation that does it */
            202: {
                headers: {
                    /** @description Where the operation is */
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            /** @description There is no such order */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            405: components["responses"]["MethodNotAllowed"];
            /** @description The id belongs to an agent, possibly a destroyed one; or the order has an agent */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            /** @description The Idempotency-Key was used with another body */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    showAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                agentId: components["schemas"]["AgentId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The agent */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Agent"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    changeAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                agentId: components["schemas"]["AgentId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AgentChange"];
            };
        };
        responses: {
            /** @description The agent */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Agent"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The agent is being destroyed */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    abandonAdoption: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                agentId: components["schemas"]["AgentId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description An attempt is under way; the next one does it */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Agent"];
                };
            };
            /** @description Accepted; the operation that does it */
            202: {
                headers: {
                    /** @description Where the operation is */
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description Nothing of the agent is being given back */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    adoptServer: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                agentId: components["schemas"]["AgentId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AdoptServer"];
            };
        };
        responses: {
            /** @description What would be done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Adoption"];
                };
            };
            /** @description Accepted; the operation that does it */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Adoption"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description It cannot be adopted, or this service has no access to the clouds */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    destroyAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                agentId: components["schemas"]["AgentId"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": Record<string, never>;
            };
        };
        responses: {
            /** @description Accepted; the operation that does it */
            202: {
                headers: {
                    /** @description Where the operation is */
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The agent’s status does not allow it, it is protected, or a conflicting operation is unfinished */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    hibernateAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                agentId: components["schemas"]["AgentId"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": Record<string, never>;
            };
        };
        responses: {
            /** @description Accepted; the operation that does it */
            202: {
                headers: {
                    /** @description Where the operation is */
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The agent’s status does not allow it, or a conflicting operation is unfinished */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    holdAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                agentId: components["schemas"]["AgentId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewHold"];
            };
        };
        responses: {
            /** @description Nothing has to be done now; the agent with its holds */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Agent"];
                };
            };
            /** @description Accepted; the operation that does it */
            202: {
                headers: {
                    /** @description Where the operation is */
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The agent is being destroyed */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    showLedger: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                agentId: components["schemas"]["AgentId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The ledger of its first provision */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Ledger"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    listOperations: {
        parameters: {
            query?: {
                /** @description `nextCursor` of the page before */
                cursor?: string;
                limit?: number;
            };
            header?: never;
            path: {
                agentId: components["schemas"]["AgentId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of operations */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Operation"][];
                        nextCursor: string | null;
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    rebuildAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                agentId: components["schemas"]["AgentId"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": Record<string, never>;
            };
        };
        responses: {
            /** @description Accepted; the operation that does it */
            202: {
                headers: {
                    /** @description Where the operation is */
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The agent’s status does not allow it, a hold keeps it switched off, or a conflicting operation is unfinished */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    showReceipt: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                agentId: components["schemas"]["AgentId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The newest receipt */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Receipt"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    reconfigureAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                agentId: components["schemas"]["AgentId"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": Record<string, never>;
            };
        };
        responses: {
            /** @description Accepted; the operation that does it */
            202: {
                headers: {
                    /** @description Where the operation is */
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The agent’s status does not allow it, a hold keeps it switched off, or a conflicting operation is unfinished */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooMany"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    refreshAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                agentId: components["schemas"]["AgentId"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": Record<string, never>;
            };
        };
        responses: {
            /** @description Accepted; the operation that does it */
            202: {
                headers: {
                    /** @description Where the operation is */
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The agent’s status does not allow it, or a conflicting operation is unfinished */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooMany"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    releaseAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                agentId: components["schemas"]["AgentId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["HoldRelease"];
            };
        };
        responses: {
            /** @description Nothing has to be done now; the agent with its holds */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Agent"];
                };
            };
            /** @description Accepted; the operation that does it */
            202: {
                headers: {
                    /** @description Where the operation is */
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The agent is being destroyed */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    resizeAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                agentId: components["schemas"]["AgentId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Resize"];
            };
        };
        responses: {
            /** @description Accepted; the operation that does it */
            202: {
                headers: {
                    /** @description Where the operation is */
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The agent’s status does not allow it, a hold keeps it switched off, it already has the requested parameters, or a conflicting operation is unfinished */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    restartAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                agentId: components["schemas"]["AgentId"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": Record<string, never>;
            };
        };
        responses: {
            /** @description Accepted; the operation that does it */
            202: {
                headers: {
                    /** @description Where the operation is */
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The agent’s status does not allow it, a hold keeps it switched off, or a conflicting operation is unfinished */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooMany"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    revertAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                agentId: components["schemas"]["AgentId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Revert"];
            };
        };
        responses: {
            /** @description Accepted; the operation that does it */
            202: {
                headers: {
                    /** @description Where the operation is */
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The agent’s status does not allow it, a hold keeps it switched off, it has no such snapshot, or a conflicting operation is unfinished */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    snapshotAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                agentId: components["schemas"]["AgentId"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": Record<string, never>;
            };
        };
        responses: {
            /** @description Accepted; the operation that does it */
            202: {
                headers: {
                    /** @description Where the operation is */
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The agent’s status does not allow it, or a conflicting operation is unfinished */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    drillSnapshot: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                agentId: components["schemas"]["AgentId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It begins */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SnapshotDrill"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The agent has no complete snapshot or is destroyed, another drill is under way, or only runners have the clouds’ keys */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    listSnapshots: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                agentId: components["schemas"]["AgentId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Those that exist, and those that failed within a week */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Snapshot"][];
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    startAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                agentId: components["schemas"]["AgentId"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": Record<string, never>;
            };
        };
        responses: {
            /** @description Accepted; the operation that does it */
            202: {
                headers: {
                    /** @description Where the operation is */
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The agent’s status does not allow it, a hold keeps it switched off, or a conflicting operation is unfinished */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooMany"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    stopAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                agentId: components["schemas"]["AgentId"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": Record<string, never>;
            };
        };
        responses: {
            /** @description Accepted; the operation that does it */
            202: {
                headers: {
                    /** @description Where the operation is */
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The agent’s status does not allow it, or a conflicting operation is unfinished */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    wakeAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                agentId: components["schemas"]["AgentId"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": Record<string, never>;
            };
        };
        responses: {
            /** @description Accepted; the operation that does it */
            202: {
                headers: {
                    /** @description Where the operation is */
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The agent’s status does not allow it, a hold keeps it switched off, or a conflicting operation is unfinished */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooMany"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    listAttention: {
        parameters: {
            query?: {
                /** @description `nextCursor` of the page before */
                cursor?: string;
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of what needs a person */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Attention"][];
                        nextCursor: string | null;
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    listAudit: {
        parameters: {
            query?: {
                agentId?: string;
                /** @description `nextCursor` of the page before */
                cursor?: string;
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of rows */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["AuditRow"][];
                        nextCursor: string | null;
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    verifyAudit: {
        parameters: {
            query?: {
                /** @description An earlier end of the chain, which it must contain */
                head?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What was found */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuditVerification"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    listBackups: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description At most a hundred */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Backup"][];
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    createBackup: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The backup */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Backup"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description One is being made, BACKUP_TO is not set, or it could not be made */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    listBreakers: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Every breaker */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Breaker"][];
                        nextCursor: string | null;
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    approve: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: "creates" | "destroys" | "spend" | "suspensions";
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": {
                    /** @description How many of the oldest; default: all that waits */
                    count?: number;
                };
            };
        };
        responses: {
            /** @description The breaker now */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Breaker"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            /** @description There is no such breaker */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            405: components["responses"]["MethodNotAllowed"];
            /** @description It is not tripped */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    listHeld: {
        parameters: {
            query?: {
                /** @description `nextCursor` of the page before */
                cursor?: string;
                limit?: number;
            };
            header?: never;
            path: {
                name: "creates" | "destroys" | "spend" | "suspensions";
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of held changes */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["HeldChange"][];
                        nextCursor: string | null;
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    listCanaries: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The last 20 */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Canary"][];
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    startCanary: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewCanary"];
            };
        };
        responses: {
            /** @description It begins, unless it would cost more */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Canary"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description Another one is under way */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    feed: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description `open` once, then `status` and `step` with the ids of their operation and agent, and `change` when something else has changed: an agent’s health or holds, a breaker, a finding, a proposal, a check, a worker */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["ServerSentEvent"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    showFigures: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The figures */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Figures"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    showIdentity: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The sender */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Identity"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    listImages: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Those that exist, and builds that failed within a week */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Image"][];
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    buildImage: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": {
                    /** @description The Hetzner project for whose servers it is; default: the first that takes any there */
                    project?: string;
                    /**
                     * @description Where its server is made
                     * @example eu-central
                     */
                    region?: string;
                };
            };
        };
        responses: {
            /** @description The image that is being built */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Image"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description This process does not know the version of the playbook, or no project takes servers there */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    pruneImages: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The ids of those that are now being removed */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        removed: string[];
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description This process does not know the version of the playbook */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    listNotices: {
        parameters: {
            query?: {
                agentId?: string;
                /** @description `nextCursor` of the page before */
                cursor?: string;
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of notices */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Notice"][];
                        nextCursor: string | null;
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    showOperation: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                operationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The operation */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    cancelOperation: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                operationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Accepted; the operation that does it */
            202: {
                headers: {
                    /** @description Where the operation is */
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The operation has ended, or frees billed resources */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    operationEvents: {
        parameters: {
            query?: {
                /** @description false: only the events so far */
                follow?: string;
                /** @description Like the header Last-Event-ID, which takes precedence */
                lastEventId?: number;
            };
            header?: {
                "last-event-id"?: number;
            };
            path: {
                operationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description `status`, `step` and `log`, with ids from 1 without gaps; `end` once it has finished */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["ServerSentEvent"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    retryOperation: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                operationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Accepted; the operation that does it */
            202: {
                headers: {
                    /** @description Where the operation is */
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The operation has not failed, or the agent’s status does not allow it */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooMany"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    listOrders: {
        parameters: {
            query?: {
                attention?: string;
                /** @description `nextCursor` of the page before */
                cursor?: string;
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of orders */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Order"][];
                        nextCursor: string | null;
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    linkOrder: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                sessionId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["OrderLink"];
            };
        };
        responses: {
            /** @description The order with its agent */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Order"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The order has another agent, or is not to be had for this one */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    listPeople: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All of them */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Person"][];
                        nextCursor: string | null;
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["OtherRole"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    addPerson: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewPerson"];
            };
        };
        responses: {
            /** @description They are added */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Person"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The name or the login is taken */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    removePerson: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description As they were */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Person"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description It is the sender */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    changePerson: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PersonChange"];
            };
        };
        responses: {
            /** @description As they are now */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Person"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description It is the sender, or the OpenID provider says the role */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    showPool: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The slots that exist, the oldest first, and how orders fared */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description Orders that got a slot */
                        hits: number;
                        items: components["schemas"]["Slot"][];
                        /** @description Orders that found none and got a new server */
                        misses: number;
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    removeSlot: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                slotId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is being removed */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description Null: only keys are left of it */
                        serverName: string | null;
                        slotId: string;
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            /** @description Hetzner has no record of such a server */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            405: components["responses"]["MethodNotAllowed"];
            /** @description It is the pool’s or an agent’s, or this service has no access to the clouds */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    listProjects: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Those that are configured, and others in which something is left */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Project"][];
                        nextCursor: string | null;
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    drainProject: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The project now */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Project"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            /** @description There is no such project */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    undrainProject: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The project now */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Project"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            /** @description There is no such project */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    listProposals: {
        parameters: {
            query?: {
                /** @description `nextCursor` of the page before */
                cursor?: string;
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of proposals */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Proposal"][];
                        nextCursor: string | null;
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    createProposal: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewProposal"];
            };
        };
        responses: {
            /** @description The proposal; it expires after 24 hours */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Proposal"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["Forbidden"];
            /** @description There is no such agent */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            405: components["responses"]["MethodNotAllowed"];
            /** @description It is not possible now, is proposed already, or too many proposals are open */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooMany"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    rebuildState: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": {
                    /** @description Whether to do it; default: only say what */
                    apply?: boolean;
                };
            };
        };
        responses: {
            /** @description What was found, and done about it */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Rebuilt"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description A rebuild is under way, or this service has no access to the clouds */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    acceptState: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": {
                    /** @description Why, for the audit log */
                    note?: string;
                };
            };
        };
        responses: {
            /** @description Work begins */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @constant */
                        accepted: true;
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description Nothing waits for it, or this service can look itself */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    showRekey: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The change, or that there is none */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description What is still under the former passphrase; stacks: null until a worker has looked */
                        left: {
                            agents: number;
                            images: number;
                            slots: number;
                            stacks: number | null;
                        };
                        /** @description What needs a person */
                        problems: string[];
                        /**
                         * @description waiting: a process does not have the new passphrase yet. moving: the rest is sealed again. done: PULUMI_CONFIG_PASSPHRASE_BEFORE can be taken out
                         * @enum {string}
                         */
                        state: "none" | "waiting" | "moving" | "done";
                        /** @description Processes without the new passphrase */
                        waitsFor: string[];
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["OtherRole"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    claimWork: {
        parameters: {
            query?: {
                /** @description Names the attempt */
                token?: string;
            };
            header: {
                /** @description Hex HMAC-SHA256 of the raw body */
                "x-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** Format: uuid */
                    job_id: string;
                } & {
                    [key: string]: unknown;
                };
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        kind: string;
                    } & {
                        [key: string]: unknown;
                    };
                };
            };
            /** @description It is signed, and not a message of this kind */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description The signature is missing or wrong */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description There is no such operation */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description Only POST is allowed */
            405: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description It comes from an earlier attempt, or would move what has finished */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description The signed body is larger than 1 MiB */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description Internal error; see the log */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description The database is unavailable; nothing was stored */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
        };
    };
    recordWork: {
        parameters: {
            query?: {
                /** @description Names the attempt */
                token?: string;
            };
            header: {
                /** @description Hex HMAC-SHA256 of the raw body */
                "x-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** Format: uuid */
                    job_id: string;
                } & {
                    [key: string]: unknown;
                };
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": unknown;
                };
            };
            /** @description It is signed, and not a message of this kind */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description The signature is missing or wrong */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description There is no such operation */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description Only POST is allowed */
            405: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description It comes from an earlier attempt, or would move what has finished */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description The signed body is larger than 1 MiB */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description Internal error; see the log */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description The database is unavailable; nothing was stored */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
        };
    };
    listSessions: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All of them */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Session"][];
                        nextCursor: string | null;
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            /** @description A token of the environment that is no admin’s */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    endSession: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                sessionId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description As it was */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Session"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    listSnapshotDrills: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The last 20 */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["SnapshotDrill"][];
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    removeSnapshot: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                snapshotId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is being removed */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Snapshot"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description It is not complete, is gone, or its agent is being put back to it */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    listTokens: {
        parameters: {
            query?: {
                /** @description `nextCursor` of the page before */
                cursor?: string;
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of tokens; those that ended are kept for 90 days */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Token"][];
                        nextCursor: string | null;
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            /** @description A token of the environment that is no admin’s */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    createToken: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewToken"];
            };
        };
        responses: {
            /** @description The token, shown only now */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreatedToken"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            /** @description There is nobody called so */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            405: components["responses"]["MethodNotAllowed"];
            /** @description They have too many */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["NotJson"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    revokeToken: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                tokenId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description As it is now */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Token"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            403: components["responses"]["ForbiddenOrApprovalRequired"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    receiveRunnerReport: {
        parameters: {
            query?: {
                /** @description Names the attempt */
                token?: string;
            };
            header: {
                /** @description Hex HMAC-SHA256 of the raw body */
                "x-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** Format: uuid */
                    job_id: string;
                } & {
                    [key: string]: unknown;
                };
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @constant */
                        received: true;
                    };
                };
            };
            /** @description It is signed, and not a message of this kind */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description The signature is missing or wrong */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description There is no such operation */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description Only POST is allowed */
            405: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description It comes from an earlier attempt, or would move what has finished */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description The signed body is larger than 1 MiB */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description Internal error; see the log */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description The database is unavailable; nothing was stored */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
        };
    };
    receiveStripeEvent: {
        parameters: {
            query?: never;
            header: {
                "stripe-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    id: string;
                    type: string;
                } & {
                    [key: string]: unknown;
                };
            };
        };
        responses: {
            /** @description It is committed */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @constant */
                        received: true;
                    };
                };
            };
            /** @description The signature is missing, wrong or too old, or the body is not an event; nothing was stored */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description Only POST is allowed */
            405: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description The body is larger than 512 KiB */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description The body is encoded; it must be sent as it was signed */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description Internal error; see the log */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
            /** @description The database is unavailable; nothing was stored */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        error: string;
                    };
                };
            };
        };
    };
    liveness: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It does */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @constant */
                        status: "ok";
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    metrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Metrics */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain; version=0.0.4": string;
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["TokenRequired"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            429: components["responses"]["TooManyWrongTokens"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    document: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OpenAPI 3.1 */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        [key: string]: unknown;
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    readiness: {
        parameters: {
            query?: {
                verbose?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description They can */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        checks: {
                            [key: string]: string;
                        };
                        /** @constant */
                        status: "ready";
                    } | {
                        checks: {
                            /** @description How an operator fixes it */
                            cure: string | null;
                            detail: string;
                            name: string;
                            ok: boolean;
                        }[];
                    };
                };
            };
            400: components["responses"]["InvalidRequest"];
            405: components["responses"]["MethodNotAllowed"];
            421: components["responses"]["OtherHost"];
            500: components["responses"]["Internal"];
            /** @description Not now; `checks` says why */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
}
