/**
 * Metrics: the one table of what the server measures, unit in the name, in Prometheus' text form.
 *
 * A registry per server, none global: several servers can run in one process.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

export type ServerMetrics = ReturnType<typeof createMetrics>;

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Makes a registry with every metric in it. */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  const eventLoopDelay = createEventLoopGauge(registers);
  createProcessGauges(registers);
  return {
    registry,
    httpRequests: new Counter({
      name: 'cara_http_requests_total',
      help: 'Requests answered, heartbeats left out',
      labelNames: ['method', 'route', 'status'] as const,
      registers,
    }),
    httpSeconds: new Histogram({
      name: 'cara_http_request_seconds',
      help: 'Time from request to answer; heartbeats and watches left out',
      labelNames: ['method', 'route'] as const,
      buckets: SECONDS,
      registers,
    }),
    requestsWaiting: new Gauge({ name: 'cara_requests_waiting', help: 'Requests that wait for their turn', registers }),
    heartbeats: new Counter({ name: 'cara_heartbeats_total', help: 'Heartbeats taken in', registers }),
    heartbeatFlushSeconds: new Histogram({
      name: 'cara_heartbeat_flush_seconds',
      help: 'Time to store a batch of node statuses that changed',
      buckets: SECONDS,
      registers,
    }),
    leaseExpired: new Counter({ name: 'cara_lease_expired_total', help: 'Nodes that fell silent', registers }),
    stallSeconds: new Counter({ name: 'cara_stall_seconds_total', help: 'Time the server stood still, credited to the nodes', registers }),
    nodes: new Gauge({ name: 'cara_nodes', help: 'Nodes by state', labelNames: ['state'] as const, registers }),
    projects: new Gauge({ name: 'cara_projects', help: 'Projects by phase', labelNames: ['phase'] as const, registers }),
    scheduleSeconds: new Histogram({
      name: 'cara_schedule_seconds',
      help: 'Time of one scheduling decision with its write',
      labelNames: ['outcome'] as const,
      buckets: SECONDS,
      registers,
    }),
    databaseBytes: new Gauge({ name: 'cara_database_bytes', help: 'Size of the database on disk', registers }),
    backupSucceeded: new Gauge({
      name: 'cara_backup_last_success_timestamp_seconds',
      help: 'When the last scheduled backup was read back; 0: none yet',
      registers,
    }),
    backupBytes: new Gauge({ name: 'cara_backup_last_bytes', help: 'Size of the last scheduled backup', registers }),
    backupFailures: new Gauge({ name: 'cara_backup_failures', help: 'Scheduled backups that failed since the start', registers }),
    watchers: new Gauge({ name: 'cara_watchers', help: 'Open watch streams', labelNames: ['kind'] as const, registers }),
    watchLagVersions: new Gauge({
      name: 'cara_watch_lag_versions',
      help: 'How far the slowest own mirror is behind the store',
      registers,
    }),
    /** Ends what measuring needs. */
    close: () => eventLoopDelay.disable(),
  };
}

const SAMPLE_MS = 20; // of the event loop; the histogram counts it as delay, so it is taken off again

function createEventLoopGauge(registers: Registry[]): ReturnType<typeof monitorEventLoopDelay> {
  const histogram = monitorEventLoopDelay({ resolution: SAMPLE_MS });
  const toSeconds = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - SAMPLE_MS / 1000);
  histogram.enable();
  new Gauge({
    name: 'cara_event_loop_delay_seconds',
    help: 'Delay of the event loop since the last scrape',
    labelNames: ['quantile'],
    registers,
    collect() {
      this.set({ quantile: '0.5' }, toSeconds(histogram.percentile(50)));
      this.set({ quantile: '0.99' }, toSeconds(histogram.percentile(99)));
      this.set({ quantile: '1' }, toSeconds(histogram.max));
      histogram.reset();
    },
  });
  return histogram;
}

function createProcessGauges(registers: Registry[]): void {
  new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Resident memory',
    registers,
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  new Gauge({
    name: 'process_cpu_seconds_total',
    help: 'CPU time, user and system',
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.set((user + system) / 1e6);
    },
  });
}
