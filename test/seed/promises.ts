/**
 * The two documents about Nodes that the project was founded on, cut into their sentences and table rows, in order, word by word.
 *
 * A string is a promise in prose; `row` and `code` are promises too; `aside` is what promises nothing, and why. Each promise has a test of
 * its words in the file that its section names. scripts/lib/seed-promises.ts holds all this against the documents, guide-nodes.txt and
 * reference-node.txt; docs/seed-promises.md is made of it by `npm run generate`.
 */

export interface Piece {
  readonly kind: 'prose' | 'row' | 'code' | 'aside';
  /** what the test is called: the words of the document, rows with a dash between their cells, code on one line */
  readonly name: string;
  /** the words as they stand in the document, one after the other */
  readonly cells: readonly string[];
  /** why it is no promise */
  readonly why?: string;
}

export interface Section {
  readonly title: string;
  /** of the tests: test/seed/FILE.test.ts */
  readonly file: string;
  readonly pieces: readonly Piece[];
}

export interface SeedDocument {
  readonly title: string;
  /** beside this file */
  readonly text: string;
  readonly sections: readonly Section[];
}

const HEADING = 'heading';
const TABLE_HEAD = 'head of a table';
const LEAD_IN = 'leads to what follows';
const CAPTION = 'caption of a file';

function row(...cells: readonly [string, string]): Piece {
  return { kind: 'row', name: cells.join(' — '), cells };
}

function code(text: string): Piece {
  return { kind: 'code', name: onOneLine(text), cells: [text] };
}

function aside(why: string, ...cells: readonly string[]): Piece {
  return { kind: 'aside', name: cells.join(' — '), cells, why };
}

function section(title: string, file: string, pieces: readonly (string | Piece)[]): Section {
  return {
    title,
    file,
    pieces: pieces.map((piece) => (typeof piece === 'string' ? { kind: 'prose', name: piece, cells: [piece] } : piece)),
  };
}

/** How a text with line breaks is called. */
export function onOneLine(text: string): string {
  return text.trim().replaceAll(/\s+/gu, ' ');
}

export const NODE_YAML = `apiVersion: caravanserai/v1
kind: Node
metadata:
  name: worker-01
  labels:
    caravanserai.io/zone: ed312
    caravanserai.io/region: north
spec:
  hostname: worker-01.local
  unschedulable: false
`;

export const DRAIN_YAML = `apiVersion: caravanserai/v1
kind: Node
metadata:
  name: worker-01
spec:
  unschedulable: true
`;

export const START_AGENT = `SERVER_URL=http://cara-server:8080 \\
NODE_NAME=worker-01 \\
  ./bin/cara-agent
`;

