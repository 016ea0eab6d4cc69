import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planRuleRemoval } from './engine-network.ts';

const BARE = `*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
-A FORWARD -i tun0 -m comment --comment "my own rule" -j ACCEPT
COMMIT
`;
const WITH_DOCKER = `*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o br-0123456789ab -j DOCKER
-A FORWARD -i tun0 -m comment --comment "my own rule" -j ACCEPT
-A FORWARD -i tun1 -m comment --comment "a new rule of mine" -j ACCEPT
-A DOCKER -d 172.18.0.2/32 ! -i br-0123456789ab -o br-0123456789ab -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-USER -j RETURN
COMMIT
*nat
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A POSTROUTING -s 172.18.0.0/16 ! -o br-0123456789ab -j MASQUERADE
-A POSTROUTING -s 172.18.0.2/32 -d 172.18.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE
-A POSTROUTING -s 10.0.0.0/8 -o eth0 -j MASQUERADE
COMMIT
`;

test('planRuleRemoval() takes out what Docker added and puts the FORWARD policy back', () => {
  const commands = planRuleRemoval(BARE, WITH_DOCKER).map((args) => args.join(' '));
  assert.deepEqual(commands, [
    '-t filter -D FORWARD -j DOCKER-USER',
    '-t filter -D FORWARD -o br-0123456789ab -j DOCKER',
    '-t filter -F DOCKER',
    '-t filter -F DOCKER-USER',
    '-t filter -X DOCKER',
    '-t filter -X DOCKER-USER',
    '-t filter -P FORWARD ACCEPT',
    '-t nat -D POSTROUTING -s 172.18.0.0/16 ! -o br-0123456789ab -j MASQUERADE',
    '-t nat -D POSTROUTING -s 172.18.0.2/32 -d 172.18.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE',
    '-t nat -F DOCKER',
    '-t nat -X DOCKER',
  ]);
});

test('planRuleRemoval() leaves the chains and rules of an engine that was there before', () => {
  assert.deepEqual(planRuleRemoval(WITH_DOCKER, WITH_DOCKER), []);
});

test('planRuleRemoval() removes the second of two equal rules when one was there before', () => {
  const before = '*filter\n:FORWARD ACCEPT [0:0]\n:DOCKER - [0:0]\n-A FORWARD -j DOCKER\n';
  assert.deepEqual(planRuleRemoval(before, `${before}-A FORWARD -j DOCKER\n`), [['-t', 'filter', '-D', 'FORWARD', '-j', 'DOCKER']]);
});
