import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Heartbeat } from '../../api/node.ts';
import { ReportParts } from './report-parts.ts';

function reportOf(ip: string, cpu = '4'): Heartbeat {
  return {
    network: { ip },
    capacity: { cpu, memory: '8Gi' },
    allocatable: { cpu: '3800m', memory: '7Gi' },
    info: { osImage: 'Debian', architecture: 'amd64' },
    conditions: [
      { type: 'DiskPressure', status: 'False', reason: 'EnoughDisk', message: `on ${cpu}` },
      { type: 'MemoryPressure', status: 'False' },
    ],
  };
}

test('share() leaves reports what they were, and keeps once what two of them have alike', () => {
  const parts = new ReportParts();
  const [first, second, third] = [reportOf('10.0.0.1'), reportOf('10.0.0.2'), reportOf('10.0.0.3', '8')].map((report) =>
    parts.share(report),
  );
  assert.deepEqual([first, second, third], [reportOf('10.0.0.1'), reportOf('10.0.0.2'), reportOf('10.0.0.3', '8')]);
  assert.equal(first?.info, third?.info);
  assert.equal(first?.capacity, second?.capacity);
  assert.notEqual(first?.capacity, third?.capacity);
  assert.equal(first?.conditions?.[0], second?.conditions?.[0]);
  assert.notEqual(first?.conditions?.[0], third?.conditions?.[0]);
  assert.equal(first?.conditions?.[1], third?.conditions?.[1]);
});

test('share() freezes what it shares, and leaves what it was given alone', () => {
  const report = reportOf('10.0.0.1');
  const { info } = new ReportParts().share(report);
  assert.ok(Object.isFrozen(info));
  assert.equal(Object.isFrozen(report.info), false);
});

test('share() adds no field that a report lacks', () => {
  assert.deepEqual(Object.keys(new ReportParts().share({ network: { ip: '10.0.0.1' } })), ['network']);
});

test('share() begins anew when machines have little in common', () => {
  const parts = new ReportParts();
  const first = parts.share(reportOf('10.0.0.1'));
  for (let index = 0; index < 20_000; index += 1) {
    parts.share({ capacity: { cpu: String(index) } });
  }
  const later = parts.share(reportOf('10.0.0.1'));
  assert.deepEqual(later, first);
  assert.notEqual(later.info, first.info);
});