const GUIDE: SeedDocument = {
  title: 'The guide to Nodes',
  text: 'guide-nodes.txt',
  sections: [
    section('Nodes', 'guide-adding', [
      aside('a link of the web page', 'Skip to main content'),
      'A Node represents a physical or virtual machine running cara-agent.',
      'Nodes self-register with the control plane on startup and send periodic heartbeats so the controller manager can track their health.',
      'The scheduler only assigns new projects to nodes whose state is Ready.',
    ]),
    section('Adding a node', 'guide-adding', [
      aside(HEADING, 'Adding a node'),
      'Start cara-agent on the machine you want to add.',
      'Set SERVER_URL to point at your control plane and NODE_NAME to the name the node should register under:',
      code(START_AGENT),
      'The agent registers itself with the control plane on startup, then begins sending heartbeats and polling for work.',
      'You do not need to apply a manifest — registration is automatic.',
      'If you want to pre-create a node record manually (for example to set labels before the agent connects), apply a Node manifest:',
      aside(CAPTION, 'node.yaml'),
      code(NODE_YAML),
      code('caractrl apply -f node.yaml'),
    ]),
    section('Listing nodes', 'guide-listing', [
      aside(HEADING, 'Listing nodes'),
      'List all nodes in the cluster:',
      code('caractrl get nodes'),
      aside(LEAD_IN, 'Example output:'),
      code('NAME        STATE     CONDITIONS   AGE'),
      code('worker-01   Ready     Healthy      2h'),
      code('worker-02   NotReady  NoHeartbeat  5m'),
      code('worker-03   Draining  Unschedulable 10m'),
      'The STATE column reflects the high-level health summary computed by the controller manager.',
      aside(TABLE_HEAD, 'State', 'Meaning'),
      row('Ready', 'The agent is heartbeating and the node accepts new project assignments.'),
      row('NotReady', 'Heartbeats have stopped or a critical condition is present. The scheduler skips this node.'),
      row('Draining', 'spec.unschedulable is true. Existing projects continue running, but no new projects are scheduled here.'),
    ]),
    section('Inspecting a node', 'guide-inspecting', [
      aside(HEADING, 'Inspecting a node'),
      'Get a single node’s table summary:',
      code('caractrl get nodes worker-01'),
      'For the full status object including network details, capacity, allocatable resources, heartbeat timestamp, and conditions, use JSON output:',
      code('caractrl --output json get nodes worker-01'),
      aside(LEAD_IN, 'Key fields in the output:'),
      aside(TABLE_HEAD, 'Field', 'Description'),
      row('status.state', 'High-level state: Ready, NotReady, or Draining.'),
      row('status.network.ip', 'Overlay network IP assigned to the node.'),
      row('status.network.agentPort', 'TCP port the agent’s HTTP server listens on (used by port-forward).'),
      row('status.lastHeartbeat', 'Timestamp of the most recent heartbeat from the agent.'),
      row('status.capacity', 'Raw physical resources reported by the agent.'),
      row('status.allocatable', 'Capacity minus system-reserved amounts; used by the scheduler.'),
      row('status.conditions', 'List of granular observable conditions on the node.'),
    ]),
    section('Draining a node', 'guide-draining', [
      aside(HEADING, 'Draining a node'),
      'Draining prevents new projects from being scheduled onto a node while allowing existing projects to keep running.',
      'To drain a node, set spec.unschedulable: true in its manifest and apply it:',
      aside(CAPTION, 'worker-01-drain.yaml'),
      code(DRAIN_YAML),
      code('caractrl apply -f worker-01-drain.yaml'),
      'The controller manager detects the change and transitions the node state to Draining.',
      'The scheduler stops assigning new projects to the node immediately.',
      'Projects already running on the node are unaffected — they continue running until you delete them or they expire.',
      'To make the node schedulable again, set spec.unschedulable: false and re-apply the manifest.',
    ]),
    section('Removing a node', 'guide-removing', [
      aside(HEADING, 'Removing a node'),
      'Delete a node record from the control plane:',
      code('caractrl delete node worker-01'),
      'Deleting a node does not automatically stop or migrate the projects running on it.',
      'If the node has projects in Running phase, those projects lose their agent and will transition to Failed once heartbeats stop.',
      'Delete or migrate all running projects before removing a node from the cluster.',
      'After deletion, the node no longer appears in caractrl get nodes.',
      'If cara-agent is still running on the machine, it will attempt to re-register with the control plane on its next startup.',
    ]),
    section('Heartbeat monitoring', 'guide-heartbeats', [
      aside(HEADING, 'Heartbeat monitoring'),
      'cara-agent sends a heartbeat to the control plane on a configurable interval (default: 30s).',
      'Each heartbeat updates status.lastHeartbeat and refreshes the node’s reported capacity and network status.',
      'The control plane watches lastHeartbeat.',
      'When the timestamp is older than the heartbeat timeout threshold (90 seconds), it sets the node state to NotReady and adds a NoHeartbeat condition.',
      aside(LEAD_IN, 'Common causes of missed heartbeats:'),
      'cara-agent process crashed or was stopped.',
      'Network partition between the agent machine and cara-server.',
      'The machine running the agent was powered off or rebooted.',
      'Check status.lastHeartbeat to see when the agent last checked in:',
      code('caractrl --output json get nodes worker-01'),
    ]),
    section('Node labels', 'guide-labels', [
      aside(HEADING, 'Node labels'),
      'Add labels to a node to express zone, region, or hardware characteristics.',
      'You can use labels for documentation and future scheduling constraints.',
      code(NODE_YAML),
      'Apply the updated manifest to patch the node’s labels:',
      code('caractrl apply -f worker-01.yaml'),
    ]),
  ],
};

