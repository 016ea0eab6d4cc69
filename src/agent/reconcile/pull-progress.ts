/** Puts how far a pull is into what is reported: pure. */
import type { ServiceStatus, StatusReport } from '../../api/project.ts';
import type { PullProgress } from '../docker/docker-types.ts';

const MIB = 2 ** 20;

/** Such as "3/5 layers, 12 of 40 MiB". */
export function describePull({ status, layersDone, layersTotal, downloadedBytes, totalBytes }: PullProgress): string {
  if (layersTotal === 0) {
    return status;
  }
  const bytes = totalBytes > 0 ? `, ${Math.floor(downloadedBytes / MIB)} of ${Math.ceil(totalBytes / MIB)} MiB` : '';
  return `${layersDone}/${layersTotal} layers${bytes}`;
}

/** @param pulls image reference -> how far its pull is */
export function withPullProgress(report: StatusReport, pulls: ReadonlyMap<string, string>): StatusReport {
  if (pulls.size === 0 || report.services === undefined) {
    return report;
  }
  return { ...report, services: report.services.map((service) => withProgress(service, pulls)) };
}

function withProgress(service: ServiceStatus, pulls: ReadonlyMap<string, string>): ServiceStatus {
  const progress = service.state === 'Pulling' ? pulls.get(service.image ?? '') : undefined;
  return progress === undefined ? service : { ...service, message: progress };
}