const REFERENCE: SeedDocument = {
  title: 'The reference of the Node resource',
  text: 'reference-node.txt',
  sections: [
    section('Introduction', 'reference-fields', [
      aside('the end of a sentence whose beginning is lost', 'cara-agent instance.'),
      'Caravanserai uses Nodes as scheduling targets: the Scheduler assigns Projects only to Nodes in the Ready state.',
      'cara-agent self-registers its Node with the control plane on startup using the NODE_NAME environment variable.',
      'You only need to write a Node manifest manually when you want to pre-register a node before the agent starts, or to update node configuration such as labels or schedulability.',
    ]),
    section('Schema', 'reference-fields', [
      aside(HEADING, 'Schema'),
      aside(HEADING, 'Top-level fields'),
      'Must be caravanserai/v1.',
      'Must be Node.',
      'Identity metadata for the resource.',
      'Unique identifier for the Node within the cluster.',
      'This is the name the agent registers under and the name you use in caractrl commands.',
      'Typically matches the machine hostname or a descriptive label such as edge-node-01.',
      'Arbitrary key/value pairs for grouping and selection.',
      'Common uses include zone or region labels, for example caravanserai.io/zone: ed312.',
      aside(HEADING, 'spec'),
      'The OS-level hostname of the machine, for example pve-03 or edge-01.local.',
      'Used for informational purposes and audit trails.',
      'When true, prevents the scheduler from assigning new Projects to this Node.',
      'Projects already running on the Node continue to run.',
      'Set this field to true before draining a node for maintenance.',
      aside(HEADING, 'Example'),
      aside(CAPTION, 'node.yaml'),
    ]),
    section('Marking a node unschedulable', 'reference-fields', [
      aside(HEADING, 'Marking a node unschedulable'),
      'Setspec.unschedulable: true to cordon a node.',
      'The control plane stops scheduling new Projects onto it while existing workloads continue running.',
      aside(HEADING, 'Apply the change'),
      'unschedulable: false and reapply.',
    ]),
    section('Status fields (read-only)', 'reference-status', [
      aside(HEADING, 'Status fields (read-only)'),
      'The following fields are written by the system — bycara-agent (heartbeat data) and the Controller Manager (aggregated state).',
      'Do not include them in your manifests.',
    ]),
    section('status.state', 'reference-status', [
      aside(HEADING, 'status.state'),
      aside(HEADING, 'status.state'),
      'High-level health summary of the Node.',
      'One of:',
      aside(TABLE_HEAD, 'Value', 'Meaning'),
      row('Ready', 'Node is healthy and accepting work'),
      row('NotReady', 'Agent heartbeat has timed out or the node is unhealthy'),
      row('Draining', 'Node is being drained; no new Projects are scheduled'),
    ]),
    section('status.network', 'reference-network', [
      aside(HEADING, 'status.network'),
      aside(HEADING, 'status.network'),
      'Overlay-network connectivity reported by the Headscale/Tailscale integration.',
      aside(TABLE_HEAD, 'Field', 'Description'),
      row('ip', 'Headscale-assigned overlay IP address, e.g. 100.64.0.5'),
      row('dnsName', 'MagicDNS FQDN for service discovery'),
      row('mode', 'Direct when a peer-to-peer path exists; DERP otherwise'),
      row('agentPort', 'TCP port the agent’s HTTP server listens on'),
      row('throughput.download', 'Last measured download speed'),
      row('throughput.upload', 'Last measured upload speed'),
      row('throughput.lastTestTime', 'Timestamp of the last speed measurement'),
    ]),
    section('status.capacity and status.allocatable', 'reference-status', [
      aside(HEADING, 'status.capacity and status.allocatable'),
      aside(HEADING, 'status.capacity and status.allocatable'),
      'Resource totals reported by the agent.',
      aside(TABLE_HEAD, 'Field', 'Description'),
      row('capacity', 'Raw physical resource totals (cpu, memory, disk). Values use Kubernetes quantity format: "4Gi", "2000m".'),
      row(
        'allocatable',
        'Capacity minus system-reserved amounts. The Scheduler uses this to determine available headroom for new Projects.',
      ),
    ]),
    section('status.lastHeartbeat', 'reference-status', [
      aside(HEADING, 'status.lastHeartbeat'),
      aside(HEADING, 'status.lastHeartbeat'),
      'RFC 3339 timestamp of the most recent heartbeat received from the agent.',
      'The control plane uses this to detect unresponsive nodes and transition them to NotReady.',
    ]),
    section('status.conditions', 'reference-status', [
      aside(HEADING, 'status.conditions'),
      aside(HEADING, 'status.conditions'),
      'A list of granular observable conditions on the Node.',
      'Each condition has:',
      aside(TABLE_HEAD, 'Field', 'Description'),
      row('type', 'Machine-readable identifier, e.g. Ready'),
      row('status', 'True, False, or Unknown'),
      row('reason', 'CamelCase word summarising the current status'),
      row('message', 'Human-readable explanation'),
      row('lastHeartbeatTime', 'When this condition was last sampled'),
      row('lastTransitionTime', 'When the status last changed'),
    ]),
  ],
};

export const DOCUMENTS: readonly SeedDocument[] = [GUIDE, REFERENCE];

/**
 * Names the tests of one file: `const sentence = sentencesOf('guide-adding'); test(sentence('…'), …)`.
 * The function throws for words that are no promise of that file, so that a test cannot quote what is not written.
 */
export function sentencesOf(file: string): (words: string) => string {
  const sections = DOCUMENTS.flatMap((document) => document.sections).filter((each) => each.file === file);
  const names = new Set(sections.flatMap(({ pieces }) => pieces.filter(({ kind }) => kind !== 'aside').map(({ name }) => name)));
  return (words) => {
    const name = onOneLine(words);
    if (!names.has(name)) {
      throw new Error(`Cannot name a test of ${file} after a sentence that its sections do not have: ${JSON.stringify(name)}`);
    }
    return name;
  };
}
